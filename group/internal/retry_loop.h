// The retry loop under callbacks::Retry and hunch::Retry. Internal.

#ifndef COHORT_GROUP_INTERNAL_RETRY_LOOP_H_
#define COHORT_GROUP_INTERNAL_RETRY_LOOP_H_

#include <cstdint>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/retry.h"
#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort::group_internal {

// Like Retried<T>, but without a value, for an attempt that keeps its value
// itself.
struct RetryOutcome {
  absl::Status status = absl::OkStatus();
  int64_t attempts = 0;
  absl::Status last_error = absl::OkStatus();
  RetryEnd end = RetryEnd::kCancelled;
};

// Calls `attempt` on the calling thread until it succeeds or there is a reason
// to stop. Blocks between attempts, with a BlockingScope, and ends at once when
// the context is done. An exception that leaves an attempt is a failure.
// `caller` is for messages.
RetryOutcome RunRetry(const Context& parent, const char* caller,
                      const RetryOptions& options,
                      absl::FunctionRef<absl::Status(const Context&)> attempt);

template <class F>
  requires ValueTask<F&>
Retried<ValueTaskResult<F&>> RetryForValue(const Context& context,
                                           const char* caller,
                                           const RetryOptions& options,
                                           F& function) {
  ABSL_CHECK(!task_internal::IsNull(function)) << caller << ": null function";
  task_internal::Slot<ValueTaskResult<F&>> slot;
  RetryOutcome outcome =
      RunRetry(context, caller, options, [&](const Context& attempt) {
        return task_internal::CallInto(slot, function, attempt);
      });
  return {.result = task_internal::ResultOf(outcome.status, slot),
          .attempts = outcome.attempts,
          .last_error = std::move(outcome.last_error),
          .end = outcome.end};
}

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_RETRY_LOOP_H_
