// Many elements and few tasks: runners that take chunks of a range of indices.
// What ForEach and Map have in common. Internal.

#ifndef COHORT_GROUP_INTERNAL_CHUNKS_H_
#define COHORT_GROUP_INTERNAL_CHUNKS_H_

#include <cstddef>
#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"

namespace cohort::group_internal {

// The number of CPUs.
int DefaultLimit();

// Elements that follow one another: the one that a runner is at, and the first
// that is not its any more.
struct Chunk {
  size_t next = 0;
  size_t end = 0;

  bool empty() const { return next == end; }
};

struct ChunkOptions {
  const char* caller = "";  // for messages
  int limit = 1;            // runners; dies if it is less than one
  size_t count = 0;         // elements
  // Told of each element that has failed, or for which it was too late, by the
  // thread that finds out; the others then go on. Null: the first failure ends
  // it all.
  std::function<void(size_t, absl::Status)> on_failure = nullptr;
};

// Moves `chunk.next` on over elements that succeed. Stops at one that fails,
// and returns its error; or, with OK, before one when `context` is done.
using ChunkBody =
    absl::FunctionRef<absl::Status(const Context& context, Chunk& chunk)>;

// Lets runners, which are the tasks of a batch, take chunks of the elements
// until there are none left. A chunk is one element at first. Its size doubles
// while chunks turn out to be cheap, so that what it costs to take one does not
// show, and halves when they turn dear; the clock is read once for each. It is
// never more than half of a runner's fair share of the elements left: if the
// rest is as dear as this chunk is, the others have not finished with theirs
// when its runner has.
//
// OK if all elements have succeeded, or told on_failure; else the first
// failure, or the cause. Joins, also where it throws std::bad_alloc. An
// exception of an element is its error, and so is the end of the thread that
// ran it: the rest of its chunk is left to another runner.
absl::Status RunChunks(const Context& parent, const ChunkOptions& options,
                       ChunkBody body);

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_CHUNKS_H_
