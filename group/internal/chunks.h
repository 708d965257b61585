// Runs many elements in few tasks: runners take chunks of a range of indices.
// The common part of ForEach and Map. Internal.

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

// Consecutive elements: the next one of a runner, and the first that does not
// belong to it any more.
struct Chunk {
  size_t next = 0;
  size_t end = 0;

  bool empty() const { return next == end; }
};

struct ChunkOptions {
  const char* caller = "";  // for messages
  int limit = 1;            // the number of runners; dies if less than 1
  size_t count = 0;         // the number of elements
  // Called for each element that has failed, or that was not run because the
  // context was done, on the thread that finds out; the others then go on.
  // Null: the first failure ends the call.
  std::function<void(size_t, absl::Status)> on_failure = nullptr;
};

// Advances `chunk.next` past elements that succeed. Stops at an element that
// fails, and returns its error; or, with OK, before an element when `context`
// is done.
using ChunkBody =
    absl::FunctionRef<absl::Status(const Context& context, Chunk& chunk)>;

// Lets runners, which are the tasks of a batch, take chunks of the elements
// until none are left. A chunk is one element at first. Its size doubles while
// chunks turn out to be cheap, so that the cost of taking one is negligible,
// and halves when they become expensive; the clock is read once per chunk. A
// chunk is never more than half of a runner's fair share of the elements left:
// even if the rest is as expensive as this chunk, the other runners do not run
// out of elements before this one has finished.
//
// Returns OK if all elements have succeeded, or on_failure was called for those
// that failed; else the first failure, or the cause. Joins, even if it throws
// std::bad_alloc. An exception of an element is its error, and so is the end of
// the thread that ran it: the rest of its chunk is left to another runner.
absl::Status RunChunks(const Context& parent, const ChunkOptions& options,
                       ChunkBody body);

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_CHUNKS_H_
