// SizedGroup and ErrSizedGroup on every schedule that the search comes across.
// The names with numbers are those of docs/immunity.md.

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::AtOnce;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;
using ::cohort::testing::Shelf;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

// Of a group for which somebody has waited.
template <class Group>
void ExpectAccounted(const Group& group) {
  const Stats stats = group.stats();
  EXPECT_EQ(stats.queued + stats.running + stats.parked, 0);
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.skipped);
}

TEST(SizedGroupSimTest, EveryTaskIsRunSkippedOrRefused) {
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    sim::Explore({.schedules = 2000}, [when_full] {
      CancelScope scope = WithCancel(Context());
      ErrSizedGroup group(1,
                          {.when_full = when_full, .context = scope.context()});
      sync::Atomic<int> ran = 0;
      sync::Atomic<int> accepted = 0;
      const auto submit = [&] {
        for (int i = 0; i < 2; ++i) {
          if (group.Go([&ran] { ++ran; }) == Admission::kAccepted) ++accepted;
        }
      };
      {
        JoiningThread first(submit);
        JoiningThread second(submit);
        scope.Cancel(Fail("outside"));
      }
      const absl::Status status = group.Wait();
      ExpectAccounted(group);
      const Stats stats = group.stats();
      EXPECT_EQ(stats.accepted, accepted);
      EXPECT_EQ(stats.accepted + stats.refused, 4);
      EXPECT_EQ(stats.succeeded, ran);
      EXPECT_EQ(status, ran == 4 ? absl::OkStatus()
                                 : Fail("1 error(s) occurred: [0] {outside}"));
    });
  }
}

TEST(SizedGroupSimTest, NoMoreTasksAtOnceThanTheSize) {
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    sim::Explore({.schedules = 1500}, [when_full] {
      AtOnce at_once(2);
      SizedGroup group(2, {.when_full = when_full});
      {
        JoiningThread other([&] { group.Go([&] { at_once.Visit(); }); });
        for (int i = 0; i < 3; ++i) group.Go([&] { at_once.Visit(); });
      }
      group.Wait();
      EXPECT_EQ(group.stats().succeeded, 4);
    });
  }
}

TEST(SizedGroupSimTest, TasksOfOneSlotAreOrderedAndSeeEachOther) {
  sim::Explore({.schedules = 3000}, [] {
    sync::RaceChecked<std::vector<int>> order;
    SizedGroup group(1);
    for (int i = 0; i < 4; ++i) {
      group.Go([&order, i] { order.Write().push_back(i); });
    }
    group.Wait();
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2, 3}));
  });
}

TEST(SizedGroupSimTest, DiscardRefusesOnlyWhatFindsTheGroupFull) {
  sim::Explore({.schedules = 3000}, [] {
    SizedGroup group(1, {.when_full = WhenFull::kRefuse});
    sync::Atomic<int> ran = 0;
    sync::Atomic<int> full = 0;
    const auto submit = [&] {
      if (group.Go([&ran] { ++ran; }) == Admission::kFull) ++full;
    };
    {
      JoiningThread other(submit);
      submit();
    }
    group.Wait();
    EXPECT_EQ(ran + full, 2);
    EXPECT_GE(ran, 1);
    EXPECT_EQ(group.stats().refused, full);
    // The slot is free when Wait returns.
    EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
  });
}

TEST(SizedGroupSimTest, ErrorsAreInTheOrderInWhichTheyCame) {
  sim::Explore({.schedules = 3000}, [] {
    ErrSizedGroup group(2);
    for (const char* text : {"a", "b"}) {
      group.Go([text] { return Fail(text); });
    }
    const absl::Status status = group.Wait();
    const std::vector<TaskError> errors = group.errors();
    ASSERT_EQ(errors.size(), 2u);
    EXPECT_EQ(status, errors[0].index == 0
                          ? Fail("2 error(s) occurred: [0] {a}, [1] {b}")
                          : Fail("2 error(s) occurred: [0] {b}, [1] {a}"));
  });
}

