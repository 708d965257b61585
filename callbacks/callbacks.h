// Concurrently runs functions that yield values: all of them, the first to
// succeed, one retried until it succeeds, or one for each element of a range.
//
//   auto [user, orders] = cohort::callbacks::All(
//       context, [&](const cohort::Context& c) { return FetchUser(c, id); },
//       [&](const cohort::Context& c) { return FetchOrders(c, id); });
//
//   absl::StatusOr<Page> page = cohort::callbacks::Race(
//       context, [&](const cohort::Context& c) { return Fetch(c, mirror1); },
//       [&](const cohort::Context& c) { return Fetch(c, mirror2); });
//
// Use hunch::All instead if the first error should cancel the others, and
// hunch::Take for more than one winner.
//
// The functions are callables of the forms listed at ValueTask.
//
// Blocks?         Every call here does, until all its functions have ended; it
//                 runs some of them on the calling thread. RaceDetached returns
//                 at the first success, the last failure, or the end of the
//                 context.
// Cancellation?   A function that has not started when the context is done is
//                 not called, and its result is the cause. A running function
//                 learns of it through the context that it is given. If the
//                 context is done already, no function starts.
// Order?          All start at once, in no particular order; with a limit, they
//                 start in the order of the arguments, each when another has
//                 ended. Results are in the order of the arguments too.
// On error?       Each function says. An exception that leaves a function is
//                 its error: kInternal, with type and what(). If the call
//                 itself runs out of memory it throws std::bad_alloc: functions
//                 that have started are told to stop, and have ended by then
//                 (except with RaceDetached).
// Thread safety   Any call, from any thread, also from inside a function.
// Memory ordering What happened before the call is visible to the functions,
//                 and what they did is visible after the call returns.
// Destruction     Functions are destroyed before the call returns (except with
//                 RaceDetached), and not under any lock.
//
// A null function, or a limit below 1, is a contract violation: it dies before
// any function is called.
//
// From vardius/gollback. What differs: results are typed; All and Race end when
// their functions have ended (there, losers are left running); Race's error
// lists all errors; a success is never discarded because the context ends at
// the same time (except by RaceDetached); Retry pauses between attempts and
// keeps the last error. Limits, and Map, come from sourcegraph/conc.

#ifndef COHORT_CALLBACKS_CALLBACKS_H_
#define COHORT_CALLBACKS_CALLBACKS_H_

#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "cohort/callbacks/internal/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/group/elements.h"
#include "cohort/group/internal/batch.h"
#include "cohort/group/internal/retry_loop.h"
#include "cohort/group/internal/values.h"
#include "cohort/group/retry.h"
#include "cohort/task/value_task.h"

namespace cohort::callbacks {

using ::cohort::FailedAttempt;
using ::cohort::MapOptions;
using ::cohort::Retried;
using ::cohort::RetryEnd;
using ::cohort::RetryOptions;
using ::cohort::RunOptions;

// Calls all `functions`, and returns the result of each:
// std::tuple<absl::StatusOr<T>...>. An error of one function does not stop
// another. With options, call it as All(context, {.limit = 8}, functions...).
template <ValueTask... F>
[[nodiscard]] std::tuple<absl::StatusOr<ValueTaskResult<F>>...> All(
    const Context& context, F... functions) {
  return internal::All(
      context, {}, group_internal::TupleValues<F...>(std::move(functions)...));
}
template <ValueTask... F>
[[nodiscard]] std::tuple<absl::StatusOr<ValueTaskResult<F>>...> All(
    const Context& context, RunOptions options, F... functions) {
  return internal::All(
      context, options,
      group_internal::TupleValues<F...>(std::move(functions)...));
}

// The same over a range: std::vector<absl::StatusOr<T>>.
template <ValueTaskRange R>
[[nodiscard]] auto All(const Context& context, R&& functions) {
  return internal::All(context, {},
                       group_internal::ValuesOf(std::forward<R>(functions)));
}
template <ValueTaskRange R>
[[nodiscard]] auto All(const Context& context, RunOptions options,
                       R&& functions) {
  return internal::All(context, options,
                       group_internal::ValuesOf(std::forward<R>(functions)));
}

// Calls `function` for each element of a range, in parallel, and returns the
// results in the order of the elements: std::vector<absl::StatusOr<U>>. An
// error of one call does not stop another; an element that was not reached has
// the cause. Use it for one function and much data, and All for many functions:
// here an element does not cost a task of its own, and not all elements run at
// once, so calls must not wait for one another. ElementRange and
// ElementFunction say how the function is called; hunch::Map ends with the
// first error.
template <ElementRange R, ElementValueFunction<R> F>
[[nodiscard]] auto Map(const Context& context, MapOptions options, R&& range,
                       F function) {
  return internal::Map<R>(context, options, range, function);
}
template <ElementRange R, ElementValueFunction<R> F>
[[nodiscard]] auto Map(const Context& context, R&& range, F function) {
  return internal::Map<R>(context, {}, range, function);
}

// Calls all functions, returns the value of the first that succeeds, and tells
// the others to stop: absl::StatusOr<T>. All of them return the same type, or
// are the elements of one range. With options, call it as Race(context, {.limit
// = 8}, functions...).
//
// A success counts whenever it comes, even after the end of the context: the
// call waits for all functions anyhow. If all fail, the error has the code of
// the one that failed last, and the text of all of them, the last first. If
// there is no success and the end of the context kept a function from
// succeeding or failing by itself, the error is the cause. INVALID_ARGUMENT if
// there are no functions.
template <class... F>
  requires ValueTasks<F...>
auto Race(const Context& context, F&&... functions) {
  return internal::Race(
      context, "callbacks::Race", group_internal::OnDecision::kJoin, {},
      group_internal::ValuesOf(std::forward<F>(functions)...));
}
template <class... F>
  requires ValueTasks<F...>
auto Race(const Context& context, RunOptions options, F&&... functions) {
  return internal::Race(
      context, "callbacks::Race", group_internal::OnDecision::kJoin, options,
      group_internal::ValuesOf(std::forward<F>(functions)...));
}

// Like Race, but returns at once: at the first success, the last failure, or
// the end of the context. The other functions are told to stop and run on by
// themselves, so they must own everything that they use; their results are
// dropped. Once the context is done the result is its cause: after a
// cancellation has returned, no success is returned.
template <class... F>
  requires ValueTasks<F...>
auto RaceDetached(const Context& context, F&&... functions) {
  return internal::Race(
      context, "callbacks::RaceDetached", group_internal::OnDecision::kDetach,
      {}, group_internal::ValuesOf(std::forward<F>(functions)...));
}
template <class... F>
  requires ValueTasks<F...>
auto RaceDetached(const Context& context, RunOptions options,
                  F&&... functions) {
  return internal::Race(
      context, "callbacks::RaceDetached", group_internal::OnDecision::kDetach,
      options, group_internal::ValuesOf(std::forward<F>(functions)...));
}

// Calls `function` on the calling thread until it succeeds, the attempts are
// used up, options.retry_if refuses, or the context ends: Retried<T>. Never
// runs it more than once at a time. The function is called as an lvalue.
//
// Bad options die: a negative number or duration, a multiplier below 1, a
// jitter outside 0 to 1.
template <class F>
  requires ValueTask<F&>
Retried<ValueTaskResult<F&>> Retry(const Context& context,
                                   const RetryOptions& options, F function) {
  return group_internal::RetryForValue(context, "callbacks::Retry", options,
                                       function);
}

}  // namespace cohort::callbacks

#endif  // COHORT_CALLBACKS_CALLBACKS_H_
