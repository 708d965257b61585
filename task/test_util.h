// What the tests of everything that runs tasks share.

#ifndef COHORT_TASK_TEST_UTIL_H_
#define COHORT_TASK_TEST_UTIL_H_

#include <cstdint>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::testing {

// The error of a task; none that a cancellation could be taken for.
inline absl::Status Fail(absl::string_view text) {
  return absl::InvalidArgumentError(text);
}

// A task.
inline void MustNotRun() { ADD_FAILURE() << "must not run"; }

// Expects that no more than `most` are in Visit at once.
class AtOnce {
 public:
  explicit AtOnce(int64_t most) : most_(most) {}
  void Visit(int64_t n = 1) {
    EXPECT_LE(now_ += n, most_);
    sync::SchedulePoint("visiting");
    now_ -= n;
  }

 private:
  const int64_t most_;
  sync::Atomic<int64_t> now_ = 0;
};

// An executor that runs what it is given when it is told to, or at its end.
class Shelf : public Executor {
 public:
  Shelf() = default;
  ~Shelf() override { RunAll(); }

  void Submit(Task task) override {
    sync::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }

  // False if there is nothing to run.
  bool RunOne() {
    Task task;
    {
      sync::MutexLock lock(&mutex_);
      if (tasks_.empty()) return false;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    WorkerScope scope(this);
    std::move(task)();
    return true;
  }
  void RunAll() {
    while (RunOne()) {
    }
  }

 private:
  sync::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::testing

#endif  // COHORT_TASK_TEST_UTIL_H_
