// The promise of progress as groups see it: whoever waits inside a task does
// not stop what it waits for. Nothing here ends without that, so what fails
// shows as a timeout. executor/progress_test.cc asks the executors alone.

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/group/types.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using testing::Await;
using testing::Gate;
using testing::PoolCase;
using testing::Scaled;
using testing::ThreadLimit;

constexpr int kDepth = 50;

// Each group has a task that makes the next one and waits for it, and another
// that does not.
absl::Status Descend(Executor& executor, WaitPolicy policy, int depth,
                     std::atomic<int>& ran) {
  if (depth == 0) return absl::OkStatus();
  errgroup::Group group({.executor = &executor});
  group.Go([&]() -> absl::Status {
    ++ran;
    return Descend(executor, policy, depth - 1, ran);
  });
  group.Go([&] { ++ran; });
  return group.Wait(policy);
}

absl::Status DescendFromATask(Executor& executor, WaitPolicy policy,
                              std::atomic<int>& ran) {
  errgroup::Group group({.executor = &executor});
  group.Go([&] { return Descend(executor, policy, kDepth, ran); });
  // So that it begins on a thread of the pool.
  return group.Wait(WaitPolicy::kPark);
}

// On every pool: Wait runs the group's own tasks.
class WaitTest : public ::testing::TestWithParam<PoolCase> {
 protected:
  const std::shared_ptr<WorkerPool> pool_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Pools, WaitTest,
                         ::testing::ValuesIn(testing::PoolsOfOnesOwn()),
                         testing::PoolName);

TEST_P(WaitTest, NestedGroupsWaitInsideTasks) {
  std::atomic<int> ran = 0;
  EXPECT_EQ(DescendFromATask(*pool_, WaitPolicy::kHelp, ran), absl::OkStatus());
  EXPECT_EQ(ran, 2 * kDepth);
}

