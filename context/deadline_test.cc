// Deadlines and timeouts: what they promise, and their races.

#include <atomic>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/context/test_util.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::CallAtDeadline;
using ::cohort::testing::ContextOf;
using ::cohort::testing::Expiring;
using ::cohort::testing::JoiningThread;

const absl::Status kCause = absl::AbortedError("because");

TEST(DeadlineTest, EndsTheContextWithItsCause) {
  const absl::Time t = absl::Now() + absl::Milliseconds(2);
  CancelScope scope = WithDeadline(Context(), t, kCause);
  EXPECT_EQ(scope.context().deadline(), t);
  scope.context().AwaitDone();
  EXPECT_GE(absl::Now(), t);
  EXPECT_EQ(scope.context().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(scope.context().cause(), kCause);
  EXPECT_FALSE(scope.Cancel());
  EXPECT_EQ(scope.context().cause(), kCause);
}

TEST(DeadlineTest, WithoutAReasonTheCauseIsTheStatus) {
  CancelScope scope = WithTimeout(Context(), absl::ZeroDuration());
  EXPECT_EQ(scope.context().cause(), scope.context().status());
}

TEST(DeadlineTest, ThatHasPassedEndsItAtOnce) {
  for (absl::Duration d : {absl::ZeroDuration(), absl::Nanoseconds(-1),
                           -absl::Hours(1), -absl::InfiniteDuration()}) {
    CancelScope scope = WithTimeout(Context(), d, kCause);
    EXPECT_TRUE(scope.context().done()) << d;
    EXPECT_EQ(scope.context().status().code(),
              absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(scope.context().cause(), kCause);
  }
  EXPECT_TRUE(ContextOf(WithDeadline(Context(), absl::InfinitePast())).done());
}

// Also between the parent's deadline and the moment its timer gets to run.
TEST(DeadlineTest, ThatHasPassedEndsItAtOnceWhereTheParentsHasPassedToo) {
  for (int round = 0; round < 200; ++round) {
    CancelScope parent = WithTimeout(Context(), absl::Microseconds(30));
    const absl::Time t = parent.context().deadline();
    while (absl::Now() <= t) continue;
    CancelScope child =
        WithDeadline(parent.context(), t + absl::Nanoseconds(1));
    ASSERT_TRUE(child.context().done());
    ASSERT_EQ(child.context().status().code(),
              absl::StatusCode::kDeadlineExceeded);
    ASSERT_EQ(child.context().deadline(), t);
  }
}

TEST(DeadlineTest, IsInheritedAndTheEarlierOneWins) {
  const absl::Time early = absl::Now() + absl::Hours(1);
  const absl::Time late = early + absl::Hours(1);
  CancelScope parent = WithDeadline(Context(), early);
  EXPECT_EQ(ContextOf(WithDeadline(parent.context(), late)).deadline(), early);
  EXPECT_EQ(ContextOf(WithDeadline(parent.context(), early)).deadline(), early);
  EXPECT_EQ(ContextOf(WithCancel(parent.context())).deadline(), early);
  CancelScope other = WithDeadline(Context(), late);
  CancelScope child = WithDeadline(other.context(), early);
  EXPECT_EQ(child.context().deadline(), early);
  EXPECT_EQ(ContextOf(WithCancel(child.context())).deadline(), early);
  EXPECT_EQ(other.context().deadline(), late);
}

// Time passes between two looks at the clocks, and so what is later may come
// earlier by some nanoseconds.
TEST(DeadlineTest, IsNoLaterThanTheOneAbove) {
  for (int round = 0; round < 1000; ++round) {
    const absl::Time t = absl::Now() + absl::Hours(1);
    const CancelScope parent = WithDeadline(Context(), t);
    const CancelScope child =
        WithDeadline(parent.context(), t + absl::Nanoseconds(1));
    ASSERT_LE(child.context().deadline(), t);
  }
}

TEST(DeadlineTest, StaysReadableAfterTheEnd) {
  const absl::Time t = absl::Now() + absl::Hours(1);
  CancelScope parent = WithDeadline(Context(), t);
  parent.Cancel();
  EXPECT_EQ(parent.context().deadline(), t);
  EXPECT_EQ(ContextOf(WithCancel(parent.context())).deadline(), t);
}

TEST(DeadlineTest, AParentsEndsItsChildrenWithItsCause) {
  CancelScope parent = WithTimeout(Context(), absl::Milliseconds(1), kCause);
  CancelScope child = WithTimeout(parent.context(), absl::Hours(1));
  CancelScope grandchild = WithCancel(child.context());
  grandchild.context().AwaitDone();
  EXPECT_EQ(grandchild.context().cause(), kCause);
  EXPECT_EQ(grandchild.context().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(child.context().cause(), kCause);
}

TEST(DeadlineTest, AChildsLeavesItsParentAlone) {
  CancelScope parent = WithTimeout(Context(), absl::Hours(1));
  CancelScope sibling = WithCancel(parent.context());
  CancelScope child = WithTimeout(parent.context(), absl::Milliseconds(1));
  child.context().AwaitDone();
  EXPECT_FALSE(parent.context().done());
  EXPECT_FALSE(sibling.context().done());
}

TEST(DeadlineTest, InfiniteOnesAreNone) {
  CancelScope scope = WithTimeout(Context(), absl::InfiniteDuration());
  EXPECT_EQ(scope.context().deadline(), absl::InfiniteFuture());
  EXPECT_FALSE(scope.context().done());
}

TEST(DeadlineTest, FartherThanTheClockCountsIsNever) {
  const absl::Time t = absl::Now() + absl::Hours(24) * 365 * 1'000'000;
  CancelScope scope = WithDeadline(Context(), t);
  EXPECT_EQ(scope.context().deadline(), t);
  // One that is due comes by all the same.
  CancelScope due = WithTimeout(Context(), absl::Milliseconds(1));
  due.context().AwaitDone();
  EXPECT_FALSE(scope.context().done());
  EXPECT_TRUE(scope.Cancel());
}

TEST(DeadlineTest, AThousandFireAndNoneIsEarly) {
  std::atomic<int> early{0};
  std::atomic<int> fired{0};
  std::vector<CancelScope> scopes;
  std::vector<DoneCallback> callbacks;
  // The last made is the first due.
  for (int i = 0; i < 1000; ++i) {
    scopes.push_back(
        WithTimeout(Context(), absl::Microseconds(10 * (1000 - i))));
    const Context& context = scopes.back().context();
    callbacks.push_back(context.OnDone([&early, &fired, context] {
      if (absl::Now() < context.deadline()) ++early;
      ++fired;
    }));
  }
  for (const CancelScope& scope : scopes) {
    scope.context().AwaitDone();
    ASSERT_GE(absl::Now(), scope.context().deadline());
    ASSERT_EQ(scope.context().status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  // Waiters are woken before the callbacks run.
  Await([&fired] { return fired == 1000; });
  EXPECT_EQ(early, 0);
}

TEST(DeadlineTest, RunsItsCallbacksOnTheDefaultExecutor) {
  absl::Notification ran;
  Executor* executor = nullptr;
  const Expiring expiring = CallAtDeadline([&] {
    executor = Executor::Current();
    ran.Notify();
  });
  ran.WaitForNotification();
  EXPECT_EQ(executor, &DefaultExecutor());
}

TEST(DeadlineTest, ASlowCallbackDelaysNoOtherDeadline) {
  absl::Notification running;
  absl::Notification release;
  const Expiring slow = CallAtDeadline([&] {
    running.Notify();
    release.WaitForNotification();
  });
  running.WaitForNotification();
  CancelScope other = WithTimeout(Context(), absl::Microseconds(100));
  other.context().AwaitDone();
  release.Notify();
}

TEST(DeadlineTest, EitherItOrCancelEndsTheContextNeverBoth) {
  for (int i = 0; i < 500; ++i) {
    CancelScope scope =
        WithTimeout(Context(), absl::Microseconds(i % 50), kCause);
    std::atomic<int> ran{0};
    DoneCallback callback = scope.context().OnDone([&ran] { ++ran; });
    const absl::Time until = absl::Now() + absl::Microseconds(i % 60);
    while (absl::Now() < until) continue;
    const bool cancelled = scope.Cancel(absl::InternalError("cancelled"));
    const bool expired = scope.context().cause() == kCause;
    ASSERT_NE(cancelled, expired);
    ASSERT_EQ(scope.context().status().code(),
              cancelled ? absl::StatusCode::kCancelled
                        : absl::StatusCode::kDeadlineExceeded);
    if (cancelled) {
      ASSERT_EQ(ran, 1);
    }
    callback = DoneCallback();
    ASSERT_LE(ran, 1);
  }
}

// The timer may be on its way to run when the last owner goes.
TEST(DeadlineTest, RacesWithTheDestructionOfEverything) {
  for (int i = 0; i < 1000; ++i) {
    std::optional<CancelScope> parent(WithCancel(Context()));
    CancelScope child =
        WithTimeout(parent->context(), absl::Microseconds(i % 80));
    const absl::Time until = absl::Now() + absl::Microseconds(i % 100);
    while (absl::Now() < until) continue;
    if (i % 2 == 0) parent.reset();
  }
}

TEST(DeadlineTest, ManyRaceWithTheEndOfTheirParent) {
  for (int round = 0; round < 200; ++round) {
    std::optional<CancelScope> parent(WithCancel(Context()));
    std::atomic<int> ran{0};
    std::vector<CancelScope> children;
    std::vector<DoneCallback> callbacks;
    for (int i = 0; i < 10; ++i) {
      children.push_back(
          WithTimeout(parent->context(), absl::Microseconds(20 * i)));
      callbacks.push_back(children.back().context().OnDone([&ran] { ++ran; }));
    }
    JoiningThread canceller([&parent] { parent.reset(); });
    for (const CancelScope& child : children) child.context().AwaitDone();
    Await([&ran] { return ran == 10; });
  }
}

TEST(DeadlineDeathTest, AnOkCauseDiesAndNamesTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)WithTimeout(Context(), absl::Hours(1), absl::OkStatus()),
               "WithTimeout: the cause is OK");
  EXPECT_DEATH((void)WithDeadline(Context(), absl::Now(), absl::OkStatus()),
               "WithDeadline: the cause is OK");
}

}  // namespace
}  // namespace cohort
