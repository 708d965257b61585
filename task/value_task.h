// The callables that All, Race, Take, Retry and their like accept: functions
// that return values.

#ifndef COHORT_TASK_VALUE_TASK_H_
#define COHORT_TASK_VALUE_TASK_H_

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/task/task.h"

namespace cohort {
namespace task_internal {

// The value type of a function that returns R, and whether it may fail instead.
template <class R>
struct Yield {
  using Value = R;
  static constexpr bool kMayFail = false;
};
template <class T>
struct Yield<absl::StatusOr<T>> {
  using Value = T;
  static constexpr bool kMayFail = true;
};
// A const result is treated as non-const; otherwise a const StatusOr would be a
// value.
template <class R>
struct Yield<const R> : Yield<R> {};

template <class T>
void BaseIsAStatusOr(const absl::StatusOr<T>*);

// A failure must not pass for a value: use errgroup::Group or ForEach for a
// function without a value, and return a type that is derived from Status or
// StatusOr as its base class. (A StatusOr within a StatusOr is a value: the
// nesting says which of the two failures is meant.)
template <class T>
concept NotAStatus = !std::derived_from<T, absl::Status> &&
                     (Yield<T>::kMayFail ||
                      !requires(const T* value) { BaseIsAStatusOr(value); });

template <class R>
concept YieldsValue = !std::is_reference_v<typename Yield<R>::Value> &&
                      std::move_constructible<typename Yield<R>::Value> &&
                      NotAStatus<typename Yield<R>::Value>;

template <class F, class... Args>
concept CallableForValue =
    std::invocable<F, Args...> && YieldsValue<std::invoke_result_t<F, Args...>>;

// How F is called, with `Args`, preceded by a context if it takes one.
template <class F, class... Args>
  requires(CallableForValue<F, const Context&, Args...> ||
           CallableForValue<F, Args...>)
struct ValueCall {
  static constexpr bool kWithContext =
      CallableForValue<F, const Context&, Args...>;
  using Result = decltype(InvokeWith<kWithContext>(
      std::declval<const Context&>(), std::declval<F>(),
      std::declval<Args>()...));
  static Result Call(F&& call, const Context& context, Args&&... args) {
    return InvokeWith<kWithContext>(context, std::forward<F>(call),
                                    std::forward<Args>(args)...);
  }
};

template <class F, class... Args>
using ValueOf = typename Yield<typename ValueCall<F, Args...>::Result>::Value;

}  // namespace task_internal

// A movable callable that returns a value, of one of these forms:
//
//   () -> T
//   () -> absl::StatusOr<T>
//   (const Context&) -> T                  is told when to stop
//   (const Context&) -> absl::StatusOr<T>
//
// T is a movable object of any type, even one that can be made from an
// absl::Status, or that is a StatusOr itself: a failure never becomes a value,
// nor a value a failure. Only T = absl::Status does not compile, since the
// value and the failure could not be told apart: errgroup::Group and
// hunch::ForEach are for functions without a value. A callable that fits both
// kinds of form is given the context.
template <class F>
concept ValueTask = std::move_constructible<F> &&
                    (task_internal::CallableForValue<F, const Context&> ||
                     task_internal::CallableForValue<F>);

// The value type, without the StatusOr.
template <ValueTask F>
using ValueTaskResult = task_internal::ValueOf<F>;

namespace task_internal {

// Whether the elements of a range of type R may be moved out: the range owns
// them, and R is an rvalue.
template <class R>
concept GivesAway = !std::is_lvalue_reference_v<R> && !std::ranges::view<R>;

template <ValueTask First, ValueTask... F>
inline constexpr bool kYieldTheSame =
    (std::same_as<ValueTaskResult<First>, ValueTaskResult<F>> && ...);

}  // namespace task_internal

// A range of callables that return values. They are moved out of a container
// that is passed as an rvalue, and copied from an lvalue or a view.
template <class R>
concept ValueTaskRange =
    std::ranges::input_range<R> && ValueTask<std::ranges::range_value_t<R>> &&
    (task_internal::GivesAway<R> ||
     std::constructible_from<std::ranges::range_value_t<R>,
                             std::ranges::range_reference_t<R>>);

// Callables that all return values of the same type.
template <class... F>
concept ValueTasksOfOneType = sizeof...(F) > 0 && (ValueTask<F> && ...) &&
                              task_internal::kYieldTheSame<F...>;

// What Race, Take and Last accept: such callables, or a range of callables.
template <class... F>
concept ValueTasks = (sizeof...(F) == 1 && (ValueTaskRange<F> && ...)) ||
                     ValueTasksOfOneType<std::decay_t<F>...>;

namespace task_internal {

// Storage for the value of one task.
template <class T>
using Slot = std::optional<T>;

// Calls `call`, and constructs its value, if there is one, in `place`: a Slot,
// or a StatusOr that is not OK.
template <class Place, class F, class... Args>
absl::Status CallInto(Place& place, F&& call, const Context& context,
                      Args&&... args) {
  using Call = ValueCall<F, Args...>;
  if constexpr (Yield<typename Call::Result>::kMayFail) {
    auto result =
        Call::Call(std::forward<F>(call), context, std::forward<Args>(args)...);
    if (!result.ok()) return std::move(result).status();
    place.emplace(*std::move(result));
  } else {
    place.emplace(Call::Call(std::forward<F>(call), context,
                             std::forward<Args>(args)...));
  }
  return absl::OkStatus();
}

// The failure, or the value. Both are constructed explicitly as what they are:
// a T may be constructible from a Status, or look like one when it is read as a
// bool.
template <class T>
absl::StatusOr<T> ResultOf(const absl::Status& status, Slot<T>& slot) {
  if (!status.ok()) return absl::StatusOr<T>(status);
  return absl::StatusOr<T>(std::in_place, *std::move(slot));
}

// Converts a callable with a value to a task; null for a callable that is null.
template <ValueTask F>
Task MakeValueTask(F call, std::shared_ptr<Slot<ValueTaskResult<F>>> slot) {
  if (IsNull(call)) return nullptr;
  return [call = std::move(call),
          slot = std::move(slot)](const Context& context) mutable {
    return CallInto(*slot, std::move(call), context);
  };
}

}  // namespace task_internal
}  // namespace cohort

#endif  // COHORT_TASK_VALUE_TASK_H_
