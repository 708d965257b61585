// Context and CancelScope, one sentence of the contract at a time.

#include "cohort/context/context.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <version>
#include <vector>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/sync/thread.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::Caller;

const absl::Status kCause = absl::AbortedError("because");

TEST(ContextTest, TheDefaultOneIsNeverDone) {
  Context context;
  EXPECT_FALSE(context.done());
  EXPECT_EQ(context.status(), absl::OkStatus());
  EXPECT_EQ(context.cause(), absl::OkStatus());
  EXPECT_EQ(context.deadline(), absl::InfiniteFuture());
  EXPECT_FALSE(context.AwaitDoneUntil(absl::Now() + absl::Milliseconds(1)));
  EXPECT_FALSE(context.AwaitDoneUntil(absl::InfinitePast()));
  EXPECT_EQ(context.SleepFor(absl::Milliseconds(1)), absl::OkStatus());
}

TEST(ContextTest, CancelGivesStatusAndCause) {
  CancelScope scope = WithCancel(Context());
  const Context context = scope.context();
  EXPECT_FALSE(context.done());
  EXPECT_TRUE(scope.Cancel(kCause));
  EXPECT_TRUE(context.done());
  EXPECT_EQ(context.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(context.cause(), kCause);
  context.AwaitDone();
  EXPECT_TRUE(context.AwaitDoneUntil(absl::InfinitePast()));
}

TEST(ContextTest, WithoutAReasonTheCauseIsTheStatus) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel();
  EXPECT_EQ(scope.context().cause(), scope.context().status());
}

TEST(ContextTest, TheFirstCauseStays) {
  CancelScope scope = WithCancel(Context());
  EXPECT_TRUE(scope.Cancel(kCause));
  EXPECT_FALSE(scope.Cancel(absl::InternalError("later")));
  EXPECT_EQ(scope.context().cause(), kCause);
}

TEST(ContextTest, OneOfManyCancelsDoesIt) {
  for (int round = 0; round < 200; ++round) {
    CancelScope scope = WithCancel(Context());
    std::atomic<int> winners{0};
    {
      std::optional<Caller> callers[4];
      for (auto& caller : callers) {
        caller.emplace([&] {
          if (scope.Cancel()) ++winners;
          EXPECT_TRUE(scope.context().done());
        });
      }
    }
    ASSERT_EQ(winners, 1);
  }
}

TEST(ContextTest, AScopeCancelsWhenDestroyedAndCopiesLiveOn) {
  Context context;
  {
    CancelScope scope = WithCancel(Context());
    context = scope.context();
    EXPECT_FALSE(context.done());
  }
  EXPECT_TRUE(context.done());
  EXPECT_EQ(context.status().code(), absl::StatusCode::kCancelled);
}

TEST(ContextTest, AScopeMoves) {
  CancelScope first = WithCancel(Context());
  const Context first_context = first.context();
  CancelScope second = std::move(first);
  EXPECT_FALSE(first_context.done());
  CancelScope third = WithCancel(Context());
  const Context third_context = third.context();
  third = std::move(second);
  EXPECT_TRUE(third_context.done());  // overwritten
  EXPECT_FALSE(first_context.done());
  third.Cancel();
  EXPECT_TRUE(first_context.done());
}

TEST(ContextTest, AChildEndsWithItsParentAndForTheSameReason) {
  CancelScope parent = WithCancel(Context());
  CancelScope child = WithCancel(parent.context());
  CancelScope grandchild = WithCancel(child.context());
  parent.Cancel(kCause);
  EXPECT_EQ(grandchild.context().cause(), kCause);
  EXPECT_EQ(child.context().status(), parent.context().status());
  EXPECT_FALSE(child.Cancel());
}

TEST(ContextTest, AParentOutlivesItsChild) {
  CancelScope parent = WithCancel(Context());
  {
    CancelScope child = WithCancel(parent.context());
    child.Cancel();
  }
  EXPECT_FALSE(parent.context().done());
}

