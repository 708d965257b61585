// What a group accepts as a task, and the one shape it becomes inside.

#ifndef COHORT_GROUP_TASK_H_
#define COHORT_GROUP_TASK_H_

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"

namespace cohort {
namespace group_internal {

template <class R>
concept TaskResult = std::same_as<R, void> || std::same_as<R, absl::Status>;

template <class F, class... Args>
concept TaskWithContext =
    std::invocable<F, const Context&, Args...> &&
    TaskResult<std::invoke_result_t<F, const Context&, Args...>>;

template <class F, class... Args>
concept TaskWithoutContext =
    std::invocable<F, Args...> && TaskResult<std::invoke_result_t<F, Args...>>;

}  // namespace group_internal

// A task of a group: a callable, movable, of one of these forms:
//
//   () -> void                 ends well unless it throws
//   () -> absl::Status
//   (const Context&) -> void   is told when to stop
//   (const Context&) -> absl::Status
//
// It is called once, as an rvalue, and destroyed before it is counted out. One
// that can be called in both ways is given the context.
template <class F>
concept GroupTask =
    std::move_constructible<F> && (group_internal::TaskWithContext<F> ||
                                   group_internal::TaskWithoutContext<F>);

namespace group_internal {

using Task = absl::AnyInvocable<absl::Status(const Context&) &&>;

// Whether a callable that can be null is. (A lambda without captures compares
// with nullptr through its conversion to a function pointer; it is never null.)
template <class F>
bool IsNull(const F& callable) {
  if constexpr (!std::is_empty_v<F> && requires { callable == nullptr; }) {
    return callable == nullptr;
  } else {
    return false;
  }
}

// Calls a task of any form; with a context before `args` if it takes one.
template <class F, class... Args>
  requires(TaskWithContext<F, Args...> || TaskWithoutContext<F, Args...>)
absl::Status CallTask(F&& task, [[maybe_unused]] const Context& context,
                      Args&&... args) {
  const auto call = [&]() -> decltype(auto) {
    if constexpr (TaskWithContext<F, Args...>) {
      return std::invoke(std::forward<F>(task), context,
                         std::forward<Args>(args)...);
    } else {
      return std::invoke(std::forward<F>(task), std::forward<Args>(args)...);
    }
  };
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    return absl::OkStatus();
  } else {
    return call();
  }
}

// The common shape of a task; null for a callable that is null.
template <GroupTask F>
Task MakeTask(F task) {
  if (IsNull(task)) return nullptr;
  return [task = std::move(task)](const Context& context) mutable {
    return CallTask(std::move(task), context);
  };
}

}  // namespace group_internal
}  // namespace cohort

#endif  // COHORT_GROUP_TASK_H_
