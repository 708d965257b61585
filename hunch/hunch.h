// Functions that yield values, run at once or one after the other, or one for
// each element of a range, where one error ends it all.
//
//   absl::StatusOr<std::vector<cohort::hunch::IndexedValue<Quote>>> quotes =
//       cohort::hunch::Take(context, 2, ask_first, ask_second, ask_third);
//
//   absl::StatusOr<Report> report = cohort::hunch::Waterfall(
//       context, [&] { return Load(path); },
//       [](Table table) { return Summarize(table); });
//
// Use callbacks::All instead if every function should run to its end whatever
// becomes of the others, and callbacks::Race for one winner among failures.
//
// The functions are callables of the forms that ValueTask names, and may come
// as arguments or as a range.
//
// Blocks?         Every call here does, until all its functions have ended; it
//                 runs some of them on the calling thread. TakeDetached is the
//                 exception, and named for it.
// Cancellation?   A function that has not started when the context is done is
//                 not called. One that runs is told through the context that it
//                 is given. If that kept a call from its result, the call
//                 returns the cause. A context that is done already starts
//                 nothing.
// Order?          All start at once, in no order (but with Waterfall and
//                 Retry); with a limit, in the order of the arguments as others
//                 end.
// On error?       The first error by completion is returned, and the others are
//                 told to stop. An exception that leaves a function is its
//                 error: kInternal, with type and what(). If the call itself
//                 runs out of memory it throws std::bad_alloc: what has started
//                 is told to stop, and has ended by then (but with
//                 TakeDetached).
// Thread safety   Any call, from any thread, also from inside a function.
// Memory ordering What happened before the call is visible to the functions,
//                 and what they did to whoever the call returns to.
// Destruction     Functions are destroyed before the call returns (but with
//                 TakeDetached), and not under any lock.
//
// A null function, a negative number, or a limit below 1 is a contract
// violation: it dies before any function is called.
//
// From AaronJan/Hunch. What differs: results are typed; calls end when their
// functions have (there, an error leaves them running); a result that is
// complete is not given up for a context that ends at the same time; no
// functions, or none wanted, is an answer at once (there: a hang or a crash);
// Retry keeps the last error. Limits, ForEach and Map are those of
// sourcegraph/conc; that has no chunks, and takes slices only.

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
// arguments. The first error ends the others. With options as All(context,
// {.limit = 8}, functions...).
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
// The first error ends it, and is returned; so does the end of the context,
// unless every element has succeeded. For one function and much data, where All
// is for many functions: the elements do not cost a task each, and are not all
// run at once, so that they must not wait for one another. ElementRange and
// ElementFunction say what is called how.
template <ElementRange R, ElementFunction<R> F>
absl::Status ForEach(const Context& context, MapOptions options, R&& range,
                     F function) {
  return internal::ForEach<R>(context, options, range, function);
}
template <ElementRange R, ElementFunction<R> F>
absl::Status ForEach(const Context& context, R&& range, F function) {
  return internal::ForEach<R>(context, {}, range, function);
}

// The same with a function that yields a U: absl::StatusOr<std::vector<U>>, in
// the order of the elements. callbacks::Map goes on after an error.
template <ElementRange R, ElementValueFunction<R> F>
auto Map(const Context& context, MapOptions options, R&& range, F function) {
  return internal::Map<R>(context, options, range, function);
}
template <ElementRange R, ElementValueFunction<R> F>
auto Map(const Context& context, R&& range, F function) {
  return internal::Map<R>(context, {}, range, function);
}

// A value, and which of the functions it is from.
template <class T>
using IndexedValue = internal::IndexedValue<T>;

using internal::TakeOptions;

// Calls all functions, returns the first `n` values in the order in which they
// came, and tells the rest to stop: absl::StatusOr<std::vector<
// IndexedValue<T>>>. All functions yield the same type. More than there are
// means all of them; of 0 none is called. Values count whenever they come, also
// after the end of the context: the call waits for all functions anyhow.
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

// The same, but returns as soon as the result is known or the context is done.
// The others are told to stop and run on by themselves, so that they must own
// all they use; what they yield is dropped. Once the context is done the result
// is its cause: no cancellation that has returned is followed by values.
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

// Calls all functions, and returns the last `n` values in the order in which
// they came, if all functions succeed: as Take. Of 0 all are called too, and
// nothing is returned but whether they succeeded.
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
// have failed, or the context ends: absl::StatusOr<T>. 0 attempts: for ever.
// Does not pause between them; callbacks::Retry does, and tells more. When
// attempts are spent, the error has the code and the text of the last one.
template <class F>
  requires ValueTask<F&>
absl::StatusOr<ValueTaskResult<F&>> Retry(const Context& context, int attempts,
                                          F function) {
  return internal::Retry(context, attempts, function);
}

// Calls the functions one after the other on the calling thread, each with the
// value of the one before, and returns the value of the last one:
// absl::StatusOr<T>. The first is a ValueTask; the others take (Value) or
// (const Context&, Value). The first error ends it, and so does the context,
// before the next call.
template <ValueTask First, class... Next>
auto Waterfall(const Context& context, First first, Next... next) {
  return internal::Waterfall(context, std::move(first), std::move(next)...);
}

}  // namespace cohort::hunch

#endif  // COHORT_HUNCH_HUNCH_H_
