// What becomes of tasks and timers when the system refuses to start threads.
// Each test is a process of its own, whose limit it lowers.

#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using testing::Await;
using testing::Countdown;
using testing::Gate;
using testing::PoolCase;
using testing::ThreadLimit;

// Runs `body`, which CHECKs, in a process whose threads it may limit.
template <class F>
void InAProcessOfItsOwn(F body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        body();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

class ThreadLimitDeathTest : public ::testing::TestWithParam<PoolCase> {};

INSTANTIATE_TEST_SUITE_P(Pools, ThreadLimitDeathTest,
                         ::testing::ValuesIn(testing::PoolsOfOnesOwn()),
                         testing::PoolName);

TEST_P(ThreadLimitDeathTest, WithoutAnyThreadTheDestructorRunsTheTasks) {
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    limit.Refuse();
    int ran = 0;
    {
      const std::shared_ptr<WorkerPool> pool = GetParam().make();
      for (int i = 0; i < 100; ++i) {
        pool->Submit([&, pool = pool.get()] {
          ABSL_CHECK_EQ(Executor::Current(), pool);
          ++ran;
          BlockingScope blocking;
          pool->Submit([&] { ++ran; });
        });
      }
      const PoolStats stats = pool->stats();
      ABSL_CHECK_EQ(stats.threads, 0);
      ABSL_CHECK_EQ(stats.queued, 100);
      ABSL_CHECK_GT(stats.start_failures, 0);
      ABSL_CHECK_EQ(ran, 0);
    }
    ABSL_CHECK_EQ(ran, 200);
    ABSL_CHECK(Executor::Current() == nullptr);
    limit.Lift();
  });
}

TEST_P(ThreadLimitDeathTest, TasksWaitForTheThreadsThatThereAre) {
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    const std::shared_ptr<WorkerPool> pool = GetParam().make();
    Gate gate;
    std::atomic<int> running = 0;
    Countdown done(101);
    pool->Submit([&] {
      ++running;
      gate.Pass();
      done.Done();
    });
    Await([&] { return running == 1; });
    limit.Refuse();
    for (int i = 0; i < 100; ++i) pool->Submit([&] { done.Done(); });
    const PoolStats stats = pool->stats();
    ABSL_CHECK_EQ(stats.threads, 1);
    ABSL_CHECK_EQ(stats.queued, 100);
    if (GetParam().name != "Fixed1") ABSL_CHECK_GT(stats.start_failures, 0);
    gate.Open();
    done.Wait();
    limit.Lift();
  });
}

TEST_P(ThreadLimitDeathTest, TheNextSubmitTriesAgain) {
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    limit.Refuse();
    const std::shared_ptr<WorkerPool> pool = GetParam().make();
    Countdown done(11);
    for (int i = 0; i < 10; ++i) pool->Submit([&] { done.Done(); });
    ABSL_CHECK_EQ(pool->stats().threads, 0);
    limit.Lift();
    pool->Submit([&] { done.Done(); });
    done.Wait();
  });
}

TEST_P(ThreadLimitDeathTest, TheMonitorTriesAgain) {
  // These have a monitor from the moment when more tasks block than they have
  // workers.
  if (GetParam().name.find("Elastic") != 0) return;
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    Gate gate;
    std::atomic<int> running = 0;
    const std::shared_ptr<WorkerPool> pool = GetParam().make();
    const int blocked = GetParam().workers + 1;
    for (int i = 0; i < blocked; ++i) {
      pool->Submit([&] {
        ++running;
        gate.Pass();
      });
    }
    Await([&] { return running == blocked; });
    limit.Refuse();
    // Runs only on one more thread, and nobody submits after it.
    for (int i = 0; i < 10; ++i) {
      pool->Submit([&] { gate.Open(); });
    }
    Await([&] { return pool->stats().start_failures > 10; });
    ABSL_CHECK_GT(pool->stats().queued, 0);
    limit.Lift();
    // Before the destructor, which would try too.
    gate.Pass();
  });
}

class CountingTimer final : public TimerQueue::Timer {
 public:
  explicit CountingTimer(Countdown& done) : done_(done) {}

 private:
  void OnDue() override { done_.Done(); }

  Countdown& done_;
};

TEST(TimerThreadLimitDeathTest, TimersWaitForTheQueuesThread) {
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    FixedPool pool(1);
    TimerQueue queue(pool);
    Countdown done(2);
    CountingTimer first(done);
    CountingTimer second(done);
    limit.Refuse();
    queue.Arm(first, sync::SteadyTime::Now());
    limit.Lift();
    queue.Arm(second, sync::SteadyTime::Now());
    done.Wait();
  });
}

}  // namespace
}  // namespace cohort
