// A batch: a fixed number of tasks, with an optional limit, and a quorum that
// says when enough of them have ended. The common part of All, Race, Take and
// Last. Internal.

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

// A batch is decided once `successes` of its tasks have succeeded, or
// `failures` have failed. Tasks that are still running are then told to stop.
struct Quorum {
  int successes = kUnlimited;
  int failures = kUnlimited;
};

enum class OnDecision {
  kJoin,    // the call ends when all tasks have ended
  kDetach,  // the call ends with the decision; the tasks own what they need
};

enum class Decision { kNone, kSuccess, kFailure };

struct BatchResult {
  // The results of tasks in the order in which they ended, up to the decision.
  std::vector<TaskError> ended = {};
  Decision decision = Decision::kNone;
  // Not OK if there is no decision because the context was cancelled: a task
  // was not started, or stopped because it was told to.
  absl::Status cause = absl::OkStatus();
};

// The result of each of `count` tasks, by index; the cause for tasks without a
// result. For batches without a quorum.
std::vector<absl::Status> StatusesByIndex(const BatchResult& result,
                                          size_t count);

// The failures of a batch as one error: the last failure first, which gives the
// error its code, then the others by index.
absl::Status AllFailures(const char* caller, std::vector<TaskError> ended);

struct BatchOptions {
  const char* caller = "";  // for messages
  Quorum quorum = {};
  OnDecision on_decision = OnDecision::kJoin;
  int limit = kUnlimited;  // tasks that run at once; dies if less than 1
  // The name of a task in messages, by its index, if not "function 7". Only
  // with kJoin.
  std::function<std::string(int64_t)> name = nullptr;
};

// Runs `tasks`, each under a context derived from `parent`. An exception that
// leaves a task, or the end of its thread, is a failure of that task, and does
// not affect the others. If the context is done already, nothing starts. If the
// quorum asks for no success, that decides the batch, and nothing starts
// either.
//
// With kJoin a task's result counts whenever it comes: a success after the end
// of `parent` is still a success. With kDetach the call ends with `parent`, and
// later results do not count: after a cancellation has returned, there is no
// success.
//
// Throws std::bad_alloc if there is no memory to start all tasks: those that
// have started are told to stop, and are joined unless with kDetach.
BatchResult RunBatch(const Context& parent, BatchOptions options,
                     std::vector<Task> tasks);

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_BATCH_H_
