// Converts a pack or a range of callables to the tasks of a batch, with slots
// for their values. The tasks share the slots with the caller, so that either
// may end first. Internal.

#ifndef COHORT_GROUP_INTERNAL_VALUES_H_
#define COHORT_GROUP_INTERNAL_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <ranges>
#include <tuple>
#include <utility>
#include <vector>

#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort::group_internal {

using task_internal::Slot;
using task_internal::Task;

template <class T>
struct Values {
  std::vector<std::shared_ptr<Slot<T>>> slots;
  std::vector<Task> tasks;

  template <ValueTask F>
  void Add(F call) {
    slots.push_back(std::make_shared<Slot<T>>());
    tasks.push_back(
        task_internal::MakeValueTask(std::move(call), slots.back()));
  }

  T&& Take(int64_t index) {
    return *std::move(*slots[static_cast<size_t>(index)]);
  }
};

template <ValueTaskRange R>
auto ValuesOf(R&& calls) {
  Values<ValueTaskResult<std::ranges::range_value_t<R>>> values;
  for (auto&& call : calls) {
    using Call = std::ranges::range_value_t<R>;
    if constexpr (task_internal::GivesAway<R>) {
      values.template Add<Call>(std::move(call));
    } else {
      values.template Add<Call>(std::forward<decltype(call)>(call));
    }
  }
  return values;
}

template <ValueTask First, ValueTask... F>
  requires ValueTasksOfOneType<First, F...>
auto ValuesOf(First first, F... calls) {
  Values<ValueTaskResult<First>> values;
  values.Add(std::move(first));
  (values.Add(std::move(calls)), ...);
  return values;
}

// Values of different types.
template <ValueTask... F>
struct TupleValues {
  std::tuple<std::shared_ptr<Slot<ValueTaskResult<F>>>...> slots{
      std::make_shared<Slot<ValueTaskResult<F>>>()...};
  std::vector<Task> tasks;

  explicit TupleValues(F... calls) {
    std::apply(
        [&](auto&... slot) {
          (tasks.push_back(
               task_internal::MakeValueTask(std::move(calls), slot)),
           ...);
        },
        slots);
  }
};

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_VALUES_H_
