// What SizedGroup and ErrSizedGroup do, and that they do not do what breaks the
// original. The names of the latter are those of docs/immunity.md.

#include "cohort/sizedgroup/sized_group.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef __linux__
#include <pthread.h>
#endif

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;

static_assert(!std::is_copy_constructible_v<SizedGroup>);
static_assert(!std::is_move_constructible_v<ErrSizedGroup>);

TEST(SizedGroupTest, RunsEveryTask) {
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    SizedGroup group(10, {.when_full = when_full});
    std::atomic<int> count = 0;
    for (int i = 0; i < 1000; ++i) {
      EXPECT_EQ(group.Go([&] { ++count; }), Admission::kAccepted);
    }
    group.Wait();
    EXPECT_EQ(count, 1000);
    EXPECT_EQ(group.stats().succeeded, 1000);
  }
}

TEST(SizedGroupTest, TheSizeIsNeverExceededAndIsReached) {
  constexpr int kSize = 3;
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    SizedGroup group(kSize, {.when_full = when_full});
    std::atomic<int> running = 0;
    std::atomic<bool> too_many = false;
    absl::Notification full;
    for (int i = 0; i < 50; ++i) {
      group.Go([&] {
        const int now = ++running;
        if (now > kSize) too_many = true;
        if (now == kSize && !full.HasBeenNotified()) full.Notify();
        full.WaitForNotification();  // a smaller bound would hang here
        --running;
      });
    }
    group.Wait();
    EXPECT_FALSE(too_many);
  }
}

TEST(SizedGroupTest, B14_ASizeBelowOneMeansOne) {
  for (const int size : {1, 0, -1, -1000}) {
    SizedGroup group(size);
    std::vector<int> order;  // needs no lock: one at a time
    for (int i = 0; i < 100; ++i) {
      group.Go([&order, i] { order.push_back(i); });
    }
    group.Wait();
    ASSERT_EQ(order.size(), 100u);
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(order[i], static_cast<int>(i));
    absl::Notification release;
    SizedGroup refusing(size, {.when_full = WhenFull::kRefuse});
    EXPECT_EQ(refusing.Go([&] { release.WaitForNotification(); }),
              Admission::kAccepted);
    EXPECT_EQ(refusing.Go(MustNotRun), Admission::kFull);
    release.Notify();
  }
}

TEST(SizedGroupTest, GoDoesNotBlockByDefault) {
  absl::Notification release;
  SizedGroup group(1);
  std::atomic<int> ran = 0;
  group.Go([&] { release.WaitForNotification(); });
  Await([&] { return group.stats().running == 1; });
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(group.Go([&] { ++ran; }), Admission::kAccepted);
  }
  EXPECT_EQ(group.stats().queued, 100);
  EXPECT_EQ(ran, 0);
  release.Notify();
  group.Wait();
  EXPECT_EQ(ran, 100);
}

TEST(SizedGroupTest, GoBlocksWithPreemptive) {
  absl::Notification release;
  SizedGroup group(1, {.when_full = WhenFull::kBlock});
  group.Go([&] { release.WaitForNotification(); });
  std::atomic<bool> ran = false;
  {
    JoiningThread producer([&] {
      EXPECT_EQ(group.Go([&] { ran = true; }), Admission::kAccepted);
      EXPECT_TRUE(release.HasBeenNotified());
    });
    Await([&] { return group.stats().parked == 1; });
    release.Notify();
  }
  group.Wait();
  EXPECT_TRUE(ran);
}

TEST(SizedGroupTest, GoOrHelpRunsTheOldestInsideAFullGroup) {
  SizedGroup group(1, {.when_full = WhenFull::kBlock});
  std::vector<int> order;
  group.Go([&] {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(group.GoOrHelp([&order, i] { order.push_back(i); }),
                Admission::kAccepted);
      EXPECT_EQ(order.size(), static_cast<size_t>(i + 1));
    }
  });
  group.Wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(SizedGroupTest, GoOrHelpDiscardsAndQueuesAsGoDoes) {
  absl::Notification release;
  SizedGroup refusing(1, {.when_full = WhenFull::kRefuse});
  SizedGroup queueing(1);
  for (SizedGroup* group : {&refusing, &queueing}) {
    group->Go([&release] { release.WaitForNotification(); });
  }
  EXPECT_EQ(refusing.GoOrHelp([] {}), Admission::kFull);
  EXPECT_EQ(queueing.GoOrHelp([] {}), Admission::kAccepted);
  release.Notify();
  refusing.Wait();
  queueing.Wait();
  EXPECT_EQ(queueing.stats().succeeded, 2);
}

