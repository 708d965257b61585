// A fixed number of tasks, all at once or so many at a time, and the rule that
// says when enough of them have ended: what All, Race, Take and Last have in
// common. Internal.

#ifndef COHORT_GROUP_INTERNAL_BATCH_H_
#define COHORT_GROUP_INTERNAL_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/task/task.h"

namespace cohort::group_internal {

using task_internal::Task;

// A batch is decided once so many of its tasks have succeeded, or so many have
// failed. What is still running then is told to stop.
struct Quorum {
  int successes = kUnlimited;
  int failures = kUnlimited;
};

enum class OnDecision {
  kJoin,    // the call ends when all tasks have
  kDetach,  // it ends with the decision; the tasks own what they need
};

enum class Decision { kNone, kSuccess, kFailure };

struct BatchResult {
  // How tasks ended, in the order in which they did, up to the decision.
  std::vector<TaskError> ended = {};
  Decision decision = Decision::kNone;
  // Not OK if the cancellation of the context is why there is none: a task was
  // not started, or did what it was told.
  absl::Status cause = absl::OkStatus();
};

// How each of `count` tasks ended, by index; the cause for those that did not.
// Of a batch without a quorum.
std::vector<absl::Status> StatusesByIndex(const BatchResult& result,
                                          size_t count);

// The failures of a batch as one error: the last of them first, which gives it
// its code, then the others by index.
absl::Status AllFailures(const char* caller, std::vector<TaskError> ended);

struct BatchOptions {
  const char* caller = "";  // for messages
  Quorum quorum = {};
  OnDecision on_decision = OnDecision::kJoin;
  int limit = kUnlimited;  // tasks at once; dies if it is less than one
  // What messages call a task, by its index, where that is not "function 7".
  // Only with kJoin.
  std::function<std::string(int64_t)> name = nullptr;
};

// Runs `tasks`, each under a context below `parent`. An exception that leaves a
// task, or the end of its thread, is a failure of it, and of no other one. With
// a context that is done nothing starts. If no success is asked for, that is
// the decision, and nothing starts either.
//
// With kJoin what a task does counts, whenever it does: a success stays one
// after `parent` has ended. With kDetach the call ends with `parent`, and what
// tasks do after that does not count: a cancellation that has returned is
// followed by no success.
//
// Throws std::bad_alloc if there is no memory to start them all: those that
// have started are told to stop, and joined unless with kDetach.
BatchResult RunBatch(const Context& parent, BatchOptions options,
                     std::vector<Task> tasks);

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_BATCH_H_