TEST_P(WaitTest, AGroupOfManyIsWaitedForInsideATask) {
  const int count = Scaled(1'000);
  std::atomic<int> ran = 0;
  errgroup::Group outer({.executor = pool_.get()});
  for (int i = 0; i < 4; ++i) {
    outer.Go([&]() -> absl::Status {
      errgroup::Group inner({.executor = pool_.get()});
      for (int j = 0; j < count; ++j) inner.Go([&] { ++ran; });
      return inner.Wait();
    });
  }
  EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(ran, 4 * count);
}

// All of them have to start before the first one goes on.
void ExpectThatAllMayWait(Executor& executor, int tasks) {
  std::atomic<int> went_on = 0;
  errgroup::Group group({.executor = &executor});
  for (int i = 0; i < tasks; ++i) {
    group.Go([&]() -> absl::Status {
      const absl::Status status = group.Wait();
      ++went_on;
      return status;
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(went_on, tasks);
  EXPECT_EQ(group.stats().succeeded, tasks);
}

absl::Status DescendStraight(Executor& executor, int depth) {
  errgroup::Group group({.executor = &executor});
  group.Go([&executor, depth]() -> absl::Status {
    if (depth == 0) return absl::DataLossError("at the bottom");
    return DescendStraight(executor, depth - 1);
  });
  return group.Wait();
}

TEST_P(WaitTest, ManyTasksWaitForTheirOwnGroup) {
  ExpectThatAllMayWait(*pool_, Scaled(3'000));
}

TEST_P(WaitTest, ManyGroupsWaitWithinOneAnother) {
  EXPECT_EQ(DescendStraight(*pool_, Scaled(3'000)),
            absl::DataLossError("at the bottom"));
}

TEST(BoundedStackTest, OnAFixedPool) {
  FixedPool pool(1);
  ExpectThatAllMayWait(pool, Scaled(10'000));
  EXPECT_EQ(DescendStraight(pool, Scaled(10'000)),
            absl::DataLossError("at the bottom"));
}

TEST(BoundedStackTest, OnTheDefaultExecutor) {
  ExpectThatAllMayWait(DefaultExecutor(), Scaled(100'000));
  EXPECT_EQ(DescendStraight(DefaultExecutor(), Scaled(100'000)),
            absl::DataLossError("at the bottom"));
}

// On those that promise progress, whatever blocks.
class ProgressTest : public ::testing::TestWithParam<PoolCase> {
 protected:
  const std::shared_ptr<WorkerPool> pool_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Pools, ProgressTest,
                         ::testing::ValuesIn(testing::PoolsWithProgress()),
                         testing::PoolName);

TEST_P(ProgressTest, NestedGroupsParkInsideTasks) {
  std::atomic<int> ran = 0;
  EXPECT_EQ(DescendFromATask(*pool_, WaitPolicy::kPark, ran), absl::OkStatus());
  EXPECT_EQ(ran, 2 * kDepth);
}

TEST_P(ProgressTest, ThousandTasksAwaitAContextThatTheLastCancels) {
  CancelScope shared = WithCancel(Context());
  errgroup::Group group({.executor = pool_.get()});
  for (int i = 1; i < 1'000; ++i) {
    group.Go([&] { shared.context().AwaitDone(); });
  }
  group.Go([&] { shared.Cancel(); });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST_P(ProgressTest, TenThousandTasksSleepForAWhile) {
  const int count = Scaled(10'000);
  std::atomic<int> early = 0;
  std::atomic<int> asleep = 0;
  std::atomic<int> peak = 0;
  errgroup::Group group({.executor = pool_.get()});
  for (int i = 0; i < count; ++i) {
    group.Go([&](const Context& context) -> absl::Status {
      const sync::SteadyTime end =
          sync::SteadyTime::Now() + absl::Milliseconds(5);
      const int now = ++asleep;
      int seen = peak;
      while (now > seen && !peak.compare_exchange_weak(seen, now)) {
      }
      const absl::Status status = context.SleepFor(absl::Milliseconds(5));
      --asleep;
      if (sync::SteadyTime::Now() < end) ++early;
      return status;
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().succeeded, count);
  EXPECT_EQ(early, 0);
  // Sleepers take no worker's place. (One more than they helps in Wait.)
  EXPECT_GT(peak, GetParam().workers + 1);
}

TEST_P(ProgressTest, ATaskThatWaitsForASlotStopsNobody) {
  // Groups of one task at a time; each task submits to a group that another
  // task has filled, and so blocks in Go.
  errgroup::Group full({.limit = 1, .executor = pool_.get()});
  Gate gate;
  full.Go([&] { gate.Pass(); });
  errgroup::Group group({.executor = pool_.get()});
  const int blocked = GetParam().workers + 5;
  for (int i = 0; i < blocked; ++i) {
    group.Go([&] { full.Go([] {}); });
  }
  group.Go([&] {
    Await([&] { return full.stats().parked == blocked; });
    gate.Open();
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(full.Wait(), absl::OkStatus());
  EXPECT_EQ(full.stats().succeeded, blocked + 1);
}

// All that a group needs of a user's executor is one method.
class Adapter final : public Executor {
 public:
  void Submit(Task task) override { pool_.Submit(std::move(task)); }

 private:
  FixedPool pool_{1};
};

TEST(UserExecutorTest, NestedGroupsWaitInsideTasks) {
  Adapter executor;
  std::atomic<int> ran = 0;
  EXPECT_EQ(DescendFromATask(executor, WaitPolicy::kHelp, ran),
            absl::OkStatus());
  EXPECT_EQ(ran, 2 * kDepth);
}

TEST(UserExecutorTest, ManyTasksWaitForTheirOwnGroup) {
  Adapter executor;
  ExpectThatAllMayWait(executor, Scaled(3'000));
}

// Where the system refuses threads.

class ThreadLimitDeathTest : public ::testing::TestWithParam<PoolCase> {};

INSTANTIATE_TEST_SUITE_P(Pools, ThreadLimitDeathTest,
                         ::testing::ValuesIn(testing::PoolsOfOnesOwn()),
                         testing::PoolName);

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

TEST_P(ThreadLimitDeathTest, WithoutAnyThreadWaitRunsTheGroupsTasks) {
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    limit.Refuse();
    {
      const std::shared_ptr<WorkerPool> pool = GetParam().make();
      std::atomic<int> ran = 0;
      errgroup::Group group(
          {.limit = 8, .queue = kUnlimited, .executor = pool.get()});
      for (int i = 0; i < 100; ++i) {
        ABSL_CHECK(group.Go([&] {
          return Descend(*pool, WaitPolicy::kHelp, 3, ran);
        }) == Admission::kAccepted);
      }
      ABSL_CHECK_GT(pool->stats().start_failures, 0);
      ABSL_CHECK_EQ(pool->stats().threads, 0);
      ABSL_CHECK_OK(group.Wait());
      ABSL_CHECK_EQ(group.stats().succeeded, 100);
      ABSL_CHECK_EQ(ran, 600);
    }
    limit.Lift();
  });
}

TEST_P(ThreadLimitDeathTest, AFewThreadsRunEverything) {
  InAProcessOfItsOwn([] {
    ThreadLimit limit;
    {
      const std::shared_ptr<WorkerPool> pool = GetParam().make();
      std::atomic<int> ran = 0;
      Gate started;
      Gate gate;
      errgroup::Group group({.executor = pool.get()});
      group.Go([&] {
        started.Open();
        gate.Pass();
      });
      started.Pass();
      limit.Refuse();
      for (int i = 0; i < 100; ++i) {
        group.Go([&] { return Descend(*pool, WaitPolicy::kHelp, 3, ran); });
      }
      gate.Open();
      ABSL_CHECK_OK(group.Wait(WaitPolicy::kPark));
      ABSL_CHECK_EQ(group.stats().succeeded, 101);
      ABSL_CHECK_EQ(ran, 600);
      if (GetParam().name != "Fixed1") {
        ABSL_CHECK_GT(pool->stats().start_failures, 0);
      }
    }
    limit.Lift();
  });
}

}  // namespace
}  // namespace cohort
