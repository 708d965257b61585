#include "ring/ring.h"

#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace ring {
namespace {

namespace sim = cohort::sim;
using cohort::Context;
using cohort::testing::JoiningThread;

// Who has held the token; only its holder writes here, and nobody locks.
using Turns = cohort::sync::RaceChecked<std::vector<int>>;

std::vector<int> InOrder(int workers, int turns) {
  std::vector<int> order;
  for (int i = 0; i < turns; ++i) order.push_back(i % workers);
  return order;
}

void RunThreads(int workers, int turns) {
  Ring ring(workers, turns);
  Turns order;
  {
    std::deque<JoiningThread> threads;
    for (int i = 0; i < workers; ++i) {
      threads.emplace_back([&, i] {
        EXPECT_EQ(ring.Work(Context(), i, [&] { order.Write().push_back(i); }),
                  absl::OkStatus());
      });
    }
  }
  EXPECT_EQ(order.Read(), InOrder(workers, turns));
}

TEST(RingTest, ThreeWorkersOnAllSchedules) {
  const sim::Result result = sim::ExploreAll(sim::Strategy::DepthFirst(), [] {
    RunThreads(/*workers=*/3, /*turns=*/4);
  });
  EXPECT_GT(result.schedules, 100);
}

TEST(RingTest, ManyWorkers) {
  sim::Explore({.schedules = 1000, .max_steps = 200'000},
               [] { RunThreads(/*workers=*/20, /*turns=*/100); });
}

TEST(RingTest, OneWorkerAndNoTurn) {
  sim::Explore({.schedules = 1000}, [] {
    RunThreads(/*workers=*/1, /*turns=*/3);
    RunThreads(/*workers=*/2, /*turns=*/0);
  });
}

// As the program does it.
TEST(RingTest, WorkersAreTasksAndTakeTime) {
  sim::Explore({.schedules = 200, .time = sim::Time::kQuiescent}, [] {
    constexpr int kWorkers = 4;
    Ring ring(kWorkers, 3 * kWorkers);
    Turns order;
    cohort::errgroup::Group group{Context()};
    for (int i = 0; i < kWorkers; ++i) {
      group.Go([&, i](const Context& context) {
        return ring.Work(context, i, [&] {
          order.Write().push_back(i);
          context.SleepFor(absl::Seconds(1)).IgnoreError();
        });
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(order.Read(), InOrder(kWorkers, 3 * kWorkers));
  });
}

TEST(RingTest, TheContextEndsAllOfThem) {
  sim::Explore({.schedules = 2000}, [] {
    const absl::Status stop = absl::AbortedError("stop");
    Ring ring(3, 1'000'000'000);
    cohort::CancelScope scope = cohort::WithCancel(Context());
    Turns order;
    {
      std::deque<JoiningThread> threads;
      for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
          EXPECT_EQ(ring.Work(scope.context(), i,
                              [&] {
                                order.Write().push_back(i);
                                if (order.Read().size() == 5)
                                  scope.Cancel(stop);
                              }),
                    stop);
        });
      }
    }
    EXPECT_EQ(order.Read(), InOrder(3, 5));
  });
}

}  // namespace
}  // namespace ring
