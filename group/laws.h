// The laws that every group obeys, as test suites over types of groups. Each
// body runs on real threads in a test, and on many schedules in a simulated
// one.
//
// A package describes each of its groups by an adapter, a class G with
//
//   explicit G(const laws::Setup&);
//   Admission Go(F task);                 // blocks, queues or refuses
//   absl::Status Wait(WaitPolicy);        // OK where the group keeps no errors
//   Stats stats();
//   const Context& context();             // below Setup::parent, if there is
//   bool Cancel(absl::Status cause);      // one
//   static constexpr laws::WhenFull kWhenFull;
//   static constexpr bool kEndsWithWait;  // takes no task after a Wait
//   static constexpr bool kEndsWithError; // nor after an error
//   static constexpr bool kSaysAdmission; // false: Go guesses
//
// and instantiates the suites that are for it:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Group, AccountedLaw, MyGroups);
//
// AccountedLaw, StructuredLaw, NestingLaw and MisuseLaw are for all groups;
// CancellationLaw for those that have a context; FirstErrorLaw for those whose
// Wait returns the first error; OrderAtEndLaw for those that the first error
// cancels.

#ifndef COHORT_GROUP_LAWS_H_
#define COHORT_GROUP_LAWS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_gate.h"
#include "cohort/group/types.h"
#include "cohort/sim/on_schedules.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::laws {

using testing::AtEnd;
using testing::Await;
using testing::Fail;
using testing::Gate;
using testing::JoiningThread;
using testing::MustNotRun;
using testing::OnSchedules;
using testing::PassAnnounced;

// What a group of a law is made of.
struct Setup {
  int limit = kUnlimited;
  Context parent = {};
  Executor* executor = nullptr;
};

// What Go does while the group is full.
enum class WhenFull { kBlock, kQueue, kRefuse };

// Runs `body` on schedules, with a pool that has a thread for each task, and
// with one that has two threads.
inline void OnExecutors(absl::FunctionRef<void(Executor*)> body) {
  OnSchedules([&] {
    ThreadPerTask pool;
    body(&pool);
  });
  OnSchedules([&] {
    FixedPool pool(2);
    body(&pool);
  });
}

template <class G>
void ExpectAccounted(G& group) {
  const Stats stats = group.stats();
  EXPECT_EQ(stats.queued, 0);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.parked, 0);
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.skipped);
}

// Blocks until the second submission of a group has come as far as it can,
// where there are real threads; schedules that are searched have all cases
// among them.
template <class G>
void AwaitTheSecond(G& group) {
  if constexpr (!testing::kSearchesSchedules) {
    Await([&group] {
      const Stats stats = group.stats();
      return stats.accepted + stats.parked + stats.refused == 2;
    });
  }
}

// Accounted: what becomes of a task is said, and adds up.

template <class G>
class AccountedLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(AccountedLaw);

TYPED_TEST_P(AccountedLaw, EveryAcceptedTaskIsRunOrSkipped) {
  OnExecutors([](Executor* executor) {
    constexpr int kTasks = 3;
    CancelScope scope = WithCancel(Context());
    TypeParam group(
        {.limit = 2, .parent = scope.context(), .executor = executor});
    sync::Atomic<int> ran = 0;
    sync::Atomic<int> accepted = 0;
    {
      const auto produce = [&] {
        for (int i = 0; i < kTasks; ++i) {
          if (group.Go([&ran] { ++ran; }) == Admission::kAccepted) ++accepted;
        }
      };
      JoiningThread one(produce);
      JoiningThread two(produce);
      scope.Cancel(Fail("enough"));
    }
    const absl::Status status = group.Wait(WaitPolicy::kHelp);
    const Stats stats = group.stats();
    if constexpr (TypeParam::kSaysAdmission) {
      EXPECT_EQ(stats.accepted, accepted);
    }
    EXPECT_EQ(stats.succeeded, ran);
    EXPECT_EQ(stats.accepted + stats.refused, 2 * kTasks);
    EXPECT_TRUE(status.ok() || absl::StrContains(status.message(), "enough"))
        << status;
    ExpectAccounted(group);
  });
}

TYPED_TEST_P(AccountedLaw, StatsAddUpAtEveryMoment) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    JoiningThread producer([&group] {
      for (int i = 0; i < 3; ++i) group.Go([] {});
    });
    for (int i = 0; i < 3; ++i) {
      const Stats stats = group.stats();
      EXPECT_EQ(stats.accepted, stats.queued + stats.running + stats.succeeded +
                                    stats.failed + stats.skipped);
    }
    producer.Join();
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    ExpectAccounted(group);
  });
}

