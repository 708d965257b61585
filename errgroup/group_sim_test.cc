// The laws of errgroup::Group, and the interleavings that break the Go
// originals, on every schedule that the search comes across. The names of the
// latter are those of docs/immunity.md.

#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ostream>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_gate.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::AtOnce;
using ::cohort::testing::Fail;
using ::cohort::testing::Gate;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;
using ::cohort::testing::PassAnnounced;
using ::cohort::testing::Shelf;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

// Of a group for which somebody has waited.
void ExpectAccounted(const Group& group) {
  const Stats stats = group.stats();
  EXPECT_EQ(stats.queued, 0);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.parked, 0);
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.skipped);
}

void Play(std::vector<sim::ScriptStep> script, absl::FunctionRef<void()> body,
          std::source_location site = std::source_location::current()) {
  sim::Explore({.strategy = sim::Strategy::Script(std::move(script)),
                .spurious_wake_ups = 0},
               body, site);
}

struct ExecutorCase {
  const char* name;
  std::unique_ptr<Executor> (*make)();

  friend void PrintTo(const ExecutorCase& executor, std::ostream* out) {
    *out << executor.name;
  }
};

class GroupSimTest : public ::testing::TestWithParam<ExecutorCase> {
 protected:
  // `body` is given an executor of its own; null stands for the default.
  static void Explore(
      int schedules, absl::FunctionRef<void(Executor*)> body,
      std::source_location site = std::source_location::current()) {
    sim::Explore(
        {.schedules = schedules},
        [body] {
          const std::unique_ptr<Executor> executor = GetParam().make();
          body(executor.get());
        },
        site);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Executors, GroupSimTest,
    ::testing::Values(ExecutorCase{"Default",
                                   []() -> std::unique_ptr<Executor> {
                                     return nullptr;
                                   }},
                      ExecutorCase{"Fixed1",
                                   []() -> std::unique_ptr<Executor> {
                                     return std::make_unique<FixedPool>(1);
                                   }},
                      ExecutorCase{"ThreadPerTask",
                                   []() -> std::unique_ptr<Executor> {
                                     return std::make_unique<ThreadPerTask>();
                                   }}),
    [](const ::testing::TestParamInfo<ExecutorCase>& executor) {
      return std::string(executor.param.name);
    });

void ExploreQuiescent(
    absl::FunctionRef<void()> body,
    std::source_location site = std::source_location::current()) {
  sim::Explore({.schedules = 1000, .time = sim::Time::kQuiescent}, body, site);
}

// Accounted.

TEST_P(GroupSimTest, EveryAcceptedTaskIsRunOrSkipped) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .queue = 1, .executor = executor});
    sync::Atomic<int> ran = 0;
    sync::Atomic<int> accepted = 0;
    const auto submit = [&](bool may_block) {
      const auto task = [&ran] { ++ran; };
      const Admission admission =
          may_block ? group.Go(task) : group.TryGo(task);
      if (admission == Admission::kAccepted) ++accepted;
    };
    absl::Status status;
    {
      JoiningThread first([&] {
        submit(true);
        submit(true);
      });
      JoiningThread second([&] {
        submit(false);
        submit(true);
      });
      JoiningThread canceller([&group] { group.Cancel(Fail("enough")); });
      status = group.Wait();
    }
    // What came after Wait was refused.
    const Stats stats = group.stats();
    ExpectAccounted(group);
    EXPECT_EQ(stats.accepted, accepted);
    EXPECT_EQ(stats.succeeded, ran);
    EXPECT_EQ(stats.accepted + stats.refused, 4);
    if (stats.skipped > 0) {
      EXPECT_EQ(status, Fail("enough"));
    }
  });
}

TEST_P(GroupSimTest, StatsAddUpAtEveryMoment) {
  Explore(2000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .queue = 1, .executor = executor});
    for (int i = 0; i < 2; ++i) group.Go([] {});
    JoiningThread canceller([&group] { group.Cancel(); });
    JoiningThread reader([&group] {
      Stats last;
      for (int i = 0; i < 4; ++i) {
        const Stats stats = group.stats();
        EXPECT_EQ(stats.accepted, stats.queued + stats.running +
                                      stats.succeeded + stats.failed +
                                      stats.skipped);
        EXPECT_LE(stats.running, 1);
        EXPECT_GE(stats.succeeded, last.succeeded);
        EXPECT_GE(stats.skipped, last.skipped);
        last = stats;
      }
    });
    group.Wait().IgnoreError();
  });
}

TEST_P(GroupSimTest, WhatHappenedBeforeIsVisible) {
  Explore(3000, [](Executor* executor) {
    sync::RaceChecked<int> before(0);
    sync::RaceChecked<int> task(0);
    sync::RaceChecked<int> captures(0);
    Group group(Options{.limit = 1, .executor = executor});
    before.Write() = 1;
    group.Go([&, at_end = AtEnd([&] { captures.Write() = task.Read() + 1; })] {
      task.Write() = before.Read() + 1;
    });
    {
      JoiningThread other([&] {
        EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
        EXPECT_EQ(captures.Read(), 3);
      });
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(captures.Read(), 3);
    }
    // One slot: the next task comes after all of that.
    group.Go([&] { task.Write() = captures.Read() + 1; });
    EXPECT_EQ(group.WaitUntil(absl::InfiniteFuture()), absl::OkStatus());
    EXPECT_EQ(task.Read(), 4);
  });
}

TEST_P(GroupSimTest, TasksOfOneSlotAreOrdered) {
  Explore(3000, [](Executor* executor) {
    sync::RaceChecked<std::vector<int>> order;
    Group group(Options{.limit = 1, .queue = kUnlimited, .executor = executor});
    for (int i = 0; i < 4; ++i) {
      group.Go([&order, i] { order.Write().push_back(i); });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2, 3}));
  });
}

TEST_P(GroupSimTest, TryGoDoesNotGetInFrontOfABlockedGo) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::RaceChecked<std::vector<int>> order;
    const auto append = [&order](int i) {
      return [&order, i] { order.Write().push_back(i); };
    };
    group.Go(append(0));
    bool went_by = false;
    {
      JoiningThread first([&] { group.Go(append(1)); });
      // Whoever sees the first one blocked comes after it.
      if (group.stats().parked == 1) {
        went_by = group.TryGo(append(2)) == Admission::kAccepted;
      }
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    const std::vector<int> expected =
        went_by ? std::vector<int>{0, 1, 2} : std::vector<int>{0, 1};
    EXPECT_EQ(order.Read(), expected);
  });
}

TEST_P(GroupSimTest, B15_WaitNeverReturnsBeforeABlockedSubmission) {
  Explore(4000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::RaceChecked<bool> ran(false);
    group.Go([] {});
    JoiningThread producer([&] {
      EXPECT_EQ(group.Go([&ran] { ran.Write() = true; }), Admission::kAccepted);
    });
    const Stats before = group.stats();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    if (before.accepted + before.parked == 2) {
      EXPECT_TRUE(ran.Read());
    }
    producer.Join();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran.Read());
    ExpectAccounted(group);
  });
}

