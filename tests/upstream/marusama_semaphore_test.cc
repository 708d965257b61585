// What marusama/semaphore's own tests say, of Weighted. Each case has the name
// of the one that it follows, some of several. Asking for nothing is no error
// here, and Release returns nothing.

#include <cstdint>
#include <deque>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::semaphore {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

void Simulate(int schedules, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = schedules,
                .time = sim::Time::kQuiescent,
                .stale_loads = false,
                .max_steps = 10'000'000},
               body);
}

void Expect(const Weighted& semaphore, int64_t size, int64_t in_use) {
  EXPECT_EQ(semaphore.size(), size);
  EXPECT_EQ(semaphore.in_use(), in_use);
}

void InParallel(int threads, absl::FunctionRef<void()> body) {
  std::deque<JoiningThread> callers;
  for (int i = 0; i < threads; ++i) callers.emplace_back([body] { body(); });
}

TEST(MarusamaSemaphore, TestNew) {
  Expect(Weighted(1), 1, 0);
  Expect(Weighted(0), 0, 0);
  EXPECT_DEATH(Weighted(-1), "-1 vs. 0");
}

TEST(MarusamaSemaphore, TestSemaphore_Acquire) {
  Weighted semaphore(1);
  EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
  Expect(semaphore, 1, 1);
}

TEST(MarusamaSemaphore, TestSemaphore_Acquire_ctx_done) {
  Simulate(10, [] {
    Weighted semaphore(1);
    CancelScope scope = WithTimeout(Context(), absl::Hours(1));
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(semaphore.Acquire(scope.context())));
    Expect(semaphore, 1, 0);
  });
}

TEST(MarusamaSemaphore, TestSemaphore_TryAcquire) {
  Weighted semaphore(1);
  EXPECT_FALSE(semaphore.TryAcquire(2));
  Expect(semaphore, 1, 0);
  EXPECT_TRUE(semaphore.TryAcquire());
  Expect(semaphore, 1, 1);
  EXPECT_FALSE(semaphore.TryAcquire());
  Expect(semaphore, 1, 1);
}

TEST(MarusamaSemaphore, TestSemaphore_TryAcquire_contention) {
  Simulate(20, [] {
    Weighted semaphore(5);
    InParallel(10, [&] {
      for (int i = 0; i < 50; ++i) {
        if (!semaphore.TryAcquire()) continue;
        sync::Yield();
        semaphore.Release();
      }
    });
    Expect(semaphore, 5, 0);
  });
}

TEST(MarusamaSemaphore, TestSemaphore_Acquire_2_times_Release_2_times) {
  Weighted semaphore(2);
  for (int64_t n = 1; n <= 2; ++n) {
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    Expect(semaphore, 2, n);
  }
  for (int64_t n = 1; n >= 0; --n) {
    semaphore.Release();
    Expect(semaphore, 2, n);
  }
}

TEST(MarusamaSemaphoreDeathTest, TestSemaphore_Release_more_than_Acquired) {
  EXPECT_DEATH(Weighted(1).Release(), "Release of more than is held");
  EXPECT_DEATH(
      {
        Weighted semaphore(1);
        (void)semaphore.TryAcquire();
        semaphore.Release(2);
      },
      "Release of more than is held");
}

TEST(MarusamaSemaphore, TestSemaphore_Acquire_Release_under_and_over_limit) {
  for (const int64_t size : {100, 1}) {
    Simulate(20, [size] {
      Weighted semaphore(size);
      InParallel(10, [&] {
        for (int i = 0; i < 20; ++i) {
          EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
          semaphore.Release();
        }
      });
      Expect(semaphore, size, 0);
    });
  }
}

