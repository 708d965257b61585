// The interleavings that break the Go originals, one test each. The names are
// those of docs/immunity.md, which tells what happened there.

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef __linux__
#include <pthread.h>
#endif

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithStackInUse;

TEST(Immunity, B01_NoTaskIsLostWhenManySubmitToAFullGroup) {
  constexpr int kThreads = 8;
  constexpr int kTasks = 500;
  Group group(Gomaxprocs(1));
  absl::Notification start;
  std::atomic<int> count{0};
  group.Go([&start] { start.WaitForNotification(); });
  {
    std::vector<std::unique_ptr<JoiningThread>> callers;
    for (int i = 0; i < kThreads; ++i) {
      callers.push_back(std::make_unique<JoiningThread>([&] {
        for (int j = 0; j < kTasks; ++j) group.Go([&count] { ++count; });
      }));
    }
  }
  start.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(count, kThreads * kTasks);
}

TEST(Immunity, B02_WorkOverTheLimitStartsWithoutWait) {
  Group group(Gomaxprocs(2));
  absl::BlockingCounter all(10);
  for (int i = 0; i < 10; ++i) group.Go([&all] { all.DecrementCount(); });
  all.Wait();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(Immunity, B03_SubmissionsDuringWaitRun) {
  Group group(Gomaxprocs(1));
  std::atomic<int> ran{0};
  absl::Notification waiting;
  group.Go([&] {
    waiting.WaitForNotification();
    for (int i = 0; i < 3; ++i) group.Go([&ran] { ++ran; });
  });
  JoiningThread waiter([&group, &ran] {
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 3);
  });
  waiting.Notify();
  waiter.Join();
}

TEST(Immunity, B04_WaitAndSubmitAgainAreDefined) {
  Group group(Gomaxprocs(1));
  std::atomic<int> ran{0};
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < 5; ++i) group.Go([&ran] { ++ran; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 5 * round);
  }
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(Immunity, B05_AnExceptionKillsNoWorker) {
  FixedPool pool(1);
  Group group(Options{.limit = 1, .queue = kUnlimited, .executor = &pool});
  std::atomic<int> ran{0};
  group.Go([] { throw std::runtime_error("A"); });
  group.Go([&ran] { ++ran; });
  group.Go([&ran] { ++ran; });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ran, 2);
}

#if defined(__linux__)
TEST(Immunity, B05_ATaskThatEndsItsThreadKillsNoWorker) {
  FixedPool pool(1);
  Group group(Options{.limit = 1, .queue = kUnlimited, .executor = &pool});
  std::atomic<int> ran{0};
  group.Go([] { pthread_exit(nullptr); });
  group.Go([&ran] { ++ran; });
  group.Go([&ran] { ++ran; });
  const absl::Status status = group.Wait(WaitPolicy::kPark);
  EXPECT_TRUE(absl::StrContains(status.message(), "task 0 ended its thread"))
      << status;
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(group.stats().failed, 1);
}

TEST(Immunity, B05_ATaskThatEndsItsThreadInAWaitLeavesNoSlotBehind) {
  FixedPool pool(1);
  Group group(Options{.limit = 1, .queue = kUnlimited, .executor = &pool});
  group.Go([&group] {
    group.Go([] { pthread_exit(nullptr); });
    group.Wait().IgnoreError();  // which runs it, and lends it the slot
  });
  EXPECT_FALSE(group.Wait(WaitPolicy::kPark).ok());
  EXPECT_EQ(group.stats().failed, 2);
  group.SetLimit(0);
  std::atomic<bool> ran{false};
  group.Go([&ran] { ran = true; });
  absl::Notification passed;  // by whatever the group has sent
  pool.Submit([&passed] { passed.Notify(); });
  passed.WaitForNotification();
  EXPECT_FALSE(ran);
}

TEST(Immunity, B05_AWaitThatParksAlwaysReturns) {
  for (int i = 0; i < 500; ++i) {
    Group group;
    group.Go([] { pthread_exit(nullptr); });
    group.Go([] {});
    const absl::Status status = group.Wait(WaitPolicy::kPark);
    ASSERT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  }
}

// One that helps may be what ends; the group is whole for the others.
TEST(Immunity, B05_AWaitThatHelpsEndsWithItsThreadAlone) {
  absl::Notification release;
  FixedPool pool(1);
  pool.Submit([&release] { release.WaitForNotification(); });
  Group group(Options{.limit = 1, .queue = kUnlimited, .executor = &pool});
  std::atomic<int> ran{0};
  group.Go([] { pthread_exit(nullptr); });
  group.Go([&ran] { ++ran; });
  std::atomic<bool> returned{false};
  JoiningThread helper([&] {
    group.Wait().IgnoreError();
    returned = true;
  });
  helper.Join();
  EXPECT_FALSE(returned);
  EXPECT_EQ(group.stats().failed, 1);
  release.Notify();
  const absl::Status status = group.Wait(WaitPolicy::kPark);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_EQ(ran, 1);
}