TEST_P(GroupSimTest, B01_B02_NoTaskIsLostWhenSeveralSubmitToAFullGroup) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = kUnlimited, .executor = executor});
    sync::Atomic<int> ran = 0;
    Gate all;
    const auto submit = [&] {
      for (int i = 0; i < 2; ++i) {
        group.Go([&] {
          if (++ran == 4) all.Open();
        });
      }
    };
    JoiningThread first(submit);
    JoiningThread second(submit);
    PassAnnounced(all);  // although nobody waits for the group
    first.Join();
    second.Join();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST_P(GroupSimTest, B03_B10_TasksMaySubmitDuringWait) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .executor = executor});
    sync::Atomic<int> ran = 0;
    group.Go([&] {
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(group.Go([&] {
          EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
        }),
                  Admission::kAccepted);
      }
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(group.stats().succeeded, 5);
  });
}

TEST_P(GroupSimTest, B04_AGroupWithoutParentIsUsedAgain) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::RaceChecked<int> ran(0);
    for (int round = 1; round <= 3; ++round) {
      group.Go([&ran] { ++ran.Write(); });
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(ran.Read(), round);
    }
    EXPECT_FALSE(group.context().done());
  });
}

TEST_P(GroupSimTest, B69_AGroupWithParentIsOverWithTheFirstWait) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.executor = executor});
    group.Go([] {});
    const auto wait = [&group] {
      group.Wait().IgnoreError();
      EXPECT_TRUE(group.context().done());
      EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
    };
    {
      JoiningThread other(wait);
      wait();
    }
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(group.stats().succeeded, 1);
    EXPECT_EQ(group.stats().refused, 2);
  });
}

// Limits.

TEST_P(GroupSimTest, TryGoNeverExceedsTheLimit) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 2, .executor = executor});
    AtOnce at_once(2);
    sync::Atomic<int> accepted = 0;
    const auto submit = [&] {
      for (int i = 0; i < 2; ++i) {
        if (group.TryGo([&] { at_once.Visit(); }) == Admission::kAccepted) {
          ++accepted;
        }
      }
    };
    {
      JoiningThread first(submit);
      JoiningThread second(submit);
      submit();
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    const Stats stats = group.stats();
    EXPECT_GE(stats.succeeded, 2);
    EXPECT_EQ(stats.succeeded, accepted);
    EXPECT_EQ(stats.refused, 6 - stats.succeeded);
  });
}

TEST_P(GroupSimTest, TheQueueIsBounded) {
  Explore(2000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = 1, .executor = executor});
    Gate gate;
    group.Go([&gate] { PassAnnounced(gate); });
    EXPECT_EQ(group.TryGo([] {}), Admission::kAccepted);
    EXPECT_EQ(group.TryGo(MustNotRun), Admission::kFull);
    JoiningThread opener([&gate] { gate.Open(); });
    EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 3);
  });
}

TEST_P(GroupSimTest, B72_NoSlotIsHeldWhenWaitReturns) {
  Explore(3000, [](Executor* executor) {
    for (const WaitPolicy policy : {WaitPolicy::kHelp, WaitPolicy::kPark}) {
      Group group(Options{.limit = 1, .executor = executor});
      group.Go([] {});
      EXPECT_EQ(group.Wait(policy), absl::OkStatus());
      EXPECT_EQ(group.stats().running, 0);
      EXPECT_EQ(group.TryGo([] { return Fail("second"); }),
                Admission::kAccepted);
      EXPECT_EQ(group.Wait(policy), Fail("second"));
      EXPECT_EQ(group.TryGo([] {}), Admission::kAccepted);
    }
  });
}

TEST_P(GroupSimTest, RaisingTheLimitStartsWhatWaits) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 0, .queue = 1, .executor = executor});
    AtOnce at_once(2);
    const auto task = [&at_once] { at_once.Visit(); };
    group.Go(task);  // queued
    JoiningThread producer([&] {
      for (int i = 0; i < 3; ++i) group.Go(task);
    });
    group.SetLimit(1);
    group.SetLimit(2);
    producer.Join();
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 4);
  });
}

TEST_P(GroupSimTest, LoweringTheLimitLetsRunningTasksFinish) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 2, .queue = kUnlimited, .executor = executor});
    AtOnce two(2);
    for (int i = 0; i < 2; ++i) group.Go([&two] { two.Visit(); });
    group.SetLimit(1);
    AtOnce one(1);
    for (int i = 0; i < 2; ++i) group.Go([&one] { one.Visit(); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 4);
  });
}

TEST_P(GroupSimTest, ALimitOfZeroStartsNothing) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = kUnlimited, .executor = executor});
    group.SetLimit(0);
    sync::Atomic<bool> raised = false;
    for (int i = 0; i < 2; ++i) {
      group.Go([&raised] { EXPECT_TRUE(raised); });
    }
    JoiningThread raiser([&] {
      raised = true;
      group.SetLimit(1);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 2);
  });
}

TEST_P(GroupSimTest, LimitsChangeWhileTasksComeAndGo) {
  Explore(4000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    AtOnce at_once(3);
    const auto task = [&at_once] { at_once.Visit(); };
    JoiningThread producer([&] {
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(group.Go(task), Admission::kAccepted);
      }
    });
    JoiningThread changer([&group] {
      for (const int limit : {3, 0, 2}) group.SetLimit(limit);
    });
    EXPECT_EQ(group.Go(task), Admission::kAccepted);
    producer.Join();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    changer.Join();
    EXPECT_EQ(group.stats().succeeded, 4);
  });
}

// First error.

TEST_P(GroupSimTest, TheFirstErrorIsThatOfAllWaiters) {
  Explore(4000, [](Executor* executor) {
    Group group(Options{.keep_all_errors = true, .executor = executor});
    for (const char* text : {"a", "b"}) {
      group.Go([text] { return Fail(text); });
    }
    group.Go([] {});
    absl::Status other;
    absl::Status timed;
    absl::Status mine;
    {
      JoiningThread parked([&] { other = group.Wait(WaitPolicy::kPark); });
      JoiningThread until(
          [&] { timed = group.WaitUntil(absl::InfiniteFuture()); });
      mine = group.Wait();
    }
    const std::vector<TaskError> errors = group.errors();
    ASSERT_EQ(errors.size(), 2);
    EXPECT_EQ(errors[0].status, Fail(errors[0].index == 0 ? "a" : "b"));
    EXPECT_EQ(mine, errors[0].status);
    EXPECT_EQ(other, mine);
    EXPECT_EQ(timed, mine);
    EXPECT_EQ(group.stats().failed, 2);
    EXPECT_EQ(group.stats().succeeded, 1);
  });
}

TEST_P(GroupSimTest, B37_ErrorsMayBeReadWhileTasksFail) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.keep_all_errors = true, .executor = executor});
    for (const char* text : {"a", "b"}) {
      group.Go([text] { return Fail(text); });
    }
    const std::vector<TaskError> some = group.errors();
    EXPECT_FALSE(group.Wait().ok());
    const std::vector<TaskError> all = group.errors();
    ASSERT_EQ(all.size(), 2);
    ASSERT_LE(some.size(), 2);
    for (size_t i = 0; i < some.size(); ++i) {
      EXPECT_EQ(some[i].status, all[i].status);
    }
  });
}

TEST_P(GroupSimTest, TheFirstErrorIsTheFirstToComplete) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = 1, .executor = executor});
    group.Go([] { return Fail("first"); });
    group.Go([] { return Fail("second"); });
    EXPECT_EQ(group.Wait(), Fail("first"));
    group.Go([] { return Fail("third"); });
    EXPECT_EQ(group.Wait(), Fail("first"));
    group.Cancel(Fail("fourth"));
    EXPECT_EQ(group.Wait(), Fail("first"));
  });
}

