// Runs functions that yield values, concurrently or one after the other, or one
// function for each element of a range; the first error cancels the rest.
//
//   absl::StatusOr<std::vector<cohort::hunch::IndexedValue<Quote>>> quotes =
//       cohort::hunch::Take(context, 2, ask_first, ask_second, ask_third);
//
//   absl::StatusOr<Report> report = cohort::hunch::Waterfall(
//       context, [&] { return Load(path); },
//       [](Table table) { return Summarize(table); });
//
// Use callbacks::All instead if every function should run to its end whatever
// the others do, and callbacks::Race to get one success even if others fail.
//
// The functions are callables of the forms listed at ValueTask, and may be
// passed as arguments or as a range.
//
// Blocks?         Every call here does, until all its functions have ended; it
//                 runs some of them on the calling thread. TakeDetached returns
//                 as soon as it has its result, or the context ends.
// Cancellation?   A function that has not started when the context is done is
//                 not called. A running function learns of it through the
//                 context that it is given. If the end of the context kept a
//                 call from completing its result, the call returns the cause.
//                 If the context is done already, no function starts.
// Order?          All start at once, in no particular order (except in
//                 Waterfall and Retry); with a limit, they start in the order
//                 of the arguments, each when another has ended.
// On error?       The first error by order of completion is returned, and the
//                 other functions are told to stop. An exception that leaves a
//                 function is its error: kInternal, with type and what(). If
//                 the call itself runs out of memory it throws std::bad_alloc:
//                 functions that have started are told to stop, and have ended
//                 by then (except with TakeDetached).
// Thread safety   Any call, from any thread, also from inside a function.
// Memory ordering What happened before the call is visible to the functions,
//                 and what they did is visible after the call returns.
// Destruction     Functions are destroyed before the call returns (except with
//                 TakeDetached), and not under any lock.
//
// A null function, a negative number, or a limit below 1 is a contract
// violation: it dies before any function is called.
//
// From AaronJan/Hunch. What differs: results are typed; calls end when their
// functions have ended (there, an error leaves them running); a complete result
// is not discarded for a context that ends at the same time; a call with no
// functions, or for no results, returns at once (there: a hang or a crash);
// Retry keeps the last error. Limits, ForEach and Map come from
// sourcegraph/conc, which has no chunks and takes only slices.

#ifndef COHORT_HUNCH_HUNCH_H_
#define COHORT_HUNCH_HUNCH_H_

#include <concepts>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/group/elements.h"
#include "cohort/group/internal/batch.h"
#include "cohort/group/internal/values.h"
#include "cohort/hunch/internal/hunch.h"
#include "cohort/task/value_task.h"