// Where the help is on another stack, only that goes.
TEST(Immunity, B05_AWaitGoesOnWhereAHelperEndsInItsPlace) {
  FixedPool pool(1);
  Group outer(Options{.executor = &pool});
  std::atomic<int> ran{0};
  absl::Status status;
  outer.Go([&] {
    WithStackInUse(256 << 10, [&] {
      Group inner(Options{.limit = 1, .queue = kUnlimited, .executor = &pool});
      for (int i = 0; i < 3; ++i) {
        inner.Go([] { pthread_exit(nullptr); });
        inner.Go([&ran] { ++ran; });
      }
      status = inner.Wait();
      EXPECT_EQ(inner.stats().failed, 3);
    });
  });
  EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_EQ(ran, 3);
}

// A task whose slot was lent by a wait that has ended with its thread has the
// slot back.
TEST(Immunity, B05_ATaskHasItsSlotBackWhenAWaitInItHasEnded) {
  FixedPool pool(1);
  Group group(Options{.limit = 1, .executor = &pool});
  group.Go([&] {
    WithStackInUse(256 << 10, [&] {
      Group other(Options{.executor = &pool});
      // On another stack: waits for the first group within its task, and helps.
      other.Go([&group] {
        group.Go([] { pthread_exit(nullptr); });
        group.Wait().IgnoreError();
      });
      EXPECT_FALSE(other.Wait().ok());
      EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
    });
  });
  EXPECT_FALSE(group.Wait(WaitPolicy::kPark).ok());
  EXPECT_EQ(group.stats().failed, 1);
}
#endif

TEST(Immunity, B07_TheOriginalFailureIsReachable) {
  Group group(Options{.keep_all_errors = true});
  group.Go([] {});
  group.Go([] { throw 42; });
  EXPECT_TRUE(absl::StrContains(group.Wait().message(), "int"));
  EXPECT_EQ(group.errors().at(0).index, 1);
  int thrown = 0;
  try {
    std::rethrow_exception(group.exception());
  } catch (int value) {
    thrown = value;
  }
  EXPECT_EQ(thrown, 42);
}

TEST(Immunity, B20_AFailureIsSeenAlthoughWaitIsNotReached) {
  Group group{Context()};
  group.Go([] { throw std::runtime_error("A"); });
  // What only A provides never comes; the context does.
  group.context().AwaitDone();
  EXPECT_TRUE(absl::StrContains(group.context().cause().message(), "A"));
}

TEST(Immunity, B34_AnExceptionFreesItsSlot) {
  Group group(Options{.limit = 1});
  group.Go([] { throw std::runtime_error("A"); });
  bool ran = false;
  EXPECT_EQ(group.Go([&ran] { ran = true; }), Admission::kAccepted);
  group.Wait().IgnoreError();
  EXPECT_TRUE(ran);
}