TEST_P(GroupSimTest, B21_TheCauseIsNotMaskedByItsConsequence) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.keep_all_errors = true, .executor = executor});
    group.Go([] { return Fail("cause"); });
    group.Go([](const Context& context) {
      context.AwaitDone();
      return absl::CancelledError("echo");
    });
    group.Go([](const Context& context) {
      context.AwaitDone();
      EXPECT_EQ(context.cause(), Fail("cause"));
      return context.status();
    });
    EXPECT_EQ(group.Wait(), Fail("cause"));
    EXPECT_EQ(group.errors().size(), 1);
    EXPECT_EQ(group.context().cause(), Fail("cause"));
  });
}

TEST_P(GroupSimTest, TheErrorIsRecordedBeforeSiblingsAreCancelled) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .executor = executor});
    sync::RaceChecked<int> seen(0);
    const DoneCallback callback = group.context().OnDone([&] {
      ++seen.Write();
      EXPECT_EQ(group.errors().at(0).status, Fail("cause"));
      // The slot is still taken, and refused as cancelled rather than full.
      EXPECT_EQ(group.stats().running, 1);
      EXPECT_EQ(group.TryGo(MustNotRun), Admission::kCancelled);
    });
    group.Go([] { return Fail("cause"); });
    EXPECT_EQ(group.Wait(), Fail("cause"));
    EXPECT_EQ(seen.Read(), 1);
  });
}

TEST_P(GroupSimTest, AnErrorBeatsACancellationAndIsNeverForgotten) {
  Explore(3000, [](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.executor = executor});
    group.Go([] { return Fail("error"); });
    JoiningThread canceller([&scope] { scope.Cancel(Fail("cause")); });
    const absl::Status status = group.Wait();
    const Stats stats = group.stats();
    EXPECT_EQ(stats.failed + stats.skipped, 1);
    EXPECT_EQ(status, stats.failed == 1 ? Fail("error") : Fail("cause"));
    canceller.Join();
    EXPECT_EQ(group.Wait(), status);
  });
}

TEST_P(GroupSimTest, ARecordedSuccessBeatsALaterCancellation) {
  Explore(3000, [](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.executor = executor});
    group.Go([] {});
    JoiningThread canceller([&scope] { scope.Cancel(Fail("cause")); });
    const absl::Status status = group.Wait();
    EXPECT_EQ(status,
              group.stats().succeeded == 1 ? absl::OkStatus() : Fail("cause"));
  });
}

// Cancellation.

TEST_P(GroupSimTest, B18_B36_ABlockedGoIsReleasedByCancellation) {
  Explore(4000, [](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 1, .executor = executor});
    group.Go([](const Context& context) { context.AwaitDone(); });
    JoiningThread producer(
        [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
    JoiningThread canceller([&scope] { scope.Cancel(Fail("outer")); });
    producer.Join();
    EXPECT_EQ(group.Wait(), Fail("outer"));
    EXPECT_EQ(group.stats().refused, 1);
  });
}

TEST_P(GroupSimTest, ABlockedGoIsReleasedByADeadline) {
  Explore(3000, [](Executor* executor) {
    CancelScope scope = WithTimeout(Context(), kMoment, Fail("too late"));
    Group group(scope.context(), {.limit = 1, .executor = executor});
    group.Go([](const Context& context) { context.AwaitDone(); });
    EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
    EXPECT_EQ(group.Wait(), Fail("too late"));
  });
}

// Nothing of the group runs any more: only its end wakes who waits for it.
TEST_P(GroupSimTest, AWaitEndsWithTheSubmissionThatCancellationReleases) {
  Explore(4000, [](Executor* executor) {
    for (const WaitPolicy policy : {WaitPolicy::kHelp, WaitPolicy::kPark}) {
      Group group(Context(), {.limit = 0, .executor = executor});
      JoiningThread producer(
          [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
      JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
      group.Wait(policy).IgnoreError();
    }
  });
}

TEST_P(GroupSimTest, AWaitInsideEndsWithTheSubmissionThatIsReleased) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .executor = executor});
    group.Go([&group] {
      group.SetLimit(0);
      group.Wait().IgnoreError();
    });
    JoiningThread producer(
        [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
    JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
    group.Wait(WaitPolicy::kPark).IgnoreError();
    ExpectAccounted(group);
  });
}

TEST_P(GroupSimTest, B19_B35_NothingStartsOnceTheOnlyTaskHasFailed) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .queue = 2, .executor = executor});
    group.Go([] { return Fail("A"); });
    sync::Atomic<int> accepted = 1;
    const auto submit = [&] {
      for (int i = 0; i < 2; ++i) {
        const Admission admission = group.Go(MustNotRun);
        EXPECT_NE(admission, Admission::kFull);
        if (admission == Admission::kAccepted) ++accepted;
      }
    };
    {
      JoiningThread producer(submit);
      submit();
    }
    EXPECT_EQ(group.Wait(), Fail("A"));
    ExpectAccounted(group);
    const Stats stats = group.stats();
    EXPECT_EQ(stats.failed, 1);
    EXPECT_EQ(stats.skipped, accepted - 1);
    EXPECT_EQ(stats.accepted + stats.refused, 5);
  });
}

// Nor on the slot of one that was not the first to fail.
TEST_P(GroupSimTest, B19_NothingStartsOnTheSlotOfATaskThatFailed) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.limit = 2, .queue = 1, .executor = executor});
    group.Go([] { return Fail("A"); });
    group.Go([] { return Fail("B"); });
    EXPECT_NE(group.Go(MustNotRun), Admission::kFull);
    const absl::Status status = group.Wait();
    EXPECT_EQ(group.errors().at(0).status, status);
    EXPECT_EQ(group.context().cause(), status);
  });
}

TEST_P(GroupSimTest, WhenCancelReturnsNothingElseWillStart) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .queue = 1, .executor = executor});
    for (int i = 0; i < 2; ++i) group.Go([] {});
    JoiningThread waiter([&group] { group.Wait().IgnoreError(); });
    if (group.Cancel(Fail("stop"))) {
      const Stats then = group.stats();
      EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
      waiter.Join();
      const Stats now = group.stats();
      EXPECT_LE(now.succeeded, then.succeeded + then.running);
    } else {
      EXPECT_EQ(group.stats().succeeded, 2);
    }
  });
}

TEST_P(GroupSimTest, CancelIsTrueForTheOneCallThatDidIt) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.limit = 0, .queue = 1, .executor = executor});
    group.Go(MustNotRun);
    sync::Atomic<int> did = 0;
    const auto cancel = [&](const char* cause) {
      if (group.Cancel(Fail(cause))) {
        ++did;
        EXPECT_EQ(group.context().cause(), Fail(cause));
      }
      EXPECT_TRUE(group.context().done());
    };
    {
      JoiningThread one([&] { cancel("one"); });
      JoiningThread two([&] { cancel("two"); });
      const absl::Status status = group.Wait();
      EXPECT_EQ(status, group.context().cause());
    }
    EXPECT_EQ(did, 1);
    EXPECT_EQ(group.stats().skipped, 1);
  });
}

TEST_P(GroupSimTest, B26_CancelRacesWithParking) {
  Explore(3000, [](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 0, .executor = executor});
    JoiningThread producer(
        [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
    scope.Cancel(Fail("stop"));
  });
}

TEST_P(GroupSimTest, B33_B39_ASlotIsFreedByWhoeverTookIt) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .executor = executor});
    {
      JoiningThread first([&group] { group.Go([] {}); });
      JoiningThread second([&group] { group.Go([] {}); });
      group.Cancel(Fail("stop"));
    }
    group.Wait().IgnoreError();
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().accepted + group.stats().refused, 2);
  });
}

