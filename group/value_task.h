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

template <class R>
struct Yield {
  using Value = R;
};
template <class T>
struct Yield<absl::StatusOr<T>> {
  using Value = T;
};

template <class R>
concept YieldsValue = std::move_constructible<typename Yield<R>::Value> &&
                      !std::is_reference_v<typename Yield<R>::Value> &&
                      !std::same_as<typename Yield<R>::Value, absl::Status>;

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
  static Result Call(F&& call, const Context& context, Args... args) {
    return std::invoke(std::forward<F>(call), context,
                       std::forward<Args>(args)...);
  }
};
template <class F, class... Args>
  requires(CallableForValue<F, Args...> &&
           !CallableForValue<F, const Context&, Args...>)
struct ValueCall<F, Args...> {
  using Result = std::invoke_result_t<F, Args...>;
  static Result Call(F&& call, const Context&, Args... args) {
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
// T is a movable object, and no absl::Status: errgroup::Group is for tasks
// without a value. One that can be called in both ways is given the context.
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

// Calls `call`, and keeps its value, if there is one, in `slot`.
template <class F, class T, class... Args>
absl::Status CallInto(Slot<T>& slot, F&& call, const Context& context,
                      Args... args) {
  using Call = ValueCall<F, Args...>;
  if constexpr (std::same_as<typename Call::Result, T>) {
    slot.emplace(Call::Call(std::forward<F>(call), context,
                            std::forward<Args>(args)...));
    return absl::OkStatus();
  } else {
    absl::StatusOr<T> result =
        Call::Call(std::forward<F>(call), context, std::forward<Args>(args)...);
    if (result.ok()) slot.emplace(*std::move(result));
    return std::move(result).status();
  }
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