// Each is an error, though the first of them cancels the group.
TEST(ErrSizedGroupTest, EqualErrorsAreAllListed) {
  ErrSizedGroup group(4, {.term_on_error = true});
  std::atomic<int> met = 0;
  for (int i = 0; i < 4; ++i) {
    group.Go([&met] {
      ++met;
      Await([&met] { return met == 4; });
      return absl::InternalError("same");
    });
  }
  EXPECT_EQ(group.Wait(WaitPolicy::kPark).message(),
            "4 error(s) occurred: [0] {same}, [1] {same}, [2] {same}, "
            "[3] {same}");
  EXPECT_EQ(group.errors().size(), 4u);
}

TEST(SizedGroupTest, RefusingSaysWhatItRefuses) {
  SizedGroup group(2, {.when_full = WhenFull::kRefuse});
  absl::Notification hold;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(group.Go([&] { hold.WaitForNotification(); }),
              Admission::kAccepted);
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(group.Go(MustNotRun), Admission::kFull);
  }
  hold.Notify();
  group.Wait();
  EXPECT_EQ(group.stats().refused, 10);
  EXPECT_EQ(group.stats().succeeded, 2);
  // There is room again.
  EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
  group.Wait();
}

TEST(SizedGroupTest, TasksAreGivenTheContext) {
  struct Key {
    using Type = int;
  };
  CancelScope scope = WithCancel(Context());
  SizedGroup group(2, {.context = WithValue<Key>(scope.context(), 7)});
  std::atomic<int> seen = 0;
  group.Go([&](const Context& context) {
    EXPECT_FALSE(context.done());
    seen = *context.value<Key>();
    scope.Cancel(Fail("outside"));
    EXPECT_EQ(context.cause(), Fail("outside"));
  });
  group.Wait();
  EXPECT_EQ(seen, 7);
  EXPECT_TRUE(group.context().done());
}

TEST(SizedGroupTest, IsUsedAgainAfterWait) {
  for (const WhenFull when_full :
       {WhenFull::kQueue, WhenFull::kBlock, WhenFull::kRefuse}) {
    SizedGroup group(4, {.when_full = when_full});
    std::atomic<int> count = 0;
    for (int round = 1; round <= 3; ++round) {
      for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(group.Go([&] { ++count; }), Admission::kAccepted);
      }
      group.Wait();
      group.Wait();
      EXPECT_EQ(count, 4 * round);
      EXPECT_FALSE(group.context().done());
    }
  }
}

TEST(SizedGroupTest, ErrorsThatNobodyWantsAreKeptAllTheSame) {
  SizedGroup group(1, {.term_on_error = false});
  group.Go([] {});
  group.Go([] { return Fail("a"); });
  group.Go([] { return Fail("b"); });
  group.Wait();
  const std::vector<TaskError> errors = group.errors();
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].index, 1);
  EXPECT_EQ(errors[0].status, Fail("a"));
  EXPECT_EQ(errors[1].status, Fail("b"));
}

TEST(SizedGroupTest, RunsOnTheExecutorItIsGiven) {
  FixedPool pool(1);
  SizedGroup group(5, {.executor = &pool});
  Executor* seen = nullptr;
  group.Go([&] { seen = Executor::Current(); });
  group.Wait(WaitPolicy::kPark);
  EXPECT_EQ(seen, &pool);
}

TEST(ErrSizedGroupTest, CollectsAllErrors) {
  ErrSizedGroup group(1);
  group.Go([] { return absl::NotFoundError("a"); });
  group.Go([] { return absl::OkStatus(); });
  group.Go([] { return absl::InternalError("b"); });
  EXPECT_EQ(group.Wait(),
            absl::NotFoundError("2 error(s) occurred: [0] {a}, [1] {b}"));
  const std::vector<TaskError> errors = group.errors();
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].index, 0);
  EXPECT_EQ(errors[0].status, absl::NotFoundError("a"));
  EXPECT_EQ(errors[1].index, 2);
  EXPECT_EQ(errors[1].status, absl::InternalError("b"));
}

