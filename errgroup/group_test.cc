// What each method and option of Group does.

#include "cohort/errgroup/group.h"

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;

static_assert(!std::is_copy_constructible_v<Group>);
static_assert(!std::is_move_constructible_v<Group>);

TEST(GroupTest, AnEmptyGroupEndsWell) {
  Group group;
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  Group with_context{Context()};
  EXPECT_EQ(with_context.Wait(), absl::OkStatus());
}

TEST(GroupTest, TakesEveryFormOfTask) {
  struct Functor {
    absl::Status operator()() { return absl::OkStatus(); }
    std::unique_ptr<int> move_only = std::make_unique<int>(1);
  };
  struct Both {
    void operator()() { ADD_FAILURE() << "the context is preferred"; }
    void operator()(const Context& context) {
      EXPECT_FALSE(context.done());
      *called = true;
    }
    bool* called;
  };
  bool both = false;
  std::atomic<int> ran{0};
  Group group;
  group.Go([&ran] { ++ran; });
  group.Go([&ran]() -> absl::Status {
    ++ran;
    return absl::OkStatus();
  });
  group.Go([&ran](const Context&) { ++ran; });
  group.Go([&ran](const Context&) -> absl::Status {
    ++ran;
    return absl::OkStatus();
  });
  group.Go(Functor());
  group.Go(Both{&both});
  group.Go(+[] {});
  group.Go(std::function<void()>([&ran] { ++ran; }));
  group.Go(absl::AnyInvocable<absl::Status() &&>(
      [p = std::make_unique<int>(0), &ran] {
        ++ran;
        return absl::OkStatus();
      }));
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 6);
  EXPECT_TRUE(both);
  EXPECT_EQ(group.stats().succeeded, 9);
}

TEST(GroupTest, WaitReturnsTheErrorItself) {
  Group group;
  group.Go([] { return Fail("no"); });
  EXPECT_EQ(group.Wait(), Fail("no"));
  EXPECT_EQ(group.Wait(), Fail("no"));
}

TEST(GroupTest, AGroupWithoutContextCancelsNothingOnError) {
  Group group(Options{.limit = 1, .queue = kUnlimited});
  group.Go([] { return Fail("first"); });
  bool ran = false;
  group.Go([&ran](const Context& context) {
    ran = true;
    EXPECT_FALSE(context.done());
  });
  EXPECT_EQ(group.Wait(), Fail("first"));
  EXPECT_TRUE(ran);
  EXPECT_FALSE(group.context().done());
}

TEST(GroupTest, AGroupWithoutContextCanBeUsedAgain) {
  Group group;
  group.Go([] {});
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  bool ran = false;
  EXPECT_EQ(group.Go([&ran] { ran = true; }), Admission::kAccepted);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(ran);
}

TEST(GroupTest, TheFirstErrorIsTheCauseThatSiblingsSee) {
  Group group{Context()};
  absl::Status seen;
  absl::Notification started;
  group.Go([&](const Context& context) {
    started.Notify();
    context.AwaitDone();
    seen = context.cause();
    return context.status();
  });
  group.Go([&started] {
    started.WaitForNotification();
    return Fail("cause");
  });
  EXPECT_EQ(group.Wait(), Fail("cause"));
  EXPECT_EQ(seen, Fail("cause"));
  EXPECT_EQ(group.context().cause(), Fail("cause"));
}

TEST(GroupTest, CancelOnErrorCanBeSwitchedOff) {
  Group group(Context(), {.limit = 1, .queue = 1, .cancel_on_error = false});
  group.Go([] { return Fail("first"); });
  bool ran = false;
  group.Go([&ran] { ran = true; });
  EXPECT_EQ(group.Wait(), Fail("first"));
  EXPECT_TRUE(ran);
}