// B-15: one that blocks counts as outstanding.
TYPED_TEST_P(AccountedLaw, WaitNeverReturnsBeforeABlockedSubmission) {
  if constexpr (TypeParam::kWhenFull == WhenFull::kBlock) {
    OnExecutors([](Executor* executor) {
      TypeParam group({.limit = 1, .executor = executor});
      Gate release;
      sync::Atomic<bool> ran = false;
      group.Go([&release] { PassAnnounced(release); });
      JoiningThread producer([&] {
        const Admission admission = group.Go([&ran] { ran = true; });
        // Where Wait came first, and ended the group.
        if (admission != Admission::kAccepted) ran = true;
      });
      AwaitTheSecond(group);
      const bool parked = group.stats().parked == 1;
      JoiningThread releaser([&release] { release.Open(); });
      EXPECT_EQ(group.Wait(WaitPolicy::kHelp), absl::OkStatus());
      if (parked) {
        EXPECT_TRUE(ran);
      }
      releaser.Join();
      producer.Join();
      group.Wait(WaitPolicy::kHelp).IgnoreError();
      ExpectAccounted(group);
    });
  }
}

TYPED_TEST_P(AccountedLaw, ALimitIsNeverExceeded) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 2, .executor = executor});
    sync::Atomic<int> at_once = 0;
    for (int i = 0; i < 4; ++i) {
      group.Go([&at_once] {
        EXPECT_LE(++at_once, 2);
        sync::SchedulePoint("in the task");
        --at_once;
      });
    }
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), absl::OkStatus());
  });
}

REGISTER_TYPED_TEST_SUITE_P(AccountedLaw, EveryAcceptedTaskIsRunOrSkipped,
                            StatsAddUpAtEveryMoment,
                            WaitNeverReturnsBeforeABlockedSubmission,
                            ALimitIsNeverExceeded);

// Structured: nothing outlives the group.

template <class G>
class StructuredLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(StructuredLaw);

// B-06.
TYPED_TEST_P(StructuredLaw, TheDestructorWaitsForWhatRuns) {
  OnExecutors([](Executor* executor) {
    Gate started;
    Gate release;
    sync::Atomic<bool> ended = false;
    std::optional<JoiningThread> opener;
    {
      TypeParam group({.executor = executor});
      group.Go([&] {
        started.Open();
        PassAnnounced(release);
        ended = true;
      });
      started.Pass();
      opener.emplace([&release] { release.Open(); });
    }
    EXPECT_TRUE(ended);
  });
}

TYPED_TEST_P(StructuredLaw, MayBeDestroyedAsSoonAsWaitReturns) {
  OnExecutors([](Executor* executor) {
    auto group =
        std::make_unique<TypeParam>(Setup{.limit = 1, .executor = executor});
    group->Go([] {});
    group->Go([] {});
    EXPECT_EQ(group->Wait(WaitPolicy::kPark), absl::OkStatus());
    group.reset();
  });
}

TYPED_TEST_P(StructuredLaw, CapturesAreGoneWhenWaitReturns) {
  OnExecutors([](Executor* executor) {
    sync::Atomic<int> alive = 0;
    TypeParam group({.limit = 1, .executor = executor});
    for (int i = 0; i < 3; ++i) {
      ++alive;
      group.Go([at_end = AtEnd([&alive] { --alive; })] {});
    }
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    EXPECT_EQ(alive, 0);
  });
}

// Any lock that were held here would be taken again.
TYPED_TEST_P(StructuredLaw, TasksAndTheirCapturesMayUseTheGroup) {
  OnExecutors([](Executor* executor) {
    sync::Atomic<int> destroyed = 0;
    TypeParam group({.limit = 1, .executor = executor});
    const auto use = [&] {
      EXPECT_GE(group.stats().accepted, 0);
      ++destroyed;
    };
    for (int i = 0; i < 2; ++i) {
      group.Go([&use, at_end = AtEnd(use)] { use(); });
    }
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    const Stats stats = group.stats();
    EXPECT_EQ(destroyed, stats.succeeded + 2);
  });
}

// What happened before a submission is visible to the task, and what the task
// did to whoever waited.
TYPED_TEST_P(StructuredLaw, WhatHappenedBeforeIsVisible) {
  OnExecutors([](Executor* executor) {
    sync::RaceChecked<int> value;
    TypeParam group({.executor = executor});
    value.Write() = 1;
    group.Go([&value] { value.Write() = value.Read() + 1; });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(value.Read(), 2);
  });
}

