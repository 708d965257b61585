// Types of schedgroup: results of Cancel, and the forms of periodic tasks.

#ifndef COHORT_SCHEDGROUP_TYPES_H_
#define COHORT_SCHEDGROUP_TYPES_H_

#include <concepts>

#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort::schedgroup {

// What Cancel(id) found.
enum class CancelResult {
  kCancelled,  // it had not begun, and will not run, or not run again
  kRunning,    // it is not over yet: it has begun, or another call is just
               // cancelling or skipping it. A periodic task does not run again
               // after that.
  kFinished,   // it is over: it has run, or was cancelled, skipped or refused
};

// What a periodic task may return: whether to run it again. Both values are
// successes.
enum class Next { kAgain, kStop };

namespace internal {

template <class F>
concept DecidesWhatIsNext =
    ValueTask<F> && std::same_as<ValueTaskResult<F>, Next>;

}  // namespace internal

// A periodic task: a movable callable that can be called as an lvalue in one of
// the forms of GroupTask, or in one of these:
//
//   () -> Next                           ends with kStop
//   () -> absl::StatusOr<Next>
//   (const Context&) -> Next             is told when to stop
//   (const Context&) -> absl::StatusOr<Next>
//
// A callable that fits both kinds of form is given the context.
template <class F>
concept PeriodicTask = std::move_constructible<F> &&
                       (GroupTask<F&> || internal::DecidesWhatIsNext<F&>);

}  // namespace cohort::schedgroup

#endif  // COHORT_SCHEDGROUP_TYPES_H_
