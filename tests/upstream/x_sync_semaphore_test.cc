// What golang.org/x/sync's own tests of semaphore say, of ours. Each case has
// the name of the one that it follows.

#include <cstdint>
#include <deque>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::semaphore {
namespace {

using ::cohort::testing::Caller;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 50,
                .time = sim::Time::kQuiescent,
                .stale_loads = false,
                .max_steps = 1'000'000},
               body);
}

TEST(XSyncSemaphore, TestWeighted) {
  Simulate([] {
    constexpr int64_t kThreads = 4;
    Weighted semaphore(kThreads);
    {
      std::deque<Caller> callers;
      for (int64_t n = 0; n < kThreads; ++n) {
        callers.emplace_back([&semaphore, n] {
          for (int i = 0; i < 50; ++i) {
            EXPECT_EQ(semaphore.Acquire(Context(), n), absl::OkStatus());
            sync::SleepFor(n * kMoment);
            semaphore.Release(n);
          }
        });
      }
    }
    EXPECT_EQ(semaphore.in_use(), 0);
  });
}

TEST(XSyncSemaphoreDeathTest, TestWeightedPanic) {
  EXPECT_DEATH(Weighted(1).Release(1), "Release of more than is held");
}

TEST(XSyncSemaphore, TestWeightedTryAcquire) {
  Weighted semaphore(2);
  EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
  EXPECT_TRUE(semaphore.TryAcquire());
  EXPECT_FALSE(semaphore.TryAcquire());
  semaphore.Release(2);
  EXPECT_TRUE(semaphore.TryAcquire());
  EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
  EXPECT_FALSE(semaphore.TryAcquire());
}

TEST(XSyncSemaphore, TestWeightedAcquire) {
  Simulate([] {
    Weighted semaphore(2);
    const auto acquire = [&semaphore] {
      CancelScope scope = WithTimeout(Context(), 10 * kMoment);
      const absl::Status status = semaphore.Acquire(scope.context());
      EXPECT_TRUE(status.ok() || absl::IsDeadlineExceeded(status));
      return status.ok();
    };
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    EXPECT_TRUE(acquire());
    EXPECT_FALSE(acquire());
    semaphore.Release(2);
    EXPECT_TRUE(acquire());
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    EXPECT_FALSE(acquire());
  });
}

TEST(XSyncSemaphore, TestWeightedDoesntBlockIfTooBig) {
  Simulate([] {
    constexpr int kSize = 2;
    Weighted semaphore(kSize);
    CancelScope scope = WithCancel(Context());
    Caller large([&] {
      EXPECT_TRUE(
          absl::IsCancelled(semaphore.Acquire(scope.context(), kSize + 1)));
    });
    errgroup::Group group{Context()};
    for (int i = 0; i < 3 * kSize; ++i) {
      group.Go([&](const Context& context) {
        const absl::Status status = semaphore.Acquire(context);
        if (!status.ok()) return status;
        context.SleepFor(kMoment).IgnoreError();
        semaphore.Release();
        return absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    scope.Cancel();
  });
}

TEST(XSyncSemaphore, TestLargeAcquireDoesntStarve) {
  Simulate([] {
    constexpr int kSize = 4;
    Weighted semaphore(kSize);
    sync::Atomic<bool> running = true;
    std::deque<Caller> callers;
    for (int i = 0; i < kSize; ++i) {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      callers.emplace_back([&] {
        while (running) {
          sync::SleepFor(kMoment);
          semaphore.Release();
          EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
        }
        semaphore.Release();
      });
    }
    EXPECT_EQ(semaphore.Acquire(Context(), kSize), absl::OkStatus());
    running = false;
    semaphore.Release(kSize);
  });
}

TEST(XSyncSemaphore, TestAllocCancelDoesntStarve) {
  Simulate([] {
    Weighted semaphore(10);
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    const sync::SteadyTime start = sync::SteadyTime::Now();
    Caller writer([&] {
      CancelScope scope = WithTimeout(Context(), 300 * kMoment);
      EXPECT_TRUE(
          absl::IsDeadlineExceeded(semaphore.Acquire(scope.context(), 10)));
    });
    sync::SleepFor(100 * kMoment);
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    EXPECT_EQ(sync::SteadyTime::Now() - start, 300 * kMoment);
    semaphore.Release();
  });
}

}  // namespace
}  // namespace cohort::semaphore