// B-05, B-34: by an exception, where there are any.
TYPED_TEST_P(StructuredLaw, AFailureFreesItsSlotAndKillsNoThread) {
#ifdef ABSL_HAVE_EXCEPTIONS
  const auto fail = [] { throw std::runtime_error("boom"); };
#else
  const auto fail = [] { return Fail("boom"); };
#endif
  OnExecutors([&fail](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    group.Go(fail);
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    const Stats stats = group.stats();
    EXPECT_EQ(stats.failed, 1);
    EXPECT_EQ(stats.running, 0);
    if constexpr (!TypeParam::kEndsWithWait && !TypeParam::kEndsWithError) {
      EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
      group.Wait(WaitPolicy::kHelp).IgnoreError();
      EXPECT_EQ(group.stats().succeeded, 1);
    }
  });
}

REGISTER_TYPED_TEST_SUITE_P(StructuredLaw, TheDestructorWaitsForWhatRuns,
                            MayBeDestroyedAsSoonAsWaitReturns,
                            CapturesAreGoneWhenWaitReturns,
                            TasksAndTheirCapturesMayUseTheGroup,
                            WhatHappenedBeforeIsVisible,
                            AFailureFreesItsSlotAndKillsNoThread);

// Order at a task's end: record, cancel, free the slot, count out.

template <class G>
class OrderAtEndLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(OrderAtEndLaw);

TYPED_TEST_P(OrderAtEndLaw, TheSlotIsHeldWhileSiblingsAreCancelled) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    int64_t running = 0;
    const DoneCallback callback =
        group.context().OnDone([&] { running = group.stats().running; });
    group.Go([] { return Fail("cause"); });
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    EXPECT_EQ(group.context().cause(), Fail("cause"));
    EXPECT_EQ(running, 1);
  });
}

// B-19, B-35: neither on the freed slot, nor out of the queue, nor as one that
// was blocked.
TYPED_TEST_P(OrderAtEndLaw, NothingStartsOnTheSlotOfATaskThatFailed) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    Gate submitted;
    group.Go([&submitted] {
      PassAnnounced(submitted);
      return Fail("cause");
    });
    JoiningThread producer([&group] { group.Go(MustNotRun); });
    AwaitTheSecond(group);
    submitted.Open();
    producer.Join();
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    const Stats stats = group.stats();
    EXPECT_EQ(stats.failed, 1);
    EXPECT_EQ(stats.skipped + stats.refused, 1);
    ExpectAccounted(group);
  });
}

// B-72.
TYPED_TEST_P(OrderAtEndLaw, NoSlotIsHeldWhenWaitReturns) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    group.Go([] {});
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(group.stats().running, 0);
  });
}

REGISTER_TYPED_TEST_SUITE_P(OrderAtEndLaw,
                            TheSlotIsHeldWhileSiblingsAreCancelled,
                            NothingStartsOnTheSlotOfATaskThatFailed,
                            NoSlotIsHeldWhenWaitReturns);

// First error: the first to complete, and it stays.

template <class G>
class FirstErrorLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(FirstErrorLaw);

TYPED_TEST_P(FirstErrorLaw, IsTheFirstToComplete) {
  OnSchedules([] {
    ThreadPerTask executor;
    TypeParam group({.executor = &executor});
    Gate failed;
    group.Go([&failed] {
      PassAnnounced(failed);
      return Fail("completed second");
    });
    group.Go([] { return Fail("completed first"); });
    Await([&group] { return group.stats().failed == 1; });
    failed.Open();
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), Fail("completed first"));
  });
}

// B-21.
TYPED_TEST_P(FirstErrorLaw, AnEchoOfTheCancellationNeverMasksItsCause) {
  OnExecutors([](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    TypeParam group({.parent = scope.context(), .executor = executor});
    Gate started(2);
    for (int i = 0; i < 2; ++i) {
      group.Go([i, &started](const Context& context) {
        started.Open();
        context.AwaitDone();
        return i == 0 ? context.status() : context.cause();
      });
    }
    started.Pass();
    scope.Cancel(Fail("the cause"));
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), Fail("the cause"));
  });
}

TYPED_TEST_P(FirstErrorLaw, AnErrorAfterTheCancellationIsAnError) {
  OnExecutors([](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    TypeParam group({.parent = scope.context(), .executor = executor});
    Gate started;
    group.Go([&started](const Context& context) {
      started.Open();
      context.AwaitDone();
      return absl::DataLossError("while cleaning up");
    });
    started.Pass();
    scope.Cancel(Fail("the cause"));
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp),
              absl::DataLossError("while cleaning up"));
  });
}