TEST(Immunity, B63_ACaughtExceptionIsNotRaisedAgain) {
  Group group;
  group.Go([] { throw std::runtime_error("A"); });
  EXPECT_FALSE(group.Wait().ok());
  EXPECT_NE(group.exception(), nullptr);
  group.Go([] {});
  // The first error stays, by law; nothing is thrown, and nothing is carried
  // over as new.
  EXPECT_FALSE(group.Wait().ok());
  EXPECT_EQ(group.exception(), nullptr);
  EXPECT_EQ(group.stats().succeeded, 1);
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(Immunity, B06_NothingOutlivesAGroupThatNobodyWaitedFor) {
  ElasticPool pool;
  std::atomic<int> alive{0};
  for (int i = 0; i < 50; ++i) {
    Group group(Context(), {.limit = 3, .executor = &pool});
    for (int j = 0; j < 3; ++j) {
      group.Go([&alive](const Context& context) {
        ++alive;
        context.AwaitDone();
        --alive;
      });
    }
  }
  EXPECT_EQ(alive, 0);
  Await([&pool] { return pool.stats().idle == pool.stats().threads; });
}

TEST(Immunity, B08_AQueuedTaskIsNotDroppedWhenTheRunningOneFails) {
  Group group(WithContextN(1, 1));
  absl::Notification queued;
  group.Go([&queued] {
    queued.WaitForNotification();
    return Fail("A");
  });
  bool ran = false;
  group.Go([&ran] { ran = true; });
  queued.Notify();
  EXPECT_EQ(group.Wait(), Fail("A"));
  EXPECT_TRUE(ran);
}

TEST(Immunity, B08_WithAContextItIsReportedAsSkipped) {
  Group group(Context(), WithContextN(1, 1));
  absl::Notification queued;
  group.Go([&queued] {
    queued.WaitForNotification();
    return Fail("A");
  });
  group.Go([] { ADD_FAILURE() << "must not run"; });
  queued.Notify();
  EXPECT_EQ(group.Wait(), Fail("A"));
  EXPECT_EQ(group.stats().skipped, 1);
}

TEST(Immunity, B09_AParkedSubmitterAndAFailureDoNotDeadlock) {
  for (bool with_context : {false, true}) {
    Options options = WithContextN(1, 1);
    Group plain(options);
    Group cancelling(Context(), options);
    Group& group = with_context ? cancelling : plain;
    absl::Notification parked;
    group.Go([&parked] {
      parked.WaitForNotification();
      return Fail("A");
    });
    group.Go([] {});
    JoiningThread producer([&group] { group.Go([] {}); });
    Await([&group] { return group.stats().parked == 1; });
    parked.Notify();
    EXPECT_EQ(group.Wait(), Fail("A"));
    producer.Join();
    EXPECT_EQ(group.stats().accepted + group.stats().refused, 3);
  }
}

TEST(Immunity, B10_ATaskMaySubmitWhileWaitWaits) {
  Group group;
  absl::Notification waiting;
  std::atomic<bool> ran{false};
  group.Go([&] {
    waiting.WaitForNotification();
    EXPECT_EQ(group.Go([&ran] { ran = true; }), Admission::kAccepted);
  });
  JoiningThread waiter([&group, &ran] {
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran);
  });
  waiting.Notify();
}

TEST(Immunity, B11_EverySlotIsUsedWhateverTheQueue) {
  for (int queue : {0, 1, kUnlimited}) {
    Group group(Options{.limit = 16, .queue = queue});
    std::atomic<int> here{0};
    absl::Notification all_here;
    for (int i = 0; i < 16; ++i) {
      group.Go([&] {
        if (++here == 16) all_here.Notify();
        BlockingScope blocking;
        all_here.WaitForNotification();
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  }
}

TEST(ImmunityDeathTest, B13_B14_NullTasksAndNonsenseSizesDieAtTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Group().Go(std::function<void()>()), "Go: null task");
  EXPECT_DEATH(Group(Options{.limit = -1}), "limit is -1");
  EXPECT_DEATH(Group().SetLimit(-1), "limit is -1");
}

TEST(Immunity, B15_B67_WaitNeverReturnsBeforeABlockedSubmission) {
  for (int round = 0; round < 300; ++round) {
    Group group(Options{.limit = 1});
    absl::Notification parked;
    std::atomic<bool> ran{false};
    group.Go([&parked] { parked.WaitForNotification(); });
    JoiningThread producer([&] { group.Go([&ran] { ran = true; }); });
    Await([&group] { return group.stats().parked == 1; });
    JoiningThread releaser([&parked] { parked.Notify(); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    ASSERT_TRUE(ran);
  }
}

TEST(Immunity, B17_NestedSubmissionUnderAFullLimit) {
  Group group(Options{.limit = 1});
  bool ran = false;
  group.Go([&] {
    EXPECT_EQ(group.Go([&ran] { ran = true; }), Admission::kAccepted);
  });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(ran);
}

TEST(Immunity, B18_ABlockedProducerIsReleasedByCancellation) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context(), {.limit = 2});
  for (int i = 0; i < 2; ++i) {
    group.Go([](const Context& context) { context.AwaitDone(); });
  }
  JoiningThread producer([&group] {
    EXPECT_EQ(group.Go([] { return Fail("would cancel"); }),
              Admission::kCancelled);
  });
  Await([&group] { return group.stats().parked == 1; });
  scope.Cancel(Fail("outer"));
  producer.Join();
  EXPECT_EQ(group.Wait(), Fail("outer"));
}

TEST(Immunity, B19_B35_NothingStartsAfterTheGroupWasCancelled) {
  Group group(Context(), {.limit = 1, .queue = 50});
  absl::Notification full;
  group.Go([&full] {
    full.WaitForNotification();
    return Fail("A");
  });
  for (int i = 0; i < 50; ++i) {
    group.Go([] { ADD_FAILURE() << "must not run"; });
  }
  JoiningThread parked([&group] {
    EXPECT_EQ(group.Go([] { ADD_FAILURE() << "must not run"; }),
              Admission::kCancelled);
  });
  Await([&group] { return group.stats().parked == 1; });
  full.Notify();
  EXPECT_EQ(group.Wait(), Fail("A"));
  EXPECT_EQ(group.stats().skipped, 50);
}

TEST(Immunity, B21_TheCauseIsNotMaskedByItsConsequence) {
  for (int round = 0; round < 300; ++round) {
    Group group{Context()};
    for (int i = 0; i < 3; ++i) {
      group.Go([](const Context& context) {
        context.AwaitDone();
        return absl::CancelledError("echo");
      });
    }
    group.Go([] { return Fail("cause"); });
    ASSERT_EQ(group.Wait(), Fail("cause"));
  }
}

TEST(Immunity, B26_B18_CancelRacesWithParking) {
  // The wake-up must not fall between a submitter's look and its sleep.
  for (int round = 0; round < 500; ++round) {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 1});
    group.Go([](const Context& context) { context.AwaitDone(); });
    JoiningThread producer([&group] { group.Go([] {}); });
    scope.Cancel();
  }
}