TEST_P(GroupSimTest, B08_B09_WithoutParentAnErrorStopsNothing) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = 1, .executor = executor});
    sync::Atomic<int> ran = 0;
    group.Go([] { return Fail("A"); });
    JoiningThread producer([&] {
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
      }
    });
    EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
    producer.Join();
    EXPECT_EQ(group.Wait(), Fail("A"));
    EXPECT_EQ(ran, 3);
  });
}

TEST_P(GroupSimTest, RunAfterCancelRunsEverything) {
  Explore(3000, [](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 1,
                                  .queue = 1,
                                  .run_after_cancel = true,
                                  .executor = executor});
    sync::Atomic<int> ran = 0;
    JoiningThread canceller([&scope] { scope.Cancel(Fail("stop")); });
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 3);
    EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 4);
  });
}

TEST_P(GroupSimTest, CancellationGoesDownToGroupsInTasks) {
  Explore(3000, [](Executor* executor) {
    Group outer(Context(), {.executor = executor});
    outer.Go([executor](const Context& context) {
      Group inner(context, {.executor = executor});
      inner.Go([](const Context& below) {
        below.AwaitDone();
        return below.cause();
      });
      const absl::Status status = inner.Wait();
      EXPECT_EQ(status, Fail("cause"));
      return status;
    });
    outer.Go([] { return Fail("cause"); });
    EXPECT_EQ(outer.Wait(), Fail("cause"));
    EXPECT_EQ(outer.errors().size(), 1);
  });
}

TEST_P(GroupSimTest, ACallbackAboveMayWaitForTheGroup) {
  Explore(3000, [](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    std::optional<Group> group;
    const DoneCallback callback = scope.context().OnDone([&group] {
      // The group itself has not been told yet.
      EXPECT_EQ(group->Wait(), Fail("outside"));
    });
    group.emplace(scope.context(),
                  Options{.limit = 0, .queue = 1, .executor = executor});
    group->Go(MustNotRun);
    JoiningThread producer(
        [&group] { EXPECT_EQ(group->Go(MustNotRun), Admission::kCancelled); });
    scope.Cancel(Fail("outside"));
    producer.Join();
    EXPECT_EQ(group->stats().skipped, 1);
  });
}

// Waiting.

TEST_P(GroupSimTest, WaitUntilRacesWithTheEnd) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .executor = executor});
    group.Go([](const Context& context) { return context.SleepFor(kMoment); });
    const absl::Status status = group.WaitUntil(sync::Now() + kMoment);
    if (status.ok()) {
      ExpectAccounted(group);
      EXPECT_TRUE(group.context().done());
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
      EXPECT_FALSE(group.context().done());
      EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
      EXPECT_EQ(group.Wait(), absl::OkStatus());
    }
  });
}