// B-38: by no later Wait, and by no cancellation.
TYPED_TEST_P(FirstErrorLaw, IsNeverForgotten) {
  OnExecutors([](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    TypeParam group({.parent = scope.context(), .executor = executor});
    group.Go([] { return Fail("once"); });
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), Fail("once"));
    scope.Cancel(Fail("later"));
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), Fail("once"));
  });
}

REGISTER_TYPED_TEST_SUITE_P(FirstErrorLaw, IsTheFirstToComplete,
                            AnEchoOfTheCancellationNeverMasksItsCause,
                            AnErrorAfterTheCancellationIsAnError,
                            IsNeverForgotten);

// Cancellation: all that waits wakes, and nothing starts after it.

template <class G>
class CancellationLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(CancellationLaw);

TYPED_TEST_P(CancellationLaw, AContextDoneOnEntryStartsNothing) {
  OnExecutors([](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    scope.Cancel(Fail("before"));
    TypeParam group({.parent = scope.context(), .executor = executor});
    EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    EXPECT_EQ(group.stats().refused, 1);
  });
}

// B-18, B-36: also where the only slot stays taken.
TYPED_TEST_P(CancellationLaw, ABlockedSubmissionWakes) {
  if constexpr (TypeParam::kWhenFull == WhenFull::kBlock) {
    OnExecutors([](Executor* executor) {
      CancelScope scope = WithCancel(Context());
      TypeParam group(
          {.limit = 1, .parent = scope.context(), .executor = executor});
      Gate release;
      group.Go([&release] { PassAnnounced(release); });
      JoiningThread producer(
          [&group] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
      AwaitTheSecond(group);
      scope.Cancel(Fail("outside"));
      producer.Join();
      release.Open();
      group.Wait(WaitPolicy::kHelp).IgnoreError();
      ExpectAccounted(group);
    });
  }
}

TYPED_TEST_P(CancellationLaw, ADeadlineSkipsWhatIsToCome) {
  OnExecutors([](Executor* executor) {
    const CancelScope scope =
        WithTimeout(Context(), absl::Milliseconds(2), Fail("late"));
    TypeParam group(
        {.limit = 1, .parent = scope.context(), .executor = executor});
    group.Go([](const Context& context) { context.AwaitDone(); });
    group.Go([](const Context& context) { EXPECT_TRUE(context.done()); });
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    EXPECT_TRUE(scope.context().done() || group.stats().refused == 1);
    ExpectAccounted(group);
  });
}

// A cancel that has returned is final.
TYPED_TEST_P(CancellationLaw, NothingStartsAfterACancelHasReturned) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    Gate started;
    Gate release;
    sync::Atomic<bool> cancelled = false;
    group.Go([&] {
      started.Open();
      PassAnnounced(release);
    });
    started.Pass();
    JoiningThread producer(
        [&] { group.Go([&cancelled] { EXPECT_FALSE(cancelled); }); });
    AwaitTheSecond(group);
    group.Cancel(Fail("stop"));
    cancelled = true;
    release.Open();
    producer.Join();
    group.Wait(WaitPolicy::kHelp).IgnoreError();
    ExpectAccounted(group);
  });
}

TYPED_TEST_P(CancellationLaw, CancelIsTrueForTheOneCallThatDidIt) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.executor = executor});
    sync::Atomic<int> cancelled = 0;
    {
      const auto cancel = [&] {
        if (group.Cancel(Fail("stop"))) ++cancelled;
      };
      JoiningThread one(cancel);
      JoiningThread two(cancel);
    }
    EXPECT_EQ(cancelled, 1);
    EXPECT_FALSE(group.Cancel(Fail("again")));
    EXPECT_EQ(group.context().cause(), Fail("stop"));
  });
}

TYPED_TEST_P(CancellationLaw, ARecordedSuccessBeatsALaterCancel) {
  OnExecutors([](Executor* executor) {
    CancelScope scope = WithCancel(Context());
    TypeParam group({.parent = scope.context(), .executor = executor});
    group.Go([] {});
    Await([&group] { return group.stats().succeeded == 1; });
    scope.Cancel();
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), absl::OkStatus());
  });
}

REGISTER_TYPED_TEST_SUITE_P(CancellationLaw, AContextDoneOnEntryStartsNothing,
                            ABlockedSubmissionWakes, ADeadlineSkipsWhatIsToCome,
                            NothingStartsAfterACancelHasReturned,
                            CancelIsTrueForTheOneCallThatDidIt,
                            ARecordedSuccessBeatsALaterCancel);

