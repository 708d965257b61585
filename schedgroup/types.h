// The nouns of timed groups, and what they repeat.

#ifndef COHORT_SCHEDGROUP_TYPES_H_
#define COHORT_SCHEDGROUP_TYPES_H_

#include <concepts>

#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort::schedgroup {

// What Cancel found.
enum class CancelResult {
  kCancelled,  // it had not begun, and will not: not at all, or not again
  kRunning,    // it is not over yet: it has begun, or another call is just
               // taking it back or skipping it. A repeated task does not run
               // again after that.
  kFinished,   // it is over: it has run, or was taken back, skipped or refused
};

// What a repeated task may return: whether there is to be another run. Each of
// the two is a success.
enum class Next { kAgain, kStop };

namespace internal {

template <class F>
concept DecidesWhatIsNext =
    ValueTask<F> && std::same_as<ValueTaskResult<F>, Next>;

}  // namespace internal

// A task that is repeated: a callable, movable, that can be called as an lvalue
// in one of the forms of GroupTask, or in one of these:
//
//   () -> Next                           ends when it says so
//   () -> absl::StatusOr<Next>
//   (const Context&) -> Next             is told when to stop
//   (const Context&) -> absl::StatusOr<Next>
//
// One that can be called in both ways is given the context.
template <class F>
concept PeriodicTask = std::move_constructible<F> &&
                       (GroupTask<F&> || internal::DecidesWhatIsNext<F&>);

}  // namespace cohort::schedgroup

#endif  // COHORT_SCHEDGROUP_TYPES_H_