TEST(MarusamaSemaphore, TestSemaphore_Acquire_Release_ctx_done) {
  for (const int64_t size : {10, 1}) {
    Simulate(20, [size] {
      Weighted semaphore(size);
      CancelScope scope = WithTimeout(Context(), 20 * kMoment);
      InParallel(20, [&] {
        for (;;) {
          const absl::Status status = semaphore.Acquire(scope.context());
          if (!status.ok()) {
            EXPECT_TRUE(absl::IsDeadlineExceeded(status));
            return;
          }
          sync::SleepFor(kMoment);
          semaphore.Release();
        }
      });
      Expect(semaphore, size, 0);
    });
  }
}

TEST(MarusamaSemaphore, TestSemaphore_SetLimit) {
  Weighted semaphore(1);
  semaphore.Resize(2);
  Expect(semaphore, 2, 0);
  semaphore.Resize(1);
  Expect(semaphore, 1, 0);
  semaphore.Resize(0);
  Expect(semaphore, 0, 0);
  EXPECT_DEATH(semaphore.Resize(-1), "-1 vs. 0");
}

TEST(MarusamaSemaphore, TestSemaphore_SetLimit_increase_limit) {
  Weighted semaphore(1);
  EXPECT_TRUE(semaphore.TryAcquire());
  semaphore.Resize(2);
  Expect(semaphore, 2, 1);
  EXPECT_TRUE(semaphore.TryAcquire());
  Expect(semaphore, 2, 2);
  semaphore.Release();
  semaphore.Release();
  Expect(semaphore, 2, 0);
}

TEST(MarusamaSemaphore, TestSemaphore_SetLimit_decrease_limit) {
  Weighted semaphore(2);
  EXPECT_TRUE(semaphore.TryAcquire(2));
  semaphore.Resize(1);
  Expect(semaphore, 1, 2);
  semaphore.Release();
  Expect(semaphore, 1, 1);
  semaphore.Release();
  Expect(semaphore, 1, 0);
}

TEST(MarusamaSemaphore, TestSemaphore_SetLimit_increase_broadcast) {
  Simulate(200, [] {
    Weighted semaphore(1);
    EXPECT_TRUE(semaphore.TryAcquire());
    JoiningThread waiter(
        [&] { EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus()); });
    Await([&] { return semaphore.waiters() == 1; });
    semaphore.Resize(2);
    waiter.Join();
    Expect(semaphore, 2, 2);
  });
}

TEST(MarusamaSemaphore, TestSemaphore_Acquire_Release_SetLimit) {
  // _under_limit, _over_limit, _random_limit
  struct Case {
    int64_t from;
    int64_t to;
    int64_t last;
  };
  for (const Case& sizes : {Case{50, 99, 100}, Case{1, 50, 1}, Case{1, 9, 1}}) {
    Simulate(10, [sizes] {
      Weighted semaphore(sizes.last);
      sync::Atomic<bool> running = true;
      JoiningThread resizes([&] {
        for (int64_t n = sizes.from; running;
             n = n == sizes.to ? sizes.from : n + 1) {
          semaphore.Resize(n);
          sync::SleepFor(kMoment);
        }
        semaphore.Resize(sizes.last);
      });
      InParallel(10, [&] {
        for (int i = 0; i < 20; ++i) {
          EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
          sync::SleepFor(kMoment);
          semaphore.Release();
        }
      });
      running = false;
      resizes.Join();
      Expect(semaphore, sizes.last, 0);
    });
  }
}

TEST(MarusamaSemaphore, TestSemaphore_broadcast_channel_race) {
  Simulate(500, [] {
    Weighted semaphore(1);
    InParallel(4, [&] {
      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
        semaphore.Release();
      }
    });
  });
}

TEST(MarusamaSemaphore, TestSemaphore_weighted_acquire_gt_release) {
  Simulate(200, [] {
    constexpr int kSize = 20;
    Weighted semaphore(kSize);
    std::deque<JoiningThread> releasers;
    for (int i = 0; i < kSize; ++i) {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      releasers.emplace_back([&] { semaphore.Release(); });
    }
    EXPECT_EQ(semaphore.Acquire(Context(), kSize / 2), absl::OkStatus());
  });
}

}  // namespace
}  // namespace cohort::semaphore