TEST(GroupTest, WaitEndsTheContext) {
  Group group{Context()};
  EXPECT_FALSE(group.context().done());
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(group.context().done());
  EXPECT_EQ(group.context().cause().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, ParentValuesAndDeadlineReachTheTasks) {
  struct Key {
    using Type = int;
  };
  CancelScope scope = WithTimeout(Context(), absl::Hours(1));
  Group group(WithValue<Key>(scope.context(), 42));
  group.Go([&scope](const Context& context) {
    ASSERT_NE(context.value<Key>(), nullptr);
    EXPECT_EQ(*context.value<Key>(), 42);
    EXPECT_EQ(context.deadline(), scope.context().deadline());
  });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, ALimitIsNeverExceededAndIsReached) {
  constexpr int kLimit = 3;
  Group group(Options{.limit = kLimit, .queue = kUnlimited});
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  absl::Notification full;
  for (int i = 0; i < 50; ++i) {
    group.Go([&] {
      const int now = ++running;
      int seen = most;
      while (now > seen && !most.compare_exchange_weak(seen, now)) {
      }
      if (now == kLimit && !full.HasBeenNotified()) full.Notify();
      full.WaitForNotification();  // a smaller limit would hang here
      --running;
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(most, kLimit);
}

TEST(GroupTest, GoBlocksWhileLimitAndQueueAreFull) {
  absl::Notification release;
  Group group(Options{.limit = 1, .queue = 1});
  group.Go([&release] { release.WaitForNotification(); });
  group.Go([] {});
  std::atomic<bool> returned{false};
  JoiningThread producer([&] {
    EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
    returned = true;
  });
  Await([&group] { return group.stats().parked == 1; });
  EXPECT_FALSE(returned);
  release.Notify();
  producer.Join();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().succeeded, 3);
}

TEST(GroupTest, TryGoNeverBlocks) {
  absl::Notification release;
  Group group(Options{.limit = 1, .queue = 1});
  EXPECT_EQ(group.TryGo([&release] { release.WaitForNotification(); }),
            Admission::kAccepted);
  EXPECT_EQ(group.TryGo([] {}), Admission::kAccepted);
  EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
  release.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());  // kFull is no error
  EXPECT_EQ(group.TryGo([] {}), Admission::kAccepted);
  group.Cancel();
  EXPECT_EQ(group.TryGo([] {}), Admission::kCancelled);
}

TEST(GroupTest, LimitZeroLetsNothingStartUntilItIsRaised) {
  Group group(Options{.limit = 0, .queue = 1});
  bool ran = false;
  EXPECT_EQ(group.TryGo([&ran] { ran = true; }), Admission::kAccepted);
  EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
  EXPECT_EQ(group.stats().queued, 1);
  group.SetLimit(1);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(ran);
}

TEST(GroupTest, RaisingTheLimitWakesTheParked) {
  absl::Notification release;
  Group group(Options{.limit = 1});
  group.Go([&release] { release.WaitForNotification(); });
  JoiningThread producer([&group, &release] {
    EXPECT_EQ(group.Go([&release] { release.WaitForNotification(); }),
              Admission::kAccepted);
  });
  Await([&group] { return group.stats().parked == 1; });
  group.SetLimit(2);
  producer.Join();
  Await([&group] { return group.stats().running == 2; });
  release.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, LoweringTheLimitLetsRunningTasksFinish) {
  absl::Notification release;
  Group group(Options{.limit = 2, .queue = kUnlimited});
  group.Go([&release] { release.WaitForNotification(); });
  group.Go([&release] { release.WaitForNotification(); });
  Await([&group] { return group.stats().running == 2; });
  group.SetLimit(1);
  std::atomic<int> running{0};
  for (int i = 0; i < 4; ++i) {
    group.Go([&running] {
      EXPECT_EQ(++running, 1);
      --running;
    });
  }
  release.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().succeeded, 6);
}

TEST(GroupTest, TheLimitMayBeSetWhileUnlimitedTasksRun) {
  absl::Notification release;
  Group group;
  for (int i = 0; i < 3; ++i) {
    group.Go([&release] { release.WaitForNotification(); });
  }
  Await([&group] { return group.stats().running == 3; });
  group.SetLimit(1);
  EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
  group.SetLimit(kUnlimited);
  group.SetLimit(1);
  release.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.TryGo([] {}), Admission::kAccepted);
}

TEST(GroupTest, WaitUntilAbandonsNothing) {
  absl::Notification release;
  Group group{Context()};
  group.Go([&release] { release.WaitForNotification(); });
  EXPECT_EQ(group.WaitUntil(absl::InfinitePast()).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(group.WaitUntil(absl::Now() + absl::Milliseconds(1)).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(group.context().done());
  EXPECT_EQ(group.stats().running, 1);
  EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
  release.Notify();
  EXPECT_EQ(group.WaitUntil(absl::InfiniteFuture()), absl::OkStatus());
  EXPECT_EQ(group.WaitUntil(absl::InfinitePast()), absl::OkStatus());
}

TEST(GroupTest, WaitHelpsUnlessItIsToldToPark) {
  // A pool whose only thread is taken: somebody else has to run the task.
  absl::Notification release;
  FixedPool pool(1);
  pool.Submit([&release] { release.WaitForNotification(); });
  Group group(Options{.executor = &pool});
  const sync::ThreadId self = sync::CurrentThreadId();
  sync::ThreadId ran_on;
  group.Go([&ran_on] { ran_on = sync::CurrentThreadId(); });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran_on, self);

  group.Go([&ran_on] { ran_on = sync::CurrentThreadId(); });
  JoiningThread waiter(
      [&group] { EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus()); });
  EXPECT_EQ(group.WaitUntil(absl::Now() + absl::Milliseconds(1)).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(group.stats().queued, 1);
  release.Notify();
  waiter.Join();
  EXPECT_NE(ran_on, self);
}

TEST(GroupTest, WaitRunsOnlyTasksOfItsOwnGroup) {
  absl::Notification release;
  FixedPool pool(1);
  pool.Submit([&release] { release.WaitForNotification(); });
  Group stranger(Options{.executor = &pool});
  std::atomic<bool> stranger_ran{false};
  stranger.Go([&stranger_ran] { stranger_ran = true; });
  Group group(Options{.executor = &pool});
  group.Go([] {});
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_FALSE(stranger_ran);
  release.Notify();
  EXPECT_EQ(stranger.Wait(), absl::OkStatus());
}

TEST(GroupTest, CancelSaysWhoDidIt) {
  Group group;
  EXPECT_TRUE(group.Cancel(Fail("stop")));
  EXPECT_FALSE(group.Cancel());
  EXPECT_EQ(group.context().cause(), Fail("stop"));
  // Nothing was submitted, so nothing was lost.
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.Go([] {}), Admission::kCancelled);
  EXPECT_EQ(group.Wait(), Fail("stop"));
}

