// What the tests of executors share, and those of what runs on them.

#ifndef COHORT_EXECUTOR_TEST_UTIL_H_
#define COHORT_EXECUTOR_TEST_UTIL_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/sync/test_util.h"  // IWYU pragma: export
#include "gtest/gtest.h"

namespace cohort::testing {

// The one place where tests are made smaller for sanitizers, in which threads
// cost ten times as much.
#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
inline constexpr int kScale = 10;
#else
inline constexpr int kScale = 1;
#endif
constexpr int Scaled(int count) { return count / kScale; }

// Waits until so many have said that they are done.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}

  void Done() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (--left_ == 0) changed_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return left_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_;
};

// A pool to run a test on.
struct PoolCase {
  std::string name;
  std::function<std::shared_ptr<executor_internal::WorkerPool>()> make;
  int workers;  // tasks at once for sure, whatever they do
};

// The pools that promise progress: the elastic ones with one, two and many
// workers, the default one, a thread for each task.
std::vector<PoolCase> PoolsWithProgress();

// All pools that can be made: without the default one, but with fixed ones.
std::vector<PoolCase> PoolsOfOnesOwn();

// For the name of a test.
std::string PoolName(const ::testing::TestParamInfo<PoolCase>& info);

// Lets the system refuse new threads to this process. For a process of its own
// (EXPECT_EXIT), since it may change the user.
class ThreadLimit {
 public:
  // Prepares it; nothing is refused yet.
  ThreadLimit();

  // From here on no thread can be started. Dies if there is no way to do that,
  // rather than let a test pass that has tested nothing.
  void Refuse();

  void Lift();

 private:
  int resource_ = -1;
};

}  // namespace cohort::testing

#endif  // COHORT_EXECUTOR_TEST_UTIL_H_
