// What marusama/cyclicbarrier's own tests say, of ours. Each case has the name
// of the one that it follows.

#include <deque>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::cyclicbarrier {
namespace {

using ::cohort::testing::JoiningThread;

constexpr int kThreads = 20;
constexpr int kRounds = 20;

void Simulate(int schedules, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = schedules,
                .time = sim::Time::kQuiescent,
                .stale_loads = false,
                .max_steps = 10'000'000},
               body);
}

void InParallel(int threads, absl::FunctionRef<void()> body) {
  std::deque<JoiningThread> callers;
  for (int i = 0; i < threads; ++i) callers.emplace_back([body] { body(); });
}

void Expect(const CyclicBarrier& barrier, int parties, int waiting,
            bool broken) {
  EXPECT_EQ(barrier.parties(), parties);
  EXPECT_EQ(barrier.waiting(), waiting);
  EXPECT_EQ(barrier.broken(), broken);
}

TEST(CyclicBarrierUpstream, TestNew) {
  Expect(CyclicBarrier(10), 10, 0, false);
  EXPECT_DEATH(CyclicBarrier(0), "0 vs. 1");
  EXPECT_DEATH(CyclicBarrier(-1), "-1 vs. 1");
}

TEST(CyclicBarrierUpstream, TestNewWithAction) {
  Expect(CyclicBarrier(10, [] { return absl::OkStatus(); }), 10, 0, false);
  EXPECT_DEATH(CyclicBarrier(0, [] {}), "0 vs. 1");
  EXPECT_DEATH(CyclicBarrier(-1, [] {}), "-1 vs. 1");
}

TEST(CyclicBarrierUpstream, TestAwaitOnce) {
  Simulate(20, [] {
    CyclicBarrier barrier(kThreads);
    InParallel(kThreads, [&] { EXPECT_TRUE(barrier.Await(Context()).ok()); });
    Expect(barrier, kThreads, 0, false);
  });
}

TEST(CyclicBarrierUpstream, TestAwaitManyAndTestAwaitAction) {
  Simulate(10, [] {
    int count = 0;
    CyclicBarrier barrier(kThreads, [&count] { ++count; });
    InParallel(kThreads, [&] {
      for (int i = 0; i < kRounds; ++i) {
        EXPECT_TRUE(barrier.Await(Context()).ok());
      }
    });
    Expect(barrier, kThreads, 0, false);
    EXPECT_EQ(count, kRounds);
  });
}

TEST(CyclicBarrierUpstream, TestAwaitOnceCtxDone) {
  Simulate(50, [] {
    CyclicBarrier barrier(kThreads + 1);
    CancelScope scope = WithTimeout(Context(), absl::Milliseconds(50));
    sync::Atomic<int> late = 0;
    sync::Atomic<int> broken = 0;
    InParallel(kThreads, [&] {
      const absl::Status status = barrier.Await(scope.context()).status();
      late += absl::IsDeadlineExceeded(status);
      broken += absl::IsAborted(status);
    });
    EXPECT_GT(late, 0);
    EXPECT_EQ(late + broken, kThreads);
    // There, those who have left are still counted.
    Expect(barrier, kThreads + 1, 0, true);
  });
}

TEST(CyclicBarrierUpstream, TestAwaitManyCtxDone) {
  Simulate(20, [] {
    CyclicBarrier barrier(kThreads,
                          [] { sync::SleepFor(absl::Milliseconds(1)); });
    CancelScope scope = WithTimeout(Context(), absl::Milliseconds(10));
    InParallel(kThreads, [&] {
      absl::StatusOr<int> index = 0;
      while (index.ok()) index = barrier.Await(scope.context());
      EXPECT_TRUE(absl::IsDeadlineExceeded(index.status()) ||
                  absl::IsAborted(index.status()));
    });
    // Here, whose context is done on arrival breaks nothing: all may be such.
    EXPECT_EQ(barrier.waiting(), 0);
  });
}

TEST(CyclicBarrierUpstream, TestReset) {
  Simulate(50, [] {
    CyclicBarrier barrier(kThreads + 1);
    JoiningThread resets([&] {
      sync::SleepFor(absl::Milliseconds(30));
      barrier.Reset();
    });
    InParallel(kThreads, [&] {
      EXPECT_TRUE(absl::IsAborted(barrier.Await(Context()).status()));
    });
    Expect(barrier, kThreads + 1, 0, false);
  });
}

TEST(CyclicBarrierUpstream, TestAwaitErrorInActionThenReset) {
  Simulate(50, [] {
    int calls = 0;
    CyclicBarrier barrier(kThreads, [&calls] {
      ++calls;
      return absl::InternalError("test error");
    });
    sync::Atomic<int> errors = 0;
    sync::Atomic<int> broken = 0;
    InParallel(kThreads, [&] {
      const absl::Status status = barrier.Await(Context()).status();
      errors += status == absl::InternalError("test error");
      broken += absl::IsAborted(status);
    });
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(errors, 1);
    EXPECT_EQ(broken, kThreads - 1);
    Expect(barrier, kThreads, 0, true);
    EXPECT_TRUE(absl::IsAborted(barrier.Await(Context()).status()));
    barrier.Reset();
    Expect(barrier, kThreads, 0, false);
  });
}

// There, some of these calls panic.
TEST(CyclicBarrierUpstream, TestAwaitTooMuchGoroutines) {
  Simulate(20, [] {
    int rounds = 0;
    CyclicBarrier barrier(1, [&rounds] { ++rounds; });
    InParallel(kThreads, [&] {
      for (int i = 0; i < kRounds; ++i) EXPECT_EQ(*barrier.Await(Context()), 0);
    });
    EXPECT_EQ(rounds, kThreads * kRounds);
    Expect(barrier, 1, 0, false);
  });
}

}  // namespace
}  // namespace cohort::cyclicbarrier