// No Go comes after the cancellation, and it is told all the same: if, and only
// if, it kept a task from running.
TEST(SizedGroupSimTest, B38_TheOutcomeDoesNotDependOnLaterSubmissions) {
  sim::Explore({.schedules = 3000}, [] {
    CancelScope scope = WithCancel(Context());
    ErrSizedGroup group(1, {.context = scope.context()});
    sync::Atomic<int> ran = 0;
    for (int i = 0; i < 2; ++i) group.Go([&ran] { ++ran; });
    JoiningThread canceller([&] { scope.Cancel(Fail("outside")); });
    const absl::Status status = group.Wait();
    EXPECT_EQ(status, ran == 2 ? absl::OkStatus()
                               : Fail("1 error(s) occurred: [0] {outside}"));
    canceller.Join();
    EXPECT_EQ(group.Wait(), status);
  });
}

TEST(SizedGroupSimTest, B33_ACancelBetweenTheSlotAndTheTask) {
  sim::Explore({.schedules = 4000}, [] {
    CancelScope scope = WithCancel(Context());
    SizedGroup group(
        1, {.when_full = WhenFull::kBlock, .context = scope.context()});
    {
      JoiningThread first([&] { group.Go([] {}); });
      JoiningThread second([&] { group.Go([] {}); });
      scope.Cancel();
    }
    group.Wait();
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().running, 0);
  });
}

TEST(SizedGroupSimTest, B35_B39_NothingStartsAfterTheErrorThatEndsTheGroup) {
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    sim::Explore({.schedules = 2000}, [when_full] {
      ErrSizedGroup group(1, {.when_full = when_full, .term_on_error = true});
      {
        JoiningThread other([&] { group.Go([] { return Fail("a"); }); });
        group.Go([] { return Fail("a"); });
      }
      EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {a}"));
      EXPECT_EQ(group.stats().failed, 1);
      EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
      ExpectAccounted(group);
    });
  }
}

TEST(SizedGroupSimTest, B36_ABlockedGoIsReleasedAlthoughTheSlotIsNot) {
  sim::Explore({.schedules = 3000}, [] {
    CancelScope scope = WithCancel(Context());
    ErrSizedGroup group(
        1, {.when_full = WhenFull::kBlock, .context = scope.context()});
    CancelScope release = WithCancel(Context());
    // Starts, or is skipped.
    group.Go([&] { release.context().AwaitDone(); });
    JoiningThread producer(
        [&] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
    scope.Cancel(Fail("outside"));
    producer.Join();
    release.Cancel();
    EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {outside}"));
  });
}

TEST(SizedGroupSimTest, ADeadlineRacesWithTheEndOfATask) {
  sim::Explore({.schedules = 3000}, [] {
    CancelScope scope = WithTimeout(Context(), kMoment);
    ErrSizedGroup group(1, {.context = scope.context()});
    sync::Atomic<int> ran = 0;
    for (int i = 0; i < 2; ++i) {
      group.Go([&](const Context& context) {
        context.SleepFor(kMoment / 2).IgnoreError();
        ++ran;
      });
    }
    const absl::Status status = group.Wait();
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().succeeded, ran);
    EXPECT_EQ(status.code(), ran == 2 ? absl::StatusCode::kOk
                                      : absl::StatusCode::kDeadlineExceeded);
  });
}

TEST(SizedGroupSimTest, B37_B40_ErrorsAreReadWhileTheyComeIn) {
  sim::Explore({.schedules = 2000}, [] {
    ErrSizedGroup group(2);
    for (int i = 0; i < 2; ++i) {
      group.Go([] { return Fail("a"); });
    }
    JoiningThread reader([&] {
      const std::vector<TaskError> errors = group.errors();
      EXPECT_LE(errors.size(), group.errors().size());
      for (const TaskError& error : errors) EXPECT_EQ(error.status, Fail("a"));
    });
    EXPECT_EQ(group.Wait(), Fail("2 error(s) occurred: [0] {a}, [1] {a}"));
  });
}