TEST(Immunity, B33_ASlotIsFreedWhenCancellationComesAfterItWasTaken) {
  for (int round = 0; round < 300; ++round) {
    Group group(Context(), {.limit = 1});
    JoiningThread first([&group] { group.Go([] {}); });
    JoiningThread second([&group] { group.Go([] {}); });
    JoiningThread canceller([&group] { group.Cancel(Fail("stop")); });
    first.Join();
    second.Join();
    canceller.Join();
    group.Wait().IgnoreError();
    EXPECT_EQ(group.stats().running, 0);
  }
}

TEST(Immunity, B36_AParkedSubmitSeesTheCancellationAndDoesNotRun) {
  absl::Notification release;
  Group group(Context(), {.limit = 1});
  group.Go([&release] { release.WaitForNotification(); });
  JoiningThread producer([&group] {
    EXPECT_EQ(group.Go([] { ADD_FAILURE() << "must not run"; }),
              Admission::kCancelled);
  });
  Await([&group] { return group.stats().parked == 1; });
  group.Cancel(Fail("stop"));
  producer.Join();
  release.Notify();
  EXPECT_EQ(group.Wait(), Fail("stop"));
}

TEST(Immunity, B37_B40_ErrorsAreCopiesThatNeverChange) {
  Group group(Options{.keep_all_errors = true});
  group.Go([] { return Fail("A"); });
  const absl::Status status = group.Wait();
  const std::vector<TaskError> errors = group.errors();
  std::atomic<bool> stop{false};
  JoiningThread reader([&group, &stop] {
    while (!stop) group.errors();
  });
  for (int i = 0; i < 100; ++i) group.Go([] { return Fail("B"); });
  EXPECT_EQ(group.Wait(), status);
  stop = true;
  EXPECT_EQ(errors.size(), 1);
  EXPECT_EQ(group.errors().size(), 101);
}

TEST(Immunity, B38_TheOutcomeDoesNotDependOnLaterSubmissions) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context());
  absl::Notification started;
  group.Go([&started](const Context& context) {
    started.Notify();
    context.AwaitDone();
  });
  started.WaitForNotification();
  scope.Cancel(Fail("outer"));
  // Every accepted task succeeded, and none was refused.
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(Immunity, B39_ARefusedTaskFreesNothingThatItDidNotTake) {
  Group group(Context(), {.limit = 1});
  absl::Notification release;
  group.Go([&release] { release.WaitForNotification(); });
  Await([&group] { return group.stats().running == 1; });
  group.Cancel();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(group.Go([] {}), Admission::kCancelled);
  }
  EXPECT_EQ(group.stats().running, 1);
  release.Notify();
  group.Wait().IgnoreError();
}

TEST(Immunity, B42_CountersAreExactInEveryMode) {
  for (int limit : {2, kUnlimited}) {
    absl::Notification release;
    Group group(Options{.limit = limit, .queue = 1});
    for (int i = 0; i < 2; ++i) {
      group.Go([&release] { release.WaitForNotification(); });
    }
    Await([&group] { return group.stats().running == 2; });
    EXPECT_EQ(group.stats().accepted, 2);
    release.Notify();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().running, 0);
    EXPECT_EQ(group.stats().succeeded, 2);
  }
}

TEST(Immunity, B69_ADeadContextIsNotHandedOut) {
  Group group{Context()};
  group.Go([] {});
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.Go([] { ADD_FAILURE() << "must not run"; }),
            Admission::kCancelled);
  EXPECT_EQ(group.Wait().code(), absl::StatusCode::kCancelled);
}

TEST(Immunity, B72_NoSlotIsHeldWhenWaitReturns) {
  for (int round = 0; round < 1000; ++round) {
    Group group(Options{.limit = 1});
    group.Go([] {});
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    ASSERT_EQ(group.TryGo([] {}), Admission::kAccepted);
  }
}

}  // namespace
}  // namespace cohort::errgroup