TEST(GroupTest, RunAfterCancelKeepsGosBehaviour) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context(),
              {.limit = 1, .queue = kUnlimited, .run_after_cancel = true});
  absl::Notification release;
  std::atomic<int> ran{0};
  group.Go([&] {
    release.WaitForNotification();
    ++ran;
  });
  group.Go([&ran](const Context& context) {
    EXPECT_TRUE(context.done());
    ++ran;
  });
  scope.Cancel(Fail("outside"));
  EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
  release.Notify();
  // As in Go: the group never looks at the context.
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 3);
  EXPECT_EQ(group.Go([&ran] { ++ran; }), Admission::kAccepted);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 4);
}

TEST(GroupTest, ErrorsHoldsTheFirstOneWithItsIndex) {
  Group group(Options{.limit = 1, .queue = kUnlimited});
  group.Go([] {});
  group.Go([] { return Fail("one"); });
  group.Go([] { return Fail("two"); });
  EXPECT_EQ(group.Wait(), Fail("one"));
  const std::vector<TaskError> errors = group.errors();
  ASSERT_EQ(errors.size(), 1);
  EXPECT_EQ(errors[0].index, 1);
  EXPECT_EQ(errors[0].status, Fail("one"));
}

TEST(GroupTest, KeepAllErrorsKeepsSomeAndCountsTheRest) {
  Group group(
      Options{.limit = 1, .queue = kUnlimited, .keep_all_errors = true});
  const int count = static_cast<int>(kMaxErrors) + 5;
  for (int i = 0; i < count; ++i) {
    group.Go([i] { return Fail(std::to_string(i)); });
  }
  EXPECT_EQ(group.Wait(), Fail("0"));
  const std::vector<TaskError> errors = group.errors();
  ASSERT_EQ(errors.size(), kMaxErrors);
  for (size_t i = 0; i < errors.size(); ++i) {
    EXPECT_EQ(errors[i].index, static_cast<int64_t>(i));
    EXPECT_EQ(errors[i].status, Fail(std::to_string(i)));
  }
  EXPECT_EQ(group.stats().errors_dropped, 5);
}

TEST(GroupTest, StatsAccountForEveryTask) {
  absl::Notification release;
  Group group(Context(), {.limit = 1, .queue = 2});
  group.Go([&release] { release.WaitForNotification(); });
  Await([&group] { return group.stats().running == 1; });
  group.Go([] { return Fail("boom"); });
  group.Go([] {});
  EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
  Stats stats = group.stats();
  EXPECT_EQ(stats.accepted, 3);
  EXPECT_EQ(stats.running, 1);
  EXPECT_EQ(stats.queued, 2);
  EXPECT_EQ(stats.refused, 1);
  release.Notify();
  EXPECT_EQ(group.Wait(), Fail("boom"));
  stats = group.stats();
  EXPECT_EQ(stats.accepted, 3);
  EXPECT_EQ(stats.succeeded, 1);
  EXPECT_EQ(stats.failed, 1);
  EXPECT_EQ(stats.skipped, 1);
  EXPECT_EQ(stats.queued + stats.running + stats.parked, 0);
}

TEST(GroupTest, RunsOnTheExecutorItIsGiven) {
  FixedPool pool(2);
  Group group(Options{.executor = &pool});
  Executor* seen = nullptr;
  group.Go([&seen] { seen = Executor::Current(); });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(seen, &pool);
}

