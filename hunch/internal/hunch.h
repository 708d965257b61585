#ifndef COHORT_HUNCH_INTERNAL_HUNCH_H_
#define COHORT_HUNCH_INTERNAL_HUNCH_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/elements.h"
#include "cohort/group/internal/batch.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/internal/retry_loop.h"
#include "cohort/group/internal/run_elements.h"
#include "cohort/group/internal/values.h"
#include "cohort/group/retry.h"
#include "cohort/group/types.h"
#include "cohort/task/capture.h"
#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort::hunch::internal {

using group_internal::BatchResult;
using group_internal::Decision;
using group_internal::MappedTo;
using group_internal::OnDecision;
using group_internal::TupleValues;
using group_internal::Values;
using task_internal::CallInto;
using task_internal::ResultOf;
using task_internal::Slot;
using task_internal::Task;
using task_internal::ValueOf;

template <class T>
struct IndexedValue {
  int index = 0;
  T value;
};

struct TakeOptions {
  // Goes on after an error as long as enough functions are left to succeed. If
  // too many fail, the error has the text of all errors, the last one first.
  bool tolerate_errors = false;
  // Like RunOptions::limit.
  int limit = kUnlimited;
};

// Runs tasks that must all succeed.
inline absl::StatusOr<BatchResult> RunAll(const Context& context,
                                          const char* caller,
                                          RunOptions options,
                                          std::vector<Task> tasks) {
  BatchResult result = group_internal::RunBatch(
      context,
      {.caller = caller, .quorum = {.failures = 1}, .limit = options.limit},
      std::move(tasks));
  if (result.decision == Decision::kFailure) return result.ended.back().status;
  if (!result.cause.ok()) return result.cause;
  return result;
}

template <class... F>
absl::StatusOr<std::tuple<ValueTaskResult<F>...>> All(
    const Context& context, RunOptions options, TupleValues<F...> values) {
  const absl::Status status =
      RunAll(context, "hunch::All", options, std::move(values.tasks)).status();
  if (!status.ok()) return status;
  return std::apply(
      [](auto&... slot) {
        return absl::StatusOr<std::tuple<ValueTaskResult<F>...>>(
            std::in_place, *std::move(*slot)...);
      },
      values.slots);
}

// The values of slots, all of which have one.
template <class Slots, class SlotOf>
auto ValuesIn(Slots& slots, SlotOf slot_of) {
  using T = typename std::remove_reference_t<
      std::invoke_result_t<SlotOf, typename Slots::reference>>::value_type;
  std::vector<T> values;
  values.reserve(slots.size());
  for (auto& slot : slots) values.push_back(*std::move(slot_of(slot)));
  return absl::StatusOr<std::vector<T>>(std::in_place, std::move(values));
}

template <class T>
absl::StatusOr<std::vector<T>> All(const Context& context, RunOptions options,
                                   Values<T> values) {
  const absl::Status status =
      RunAll(context, "hunch::All", options, std::move(values.tasks)).status();
  if (!status.ok()) return status;
  return ValuesIn(values.slots, [](auto& slot) -> Slot<T>& { return *slot; });
}

template <class R, class F>
absl::Status ForEach(const Context& context, MapOptions options, R& range,
                     const F& function) {
  group_internal::Elements<R> elements(range);
  return group_internal::RunElements(context,
                                     {.caller = "hunch::ForEach",
                                      .limit = options.limit,
                                      .count = elements.size()},
                                     function, [&](const Context& c, size_t i) {
                                       return task_internal::CallTask(
                                           function, c, elements[i]);
                                     });
}

template <class R, class F>
absl::StatusOr<std::vector<MappedTo<F, R>>> Map(const Context& context,
                                                MapOptions options, R& range,
                                                const F& function) {
  group_internal::Elements<R> elements(range);
  // Not the values themselves: these may not be default-constructible, and
  // threads could not write neighbouring elements of a std::vector<bool>.
  std::vector<Slot<MappedTo<F, R>>> slots(elements.size());
  const absl::Status status = group_internal::RunElements(
      context,
      {.caller = "hunch::Map",
       .limit = options.limit,
       .count = elements.size()},
      function, [&](const Context& c, size_t i) {
        return CallInto(slots[i], function, c, elements[i]);
      });
  if (!status.ok()) return status;
  return ValuesIn(slots, [](auto& slot) -> auto& { return slot; });
}

// The values of the functions that succeeded, without the `first` earliest.
template <class T>
std::vector<IndexedValue<T>> InOrder(const BatchResult& result, size_t first,
                                     Values<T>& values) {
  std::vector<IndexedValue<T>> taken;
  for (const TaskError& end : result.ended) {
    if (!end.status.ok()) continue;
    if (first > 0) {
      --first;
      continue;
    }
    taken.push_back({.index = static_cast<int>(end.index),
                     .value = values.Take(end.index)});
  }
  return taken;
}

