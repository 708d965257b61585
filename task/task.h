// The callables that a group accepts as tasks, and the one type that they are
// converted to internally.

#ifndef COHORT_TASK_TASK_H_
#define COHORT_TASK_TASK_H_

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"

namespace cohort {
namespace task_internal {

template <class R>
concept TaskResult = std::same_as<R, void> || std::same_as<R, absl::Status>;

template <class F, class... Args>
concept TaskWithContext =
    std::invocable<F, const Context&, Args...> &&
    TaskResult<std::invoke_result_t<F, const Context&, Args...>>;

template <class F, class... Args>
concept TaskWithoutContext =
    std::invocable<F, Args...> && TaskResult<std::invoke_result_t<F, Args...>>;

}  // namespace task_internal

// A task of a group: a movable callable of one of these forms:
//
//   () -> void                 succeeds unless it throws
//   () -> absl::Status
//   (const Context&) -> void   is told when to stop
//   (const Context&) -> absl::Status
//
// A task is called once, as an rvalue, and destroyed before it counts as ended.
// A callable that can be called with and without a context is called with it.
template <class F>
concept GroupTask =
    std::move_constructible<F> &&
    (task_internal::TaskWithContext<F> || task_internal::TaskWithoutContext<F>);

namespace task_internal {

using Task = absl::AnyInvocable<absl::Status(const Context&) &&>;

// Whether a callable of a nullable type is null. (A lambda without captures
// compares with nullptr through its conversion to a function pointer; it is
// never null.)
template <class F>
bool IsNull(const F& callable) {
  if constexpr (!std::is_empty_v<F> && requires { callable == nullptr; }) {
    return callable == nullptr;
  } else {
    return false;
  }
}

// Invokes `f`, with `context` before `args` if kWithContext.
template <bool kWithContext, class F, class... Args>
decltype(auto) InvokeWith([[maybe_unused]] const Context& context, F&& f,
                          Args&&... args) {
  if constexpr (kWithContext) {
    return std::invoke(std::forward<F>(f), context,
                       std::forward<Args>(args)...);
  } else {
    return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  }
}

// Invokes `f`, which returns nothing or a status.
template <class F>
absl::Status InvokeForStatus(F&& f) {
  if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
    std::invoke(std::forward<F>(f));
    return absl::OkStatus();
  } else {
    return std::invoke(std::forward<F>(f));
  }
}

// Calls a task of any form, with a context before `args` if it takes one.
template <class F, class... Args>
  requires(TaskWithContext<F, Args...> || TaskWithoutContext<F, Args...>)
absl::Status CallTask(F&& task, const Context& context, Args&&... args) {
  return InvokeForStatus([&]() -> decltype(auto) {
    return InvokeWith<TaskWithContext<F, Args...>>(
        context, std::forward<F>(task), std::forward<Args>(args)...);
  });
}

// Converts a task to the common type; null for a callable that is null.
template <GroupTask F>
Task MakeTask(F task) {
  if (IsNull(task)) return nullptr;
  return [task = std::move(task)](const Context& context) mutable {
    return CallTask(std::move(task), context);
  };
}

}  // namespace task_internal
}  // namespace cohort

#endif  // COHORT_TASK_TASK_H_