TEST(GroupTest, RunsOnAThreadPerTask) {
  ThreadPerTask threads;
  Group group(Options{.executor = &threads});
  std::atomic<int> ran{0};
  for (int i = 0; i < 20; ++i) group.Go([&ran] { ++ran; });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 20);
}

TEST(FactoryTest, WithContextNMapsSmallValuesToTheNumberOfCpus) {
  const int cpus = sync::HardwareConcurrency();
  EXPECT_EQ(WithContextN(0, 0).limit, cpus);
  EXPECT_EQ(WithContextN(0, 0).queue, cpus);
  EXPECT_EQ(WithContextN(-3, -1).limit, cpus);
  EXPECT_EQ(WithContextN(-3, -1).queue, cpus);
  EXPECT_EQ(WithContextN(7, 9).limit, 7);
  EXPECT_EQ(WithContextN(7, 9).queue, 9);
}

TEST(FactoryTest, GomaxprocsNeverBlocksGo) {
  EXPECT_EQ(Gomaxprocs(4).limit, 4);
  EXPECT_EQ(Gomaxprocs(4).queue, kUnlimited);
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(ExceptionTest, AnExceptionBecomesAnErrorWithTypeAndText) {
  Group group(Options{.name = "fetch"});
  group.Go([] {});
  group.Go([] { throw std::out_of_range("page 7"); });
  const absl::Status status = group.Wait();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(absl::StrContains(status.message(), "fetch")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "std::out_of_range: page 7"))
      << status;
}

TEST(ExceptionTest, WhatIsNoStdExceptionHasItsTypeToo) {
  Group group;
  group.Go([] { throw 42; });
  EXPECT_TRUE(absl::StrContains(group.Wait().message(), "threw int"));
}

TEST(ExceptionTest, TheOriginalGoesToOneCaller) {
  Group group;
  group.Go([] { throw std::out_of_range("page 7"); });
  group.Wait().IgnoreError();
  std::exception_ptr original = group.exception();
  ASSERT_NE(original, nullptr);
  EXPECT_THROW(std::rethrow_exception(original), std::out_of_range);
  EXPECT_EQ(group.exception(), nullptr);
  group.Go([] { throw std::out_of_range("page 8"); });
  group.Wait().IgnoreError();
  EXPECT_EQ(group.exception(), nullptr);
}

TEST(ExceptionTest, NoneOutlivesTheGroup) {
  struct Counted {
    explicit Counted(std::atomic<int>& count) : alive(&count) { ++count; }
    Counted(const Counted& other) : alive(other.alive) { ++*alive; }
    ~Counted() { --*alive; }
    std::atomic<int>* alive;
  };
  std::atomic<int> alive{0};
  for (int round = 0; round < 200; ++round) {
    {
      Group group;
      for (int i = 0; i < 3; ++i) group.Go([&alive] { throw Counted(alive); });
      group.Wait(WaitPolicy::kPark).IgnoreError();
    }
    ASSERT_EQ(alive, 0);
  }
}

TEST(ExceptionTest, CancelsTheGroupAsAnyErrorDoes) {
  Group group(Context(), {.limit = 1, .queue = 1});
  absl::Notification queued;
  group.Go([&queued] {
    queued.WaitForNotification();
    throw std::runtime_error("boom");
  });
  group.Go([] {});
  queued.Notify();
  EXPECT_EQ(group.Wait().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(group.stats().skipped, 1);
}

TEST(ExceptionDeathTest, TerminatePolicyLeavesItUncaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto run = [] {
    Group group(Options{.exceptions = Exceptions::kTerminate});
    try {
      group.Go([] { throw std::runtime_error("boom"); });
      group.Wait().IgnoreError();  // may run the task on this thread
    } catch (...) {
      _exit(0);
    }
    _exit(0);
  };
  EXPECT_DEATH(run(), "boom");
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(GroupDeathTest, BadInputDiesAndNamesTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Group().Go(std::function<void()>()),
               "errgroup::Group::Go: null task");
  EXPECT_DEATH((void)Group().TryGo(static_cast<void (*)()>(nullptr)),
               "errgroup::Group::TryGo: null task");
  EXPECT_DEATH(
      Group(Options{.name = "mine"}).Go(absl::AnyInvocable<void()>(nullptr)),
      "'mine'::Go: null task");
  EXPECT_DEATH(Group(Options{.limit = -1}), "limit is -1");
  EXPECT_DEATH(Group(Options{.queue = -7}), "queue is -7");
  EXPECT_DEATH(Group().SetLimit(-2), "SetLimit: limit is -2");
  EXPECT_DEATH(Group().Cancel(absl::OkStatus()), "Cancel: the cause is OK");
  EXPECT_DEATH(Gomaxprocs(0), "errgroup::Gomaxprocs: n");
}

}  // namespace
}  // namespace cohort::errgroup