TEST(SizedGroupSimTest, IsUsedAgainAndByTwoWaiters) {
  sim::Explore({.schedules = 2000}, [] {
    SizedGroup group(1);
    sync::RaceChecked<int> ran(0);
    for (int round = 1; round <= 2; ++round) {
      group.Go([&] { ++ran.Write(); });
      JoiningThread other([&] { group.Wait(WaitPolicy::kPark); });
      group.Wait();
      other.Join();
      EXPECT_EQ(ran.Read(), round);
    }
  });
}

TEST(SizedGroupSimTest, B06_TheDestructorSkipsWhatWaits) {
  sim::Explore({.schedules = 2000}, [] {
    sync::Atomic<int> ended = 0;
    {
      SizedGroup group(1);
      for (int i = 0; i < 3; ++i) {
        group.Go([&](const Context& context) {
          context.AwaitDone();
          ++ended;
        });
      }
    }
    EXPECT_LE(ended, 1);
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

#endif  // ABSL_HAVE_EXCEPTIONS

// The interleaving of the report. T1 is the first thread of the executor, T2
// the producer.
TEST(SizedGroupScript, B33_TheCancelFallsBetweenTheSlotAndTheTask) {
  sim::Explore({.strategy = sim::Strategy::Script({{0, "wait.checked"},
                                                   {1, "task.begin"},
                                                   {2, ""},    // parks
                                                   {3, ""},    // cancels
                                                   {2, ""}}),  // is released
                .spurious_wake_ups = 0},
               [] {
                 ThreadPerTask executor;
                 CancelScope scope = WithCancel(Context());
                 SizedGroup group(1, {.when_full = WhenFull::kBlock,
                                      .context = scope.context(),
                                      .executor = &executor});
                 group.Go(MustNotRun);
                 JoiningThread producer([&] {
                   EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
                 });
                 JoiningThread canceller([&] { scope.Cancel(Fail("stop")); });
                 group.Wait(WaitPolicy::kPark);
                 EXPECT_EQ(group.stats().skipped, 1);
               });
}

// Complete searches: nobody but those who wait runs tasks.

TEST(SizedGroupProof, ABlockedGoAndAWait) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Shelf shelf;
    SizedGroup group(1, {.when_full = WhenFull::kBlock, .executor = &shelf});
    sync::RaceChecked<int> ran(0);
    group.Go([&] { ++ran.Write(); });
    JoiningThread producer([&] { group.Go([&] { ++ran.Write(); }); });
    group.Wait();
    producer.Join();
    group.Wait();
    EXPECT_EQ(ran.Read(), 2);
  });
}

TEST(SizedGroupProof, TwoDiscardingGos) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Shelf shelf;
    SizedGroup group(1, {.when_full = WhenFull::kRefuse, .executor = &shelf});
    sync::RaceChecked<int> ran(0);
    Admission theirs = Admission::kCancelled;
    JoiningThread producer([&] { theirs = group.Go([&] { ++ran.Write(); }); });
    const Admission mine = group.Go([&] { ++ran.Write(); });
    producer.Join();
    group.Wait();
    EXPECT_EQ(ran.Read(), 1);
    EXPECT_NE(theirs, mine);
  });
}

TEST(SizedGroupProof, AnErrorThatEndsTheGroupAndALateGo) {
  ExploreAll(sim::Strategy::PreemptionBounded(3), [] {
    Shelf shelf;
    ErrSizedGroup group(1, {.term_on_error = true, .executor = &shelf});
    sync::RaceChecked<int> ran(0);
    group.Go([] { return Fail("a"); });
    JoiningThread producer([&] { group.Go([&] { ++ran.Write(); }); });
    EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {a}"));
    producer.Join();
    EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {a}"));
    EXPECT_EQ(ran.Read(), 0);
  });
}

}  // namespace
}  // namespace cohort::sizedgroup
