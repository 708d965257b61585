// What golang.org/x/sync's own tests of semaphore say, of ours. Each case has
// the name of the one that it follows.

#include <array>
#include <cstddef>
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

using ::cohort::testing::JoiningThread;

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
      std::deque<JoiningThread> callers;
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
    JoiningThread large([&] {
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
    std::deque<JoiningThread> callers;
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
    JoiningThread writer([&] {
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

// There, what is granted after the cancellation is taken back. Here the grant
// wins while the waiter has not left, as a success beats a cancellation
// everywhere; either way no permit is lost.
TEST(XSyncSemaphore, TestWeightedAcquireCanceled) {
  Simulate([] {
    Weighted semaphore(2);
    CancelScope scope = WithCancel(Context());
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    JoiningThread other([&] {
      cohort::testing::Await([&] { return semaphore.waiters() == 1; });
      scope.Cancel();
      semaphore.Release();
    });
    const absl::Status status = semaphore.Acquire(scope.context(), 2);
    other.Join();
    if (status.ok()) {
      semaphore.Release(2);
    } else {
      EXPECT_EQ(status, scope.context().cause());
    }
    EXPECT_TRUE(semaphore.TryAcquire(2));
    semaphore.Release(2);
    EXPECT_EQ(semaphore.Acquire(scope.context()), scope.context().cause());
    EXPECT_EQ(semaphore.in_use(), 0);
  });
}

int CollatzSteps(int n) {
  int steps = 0;
  for (; n > 1; ++steps) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
  return steps;
}

TEST(XSyncSemaphore, Example_workerPool) {
  Simulate([] {
    constexpr int64_t kWorkers = 4;
    Weighted semaphore(kWorkers);
    std::array<int, 32> out = {};
    errgroup::Group group;
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      group.Go([&, i] {
        out[i] = CollatzSteps(static_cast<int>(i) + 1);
        semaphore.Release();
      });
    }
    // All permits are back, so all has been computed.
    EXPECT_EQ(semaphore.Acquire(Context(), kWorkers), absl::OkStatus());
    EXPECT_EQ(out,
              (std::array<int, 32>{0,  1,  7,  2,  5,   8,  16, 3,  19,  6, 14,
                                   9,  9,  17, 17, 4,   12, 20, 20, 7,   7, 15,
                                   15, 10, 23, 10, 111, 18, 18, 18, 106, 5}));
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

}  // namespace
}  // namespace cohort::semaphore
