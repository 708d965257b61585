// Callables of a pack or a range as the tasks of a batch, with places for what
// they yield. The tasks share the places with the caller, so that either may be
// gone first.

#ifndef COHORT_GROUP_VALUES_H_
#define COHORT_GROUP_VALUES_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cohort/group/task.h"
#include "cohort/group/value_task.h"

namespace cohort {

// A range of callables that yield values. One that is passed as an rvalue is
// moved from; of an lvalue the callables are copied.
template <class R>
concept ValueTaskRange =
    std::ranges::input_range<R> && ValueTask<std::ranges::range_value_t<R>>;

namespace group_internal {

template <class T>
struct Values {
  std::vector<std::shared_ptr<Slot<T>>> slots;
  std::vector<Task> tasks;

  template <ValueTask F>
  void Add(F call) {
    slots.push_back(std::make_shared<Slot<T>>());
    tasks.push_back(MakeValueTask(std::move(call), slots.back()));
  }

  T Take(int64_t index) {
    return *std::move(*slots[static_cast<size_t>(index)]);
  }
};

template <ValueTaskRange R>
auto ValuesOf(R&& calls) {
  Values<ValueTaskResult<std::ranges::range_value_t<R>>> values;
  for (auto& call : calls) {
    if constexpr (std::is_lvalue_reference_v<R>) {
      values.Add(call);
    } else {
      values.Add(std::move(call));
    }
  }
  return values;
}

template <class First, class... F>
concept YieldTheSame =
    (std::same_as<ValueTaskResult<First>, ValueTaskResult<F>> && ...);

template <ValueTask First, ValueTask... F>
  requires YieldTheSame<First, F...>
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
          (tasks.push_back(MakeValueTask(std::move(calls), slot)), ...);
        },
        slots);
  }
};

}  // namespace group_internal
}  // namespace cohort

#endif  // COHORT_GROUP_VALUES_H_