TEST(ErrSizedGroupTest, OneErrorHasTheSameForm) {
  ErrSizedGroup group(4);
  group.Go([] { return Fail("only"); });
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {only}"));
}

TEST(ErrSizedGroupTest, NoErrorIsOk) {
  ErrSizedGroup group(4);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  group.Go([] {});
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(group.errors().empty());
}

TEST(ErrSizedGroupTest, ErrorsAreInTheOrderInWhichTasksEnd) {
  ErrSizedGroup group(2);
  absl::Notification second_failed;
  group.Go([&] {
    second_failed.WaitForNotification();
    return Fail("first");
  });
  group.Go([] { return Fail("second"); });
  Await([&] { return group.stats().failed == 1; });
  second_failed.Notify();
  EXPECT_EQ(group.Wait(),
            Fail("2 error(s) occurred: [0] {second}, [1] {first}"));
  EXPECT_EQ(group.errors().at(0).index, 1);
}

TEST(ErrSizedGroupTest, AnErrorCancelsNothingByDefault) {
  ErrSizedGroup group(1);
  bool ran = false;
  group.Go([] { return Fail("a"); });
  group.Go([&](const Context& context) {
    ran = true;
    EXPECT_FALSE(context.done());
  });
  EXPECT_FALSE(group.Wait().ok());
  EXPECT_TRUE(ran);
}

TEST(ErrSizedGroupTest, TermOnErrorCancelsTheGroup) {
  ErrSizedGroup group(1, {.term_on_error = true});
  absl::Notification queued;
  group.Go([&] {
    queued.WaitForNotification();
    return Fail("a");
  });
  for (int i = 0; i < 50; ++i) group.Go(MustNotRun);
  queued.Notify();
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {a}"));
  EXPECT_EQ(group.stats().skipped, 50);
  EXPECT_EQ(group.context().cause(), Fail("a"));
  // And it stays so.
  EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {a}"));
}

TEST(ErrSizedGroupTest, TermOnErrorTellsWhoRuns) {
  ErrSizedGroup group(2, {.term_on_error = true});
  group.Go([](const Context& context) {
    context.AwaitDone();
    EXPECT_EQ(context.cause(), Fail("a"));
    return context.status();  // an echo, which is no error
  });
  group.Go([] { return Fail("a"); });
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {a}"));
}

TEST(ErrSizedGroupTest, ACancellationIsTheLastOfTheErrors) {
  CancelScope scope = WithCancel(Context());
  for (const bool by_parent : {true, false}) {
    ErrSizedGroup group(1, {.context = scope.context()});
    absl::Notification queued;
    group.Go([&] {
      queued.WaitForNotification();
      if (by_parent) {
        scope.Cancel(Fail("outside"));
      } else {
        group.Cancel(Fail("outside"));
      }
      return absl::NotFoundError("a");
    });
    group.Go(MustNotRun);
    queued.Notify();
    EXPECT_EQ(group.Wait(), absl::NotFoundError("2 error(s) occurred: [0] {a}, "
                                                "[1] {outside}"));
    EXPECT_EQ(group.errors().size(), 1u);
    scope = WithCancel(Context());
  }
}

