// Helpers that the tests of all packages share.

#ifndef COHORT_SYNC_TEST_UTIL_H_
#define COHORT_SYNC_TEST_UTIL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/statusor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::testing {

// Waits for a state that other threads are about to reach, and yields the
// processors to them meanwhile.
template <class Condition>
void Await(Condition condition) {
  while (!condition()) sync::SleepFor(absl::Microseconds(200));
}

// Lets threads pass once it has been opened `missing` times.
class Gate {
 public:
  explicit Gate(int missing = 1) : missing_(missing) {}

  void Open() {
    sync::MutexLock lock(&mutex_);
    if (--missing_ <= 0) opened_.SignalAll();
  }
  void Pass() {
    sync::MutexLock lock(&mutex_);
    ++passing_;
    if (awaited_) arrived_.SignalAll();
    while (missing_ > 0) opened_.Wait(&mutex_);
  }
  // Requires another opening. Not once it is open.
  void Add() {
    sync::MutexLock lock(&mutex_);
    ++missing_;
  }
  // Blocks until `passing` threads have called Pass.
  void Await(int passing) {
    sync::MutexLock lock(&mutex_);
    awaited_ = true;
    while (passing_ < passing) arrived_.Wait(&mutex_);
  }

 private:
  sync::Mutex mutex_;
  sync::CondVar opened_;
  sync::CondVar arrived_;
  int missing_ ABSL_GUARDED_BY(mutex_);
  int passing_ ABSL_GUARDED_BY(mutex_) = 0;
  bool awaited_ ABSL_GUARDED_BY(mutex_) = false;
};

// Runs its function when the last copy of its owner is destroyed.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> f)
      : guard_(nullptr, [f = std::move(f)](void*) { f(); }) {}

 private:
  std::shared_ptr<void> guard_;
};

// Calls `f` with `bytes` bytes of the calling thread's stack in use.
[[gnu::noinline]] inline void WithStackInUse(std::size_t bytes,
                                             absl::FunctionRef<void()> f) {
  // Volatile, so that no optimizer removes an array that is never read.
  char* volatile space = static_cast<char*>(__builtin_alloca(bytes));
  *space = 1;
  f();
  *space = 2;
}

// A thread that is joined when it goes out of scope.
class JoiningThread {
 public:
  template <class F>
  explicit JoiningThread(F body) {
    absl::StatusOr<sync::Thread> thread =
        sync::Thread::Start({}, std::move(body));
    ABSL_CHECK_OK(thread);
    thread_ = *std::move(thread);
  }
  ~JoiningThread() {
    if (thread_.joinable()) thread_.Join();
  }
  JoiningThread(const JoiningThread&) = delete;
  JoiningThread& operator=(const JoiningThread&) = delete;

  void Join() { thread_.Join(); }

 private:
  sync::Thread thread_;
};

}  // namespace cohort::testing

#endif  // COHORT_SYNC_TEST_UTIL_H_
