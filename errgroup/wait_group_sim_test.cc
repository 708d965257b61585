// errgroup::WaitGroup on every schedule that the search comes across.

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::JoiningThread;

const absl::Status kOne = absl::NotFoundError("one");
const absl::Status kTwo = absl::AbortedError("two");
const absl::Status kStop = absl::InvalidArgumentError("stop");

TEST(WaitGroupSimTest, WaitReturnsWhenAllIsDoneAndSeesIt) {
  sim::Explore({.schedules = 5000}, [] {
    WaitGroup group;
    sync::RaceChecked<int> first(0);
    sync::RaceChecked<int> second(0);
    group.Add(2);
    JoiningThread one([&] {
      first.Write() = 1;
      group.Done();
    });
    JoiningThread two([&] {
      second.Write() = 2;
      group.Done();
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(first.Read() + second.Read(), 3);
  });
}

TEST(WaitGroupSimTest, EveryWaiterGetsTheSameErrors) {
  sim::Explore({.schedules = 5000}, [] {
    WaitGroup group;
    group.Add(2);
    JoiningThread one([&group] {
      group.Error(kOne);
      group.Done();
    });
    JoiningThread two([&group] {
      group.Error(kTwo);
      group.Done();
    });
    absl::Status theirs;
    JoiningThread other([&] { theirs = group.Wait(); });
    const absl::Status mine = group.Wait();
    other.Join();
    EXPECT_EQ(mine, theirs);
    const std::vector<absl::Status> errors = group.errors();
    EXPECT_EQ(errors.size(), 2);
    EXPECT_EQ(mine, MultiError(errors));
  });
}

TEST(WaitGroupSimTest, WorkMayAddWork) {
  sim::Explore({.schedules = 5000}, [] {
    WaitGroup group;
    sync::RaceChecked<int> done(0);
    std::unique_ptr<JoiningThread> inner;
    group.Add(1);
    JoiningThread outer([&] {
      group.Add(1);
      inner = std::make_unique<JoiningThread>([&] {
        ++done.Write();
        group.Done();
      });
      group.Done();
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(done.Read(), 1);
    outer.Join();
  });
}

TEST(WaitGroupSimTest, CountsRoundAfterRound) {
  sim::Explore({.schedules = 5000}, [] {
    WaitGroup group;
    sync::RaceChecked<int> done(0);
    for (int round = 1; round <= 2; ++round) {
      group.Add(1);
      JoiningThread worker([&] {
        ++done.Write();
        group.Done();
      });
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(done.Read(), round);
    }
  });
}

TEST(WaitGroupSimTest, WaitEndsWithItsContextOrTheWork) {
  sim::Explore({.schedules = 5000}, [] {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    JoiningThread worker([&group] {
      group.Error(kOne);
      group.Done();
    });
    const absl::Status status = group.Wait(scope.context());
    EXPECT_TRUE(status == kStop || status == kOne) << status;
    // Nobody else minds, and nor does who comes when the work is done.
    EXPECT_EQ(group.Wait(), kOne);
    EXPECT_EQ(group.Wait(scope.context()), kOne);
  });
}

TEST(WaitGroupSimTest, OnlyTheContextEndsTheWait) {
  sim::Explore({.schedules = 5000}, [] {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    {
      JoiningThread first(
          [&] { EXPECT_EQ(group.Wait(scope.context()), kStop); });
      JoiningThread second(
          [&] { EXPECT_EQ(group.Wait(scope.context()), kStop); });
      scope.Cancel(kStop);
    }
    group.Done();
  });
}

// Time passes when nobody can do anything else: the waiter sleeps by then.
TEST(WaitGroupSimTest, NoDoneEndsAWaitAfterACancelThatHasReturned) {
  sim::Explore({.schedules = 3000, .time = sim::Time::kQuiescent}, [] {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    JoiningThread cancelled(
        [&] { EXPECT_EQ(group.Wait(scope.context()), kStop); });
    JoiningThread stays([&] { EXPECT_EQ(group.Wait(), absl::OkStatus()); });
    sync::SleepFor(absl::Milliseconds(1));
    scope.Cancel(kStop);
    group.Done();
  });
}

// Nor does a cancel end one that comes after it, whoever wakes first.
TEST(WaitGroupSimTest, NoCancelEndsAWaitAfterADoneThatHasReturned) {
  sim::Explore({.schedules = 3000, .time = sim::Time::kQuiescent}, [] {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    JoiningThread waiter(
        [&] { EXPECT_EQ(group.Wait(scope.context()), absl::OkStatus()); });
    sync::SleepFor(absl::Milliseconds(1));
    group.Done();
    group.Add(1);  // the next round is not this one's
    scope.Cancel(kStop);
    group.Done();
  });
}

TEST(WaitGroupSimTest, ADeadlineEndsTheWait) {
  sim::Explore({.schedules = 2000}, [] {
    WaitGroup group;
    CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1), kStop);
    group.Add(1);
    EXPECT_EQ(group.Wait(scope.context()), kStop);
    group.Done();
    EXPECT_EQ(group.Wait(scope.context()), absl::OkStatus());
  });
}

TEST(WaitGroupSimTest, MayBeDestroyedAsSoonAsWaitReturns) {
  sim::Explore({.schedules = 5000}, [] {
    auto group = std::make_unique<WaitGroup>();
    CancelScope scope = WithCancel(Context());
    group->Add(2);
    const auto done = [raw = group.get()] { raw->Done(); };
    JoiningThread first(done);
    JoiningThread second(done);
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    if (!group->Wait(scope.context()).ok()) group->Wait().IgnoreError();
    group.reset();
  });
}

// A pool of one thread that is told of a wait replaces it at once.
TEST(WaitGroupSimTest, WaitInATaskForWorkOfALaterOne) {
  sim::Explore({.schedules = 1000, .time = sim::Time::kQuiescent}, [] {
    ElasticPool pool({.workers = 1});
    WaitGroup wait_group;
    wait_group.Add(1);
    Group group(Options{.executor = &pool});
    group.Go([&wait_group] { return wait_group.Wait(); });
    group.Go([&wait_group] {
      wait_group.Error(kOne);
      wait_group.Done();
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), kOne);
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
}

TEST(WaitGroupProof, TwoDoneAndTwoWaits) {
  sim::ExploreAll(sim::AllSchedules(), [] {
    WaitGroup group;
    sync::RaceChecked<int> sum(0);
    group.Add(2);
    JoiningThread worker([&] {
      ++sum.Write();
      group.Done();
      group.Done();
    });
    JoiningThread waiter([&] {
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(sum.Read(), 1);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(sum.Read(), 1);
  });
}

TEST(WaitGroupProof, ADoneACancelAndAWait) {
  sim::ExploreAll(sim::AllSchedules(), [] {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    JoiningThread worker([&group] { group.Done(); });
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    const absl::Status status = group.Wait(scope.context());
    EXPECT_TRUE(status.ok() || status == kStop) << status;
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

}  // namespace
}  // namespace cohort::errgroup