TEST(ContextTest, AChildOfADoneParentIsDoneFromTheStart) {
  CancelScope parent = WithCancel(Context());
  parent.Cancel(kCause);
  CancelScope child = WithDeadline(parent.context(), absl::InfinitePast());
  EXPECT_TRUE(child.context().done());
  EXPECT_EQ(child.context().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(child.context().cause(), kCause);
}

TEST(ContextTest, AChildWhoseParentScopeIsGoneStillWorks) {
  std::optional<CancelScope> parent(WithCancel(Context()));
  CancelScope child = WithCancel(parent->context());
  parent.reset();
  EXPECT_TRUE(child.context().done());
  CancelScope late = WithCancel(child.context());
  EXPECT_TRUE(late.context().done());
}

TEST(ContextTest, WhatHappenedBeforeCancelIsVisible) {
  for (int round = 0; round < 200; ++round) {
    CancelScope scope = WithCancel(Context());
    int value = 0;
    Caller caller([&] {
      value = 7;
      scope.Cancel();
    });
    if (round % 2 == 0) {
      scope.context().AwaitDone();
    } else {
      while (!scope.context().done()) sync::Yield();
    }
    EXPECT_EQ(value, 7);
  }
}

TEST(SleepForTest, EndsEarlyWhenTheContextIsDone) {
  CancelScope scope = WithCancel(Context());
  absl::Notification sleeping;
  Caller sleeper([&] {
    sleeping.Notify();
    EXPECT_EQ(scope.context().SleepFor(absl::InfiniteDuration()).code(),
              absl::StatusCode::kCancelled);
  });
  sleeping.WaitForNotification();
  scope.Cancel(kCause);
  sleeper.Join();
  EXPECT_EQ(scope.context().SleepFor(absl::ZeroDuration()),
            scope.context().status());
}

TEST(SleepForTest, IsNeverEarly) {
  CancelScope scope = WithCancel(Context());
  for (const Context& context : {Context(), scope.context()}) {
    const absl::Time start = absl::Now();
    EXPECT_EQ(context.SleepFor(absl::Milliseconds(3)), absl::OkStatus());
    EXPECT_GE(absl::Now() - start, absl::Milliseconds(3));
    EXPECT_EQ(context.SleepFor(absl::Milliseconds(-3)), absl::OkStatus());
  }
}

TEST(DeadlineTest, EndsTheContext) {
  const absl::Time t = absl::Now() + absl::Milliseconds(2);
  CancelScope scope = WithDeadline(Context(), t, kCause);
  EXPECT_EQ(scope.context().deadline(), t);
  scope.context().AwaitDone();
  EXPECT_GE(absl::Now(), t);
  EXPECT_EQ(scope.context().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(scope.context().cause(), kCause);
  EXPECT_FALSE(scope.Cancel());
}

TEST(DeadlineTest, ThatHasPassedEndsItAtOnce) {
  CancelScope scope = WithTimeout(Context(), absl::ZeroDuration());
  EXPECT_TRUE(scope.context().done());
  EXPECT_EQ(scope.context().cause().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(
      WithDeadline(Context(), absl::InfinitePast()).context().done());
}

TEST(DeadlineTest, TheEarlierOneWins) {
  const absl::Time early = absl::Now() + absl::Hours(1);
  const absl::Time late = early + absl::Hours(1);
  CancelScope parent = WithDeadline(Context(), early);
  EXPECT_EQ(WithDeadline(parent.context(), late).context().deadline(), early);
  EXPECT_EQ(WithCancel(parent.context()).context().deadline(), early);
  CancelScope other = WithDeadline(Context(), late);
  EXPECT_EQ(WithDeadline(other.context(), early).context().deadline(), early);
}

TEST(DeadlineTest, AParentsReachesItsChildren) {
  CancelScope parent = WithTimeout(Context(), absl::Milliseconds(1), kCause);
  CancelScope child = WithTimeout(parent.context(), absl::Hours(1));
  child.context().AwaitDone();
  EXPECT_EQ(child.context().cause(), kCause);
  EXPECT_EQ(child.context().status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(DeadlineTest, InfiniteDeadlinesAreNone) {
  EXPECT_EQ(WithTimeout(Context(), absl::InfiniteDuration())
                .context()
                .deadline(),
            absl::InfiniteFuture());
}

TEST(DeadlineTest, ManyFireAndNoneIsEarly) {
  std::vector<CancelScope> scopes;
  for (int i = 0; i < 1000; ++i) {
    scopes.push_back(
        WithTimeout(Context(), absl::Microseconds(10 * (1000 - i))));
  }
  for (const CancelScope& scope : scopes) {
    scope.context().AwaitDone();
    EXPECT_GE(absl::Now(), scope.context().deadline());
    EXPECT_EQ(scope.context().status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
}

TEST(DeadlineTest, RacesWithCancel) {
  for (int i = 0; i < 500; ++i) {
    CancelScope scope =
        WithTimeout(Context(), absl::Microseconds(i % 50), kCause);
    const bool cancelled = scope.Cancel(absl::InternalError("cancelled"));
    const bool expired = scope.context().cause() == kCause;
    ASSERT_NE(cancelled, expired);
    ASSERT_EQ(scope.context().status().code(),
              cancelled ? absl::StatusCode::kCancelled
                        : absl::StatusCode::kDeadlineExceeded);
  }
}

struct Name {
  using Type = std::string;
};
struct Nickname {
  using Type = std::string;
};
struct Ticket {
  using Type = std::unique_ptr<int>;
};

TEST(ValueTest, IsFoundByItsKey) {
  const Context base;
  const Context named = WithValue<Name>(base, "Ada");
  const Context both = WithValue<Nickname>(named, "A.");
  EXPECT_EQ(base.value<Name>(), nullptr);
  EXPECT_EQ(*named.value<Name>(), "Ada");
  EXPECT_EQ(named.value<Nickname>(), nullptr);
  EXPECT_EQ(*both.value<Name>(), "Ada");
  EXPECT_EQ(*both.value<Nickname>(), "A.");
}

TEST(ValueTest, TheLastOneHidesTheOthers) {
  const Context outer = WithValue<Name>(Context(), "Ada");
  const Context inner = WithValue<Name>(outer, "Grace");
  EXPECT_EQ(*inner.value<Name>(), "Grace");
  EXPECT_EQ(*outer.value<Name>(), "Ada");
}

TEST(ValueTest, MayBeMoveOnlyAndLivesWithTheContext) {
  Context context =
      WithValue<Ticket>(Context(), std::make_unique<int>(17));
  const Context copy = context;
  context = Context();
  EXPECT_EQ(**copy.value<Ticket>(), 17);
}

TEST(ValueTest, ReachesChildrenAndKeepsTheirCancellation) {
  CancelScope parent = WithCancel(WithValue<Name>(Context(), "Ada"));
  CancelScope child = WithCancel(parent.context());
  const Context grandchild = WithValue<Nickname>(child.context(), "A.");
  EXPECT_EQ(*grandchild.value<Name>(), "Ada");
  parent.Cancel();
  EXPECT_TRUE(grandchild.done());
}

TEST(ValueTest, ALongChainIsDestroyedWithoutRecursion) {
  Context context;
  for (int i = 0; i < 200'000; ++i) {
    context = WithValue<Name>(context, "");
  }
}

TEST(WithoutCancelTest, KeepsTheValuesAlone) {
  CancelScope scope =
      WithTimeout(WithValue<Name>(Context(), "Ada"), absl::Hours(1));
  scope.Cancel();
  const Context shielded = WithoutCancel(scope.context());
  EXPECT_FALSE(shielded.done());
  EXPECT_EQ(shielded.deadline(), absl::InfiniteFuture());
  EXPECT_EQ(*shielded.value<Name>(), "Ada");
}

#ifdef __cpp_lib_jthread

TEST(StopTokenTest, StopsTheContext) {
  std::stop_source source;
  CancelScope scope = WithStopToken(Context(), source.get_token());
  EXPECT_FALSE(scope.context().done());
  CancelScope moved = std::move(scope);
  source.request_stop();
  EXPECT_TRUE(moved.context().done());
  EXPECT_EQ(moved.context().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(
      WithStopToken(Context(), source.get_token()).context().done());
  EXPECT_FALSE(
      WithStopToken(Context(), std::stop_token()).context().done());
}

TEST(StopTokenTest, StopRacesWithTheScopesEnd) {
  for (int i = 0; i < 200; ++i) {
    std::stop_source source;
    std::optional<CancelScope> scope(
        WithStopToken(Context(), source.get_token()));
    Caller stopper([&source] { source.request_stop(); });
    scope.reset();
  }
}

TEST(StopTokenTest, IsStoppedByTheContext) {
  CancelScope scope = WithCancel(Context());
  const std::stop_token before = scope.context().stop_token();
  bool called = false;
  std::stop_callback callback(before, [&called] { called = true; });
  EXPECT_FALSE(before.stop_requested());
  scope.Cancel();
  EXPECT_TRUE(before.stop_requested());
  EXPECT_TRUE(called);
  EXPECT_TRUE(scope.context().stop_token().stop_requested());
  EXPECT_FALSE(Context().stop_token().stop_possible());
}

TEST(StopTokenTest, ATokenAskedForDuringTheCancellationIsStopped) {
  for (int i = 0; i < 300; ++i) {
    CancelScope scope = WithCancel(Context());
    std::stop_token token;
    Caller asker([&] { token = scope.context().stop_token(); });
    scope.Cancel();
    asker.Join();
    ASSERT_TRUE(token.stop_requested());
  }
}

#endif  // __cpp_lib_jthread

TEST(ContextDeathTest, BadInputDiesAndNamesTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)Context().OnDone(nullptr),
               "Context::OnDone: null callback");
  EXPECT_DEATH(WithCancel(Context()).Cancel(absl::OkStatus()),
               "CancelScope::Cancel: the cause is OK");
  EXPECT_DEATH((void)WithTimeout(Context(), absl::Hours(1), absl::OkStatus()),
               "WithTimeout: the cause is OK");
  EXPECT_DEATH(
      (void)WithDeadline(Context(), absl::Now(), absl::OkStatus()),
      "WithDeadline: the cause is OK");
}

}  // namespace
}  // namespace cohort
