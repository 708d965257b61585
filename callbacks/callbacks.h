// Functions that yield values, run at once: all of them, the first that
// succeeds, one until it does, or one for each element of a range.
//
//   auto [user, orders] = cohort::callbacks::All(
//       context, [&](const cohort::Context& c) { return FetchUser(c, id); },
//       [&](const cohort::Context& c) { return FetchOrders(c, id); });
//
//   absl::StatusOr<Page> page = cohort::callbacks::Race(
//       context, [&](const cohort::Context& c) { return Fetch(c, mirror1); },
//       [&](const cohort::Context& c) { return Fetch(c, mirror2); });
//
// Use hunch::All instead if the first error should end the others, and
// hunch::Take for more than one winner.
//
// The functions are callables of the forms that ValueTask names.
//
// Blocks?         Every call here does, until all its functions have ended; it
//                 runs some of them on the calling thread. RaceDetached is the
//                 exception, and named for it.
// Cancellation?   A function that has not started when the context is done is
//                 not called, and what it would have returned is the cause. One
//                 that runs is told through the context that it is given. A
//                 context that is done already starts nothing.
// Order?          All start at once, in no order; with a limit, in the order of
//                 the arguments as others end. Results are in that order too.
// On error?       Each says. An exception that leaves a function is its error:
//                 kInternal, with type and what(). If the call itself runs out
//                 of memory it throws std::bad_alloc: what has started is told
//                 to stop, and has ended by then (but with RaceDetached).
// Thread safety   Any call, from any thread, also from inside a function.
// Memory ordering What happened before the call is visible to the functions,
//                 and what they did to whoever the call returns to.
// Destruction     Functions are destroyed before the call returns (but with
//                 RaceDetached), and not under any lock.
//
// A null function, or a limit below 1, is a contract violation: it dies before
// any function is called.
//
// From vardius/gollback. What differs: results are typed; All and Race end when
// their functions have (there, losers are left running); the error of Race
// tells all of them; a success is never given up for a context that ends at the
// same time (but by RaceDetached); Retry pauses between attempts and keeps the
// last error. Limits, and Map, are those of sourcegraph/conc.

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

// Calls all `functions`, and returns what each of them did:
// std::tuple<absl::StatusOr<T>...>. An error of one is no reason to stop
// another. With options as All(context, {.limit = 8}, functions...).
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

// Calls `function` for each element of a range, in parallel, and returns what
// each call did, in the order of the elements: std::vector<absl::StatusOr<U>>.
// An error of one is no reason to stop another; an element that was not come to
// has the cause. For one function and much data, where All is for many
// functions: the elements do not cost a task each, and are not all run at once,
// so that they must not wait for one another. ElementRange and ElementFunction
// say what is called how; hunch::Map ends with the first error.
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
// the others to stop: absl::StatusOr<T>. All of them yield the same type, or
// are the elements of one range. With options as Race(context, {.limit = 8},
// functions...).
//
// A success counts whenever it comes, also after the end of the context: the
// call waits for all functions anyhow. If all fail, the error has the code of
// the one that failed last, and the text of all of them, that one first. If the
// end of the context kept one of them from that, it is the cause.
// INVALID_ARGUMENT for no functions at all.
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

// The same, but returns at once: with the first success, the last failure, or
// the end of the context. The others are told to stop and run on by themselves,
// so that they must own all they use; what they yield is dropped. Once the
// context is done the result is its cause: no cancellation that has returned is
// followed by a success.
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

// Calls `function` on the calling thread until it succeeds, attempts are spent,
// options.retry_if refuses, or the context ends: Retried<T>. Never more than
// once at a time. The function is called as an lvalue.
//
// Bad options die: a negative number or duration, a multiplier below 1, jitter
// outside of 0 to 1.
template <class F>
  requires ValueTask<F&>
Retried<ValueTaskResult<F&>> Retry(const Context& context,
                                   const RetryOptions& options, F function) {
  return group_internal::RetryForValue(context, "callbacks::Retry", options,
                                       function);
}

}  // namespace cohort::callbacks

#endif  // COHORT_CALLBACKS_CALLBACKS_H_
