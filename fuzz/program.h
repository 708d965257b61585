// The common part of the programs of several fuzz targets: the parent context,
// the executors, the threads, and how a model keeps records.

#ifndef COHORT_FUZZ_PROGRAM_H_
#define COHORT_FUZZ_PROGRAM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/test_util.h"

namespace cohort::fuzz {

inline constexpr absl::Duration kMoment = absl::Milliseconds(1);

// The model's records are hidden from the simulator: they add no steps, and
// order nothing that the library does not.
template <class T>
class Note {
 public:
  void Set(T value) { value_.store(value, std::memory_order_relaxed); }
  T Get() const { return value_.load(std::memory_order_relaxed); }
  T Add(T value) {
    return value_.fetch_add(value, std::memory_order_relaxed) + value;
  }
  void Raise(T value) {
    if (Get() < value) Set(value);
  }

 private:
  std::atomic<T> value_{};
};

// What a task captures: runs it for its model, and tells the model when the
// functor is gone. The model has RunTask and Gone, which are called with the
// task.
template <class Model, class Task>
class TaskToken {
 public:
  TaskToken(Model* model, Task* task) : model_(model), task_(task) {}
  TaskToken(TaskToken&& other) noexcept
      : model_(other.model_), task_(std::exchange(other.task_, nullptr)) {}
  TaskToken& operator=(TaskToken&&) = delete;
  ~TaskToken() {
    if (task_ != nullptr) model_->Gone(*task_);
  }

  absl::Status operator()(const Context& context) {
    return model_->RunTask(*task_, context);
  }

 private:
  Model* model_;
  Task* task_;
};

enum class ParentKind : uint8_t { kNone, kScope, kDeadline, kDoneScope };

inline const absl::Status kParentCause = absl::AbortedError("parent");

// The context that is the parent of a program.
class Parent {
 public:
  explicit Parent(ParentKind kind) {
    if (kind == ParentKind::kDeadline) {
      scope_ = WithTimeout(Context(), 2 * kMoment, kParentCause);
    } else if (kind != ParentKind::kNone) {
      scope_ = WithCancel(Context());
    }
    if (kind == ParentKind::kDoneScope) Cancel();
  }

  Context context() const {
    return scope_.has_value() ? scope_->context() : Context();
  }
  CancelScope* scope() { return scope_.has_value() ? &*scope_ : nullptr; }
  void Cancel() {
    if (scope_.has_value()) scope_->Cancel(kParentCause);
  }

 private:
  std::optional<CancelScope> scope_;
};

// One of five executors; null stands for DefaultExecutor().
inline std::unique_ptr<Executor> MakeExecutor(int kind) {
  switch (kind) {
    case 1:
      return std::make_unique<ThreadPerTask>();
    case 2:
      return std::make_unique<FixedPool>(1);
    case 3:
      return std::make_unique<FixedPool>(2);
    case 4:
      return std::make_unique<ElasticPool>(ElasticPool::Options{.workers = 1});
    default:
      return nullptr;
  }
}

// Calls `run` with the number of each thread: the first one on the calling
// thread.
template <class F>
void RunThreads(size_t count, F run) {
  std::deque<testing::JoiningThread> others;
  for (size_t i = 1; i < count; ++i) others.emplace_back([&run, i] { run(i); });
  run(size_t{0});
}

}  // namespace cohort::fuzz

#endif  // COHORT_FUZZ_PROGRAM_H_