template <class T>
absl::StatusOr<std::vector<IndexedValue<T>>> Take(const Context& context,
                                                  const char* caller, int n,
                                                  TakeOptions options,
                                                  OnDecision on_decision,
                                                  Values<T> values) {
  ABSL_CHECK_GE(n, 0) << caller << ": n";
  const int count = static_cast<int>(values.tasks.size());
  const int wanted = std::min(n, count);
  BatchResult result = group_internal::RunBatch(
      context,
      {.caller = caller,
       .quorum = {.successes = wanted,
                  .failures = options.tolerate_errors ? count - wanted + 1 : 1},
       .on_decision = on_decision,
       .limit = options.limit},
      std::move(values.tasks));
  switch (result.decision) {
    case Decision::kNone:
      return result.cause;
    case Decision::kSuccess:
      return InOrder(result, 0, values);
    case Decision::kFailure:
      break;
  }
  if (!options.tolerate_errors) return result.ended.back().status;
  return group_internal::AllFailures(caller, std::move(result.ended));
}

template <class T>
absl::StatusOr<std::vector<IndexedValue<T>>> Last(const Context& context, int n,
                                                  RunOptions options,
                                                  Values<T> values) {
  ABSL_CHECK_GE(n, 0) << "hunch::Last: n";
  const size_t count = values.tasks.size();
  absl::StatusOr<BatchResult> result =
      RunAll(context, "hunch::Last", options, std::move(values.tasks));
  if (!result.ok()) return result.status();
  return InOrder(*result, count - std::min(count, static_cast<size_t>(n)),
                 values);
}

template <class F>
absl::StatusOr<ValueTaskResult<F&>> Retry(const Context& context, int attempts,
                                          F& function) {
  Retried<ValueTaskResult<F&>> retried = group_internal::RetryForValue(
      context, "hunch::Retry",
      {.attempts = attempts, .backoff = absl::ZeroDuration()}, function);
  if (retried.end != RetryEnd::kExhausted) return std::move(retried.result);
  return absl::Status(
      retried.last_error.code(),
      absl::StrCat("max retries exceeded (", retried.attempts,
                   retried.attempts == 1 ? " time): " : " times): ",
                   retried.last_error.message()));
}

// A step of Waterfall that follows a step that returns a T.
template <class F, class T>
concept StepAfter = std::move_constructible<F> &&
                    (task_internal::CallableForValue<F, const Context&, T> ||
                     task_internal::CallableForValue<F, T>);

template <class F, class... Args>
absl::StatusOr<ValueOf<F, Args...>> Step(const Context& context, int step,
                                         F call, Args... args) {
  using Result = absl::StatusOr<ValueOf<F, Args...>>;
  if (context.done()) return Result(context.cause());
  Slot<ValueOf<F, Args...>> slot;
  const absl::Status status = task_internal::InvokeCapturing(
      [&] {
        return CallInto(slot, std::move(call), context,
                        std::forward<Args>(args)...);
      },
      [&] { return absl::StrCat("hunch::Waterfall: step ", step); });
  if (group_internal::IsEcho(status, context)) return Result(context.cause());
  return ResultOf(status, slot);
}

template <class T>
absl::StatusOr<T> Flow(const Context&, int, absl::StatusOr<T> value) {
  return value;
}

template <class T, StepAfter<T> Next, class... Rest>
auto Flow(const Context& context, int step, absl::StatusOr<T> value, Next next,
          Rest... rest) {
  using Result = absl::StatusOr<ValueOf<Next, T>>;
  Result result = value.ok() ? Step<Next, T>(context, step, std::move(next),
                                             *std::move(value))
                             : Result(std::move(value).status());
  return Flow(context, step + 1, std::move(result), std::move(rest)...);
}

template <class First, class... Next>
auto Waterfall(const Context& context, First first, Next... next) {
  int step = 0;
  const auto check = [&step](const auto& function) {
    ABSL_CHECK(!task_internal::IsNull(function))
        << "hunch::Waterfall: step " << step << " is null";
    ++step;
  };
  check(first);
  (check(next), ...);
  // A separate statement, at whose end the step is destroyed.
  absl::StatusOr<ValueTaskResult<First>> value =
      Step<First>(context, 0, std::move(first));
  return Flow(context, 1, std::move(value), std::move(next)...);
}

}  // namespace cohort::hunch::internal

#endif  // COHORT_HUNCH_INTERNAL_HUNCH_H_