TEST_P(GroupSimTest, WaitInsideATaskOfTheSameGroup) {
  Explore(4000, [](Executor* executor) {
    Group group(Context(), {.executor = executor});
    sync::Atomic<int> others = 0;
    for (int i = 0; i < 2; ++i) {
      group.Go([&] {
        EXPECT_EQ(group.Go([&others] { ++others; }), Admission::kAccepted);
        EXPECT_EQ(group.Wait(), absl::OkStatus());
        EXPECT_FALSE(group.context().done());
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(others, 2);
    EXPECT_EQ(group.stats().succeeded, 4);
  });
}

TEST_P(GroupSimTest, ATaskThatWaitsLendsItsSlot) {
  Explore(4000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::RaceChecked<int> ran(0);
    group.Go([&] {
      group.Go([&ran] { ++ran.Write(); });
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(ran.Read(), 1);
    });
    JoiningThread producer(
        [&group] { EXPECT_EQ(group.Go([] {}), Admission::kAccepted); });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

TEST_P(GroupSimTest, ATaskMayWaitForAWhileForItsGroup) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    Gate gate;
    group.Go([&] {
      group.Go([&gate] { PassAnnounced(gate); });
      EXPECT_EQ(group.WaitUntil(sync::Now() + kMoment).code(),
                absl::StatusCode::kDeadlineExceeded);
      gate.Open();
      EXPECT_EQ(group.Wait(), absl::OkStatus());
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 2);
  });
}

// Each needs the other one before and after the wait that both are in.
TEST(GroupNestingSimTest, TasksThatWaitTogetherGoOnTogether) {
  sim::Explore({.schedules = 3000}, [] {
    Group group;
    std::array<Gate, 2> before;
    std::array<Gate, 2> after;
    for (const size_t self : {size_t{0}, size_t{1}}) {
      group.Go([&, self] {
        before[self].Open();
        PassAnnounced(before[1 - self]);
        EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
        after[self].Open();
        PassAnnounced(after[1 - self]);
      });
    }
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

// Where time passes only when nothing else can happen, whoever parks has parked
// by then, and what is to wait has not started.
TEST(GroupQuiescentSimTest, ATaskThatWaitsMakesRoomForWhoIsParked) {
  ExploreQuiescent([] {
    Group group(Options{.limit = 1});
    group.Go([&group] {
      sync::SleepFor(kMoment);
      EXPECT_EQ(group.stats().parked, 1);
      EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    });
    EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

TEST(GroupQuiescentSimTest, ATaskThatHasWaitedTakesItsSlotBack) {
  ExploreQuiescent([] {
    Group group(Options{.limit = 1});
    group.Go([&group] {
      Gate gate;
      sync::Atomic<bool> ran = false;
      group.Go([&gate] { PassAnnounced(gate); });
      EXPECT_EQ(group.WaitUntil(sync::Now() + kMoment).code(),
                absl::StatusCode::kDeadlineExceeded);
      group.Go([&ran] { ran = true; });
      gate.Open();
      sync::SleepFor(kMoment);
      EXPECT_FALSE(ran);
      EXPECT_EQ(group.Wait(), absl::OkStatus());
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

TEST(GroupQuiescentSimTest, ARaisedLimitLetsAllInWhoAreParked) {
  ExploreQuiescent([] {
    Group group(Options{.limit = 0});
    Gate here;
    Gate there;
    JoiningThread first([&] {
      group.Go([&] {
        here.Open();
        PassAnnounced(there);
      });
    });
    JoiningThread second([&] {
      group.Go([&] {
        there.Open();
        PassAnnounced(here);
      });
    });
    sync::SleepFor(kMoment);
    EXPECT_EQ(group.stats().parked, 2);
    group.SetLimit(2);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

// A pool of one thread that is told of a wait replaces it at once.
TEST(GroupQuiescentSimTest, EveryWaitIsAnnounced) {
  ExploreQuiescent([] {
    ElasticPool pool({.workers = 1});
    Group group(Options{.limit = 1});
    Gate gate;
    group.Go([&gate] { PassAnnounced(gate); });
    pool.Submit([&group] { group.Go([] {}); });
    pool.Submit([&gate] { gate.Open(); });
    group.Wait().IgnoreError();
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
  for (const WaitPolicy policy : {WaitPolicy::kHelp, WaitPolicy::kPark}) {
    ExploreQuiescent([policy] {
      ElasticPool pool({.workers = 1});
      Group group;
      Gate gate;
      Gate waited;
      group.Go([&gate] { PassAnnounced(gate); });
      pool.Submit([&] {
        EXPECT_EQ(group.Wait(policy), absl::OkStatus());
        waited.Open();
      });
      pool.Submit([&gate] { gate.Open(); });
      PassAnnounced(waited);
      EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
    });
  }
}

TEST_P(GroupSimTest, GroupsInTasksWaitForTheirOwn) {
  Explore(3000, [](Executor* executor) {
    sync::RaceChecked<int> sum(0);
    Group outer(Context(), {.limit = 1, .queue = 1, .executor = executor});
    for (int i = 0; i < 2; ++i) {
      outer.Go([&sum, executor](const Context& context) {
        // Without a queue, Go would wait for the only thread of a pool.
        Group inner(context, {.limit = 1, .queue = 1, .executor = executor});
        for (int j = 0; j < 2; ++j) inner.Go([&sum] { ++sum.Write(); });
        return inner.Wait();
      });
    }
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(sum.Read(), 4);
  });
}

TEST_P(GroupSimTest, B17_NestedSubmissionUnderAFullLimit) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::Mutex mutex;
    sync::RaceChecked<int> ran(0);
    group.Go([&] {
      // Were the new task run here, it would lock what is locked.
      sync::MutexLock lock(&mutex);
      EXPECT_EQ(group.TryGo(MustNotRun), Admission::kFull);
      EXPECT_EQ(group.Go([&] {
        sync::MutexLock again(&mutex);
        ++ran.Write();
      }),
                Admission::kAccepted);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran.Read(), 1);
  });
}

TEST(GroupNestingSimTest, B17_ATaskOfAGroupMadeInATaskIsInsideToo) {
  sim::Explore({.schedules = 3000}, [] {
    ThreadPerTask elsewhere;
    Group outer(Options{.limit = 1, .executor = &elsewhere});
    sync::Atomic<int> ran = 0;
    outer.Go([&] {
      Group inner(Options{.executor = &elsewhere});
      inner.Go([&] {
        EXPECT_EQ(outer.Go([&ran] { ++ran; }), Admission::kAccepted);
      });
      EXPECT_EQ(inner.Wait(WaitPolicy::kPark), absl::OkStatus());
    });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 1);
  });
}

// The group's maker has ended, but the task around that waits with the slot.
TEST(GroupNestingSimTest, B17_ATaskOfAGroupHandedOutOfATaskIsInsideToo) {
  sim::Explore({.schedules = 3000}, [] {
    ThreadPerTask elsewhere;
    Group outer(Options{.limit = 1, .executor = &elsewhere});
    sync::Atomic<int> ran = 0;
    outer.Go([&] {
      std::unique_ptr<Group> made;
      Group inner(Options{.executor = &elsewhere});
      inner.Go([&] {
        made = std::make_unique<Group>(Options{.executor = &elsewhere});
      });
      EXPECT_EQ(inner.Wait(WaitPolicy::kPark), absl::OkStatus());
      made->Go([&] {
        EXPECT_EQ(outer.Go([&ran] { ++ran; }), Admission::kAccepted);
      });
      EXPECT_EQ(made->Wait(WaitPolicy::kPark), absl::OkStatus());
    });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 1);
  });
}

// As anyone: it parks, and nothing that the maker was is touched any more.
TEST(GroupNestingSimTest, ATaskOfAGroupThatOutlivesItsMakerIsOutside) {
  sim::Explore({.schedules = 3000}, [] {
    ThreadPerTask elsewhere;
    Group outer(Options{.limit = 1, .executor = &elsewhere});
    std::unique_ptr<Group> made;
    outer.Go([&] {
      made = std::make_unique<Group>(Options{.executor = &elsewhere});
      made->Go([&outer] { EXPECT_EQ(outer.Go([] {}), Admission::kAccepted); });
      // A maker itself, which may end before and after its own.
      made->Go([&outer, &elsewhere] {
        Group inner(Options{.executor = &elsewhere});
        inner.Go(
            [&outer] { EXPECT_EQ(outer.Go([] {}), Admission::kAccepted); });
        EXPECT_EQ(inner.Wait(WaitPolicy::kPark), absl::OkStatus());
      });
    });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(made->Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(outer.stats().succeeded, 3);
  });
}

TEST(GroupQuiescentSimTest, ATaskOfAGroupThatOutlivesItsMakerParks) {
  ExploreQuiescent([] {
    ThreadPerTask elsewhere;
    Group outer(Options{.limit = 1, .executor = &elsewhere});
    std::unique_ptr<Group> made;
    outer.Go([&] {
      made = std::make_unique<Group>(Options{.executor = &elsewhere});
    });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    Gate gate;
    outer.Go([&gate] { PassAnnounced(gate); });
    made->Go([&outer] { EXPECT_EQ(outer.Go([] {}), Admission::kAccepted); });
    sync::SleepFor(kMoment);
    EXPECT_EQ(outer.stats().parked, 1);
    gate.Open();
    EXPECT_EQ(made->Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

// Two threads in Wait are all there is to run two tasks that meet.
TEST(GroupHelperSimTest, EveryHelperWakesThatIsNeeded) {
  sim::Explore({.schedules = 4000}, [] {
    Shelf shelf;
    Group group(Options{.limit = 0, .queue = 2, .executor = &shelf});
    Gate here;
    Gate there;
    group.Go([&] {
      here.Open();
      PassAnnounced(there);
    });
    group.Go([&] {
      there.Open();
      PassAnnounced(here);
    });
    const auto wait = [&group] { EXPECT_EQ(group.Wait(), absl::OkStatus()); };
    JoiningThread first(wait);
    JoiningThread second(wait);
    group.SetLimit(2);
  });
}

// A runner is on its way, but stays on the shelf. Who waits has to notice that
// the slot is free.
TEST(GroupHelperSimTest, AHelperDoesNotRelyOnARunnerThatIsComing) {
  sim::Explore({.schedules = 4000}, [] {
    Shelf shelf;
    Group group(Options{.limit = 2, .queue = 1, .executor = &shelf});
    Gate last_ran;
    group.Go([] {});
    group.Go([&] {
      group.SetLimit(1);
      group.Go([&last_ran] { last_ran.Open(); });
    });
    JoiningThread worker([&] {
      shelf.RunOne();
      PassAnnounced(last_ran);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

// Looks at a group whenever it is given something.
class Curious : public Executor {
 public:
  void LookAt(const Group* group) { group_ = group; }
  void Join() { threads_.reset(); }

  void Submit(Task task) override {
    group_->stats();  // a lock that is held here would be taken again
    threads_->Submit(std::move(task));
  }

 private:
  const Group* group_ = nullptr;
  std::optional<ThreadPerTask> threads_{std::in_place};
};

TEST(GroupHelperSimTest, NoLockIsHeldWhereTheExecutorIsCalled) {
  sim::Explore({.schedules = 2000}, [] {
    Curious executor;
    Group group(Options{.limit = 1, .queue = 1, .executor = &executor});
    executor.LookAt(&group);
    group.Go([&group] {
      group.Go([] {});
      EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    });
    group.Go([] {});
    group.SetLimit(2);
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    executor.Join();
  });
}

// A waiter inside is about to go on with a queued task when another one takes
// that, and so ends what both wait for. What the other one then submits is
// nobody's but the waiter's, who leaves.
TEST_P(GroupSimTest, AWaiterThatLeavesSendsSomebodyForWhatWasLeftToIt) {
  Explore(8000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = kUnlimited, .executor = executor});
    for (int i = 0; i < 2; ++i) {
      group.Go([&group] {
        EXPECT_EQ(group.Wait(), absl::OkStatus());
        group.Go([] {});
      });
    }
    for (int i = 0; i < 3; ++i) group.Go([] {});
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    ExpectAccounted(group);
  });
}

// Bounded stacks.

// Few of these fit into one stack.
void WithMuchStack(absl::FunctionRef<void()> f) {
  testing::WithStackInUse(48 << 10, f);
}

TEST_P(GroupSimTest, TasksThatAllWaitUseBoundedStacks) {
  Explore(500, [](Executor* executor) {
    constexpr int kTasks = 7;
    Group group(Options{.executor = executor});
    sync::Atomic<int> went_on = 0;
    for (int i = 0; i < kTasks; ++i) {
      group.Go([&] {
        WithMuchStack([&] { EXPECT_EQ(group.Wait(), absl::OkStatus()); });
        ++went_on;
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(went_on, kTasks);
    ExpectAccounted(group);
  });
}

// One thread is one task at a time, also where its tasks wait on other stacks.
TEST(GroupStackSimTest, AnotherStackIsNotAnotherTaskAtATime) {
  sim::Explore({.schedules = 1000}, [] {
    FixedPool pool(1);
    Group group(Options{.executor = &pool});
    AtOnce at_once(1);
    for (int i = 0; i < 6; ++i) {
      group.Go([&] {
        at_once.Visit();
        WithMuchStack([&] { group.Wait().IgnoreError(); });
        at_once.Visit();
      });
    }
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 6);
  });
}

absl::Status Descend(Executor* executor, int depth) {
  absl::Status status;
  WithMuchStack([&] {
    Group group(Options{.executor = executor});
    group.Go([&]() -> absl::Status {
      return depth == 0 ? Fail("at the bottom") : Descend(executor, depth - 1);
    });
    status = group.Wait();
  });
  return status;
}

TEST_P(GroupSimTest, GroupsWithinOneAnotherUseBoundedStacks) {
  Explore(500, [](Executor* executor) {
    EXPECT_EQ(Descend(executor, 7), Fail("at the bottom"));
  });
}

// Where a task waits on another stack, it is the same task: its slot is lent
// once, and what it submits to its full group does not block.
TEST_P(GroupSimTest, ATaskIsTheSameOnAnotherStack) {
  Explore(500, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::Atomic<int> ran = 0;
    for (int i = 0; i < 1; ++i) {
      group.Go([&] {
        for (int j = 0; j < 5; ++j) {
          group.Go([&] {
            WithMuchStack([&] {
              group.Go([&ran] { ++ran; });
              group.Wait().IgnoreError();
            });
          });
        }
        group.Wait().IgnoreError();
      });
    }
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 5);
    ExpectAccounted(group);
  });
}

// Back-pressure inside.

TEST_P(GroupSimTest, AProducerInsideDoesNotOutgrowTheQueue) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = 1, .executor = executor});
    AtOnce at_once(1);
    group.Go([&] {
      for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(group.GoOrHelp([&at_once] { at_once.Visit(); }),
                  Admission::kAccepted);
        EXPECT_LE(group.stats().queued, 1);
      }
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 5);
  });
}

TEST_P(GroupSimTest, ProducersInsideOneAnotherEnd) {
  Explore(2000, [](Executor* executor) {
    Group group(Options{.limit = 2, .executor = executor});
    AtOnce at_once(2);
    sync::Atomic<int> leaves = 0;
    for (int i = 0; i < 2; ++i) {
      group.Go([&] {
        for (int j = 0; j < 2; ++j) {
          group.GoOrHelp([&] {
            at_once.Visit();
            group.GoOrHelp([&] {
              at_once.Visit();
              ++leaves;
            });
          });
        }
      });
    }
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(leaves, 4);
    ExpectAccounted(group);
  });
}

TEST_P(GroupSimTest, ProducersInsideMayWaitAsWell) {
  Explore(2000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::Atomic<int> leaves = 0;
    for (int i = 0; i < 2; ++i) {
      group.Go([&] {
        group.GoOrHelp([&] {
          group.GoOrHelp([&leaves] { ++leaves; });
          EXPECT_EQ(group.Wait(), absl::OkStatus());
        });
        EXPECT_EQ(group.Wait(), absl::OkStatus());
      });
    }
    JoiningThread outside([&] {
      EXPECT_EQ(group.GoOrHelp([&leaves] { ++leaves; }), Admission::kAccepted);
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    outside.Join();
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(leaves, 3);
    ExpectAccounted(group);
  });
}

// Neither the task of a group inside, which has no slot of its own, nor a group
// in which nothing may start, holds a producer up.
TEST_P(GroupSimTest, AProducerGoesOnWhereItCannotHelp) {
  Explore(2000, [](Executor* executor) {
    Group group(Options{.limit = 1, .executor = executor});
    sync::Atomic<int> ran = 0;
    group.Go([&] {
      Group inner(Options{.executor = executor});
      inner.Go([&] {
        EXPECT_EQ(group.GoOrHelp([&ran] { ++ran; }), Admission::kAccepted);
      });
      EXPECT_EQ(inner.Wait(), absl::OkStatus());
      group.SetLimit(0);
      EXPECT_EQ(group.GoOrHelp([&ran] { ++ran; }), Admission::kAccepted);
      group.SetLimit(1);
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 2);
  });
}

TEST_P(GroupSimTest, AProducerInsideLearnsOfTheCancellation) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.limit = 1, .executor = executor});
    group.Go([&group] {
      for (int i = 0; i < 5; ++i) {
        if (group.GoOrHelp([] {}) == Admission::kCancelled) {
          EXPECT_TRUE(group.context().done());
        }
      }
    });
    JoiningThread canceller([&group] { group.Cancel(Fail("enough")); });
    const absl::Status status = group.Wait();
    const Stats stats = group.stats();
    ExpectAccounted(group);
    EXPECT_EQ(status, stats.skipped + stats.refused == 0 ? absl::OkStatus()
                                                         : Fail("enough"));
  });
}

// Destruction.

TEST_P(GroupSimTest, TheDestructorSkipsWhatNothingCanStart) {
  Explore(3000, [](Executor* executor) {
    auto group =
        std::make_unique<Group>(Context(), Options{.limit = 1,
                                                   .queue = 1,
                                                   .run_after_cancel = true,
                                                   .executor = executor});
    Group* const raw = group.get();
    group->Go([raw] {
      raw->SetLimit(0);
      raw->Go(MustNotRun);
      raw->Wait().IgnoreError();
    });
    JoiningThread producer([raw] { raw->Go([] {}); });
    while (raw->stats().accepted + raw->stats().parked < 3) {
      sync::SleepFor(kMoment);
    }
    group.reset();
  });
}

TEST(GroupQuiescentSimTest, TheDestructorSkipsWhatIsQueuedWithTheLimitZero) {
  ExploreQuiescent([] {
    bool gone = false;
    Admission parked = Admission::kAccepted;
    {
      std::optional<JoiningThread> producer;
      Group group(Options{.limit = 0, .queue = 1, .run_after_cancel = true});
      group.Go([at_end = AtEnd([&gone] { gone = true; })] { MustNotRun(); });
      producer.emplace([&] { parked = group.Go(MustNotRun); });
      sync::SleepFor(kMoment);
      EXPECT_EQ(group.stats().parked, 1);
      // The group goes first, and answers the producer.
    }
    EXPECT_TRUE(gone);
    EXPECT_EQ(parked, Admission::kCancelled);
  });
}

TEST_P(GroupSimTest, B06_TheDestructorCancelsThenWaits) {
  Explore(3000, [](Executor* executor) {
    sync::RaceChecked<int> ended(0);
    {
      Group group(Context(), {.limit = 1, .queue = 1, .executor = executor});
      for (int i = 0; i < 2; ++i) {
        group.Go([&ended](const Context& context) {
          context.AwaitDone();
          ++ended.Write();
        });
      }
    }
    EXPECT_LE(ended.Read(), 1);
  });
}

TEST_P(GroupSimTest, TheDestructorAnswersWhoIsBlocked) {
  Explore(3000, [](Executor* executor) {
    auto group =
        std::make_unique<Group>(Options{.limit = 0, .executor = executor});
    JoiningThread producer([raw = group.get()] {
      EXPECT_EQ(raw->Go(MustNotRun), Admission::kCancelled);
    });
    // Only once the other thread is in Go may the group end.
    if (group->stats().parked == 0) {
      group->Cancel();
      producer.Join();
    }
    group.reset();
  });
}

// Whoever submits may be the last to know.
TEST_P(GroupSimTest, MayBeDestroyedWhileGoReturns) {
  Explore(3000, [](Executor* executor) {
    auto group = std::make_unique<Group>(Options{.executor = executor});
    JoiningThread producer([raw = group.get()] {
      EXPECT_EQ(raw->Go([] {}), Admission::kAccepted);
    });
    if (group->stats().accepted == 0) producer.Join();
    EXPECT_EQ(group->Wait(), absl::OkStatus());
    group.reset();
  });
}

TEST_P(GroupSimTest, MayBeDestroyedWhileSetLimitReturns) {
  Explore(3000, [](Executor* executor) {
    auto group = std::make_unique<Group>(
        Options{.limit = 0, .queue = 2, .executor = executor});
    for (int i = 0; i < 2; ++i) group->Go([] {});
    JoiningThread raiser([raw = group.get()] { raw->SetLimit(2); });
    EXPECT_EQ(group->Wait(), absl::OkStatus());
    group.reset();
  });
}

TEST_P(GroupSimTest, MayBeDestroyedWhileCancelReturns) {
  Explore(3000, [](Executor* executor) {
    auto group = std::make_unique<Group>(
        Options{.limit = 0, .queue = 1, .executor = executor});
    group->Go(MustNotRun);
    JoiningThread canceller([raw = group.get()] { raw->Cancel(Fail("stop")); });
    EXPECT_EQ(group->Wait(), Fail("stop"));
    group.reset();
  });
}

TEST_P(GroupSimTest, MayBeDestroyedAsSoonAsWaitReturns) {
  Explore(3000, [](Executor* executor) {
    for (int limit : {1, kUnlimited}) {
      auto group = std::make_unique<Group>(
          Options{.limit = limit, .executor = executor});
      for (int i = 0; i < 2; ++i) group->Go([] {});
      EXPECT_EQ(group->Wait(), absl::OkStatus());
      group.reset();
    }
  });
}

TEST_P(GroupSimTest, MayBeDestroyedByACallbackOfItsContext) {
  Explore(2000, [](Executor* executor) {
    auto group = std::make_unique<Group>(
        Context(), Options{.limit = 1, .queue = 1, .executor = executor});
    for (int i = 0; i < 2; ++i) group->Go([] {});
    std::optional<DoneCallback> callback;
    callback = group->context().OnDone([&] {
      callback.reset();
      group.reset();
    });
    Group* const raw = group.get();
    raw->Cancel();
    EXPECT_EQ(group, nullptr);
  });
}

// No user code under a lock.

TEST_P(GroupSimTest, TasksAndTheirCapturesMayUseTheGroup) {
  Explore(3000, [](Executor* executor) {
    sync::Atomic<int> destroyed = 0;
    Group group(Context(), {.limit = 1, .queue = 1, .executor = executor});
    const auto use_group = [&] {
      // Any lock held here would be taken again.
      group.stats();
      group.errors();
      group.SetLimit(1);
      ++destroyed;
    };
    group.Go([&use_group, at_end = AtEnd(use_group)] {
      use_group();
      return Fail("boom");
    });
    for (int i = 0; i < 2; ++i) {
      group.Go([at_end = AtEnd(use_group)] { MustNotRun(); });
    }
    EXPECT_EQ(group.Wait(), Fail("boom"));
    EXPECT_EQ(destroyed, 4);
  });
}

TEST_P(GroupSimTest, CapturesAreGoneWhenWaitReturns) {
  Explore(3000, [](Executor* executor) {
    sync::Atomic<int> alive = 3;
    Group group(Context(), {.limit = 1, .queue = 2, .executor = executor});
    for (int i = 0; i < 3; ++i) {
      group.Go(
          [at_end = AtEnd([&alive] { --alive; })] { return Fail("boom"); });
    }
    JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
    EXPECT_FALSE(group.Wait().ok());
    EXPECT_EQ(alive, 0);
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST_P(GroupSimTest, B05_B34_AnExceptionFreesItsSlotAndIsReported) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.limit = 1, .queue = 1, .executor = executor});
    sync::RaceChecked<int> ran(0);
    group.Go([] { throw std::runtime_error("A"); });
    group.Go([&ran] { ++ran.Write(); });
    group.Go([&ran] { ++ran.Write(); });
    const absl::Status status = group.Wait(WaitPolicy::kPark);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_TRUE(absl::StrContains(status.message(), "runtime_error: A"));
    EXPECT_EQ(ran.Read(), 2);
  });
}

TEST_P(GroupSimTest, B07_B63_TheFirstExceptionIsHandedOutOnce) {
  Explore(3000, [](Executor* executor) {
    Group group(Options{.executor = executor});
    for (const int i : {0, 1}) {
      group.Go([i] { throw i; });
    }
    sync::Atomic<int> taken = 0;
    const auto take = [&] {
      group.Wait().IgnoreError();
      const std::exception_ptr exception = group.exception();
      if (exception == nullptr) return;
      ++taken;
      try {
        std::rethrow_exception(exception);
      } catch (int i) {
        EXPECT_EQ(i, group.errors().at(0).index);
      }
    };
    {
      JoiningThread other(take);
      take();
    }
    EXPECT_EQ(taken, 1);
  });
}

TEST_P(GroupSimTest, AnExceptionThatIsNotKeptIsGoneWhenWaitReturns) {
  Explore(3000, [](Executor* executor) {
    sync::Atomic<int> alive = 2;
    Group group(Options{.executor = executor});
    for (int i = 0; i < 2; ++i) {
      group.Go([&alive] { throw AtEnd([&alive] { --alive; }); });
    }
    EXPECT_FALSE(group.Wait().ok());
    EXPECT_EQ(alive, 1);
  });
}

// The runner, on the shelf, outlives the group.
TEST(GroupHelperSimTest, TheExceptionThatIsKeptIsGoneWithTheGroup) {
  sim::Explore({.schedules = 100}, [] {
    sync::Atomic<bool> alive = true;
    Shelf shelf;
    {
      Group group(Options{.executor = &shelf});
      group.Go([&alive] { throw AtEnd([&alive] { alive = false; }); });
      EXPECT_FALSE(group.Wait().ok());
      EXPECT_TRUE(alive);
    }
    EXPECT_FALSE(alive);
  });
}

TEST_P(GroupSimTest, B20_AFailureIsSeenAlthoughNobodyWaits) {
  Explore(3000, [](Executor* executor) {
    Group group(Context(), {.executor = executor});
    group.Go([] { throw std::runtime_error("A"); });
    group.context().AwaitDone();
    EXPECT_TRUE(absl::StrContains(group.context().cause().message(), "A"));
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

// Exactly the interleavings that the originals fall for. T1 is the first thread
// of the executor, T2 the producer.

TEST(GroupScript, B15_TheSlotIsFreedWhileWaitAndGoAreBothParked) {
  Play({{0, "wait.checked"},
        {1, "task.begin"},
        {2, "submit.park"},
        {2, ""},
        {0, "wait.park"},
        {0, ""},
        {1, "task.recorded"},
        {1, "task.uncounted"},
        {0, ""},
        {2, ""}},
       [] {
         ThreadPerTask executor;
         Group group(Options{.limit = 1, .executor = &executor});
         sync::RaceChecked<bool> ran(false);
         group.Go([] {});
         JoiningThread producer(
             [&] { group.Go([&ran] { ran.Write() = true; }); });
         EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
         EXPECT_TRUE(ran.Read());
       });
}

TEST(GroupScript, B19_TheTaskFailsWhileTheNextOneIsParked) {
  Play({{0, "wait.checked"},
        {1, "task.begin"},
        {2, "submit.park"},
        {1, "task.recorded"},
        {2, ""},  // goes to sleep between the record and the cancellation
        {1, "cancel.fired"},
        {2, ""},  // has its answer before the slot is free
        {1, "task.uncounted"}},
       [] {
         ThreadPerTask executor;
         Group group(Context(), {.limit = 1, .executor = &executor});
         group.Go([] { return Fail("A"); });
         JoiningThread producer([&group] {
           EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
           EXPECT_EQ(group.stats().running, 1);
         });
         EXPECT_EQ(group.Wait(WaitPolicy::kPark), Fail("A"));
       });
}

TEST(GroupScript, B21_ASiblingReturnsBetweenTheEndAndTheRecord) {
  Play({{0, "wait.checked"},
        {1, "task.end"},  // has failed, which nobody knows
        {0, ""},
        {2, ""},               // waits for the context
        {1, "task.recorded"},  // known, but not cancelled
        {2, ""},               // still waits
        {1, "cancel.fired"},
        {2, "task.recorded"}},
       [] {
         ThreadPerTask executor;
         Group group(Context(),
                     {.keep_all_errors = true, .executor = &executor});
         group.Go([] { return Fail("cause"); });
         group.Go([](const Context& context) {
           context.AwaitDone();
           return absl::CancelledError("echo");
         });
         EXPECT_EQ(group.Wait(WaitPolicy::kPark), Fail("cause"));
         EXPECT_EQ(group.errors().size(), 1);
       });
}

TEST(GroupScript, B26_CancelFallsBetweenTheLookAndTheSleep) {
  Play({{0, "cancel"}, {1, "submit.park"}, {0, ""}, {1, ""}}, [] {
    Group group(Context(), {.limit = 0});
    JoiningThread producer(
        [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
    sync::SchedulePoint("cancel");
    group.Cancel(Fail("stop"));
  });
}

TEST(GroupScript, B33_CancelFallsBetweenTheSlotAndTheTask) {
  Play({{0, "wait.checked"},
        {1, "task.begin"},  // has the slot
        {2, ""},            // parks
        {3, ""},            // cancels
        {2, ""}},
       [] {
         ThreadPerTask executor;
         Group group(Context(), {.limit = 1, .executor = &executor});
         group.Go(MustNotRun);
         JoiningThread producer([&group] {
           EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
         });
         JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
         EXPECT_EQ(group.Wait(WaitPolicy::kPark), Fail("stop"));
         EXPECT_EQ(group.stats().skipped, 1);
       });
}

TEST(GroupScript, B72_WaitReturnsAtTheFirstMomentItMay) {
  Play({{0, "wait.checked"}, {0, ""}, {1, "task.uncounted"}, {0, ""}}, [] {
    ThreadPerTask executor;
    Group group(Options{.limit = 1, .executor = &executor});
    group.Go([] {});
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(group.TryGo([] {}), Admission::kAccepted);
  });
}

// Complete searches: nobody but those who wait runs tasks.

TEST(GroupProof, ABlockedGoAndAWait) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Shelf shelf;
    Group group(Options{.limit = 1, .executor = &shelf});
    sync::RaceChecked<int> ran(0);
    group.Go([&ran] { ++ran.Write(); });
    JoiningThread producer([&] { group.Go([&ran] { ++ran.Write(); }); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    producer.Join();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran.Read(), 2);
  });
}

TEST(GroupProof, ABlockedGoACancelAndAWait) {
  ExploreAll(sim::Strategy::PreemptionBounded(3), [] {
    Shelf shelf;
    Group group(Context(), {.limit = 0, .executor = &shelf});
    JoiningThread producer(
        [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
    JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
    group.Wait().IgnoreError();
  });
}

TEST(GroupProof, TwoWaitersRunTwoTasksThatFail) {
  ExploreAll(sim::Strategy::PreemptionBounded(3), [] {
    Shelf shelf;
    Group group(Context(), {.executor = &shelf});
    for (const char* text : {"a", "b"}) {
      group.Go([text] { return Fail(text); });
    }
    absl::Status theirs;
    JoiningThread other([&] { theirs = group.Wait(); });
    const absl::Status mine = group.Wait();
    other.Join();
    EXPECT_EQ(mine, theirs);
    EXPECT_EQ(mine, group.errors().at(0).status);
    EXPECT_EQ(mine, group.context().cause());
  });
}

TEST(GroupProof, ARaisedLimitAndACancel) {
  ExploreAll(sim::Strategy::PreemptionBounded(3), [] {
    Shelf shelf;
    Group group(Context(), {.limit = 0, .executor = &shelf});
    sync::RaceChecked<int> ran(0);
    Admission admission = Admission::kFull;
    {
      JoiningThread producer(
          [&] { admission = group.Go([&ran] { ++ran.Write(); }); });
      JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
      group.SetLimit(1);
    }
    const absl::Status status = group.Wait();
    EXPECT_EQ(ran.Read(), group.stats().succeeded);
    EXPECT_EQ(status.ok(), ran.Read() == 1);
    EXPECT_EQ(admission == Admission::kAccepted, group.stats().accepted == 1);
  });
}

// However they interleave, neither waits for the other.
TEST(GroupProof, TwoProducersInside) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    Shelf shelf;
    Group group(Options{.limit = 1, .executor = &shelf});
    sync::Atomic<int> ran = 0;
    for (int i = 0; i < 2; ++i) {
      group.Go([&] {
        group.GoOrHelp([&ran] { ++ran; });
        group.GoOrHelp([&] {
          ++ran;
          group.Wait().IgnoreError();
        });
      });
      if (i == 0) group.SetLimit(2);
    }
    JoiningThread other(
        [&group] { EXPECT_EQ(group.Wait(), absl::OkStatus()); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 4);
  });
}

TEST(GroupProof, ATaskThatWaitsAndOneThatSubmits) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Shelf shelf;
    Group group(Options{.limit = 1, .queue = 1, .executor = &shelf});
    sync::RaceChecked<int> ran(0);
    group.Go([&] {
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      ++ran.Write();
    });
    group.Go([&] { group.Go([&ran] { ++ran.Write(); }); });
    JoiningThread other(
        [&group] { EXPECT_EQ(group.Wait(), absl::OkStatus()); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran.Read(), 2);
  });
}

}  // namespace
}  // namespace cohort::errgroup
