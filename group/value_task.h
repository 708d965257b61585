// What All, Race, Take, Retry and their like accept: a callable that yields a
// value.

#ifndef COHORT_GROUP_VALUE_TASK_H_
#define COHORT_GROUP_VALUE_TASK_H_

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/group/task.h"

namespace cohort {
namespace group_internal {

// What a function that returns an R yields, and whether it may fail instead.
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
// A const result is the same one; otherwise a const StatusOr would be a value.
template <class R>
struct Yield<const R> : Yield<R> {};

template <class T>
void BaseIsAStatusOr(const absl::StatusOr<T>*);

// A failure must not pass for a value: a function without a value is one for
// errgroup::Group or ForEach, and a type of one's own that is derived from
// Status or StatusOr has to be returned as the base that it is. (A StatusOr
// within a StatusOr is a value: it says which of the two failures it means.)
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

// What F returns, called with a context before `Args` if it takes one.
template <class F, class... Args>
struct ValueCall;
template <class F, class... Args>
  requires CallableForValue<F, const Context&, Args...>
struct ValueCall<F, Args...> {
  using Result = std::invoke_result_t<F, const Context&, Args...>;
  static Result Call(F&& call, const Context& context, Args&&... args) {
    return std::invoke(std::forward<F>(call), context,
                       std::forward<Args>(args)...);
  }
};
template <class F, class... Args>
  requires(CallableForValue<F, Args...> &&
           !CallableForValue<F, const Context&, Args...>)
struct ValueCall<F, Args...> {
  using Result = std::invoke_result_t<F, Args...>;
  static Result Call(F&& call, const Context&, Args&&... args) {
    return std::invoke(std::forward<F>(call), std::forward<Args>(args)...);
  }
};

template <class F, class... Args>
using ValueOf = typename Yield<typename ValueCall<F, Args...>::Result>::Value;

}  // namespace group_internal

// A callable that yields a value, movable, of one of these forms:
//
//   () -> T
//   () -> absl::StatusOr<T>
//   (const Context&) -> T                  is told when to stop
//   (const Context&) -> absl::StatusOr<T>
//
// T is a movable object of any type, also one that can be made of an
// absl::Status, or is a StatusOr itself: a failure never becomes the value, nor
// a value a failure. Only T = absl::Status does not compile, since the two
// could not be told apart: errgroup::Group and hunch::ForEach are for functions
// without a value. A callable that can be called in both ways is given the
// context.
template <class F>
concept ValueTask = std::move_constructible<F> &&
                    (group_internal::CallableForValue<F, const Context&> ||
                     group_internal::CallableForValue<F>);

// What it yields, without the StatusOr.
template <ValueTask F>
using ValueTaskResult = group_internal::ValueOf<F>;

namespace group_internal {

// A place for the value of one task.
template <class T>
using Slot = std::optional<T>;

// Calls `call`, and makes its value, if there is one, in `place`: a Slot, or a
// StatusOr that is not OK.
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

// The failure, or the value. Both are put where they belong by name: a T may be
// made of a Status, or be one for those who look at it as a bool.
template <class T>
absl::StatusOr<T> ResultOf(const absl::Status& status, Slot<T>& slot) {
  if (!status.ok()) return absl::StatusOr<T>(status);
  return absl::StatusOr<T>(absl::in_place, *std::move(slot));
}

// The same as a task; null for a callable that is null.
template <ValueTask F>
Task MakeValueTask(F call, std::shared_ptr<Slot<ValueTaskResult<F>>> slot) {
  if (IsNull(call)) return nullptr;
  return [call = std::move(call),
          slot = std::move(slot)](const Context& context) mutable {
    return CallInto(*slot, std::move(call), context);
  };
}

}  // namespace group_internal
}  // namespace cohort

#endif  // COHORT_GROUP_VALUE_TASK_H_
