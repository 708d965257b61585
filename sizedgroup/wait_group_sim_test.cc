// WaitGroup and ErrorGroup on every schedule that the search comes across. The
// names with numbers are those of docs/immunity.md.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sizedgroup/wait_group.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;

TEST(WaitGroupSimTest, WaitSeesWhatFunctionsAndHoldersOfSlotsDid) {
  sim::Explore({.schedules = 3000}, [] {
    WaitGroup group(1);
    sync::RaceChecked<int> function(0);
    sync::RaceChecked<int> elsewhere(0);
    JoiningThread holder([&, slot = group.BlockAdd()]() mutable {
      elsewhere.Write() = 1;
      slot = Slot();
    });
    group.Add([&] { function.Write() = elsewhere.Read() + 1; });
    group.Wait();
    EXPECT_EQ(elsewhere.Read(), 1);
    EXPECT_EQ(function.Read(), 2);
    EXPECT_EQ(group.PendingCount(), 0);
  });
}

TEST(WaitGroupSimTest, FunctionsAndSlotsShareTheBound) {
  sim::Explore({.schedules = 3000}, [] {
    WaitGroup group(1);
    sync::Atomic<int> inside = 0;
    const auto visit = [&inside] {
      EXPECT_EQ(++inside, 1);
      --inside;
    };
    {
      JoiningThread holder([&] {
        const Slot slot = group.BlockAdd();
        visit();
      });
      group.Add(visit, visit);
    }
    group.Wait();
    EXPECT_EQ(group.stats().succeeded, 3);
  });
}

TEST(WaitGroupSimTest, B42_PendingCountNeverGoesWrong) {
  for (const int size : {1, 0}) {
    sim::Explore({.schedules = 1500}, [size] {
      WaitGroup group(size);
      JoiningThread reader([&] {
        for (int i = 0; i < 3; ++i) {
          const int pending = group.PendingCount();
          EXPECT_GE(pending, 0);
          EXPECT_LE(pending, size == 1 ? 1 : 2);
        }
      });
      group.Add([] {}, [] {});
      group.Wait();
      EXPECT_EQ(group.PendingCount(), 0);
    });
  }
}

TEST(WaitGroupSimTest, MayBeDestroyedAsSoonAsTheLastSlotIsBack) {
  sim::Explore({.schedules = 3000}, [] {
    auto group = std::make_unique<WaitGroup>(1);
    JoiningThread holder(
        [slot = group->BlockAdd()]() mutable { slot = Slot(); });
    group->Wait();
    group.reset();
  });
}

TEST(WaitGroupSimTest, MayBeDestroyedAsSoonAsWhatTheSlotWasForHasRun) {
  sim::Explore({.schedules = 3000}, [] {
    auto group = std::make_unique<WaitGroup>(1);
    Slot slot = group->BlockAdd();
    JoiningThread adder([raw = group.get()] { raw->Add([] {}); });
    Await([&group] { return group->stats().parked == 1; });
    JoiningThread holder([slot = std::move(slot)]() mutable { slot = Slot(); });
    group->Wait();
    adder.Join();
    group.reset();
  });
}

TEST(WaitGroupSimTest, TheDestructorAnswersWhoIsBlockedAndWaitsForSlots) {
  sim::Explore({.schedules = 3000}, [] {
    auto group = std::make_unique<WaitGroup>(1);
    Slot held = group->BlockAdd();
    JoiningThread blocked([&held, raw = group.get()] {
      EXPECT_FALSE(raw->BlockAdd());
      held = Slot();
    });
    // Only once the other thread is in BlockAdd may the group end.
    Await([&group] { return group->stats().parked == 1; });
    group.reset();
  });
}

TEST(ErrorGroupSimTest, B19_WhatIsLeftAfterTheFirstErrorIsSkipped) {
  sim::Explore({.schedules = 4000}, [] {
    ErrorGroup group(Context(), 1);
    sync::Atomic<int> failed = 0;
    const auto fail = [&failed] {
      ++failed;
      return Fail("a");
    };
    {
      JoiningThread other([&] { group.Add(fail, fail); });
      group.Add(fail, fail);
    }
    EXPECT_EQ(group.Wait(), Fail("a"));
    EXPECT_EQ(failed, 1);
    const Stats stats = group.stats();
    EXPECT_EQ(stats.accepted + stats.refused, 4);
    EXPECT_EQ(stats.accepted, 1 + stats.skipped);
    EXPECT_EQ(group.Add(MustNotRun), Admission::kCancelled);
  });
}

TEST(ErrorGroupSimTest, B21_TheCauseIsNotHiddenByWhatItCauses) {
  sim::Explore({.schedules = 3000}, [] {
    ErrorGroup group(Context(), 2);
    group.Add(
        [](const Context& context) {
          context.AwaitDone();
          return context.status();
        },
        [] { return Fail("cause"); });
    EXPECT_EQ(group.Wait(), Fail("cause"));
    EXPECT_EQ(group.context().cause(), Fail("cause"));
  });
}

TEST(WaitGroupProof, ASlotGivenBackAndABlockedBlockAdd) {
  sim::ExploreAll(sim::AllSchedules(), [] {
    WaitGroup group(1);
    Slot slot = group.BlockAdd();
    JoiningThread blocked([&] {
      const Slot theirs = group.BlockAdd();
      EXPECT_TRUE(theirs);
      EXPECT_EQ(group.PendingCount(), 1);
    });
    slot = Slot();
    group.Wait(WaitPolicy::kPark);
    blocked.Join();
    group.Wait();
    EXPECT_EQ(group.PendingCount(), 0);
  });
}

TEST(WaitGroupProof, TwoHoldersAndTwoWaiters) {
  sim::ExploreAll(sim::AllSchedules(), [] {
    WaitGroup group(2);
    JoiningThread first([slot = group.BlockAdd()]() mutable { slot = Slot(); });
    JoiningThread second(
        [slot = group.BlockAdd()]() mutable { slot = Slot(); });
    group.Wait(WaitPolicy::kPark);
    EXPECT_EQ(group.stats().succeeded, 2);
  });
}

}  // namespace
}  // namespace cohort::sizedgroup