TEST(ErrSizedGroupTest, ACancellationMayBeTheOnlyOne) {
  CancelScope scope = WithCancel(Context());
  ErrSizedGroup group(1, {.context = scope.context()});
  scope.Cancel(Fail("outside"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
  }
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {outside}"));
  EXPECT_EQ(group.stats().refused, 3);
}

TEST(ErrSizedGroupTest, DiscardedTasksAreNoError) {
  ErrSizedGroup group(1, {.when_full = WhenFull::kRefuse});
  absl::Notification release;
  group.Go([&] { release.WaitForNotification(); });
  EXPECT_EQ(group.Go(MustNotRun), Admission::kFull);
  release.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(ErrSizedGroupTest, ErrorsStayWhenItIsUsedAgain) {
  ErrSizedGroup group(1);
  group.Go([] { return Fail("a"); });
  const absl::Status first = group.Wait();
  EXPECT_EQ(first, Fail("1 error(s) occurred: [0] {a}"));
  EXPECT_EQ(group.Go([] { return Fail("b"); }), Admission::kAccepted);
  EXPECT_EQ(group.Wait(), Fail("2 error(s) occurred: [0] {a}, [1] {b}"));
  EXPECT_EQ(first, Fail("1 error(s) occurred: [0] {a}"));
}

TEST(ErrSizedGroupTest, ErrorsBeyondTheBoundAreCounted) {
  constexpr int kMore = 5;
  ErrSizedGroup group(1);
  for (size_t i = 0; i < kMaxErrors + kMore; ++i) {
    group.Go([] { return Fail("a"); });
  }
  const absl::Status status = group.Wait();
  EXPECT_TRUE(absl::StartsWith(status.message(),
                               "1005 error(s) occurred: [0] {a}, [1] {a}"));
  EXPECT_TRUE(absl::EndsWith(status.message(), "[999] {a}, and 5 more"));
  EXPECT_EQ(group.errors().size(), kMaxErrors);
  EXPECT_EQ(group.stats().errors_dropped, kMore);
}

TEST(ErrSizedGroupTest, WaitInsideATask) {
  FixedPool pool(1);
  ErrSizedGroup group(1, {.executor = &pool});
  std::atomic<int> others = 0;
  group.Go([&] {
    for (int i = 0; i < 3; ++i) group.Go([&] { ++others; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());  // lends its slot
    EXPECT_EQ(others, 3);
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(ErrSizedGroupTest, AnExceptionIsAnErrorAmongOthers) {
  ErrSizedGroup group(1, {.name = "fetch"});
  group.Go([] { return Fail("a"); });
  group.Go([] { throw std::out_of_range("page 7"); });
  const absl::Status status = group.Wait();
  EXPECT_TRUE(
      absl::StartsWith(status.message(), "2 error(s) occurred: [0] {a}"));
  EXPECT_TRUE(absl::StrContains(status.message(), "std::out_of_range: page 7"));
  EXPECT_TRUE(absl::StrContains(status.message(), "'fetch'"));
  const std::exception_ptr original = group.exception();
  EXPECT_THROW(std::rethrow_exception(original), std::out_of_range);
  EXPECT_EQ(group.exception(), nullptr);
}

TEST(SizedGroupImmunity, B34_AnAbnormalEndFreesItsSlot) {
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    FixedPool pool(1);
    Options options = {.when_full = when_full};
    options.executor = &pool;
    SizedGroup group(1, options);
    int ran = 0;
    group.Go([] { throw 42; });
    group.Go([&] { ++ran; });
#ifdef __linux__
    group.Go([] { pthread_exit(nullptr); });
    group.Go([&] { ++ran; });
#else
    ++ran;
#endif
    group.Wait(WaitPolicy::kPark);
    EXPECT_EQ(ran, 2);
    EXPECT_NE(group.exception(), nullptr);
  }
}

TEST(SizedGroupDeathTest, TerminatePolicyLeavesAnExceptionUncaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    SizedGroup group(1, {.exceptions = Exceptions::kTerminate});
    group.Go([] { throw std::runtime_error("boom"); });
    group.Wait();
    _exit(0);
  };
  EXPECT_DEATH(run(), "boom");
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(SizedGroupImmunity, B06_NothingOutlivesAGroupThatNobodyWaitedFor) {
  for (const WhenFull when_full :
       {WhenFull::kQueue, WhenFull::kBlock, WhenFull::kRefuse}) {
    std::atomic<int> alive = 0;
    {
      ErrSizedGroup group(2, {.when_full = when_full});
      for (int i = 0; i < 2; ++i) {
        group.Go([&](const Context& context) {
          ++alive;
          context.AwaitDone();
          --alive;
        });
      }
    }
    EXPECT_EQ(alive, 0);
  }
}

TEST(SizedGroupImmunity, B17_NestedGoInAFullGroup) {
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    ErrSizedGroup group(1, {.when_full = when_full});
    std::atomic<int> ran = 0;
    sync::Mutex mutex;
    std::function<void(int)> fork = [&](int depth) {
      // Were the new task run here, it would lock what is locked.
      sync::MutexLock lock(&mutex);
      ++ran;
      if (depth == 0) return;
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(group.Go([&fork, depth] { fork(depth - 1); }),
                  Admission::kAccepted);
      }
    };
    group.Go([&] { fork(5); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 63);
  }
}

// With kRefuse that is no exception: the group is full.
TEST(SizedGroupImmunity, B17_NestedGoInAFullGroupThatDiscards) {
  SizedGroup group(1, {.when_full = WhenFull::kRefuse});
  Admission nested = Admission::kAccepted;
  group.Go([&] { nested = group.Go(MustNotRun); });
  group.Wait();
  EXPECT_EQ(nested, Admission::kFull);
}

TEST(SizedGroupImmunity, B33_B36_ABlockedGoIsReleasedByCancellation) {
  CancelScope scope = WithCancel(Context());
  ErrSizedGroup group(
      1, {.when_full = WhenFull::kBlock, .context = scope.context()});
  absl::Notification release;
  group.Go([&] { release.WaitForNotification(); });
  JoiningThread producer(
      [&] { EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled); });
  Await([&] { return group.stats().parked == 1; });
  scope.Cancel(Fail("outside"));
  producer.Join();  // although the slot is still taken
  release.Notify();
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {outside}"));
}

TEST(SizedGroupImmunity, B35_WaitingTasksAreSkippedAtOnce) {
  CancelScope scope = WithCancel(Context());
  SizedGroup group(1, {.context = scope.context()});
  absl::Notification release;
  group.Go([&] { release.WaitForNotification(); });
  Await([&] { return group.stats().running == 1; });
  for (int i = 0; i < 50; ++i) group.Go(MustNotRun);
  scope.Cancel();
  EXPECT_EQ(group.stats().skipped, 50);
  release.Notify();
  group.Wait();
}

TEST(SizedGroupImmunity, B37_B40_WhatWaitReturnedDoesNotChange) {
  ErrSizedGroup group(4);
  group.Go([] { return Fail("A"); });
  const absl::Status status = group.Wait();
  const std::vector<TaskError> errors = group.errors();
  std::atomic<bool> stop = false;
  JoiningThread reader([&] {
    while (!stop) EXPECT_FALSE(group.errors().empty());
  });
  for (int i = 0; i < 100; ++i) group.Go([] { return Fail("B"); });
  EXPECT_TRUE(absl::StartsWith(group.Wait().message(), "101 error(s)"));
  stop = true;
  EXPECT_EQ(status, Fail("1 error(s) occurred: [0] {A}"));
  EXPECT_EQ(errors.size(), 1u);
}

TEST(SizedGroupImmunity, B38_TheOutcomeDoesNotDependOnLaterSubmissions) {
  CancelScope scope = WithCancel(Context());
  ErrSizedGroup done(1, {.context = scope.context()});
  done.Go([] {});
  EXPECT_EQ(done.Wait(), absl::OkStatus());
  ErrSizedGroup waiting(1, {.context = scope.context()});
  absl::Notification release;
  waiting.Go([&] { release.WaitForNotification(); });
  Await([&] { return waiting.stats().running == 1; });
  waiting.Go(MustNotRun);
  scope.Cancel(Fail("outside"));
  release.Notify();
  EXPECT_EQ(done.Wait(), absl::OkStatus());  // nothing was kept from running
  EXPECT_EQ(waiting.Wait(), Fail("1 error(s) occurred: [0] {outside}"));
}

TEST(SizedGroupImmunity, B39_ARefusedTaskFreesNothing) {
  ErrSizedGroup group(1,
                      {.when_full = WhenFull::kBlock, .term_on_error = true});
  absl::Notification release;
  group.Go([&] { release.WaitForNotification(); });
  Await([&] { return group.stats().running == 1; });
  group.Cancel(Fail("stop"));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(group.Go(MustNotRun), Admission::kCancelled);
  }
  EXPECT_EQ(group.stats().running, 1);
  release.Notify();
  EXPECT_EQ(group.Wait(), Fail("1 error(s) occurred: [0] {stop}"));
}

TEST(SizedGroupDeathTest, B13_BadInputDiesAndNamesTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(SizedGroup(1).Go(std::function<void()>()),
               "sizedgroup::SizedGroup::Go: null task");
  EXPECT_DEATH(ErrSizedGroup(1, {.name = "mine"})
                   .Go(static_cast<absl::Status (*)()>(nullptr)),
               "sizedgroup::ErrSizedGroup 'mine'::Go: null task");
  EXPECT_DEATH(ErrSizedGroup(1).Cancel(absl::OkStatus()),
               "sizedgroup::ErrSizedGroup::Cancel: the cause is OK");
}

}  // namespace
}  // namespace cohort::sizedgroup