namespace cohort::hunch {

using ::cohort::MapOptions;
using ::cohort::RunOptions;

// Calls all `functions`: absl::StatusOr<std::tuple<T...>>, in the order of the
// arguments. The first error cancels the others. With options, call it as
// All(context, {.limit = 8}, functions...).
template <ValueTask... F>
absl::StatusOr<std::tuple<ValueTaskResult<F>...>> All(const Context& context,
                                                      F... functions) {
  return internal::All(
      context, {}, group_internal::TupleValues<F...>(std::move(functions)...));
}
template <ValueTask... F>
absl::StatusOr<std::tuple<ValueTaskResult<F>...>> All(const Context& context,
                                                      RunOptions options,
                                                      F... functions) {
  return internal::All(
      context, options,
      group_internal::TupleValues<F...>(std::move(functions)...));
}

// The same over a range: absl::StatusOr<std::vector<T>>.
template <ValueTaskRange R>
auto All(const Context& context, R&& functions) {
  return internal::All(context, {},
                       group_internal::ValuesOf(std::forward<R>(functions)));
}
template <ValueTaskRange R>
auto All(const Context& context, RunOptions options, R&& functions) {
  return internal::All(context, options,
                       group_internal::ValuesOf(std::forward<R>(functions)));
}

// Calls `function` for each element of a range, in parallel:
//
//   absl::Status done = cohort::hunch::ForEach(
//       context, {.limit = 8}, pages, [](Page& page) { page.Render(); });
//
// The first error ends the loop and is returned; the end of the context does
// the same, unless every element has succeeded. Use it for one function and
// much data, and All for many functions: here an element does not cost a task
// of its own, and not all elements run at once, so calls must not wait for one
// another. ElementRange and ElementFunction say how the function is called.
template <ElementRange R, ElementFunction<R> F>
absl::Status ForEach(const Context& context, MapOptions options, R&& range,
                     F function) {
  return internal::ForEach<R>(context, options, range, function);
}
template <ElementRange R, ElementFunction<R> F>
absl::Status ForEach(const Context& context, R&& range, F function) {
  return internal::ForEach<R>(context, {}, range, function);
}

// Like ForEach, with a function that returns a U:
// absl::StatusOr<std::vector<U>>, in the order of the elements. callbacks::Map
// goes on after an error.
template <ElementRange R, ElementValueFunction<R> F>
auto Map(const Context& context, MapOptions options, R&& range, F function) {
  return internal::Map<R>(context, options, range, function);
}
template <ElementRange R, ElementValueFunction<R> F>
auto Map(const Context& context, R&& range, F function) {
  return internal::Map<R>(context, {}, range, function);
}

// A value, and the index of the function that returned it.
template <class T>
using IndexedValue = internal::IndexedValue<T>;

using internal::TakeOptions;

// Calls all functions, returns the first `n` values in the order in which they
// came, and tells the rest to stop:
// absl::StatusOr<std::vector<IndexedValue<T>>>. All functions return the same
// type. If `n` exceeds the number of functions, it means all of them; if `n` is
// 0, no function is called. Values count whenever they come, even after the end
// of the context: the call waits for all functions anyhow.
template <class... F>
  requires ValueTasks<F...>
auto Take(const Context& context, int n, F&&... functions) {
  return internal::Take(
      context, "hunch::Take", n, {}, group_internal::OnDecision::kJoin,
      group_internal::ValuesOf(std::forward<F>(functions)...));
}
template <class... F>
  requires ValueTasks<F...>
auto Take(const Context& context, int n, TakeOptions options,
          F&&... functions) {
  return internal::Take(
      context, "hunch::Take", n, options, group_internal::OnDecision::kJoin,
      group_internal::ValuesOf(std::forward<F>(functions)...));
}

// Like Take, but returns as soon as the result is known or the context is done.
// The other functions are told to stop and run on by themselves, so they must
// own everything that they use; their results are dropped. Once the context is
// done the result is its cause: after a cancellation has returned, no values
// are returned.
template <class... F>
  requires ValueTasks<F...>
auto TakeDetached(const Context& context, int n, F&&... functions) {
  return internal::Take(
      context, "hunch::TakeDetached", n, {},
      group_internal::OnDecision::kDetach,
      group_internal::ValuesOf(std::forward<F>(functions)...));
}
template <class... F>
  requires ValueTasks<F...>
auto TakeDetached(const Context& context, int n, TakeOptions options,
                  F&&... functions) {
  return internal::Take(
      context, "hunch::TakeDetached", n, options,
      group_internal::OnDecision::kDetach,
      group_internal::ValuesOf(std::forward<F>(functions)...));
}

// Calls all functions, and, if all succeed, returns the last `n` values in the
// order in which they came: otherwise like Take. If `n` is 0, all functions are
// called too, and the result is an empty vector or the error.
template <class... F>
  requires ValueTasks<F...>
auto Last(const Context& context, int n, F&&... functions) {
  return internal::Last(
      context, n, {}, group_internal::ValuesOf(std::forward<F>(functions)...));
}
template <class... F>
  requires ValueTasks<F...>
auto Last(const Context& context, int n, RunOptions options, F&&... functions) {
  return internal::Last(
      context, n, options,
      group_internal::ValuesOf(std::forward<F>(functions)...));
}

// Calls `function` on the calling thread until it succeeds, `attempts` calls
// have failed, or the context ends: absl::StatusOr<T>. With 0 attempts, it goes
// on forever. Does not pause between calls; callbacks::Retry does, and reports
// more. When the attempts are used up, the error has the code and the text of
// the last one.
template <class F>
  requires ValueTask<F&>
absl::StatusOr<ValueTaskResult<F&>> Retry(const Context& context, int attempts,
                                          F function) {
  return internal::Retry(context, attempts, function);
}

// Calls the functions one after the other on the calling thread, each with the
// value of the previous one, and returns the value of the last:
// absl::StatusOr<T>. The first is a ValueTask; the others take (Value) or
// (const Context&, Value). The first error ends it; so does the end of the
// context, before the next call.
template <ValueTask First, class... Next>
auto Waterfall(const Context& context, First first, Next... next) {
  return internal::Waterfall(context, std::move(first), std::move(next)...);
}

}  // namespace cohort::hunch

#endif  // COHORT_HUNCH_HUNCH_H_
