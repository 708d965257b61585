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
#include "cohort/group/types.h"
#include "cohort/group/value_task.h"

namespace cohort {

// How a call runs its functions.
struct RunOptions {
  // How many of them run at once; at least 1. The others wait for their turn,
  // in the order of the arguments. With a limit, functions must not wait for
  // one another.
  int limit = kUnlimited;
};

namespace group_internal {

// Whether the elements of a range of type R are its own, and R an rvalue.
template <class R>
concept GivesAway = !std::is_lvalue_reference_v<R> && !std::ranges::view<R>;

template <ValueTask First, ValueTask... F>
inline constexpr bool kYieldTheSame =
    (std::same_as<ValueTaskResult<First>, ValueTaskResult<F>> && ...);

}  // namespace group_internal

// A range of callables that yield values. Out of a container that is passed as
// an rvalue they are moved; out of an lvalue, or a view, copied.
template <class R>
concept ValueTaskRange =
    std::ranges::input_range<R> && ValueTask<std::ranges::range_value_t<R>> &&
    (group_internal::GivesAway<R> ||
     std::constructible_from<std::ranges::range_value_t<R>,
                             std::ranges::range_reference_t<R>>);

// Callables that yield values, all of the same type.
template <class... F>
concept ValueTasksOfOneType = sizeof...(F) > 0 && (ValueTask<F> && ...) &&
                              group_internal::kYieldTheSame<F...>;

// What Race, Take and Last accept: such callables, or a range of callables.
template <class... F>
concept ValueTasks = (sizeof...(F) == 1 && (ValueTaskRange<F> && ...)) ||
                     ValueTasksOfOneType<std::decay_t<F>...>;

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

  T&& Take(int64_t index) {
    return *std::move(*slots[static_cast<size_t>(index)]);
  }
};

template <ValueTaskRange R>
auto ValuesOf(R&& calls) {
  Values<ValueTaskResult<std::ranges::range_value_t<R>>> values;
  for (auto&& call : calls) {
    using Call = std::ranges::range_value_t<R>;
    if constexpr (GivesAway<R>) {
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
          (tasks.push_back(MakeValueTask(std::move(calls), slot)), ...);
        },
        slots);
  }
};

}  // namespace group_internal
}  // namespace cohort

#endif  // COHORT_GROUP_VALUES_H_