// Safe nesting: tasks may submit to their group, and wait for it.

template <class G>
class NestingLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(NestingLaw);

// B-17.
TYPED_TEST_P(NestingLaw, SubmittingToTheOwnFullGroupNeverBlocks) {
  if constexpr (TypeParam::kWhenFull != WhenFull::kRefuse) {
    OnExecutors([](Executor* executor) {
      TypeParam group({.limit = 1, .executor = executor});
      sync::Atomic<int> ran = 0;
      std::function<void(int)> fork = [&](int depth) {
        ++ran;
        if (depth == 0) return;
        for (int i = 0; i < 2; ++i) {
          EXPECT_EQ(group.Go([&fork, depth] { fork(depth - 1); }),
                    Admission::kAccepted);
        }
      };
      group.Go([&fork] { fork(2); });
      EXPECT_EQ(group.Wait(WaitPolicy::kHelp), absl::OkStatus());
      EXPECT_EQ(ran, 7);
    });
  }
}

// Were the task run inside the call, it would lock what is locked.
TYPED_TEST_P(NestingLaw, TheNewTaskIsNotRunInsideTheCall) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.limit = 1, .executor = executor});
    sync::Mutex mutex;
    group.Go([&] {
      sync::MutexLock lock(&mutex);
      group.Go([&mutex] { sync::MutexLock again(&mutex); });
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), absl::OkStatus());
  });
}

// B-03, B-10.
TYPED_TEST_P(NestingLaw, TasksMaySubmitWhileWaitWaits) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.executor = executor});
    sync::Atomic<int> ran = 0;
    group.Go([&] {
      group.Go([&] {
        group.Go([&ran] { ++ran; });
        ++ran;
      });
      ++ran;
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 3);
  });
}

TYPED_TEST_P(NestingLaw, WaitInsideATaskOfTheSameGroup) {
  OnExecutors([](Executor* executor) {
    TypeParam group({.executor = executor});
    sync::Atomic<int> others = 0;
    Gate submitted;
    for (int i = 0; i < 2; ++i) {
      group.Go([&] {
        PassAnnounced(submitted);
        group.Wait(WaitPolicy::kHelp).IgnoreError();
        EXPECT_EQ(others, 2);
      });
    }
    for (int i = 0; i < 2; ++i) group.Go([&others] { ++others; });
    submitted.Open();
    EXPECT_EQ(group.Wait(WaitPolicy::kHelp), absl::OkStatus());
    ExpectAccounted(group);
  });
}

TYPED_TEST_P(NestingLaw, WaitInsideATaskOfAnotherGroup) {
  OnSchedules([] {
    FixedPool pool(1);
    TypeParam outer({.executor = &pool});
    sync::Atomic<int> ran = 0;
    outer.Go([&] {
      TypeParam inner({.executor = &pool});
      for (int i = 0; i < 2; ++i) inner.Go([&ran] { ++ran; });
      EXPECT_EQ(inner.Wait(WaitPolicy::kHelp), absl::OkStatus());
      EXPECT_EQ(ran, 2);
    });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

REGISTER_TYPED_TEST_SUITE_P(NestingLaw, SubmittingToTheOwnFullGroupNeverBlocks,
                            TheNewTaskIsNotRunInsideTheCall,
                            TasksMaySubmitWhileWaitWaits,
                            WaitInsideATaskOfTheSameGroup,
                            WaitInsideATaskOfAnotherGroup);

#ifndef COHORT_SYNC_SIMULATED

// Misuse dies at the call. On real threads alone: these processes end.

template <class G>
class MisuseLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(MisuseLaw);

// B-13.
TYPED_TEST_P(MisuseLaw, ANullTaskDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        TypeParam group(Setup{});
        group.Go(std::function<void()>());
      },
      "null task");
}

TYPED_TEST_P(MisuseLaw, DestructionByOneOfItsTasksDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto group = std::make_unique<TypeParam>(Setup{});
        Gate never;
        group->Go([&group] { group.reset(); });
        never.Pass();
      },
      "destroyed by one of its own tasks");
}

REGISTER_TYPED_TEST_SUITE_P(MisuseLaw, ANullTaskDies,
                            DestructionByOneOfItsTasksDies);

#endif  // COHORT_SYNC_SIMULATED

}  // namespace cohort::laws

#endif  // COHORT_GROUP_LAWS_H_
