// What a Weighted and its permits do. The names with numbers are those of
// docs/immunity.md.

#include "cohort/semaphore/weighted.h"

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::semaphore {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

static_assert(!std::is_copy_constructible_v<Permit>);
static_assert(std::is_nothrow_move_constructible_v<Permit>);
static_assert(std::is_nothrow_move_assignable_v<Permit>);

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

absl::Status Cause() { return absl::AbortedError("the test says so"); }

// A context that is done.
Context Done() {
  CancelScope scope = WithCancel(Context());
  scope.Cancel(Cause());
  return scope.context();
}

TEST(WeightedTest, TakesAndGivesBack) {
  Weighted semaphore(3);
  EXPECT_EQ(semaphore.size(), 3);
  EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
  EXPECT_EQ(semaphore.in_use(), 1);
  EXPECT_TRUE(semaphore.TryAcquire(2));
  EXPECT_EQ(semaphore.in_use(), 3);
  EXPECT_FALSE(semaphore.TryAcquire());
  EXPECT_EQ(semaphore.in_use(), 3);
  semaphore.Release(2);
  EXPECT_FALSE(semaphore.TryAcquire(3));
  EXPECT_TRUE(semaphore.TryAcquire());
  semaphore.Release();
  semaphore.Release();
  EXPECT_EQ(semaphore.in_use(), 0);
  EXPECT_EQ(semaphore.waiters(), 0);
}

TEST(WeightedTest, NoPermitsAreNothing) {
  Weighted semaphore(0);
  EXPECT_EQ(semaphore.Acquire(Context(), 0), absl::OkStatus());
  EXPECT_TRUE(semaphore.TryAcquire(0));
  EXPECT_FALSE(semaphore.TryAcquire());
  semaphore.Release(0);
  EXPECT_EQ(semaphore.in_use(), 0);
}

TEST(WeightedTest, ADoneContextTakesNothing) {
  Weighted semaphore(1);
  EXPECT_EQ(semaphore.Acquire(Done()), Cause());
  EXPECT_EQ(semaphore.Acquire(Done(), 0), Cause());
  EXPECT_EQ(semaphore.AcquirePermit(Done()).status(), Cause());
  EXPECT_EQ(semaphore.in_use(), 0);
}

// Whether or not the waiter has noticed yet.
TEST(WeightedTest, ACancelThatHasReturnedIsNotFollowedByAGrant) {
  for (int i = 0; i < 200; ++i) {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread waiter(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context()), Cause()); });
    Await([&] { return semaphore.waiters() == 1; });
    scope.Cancel(Cause());
    if (i % 2 == 0) {
      semaphore.Release();
      EXPECT_TRUE(semaphore.TryAcquire());
    } else {
      semaphore.Resize(2);
      EXPECT_TRUE(semaphore.TryAcquire());
    }
    waiter.Join();
    EXPECT_EQ(semaphore.in_use(), i % 2 == 0 ? 1 : 2);
  }
}

TEST(WeightedTest, AReleaseGoesToWhoWaits) {
  Weighted semaphore(1);
  ASSERT_TRUE(semaphore.TryAcquire());
  JoiningThread waiter([&] {
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    semaphore.Release();
  });
  Await([&] { return semaphore.waiters() == 1; });
  semaphore.Release();
  waiter.Join();
  EXPECT_EQ(semaphore.in_use(), 0);
}

TEST(WeightedTest, ServesInTheOrderOfArrival) {
  constexpr int kWaiters = 5;
  Weighted semaphore(kWaiters);
  ASSERT_TRUE(semaphore.TryAcquire(kWaiters));
  std::vector<int> order;  // guarded by all of the permits
  std::deque<JoiningThread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, i] {
      EXPECT_EQ(semaphore.Acquire(Context(), kWaiters), absl::OkStatus());
      order.push_back(i);
      semaphore.Release(kWaiters);
    });
    Await([&] { return semaphore.waiters() == i + 1; });
  }
  semaphore.Release(kWaiters);
  waiters.clear();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(WeightedTest, B25_NobodyOvertakesWhoWaitsForMany) {
  Weighted semaphore(4);
  ASSERT_TRUE(semaphore.TryAcquire(2));
  JoiningThread large([&] {
    EXPECT_EQ(semaphore.Acquire(Context(), 4), absl::OkStatus());
    semaphore.Release(4);
  });
  Await([&] { return semaphore.waiters() == 1; });
  EXPECT_FALSE(semaphore.TryAcquire());
  EXPECT_FALSE(semaphore.TryAcquire(0));
  JoiningThread small([&] {
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    semaphore.Release();
  });
  Await([&] { return semaphore.waiters() == 2; });
  semaphore.Release();
  EXPECT_EQ(semaphore.in_use(), 1);
  EXPECT_EQ(semaphore.waiters(), 2);
  semaphore.Release();
  large.Join();
  small.Join();
  EXPECT_EQ(semaphore.in_use(), 0);
}

TEST(WeightedTest, ARequestForMoreThanTheSizeHoldsNobodyUp) {
  Weighted semaphore(2);
  CancelScope scope = WithCancel(Context());
  JoiningThread large(
      [&] { EXPECT_EQ(semaphore.Acquire(scope.context(), 3), Cause()); });
  Await([&] { return semaphore.waiters() == 1; });
  EXPECT_TRUE(semaphore.TryAcquire(2));
  JoiningThread small([&] {
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    semaphore.Release();
  });
  Await([&] { return semaphore.waiters() == 2; });
  semaphore.Release(2);
  small.Join();
  EXPECT_EQ(semaphore.waiters(), 1);
  scope.Cancel(Cause());
  large.Join();
  EXPECT_TRUE(semaphore.TryAcquire(2));
  semaphore.Release(2);
}

TEST(WeightedTest, ADeadlineEndsAnAcquire) {
  Weighted semaphore(1);
  const std::optional<Permit> permit = semaphore.TryAcquirePermit();
  CancelScope scope =
      WithTimeout(Context(), absl::Milliseconds(1), absl::UnknownError("late"));
  EXPECT_EQ(semaphore.Acquire(scope.context()), absl::UnknownError("late"));
  EXPECT_EQ(semaphore.waiters(), 0);
  EXPECT_EQ(semaphore.in_use(), 1);
}

TEST(WeightedTest, B22_TheNextMovesUpWhenTheFirstGivesUp) {
  Weighted semaphore(10);
  ASSERT_TRUE(semaphore.TryAcquire());
  CancelScope scope = WithCancel(Context());
  JoiningThread first(
      [&] { EXPECT_EQ(semaphore.Acquire(scope.context(), 10), Cause()); });
  Await([&] { return semaphore.waiters() == 1; });
  JoiningThread second(
      [&] { EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus()); });
  Await([&] { return semaphore.waiters() == 2; });
  scope.Cancel(Cause());
  first.Join();
  second.Join();
  EXPECT_EQ(semaphore.in_use(), 2);
  EXPECT_TRUE(semaphore.TryAcquire(8));
}

TEST(WeightedTest, OneInTheMiddleGivesUp) {
  Weighted semaphore(1);
  ASSERT_TRUE(semaphore.TryAcquire());
  CancelScope scope = WithCancel(Context());
  std::vector<int> order;  // guarded by the permit
  std::deque<JoiningThread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&, i] {
      const absl::Status status =
          semaphore.Acquire(i == 1 ? scope.context() : Context());
      EXPECT_EQ(status, i == 1 ? Cause() : absl::OkStatus());
      if (!status.ok()) return;
      order.push_back(i);
      semaphore.Release();
    });
    Await([&] { return semaphore.waiters() == i + 1; });
  }
  scope.Cancel(Cause());
  waiters[1].Join();
  EXPECT_EQ(semaphore.waiters(), 2);
  EXPECT_EQ(semaphore.in_use(), 1);
  semaphore.Release();
  waiters[0].Join();
  waiters[2].Join();
  EXPECT_EQ(order, (std::vector<int>{0, 2}));
}

TEST(WeightedTest, ALargerSizeServesWhoWaits) {
  Weighted semaphore(1);
  ASSERT_TRUE(semaphore.TryAcquire());
  std::deque<JoiningThread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back(
        [&] { EXPECT_EQ(semaphore.Acquire(Context(), 2), absl::OkStatus()); });
  }
  Await([&] { return semaphore.waiters() == 3; });
  semaphore.Resize(6);
  EXPECT_EQ(semaphore.size(), 6);
  EXPECT_EQ(semaphore.in_use(), 5);
  EXPECT_EQ(semaphore.waiters(), 1);
  semaphore.Resize(7);
  EXPECT_EQ(semaphore.in_use(), 7);
  waiters.clear();
  semaphore.Release(7);
}

TEST(WeightedTest, ASmallerSizeTakesNothingBack) {
  Weighted semaphore(4);
  ASSERT_TRUE(semaphore.TryAcquire(4));
  semaphore.Resize(2);
  EXPECT_EQ(semaphore.size(), 2);
  EXPECT_EQ(semaphore.in_use(), 4);
  EXPECT_FALSE(semaphore.TryAcquire(0));
  semaphore.Release(2);
  EXPECT_FALSE(semaphore.TryAcquire());
  EXPECT_TRUE(semaphore.TryAcquire(0));
  semaphore.Release();
  EXPECT_TRUE(semaphore.TryAcquire());
  EXPECT_FALSE(semaphore.TryAcquire());
  semaphore.Resize(0);
  semaphore.Release(2);
  EXPECT_FALSE(semaphore.TryAcquire());
  semaphore.Resize(1);
  EXPECT_TRUE(semaphore.TryAcquire());
}

TEST(WeightedTest, WhoNoLongerFitsIsPassedAndKeepsItsPlace) {
  Weighted semaphore(2);
  ASSERT_TRUE(semaphore.TryAcquire(2));
  std::vector<int64_t> order;  // guarded by the semaphore
  const auto acquire = [&](int64_t n) {
    EXPECT_EQ(semaphore.Acquire(Context(), n), absl::OkStatus());
    order.push_back(n);
    semaphore.Release(n);
  };
  JoiningThread two([&] { acquire(2); });
  Await([&] { return semaphore.waiters() == 1; });
  JoiningThread one([&] { acquire(1); });
  Await([&] { return semaphore.waiters() == 2; });
  semaphore.Resize(1);
  semaphore.Release();
  EXPECT_EQ(semaphore.waiters(), 2);
  semaphore.Release();
  one.Join();
  ASSERT_TRUE(semaphore.TryAcquire());
  JoiningThread again([&] { acquire(1); });
  Await([&] { return semaphore.waiters() == 2; });
  semaphore.Resize(2);
  EXPECT_EQ(semaphore.waiters(), 2);  // the two of the first stand in front
  semaphore.Release();
  two.Join();
  again.Join();
  EXPECT_EQ(order, (std::vector<int64_t>{1, 2, 1}));
}

TEST(WeightedTest, B25_TheSizeMayBeAnyNumber) {
  Weighted semaphore(int64_t{1} << 32);
  EXPECT_TRUE(semaphore.TryAcquire(int64_t{1} << 32));
  EXPECT_FALSE(semaphore.TryAcquire());
  semaphore.Resize(kMost);
  EXPECT_FALSE(semaphore.TryAcquire(kMost));
  EXPECT_TRUE(semaphore.TryAcquire(kMost - (int64_t{1} << 32)));
  EXPECT_EQ(semaphore.in_use(), kMost);
  semaphore.Resize(0);
  EXPECT_FALSE(semaphore.TryAcquire(0));
  EXPECT_EQ(semaphore.in_use(), kMost);
  semaphore.Release(kMost);
  EXPECT_EQ(semaphore.in_use(), 0);
  EXPECT_FALSE(semaphore.TryAcquire());
  EXPECT_TRUE(semaphore.TryAcquire(0));
}

TEST(WeightedTest, AnyThreadMayRelease) {
  Weighted semaphore(1);
  ASSERT_TRUE(semaphore.TryAcquire());
  JoiningThread other([&] { semaphore.Release(); });
  EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
}

TEST(PermitTest, GivesItsPermitsBack) {
  Weighted semaphore(3);
  {
    absl::StatusOr<Permit> permit = semaphore.AcquirePermit(Context(), 2);
    ASSERT_EQ(permit.status(), absl::OkStatus());
    EXPECT_EQ(permit->count(), 2);
    EXPECT_EQ(semaphore.in_use(), 2);
    EXPECT_EQ(semaphore.TryAcquirePermit(2), std::nullopt);
    const std::optional<Permit> last = semaphore.TryAcquirePermit();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->count(), 1);
    EXPECT_EQ(semaphore.in_use(), 3);
  }
  EXPECT_EQ(semaphore.in_use(), 0);
}

TEST(PermitTest, IsMovedAndGivenBackOnce) {
  Weighted semaphore(3);
  Permit first = *semaphore.TryAcquirePermit(2);
  Permit second = std::move(first);
  EXPECT_EQ(first.count(), 0);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.count(), 2);
  EXPECT_EQ(semaphore.in_use(), 2);
  first = *semaphore.TryAcquirePermit();
  second = std::move(first);  // gives back its own two
  EXPECT_EQ(semaphore.in_use(), 1);
  Permit& same = second;
  second = std::move(same);
  EXPECT_EQ(semaphore.in_use(), 0);
  first = *semaphore.TryAcquirePermit();
  std::swap(first, second);
  EXPECT_EQ(semaphore.in_use(), 1);
  EXPECT_EQ(second.count(), 1);
  second = {};
  EXPECT_EQ(semaphore.in_use(), 0);
}

TEST(PermitTest, EndsOnAnotherThread) {
  Weighted semaphore(1);
  JoiningThread other([permit = *semaphore.TryAcquirePermit()]() mutable {
    const Permit ends_here = std::move(permit);
  });
  EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
}

TEST(WeightedDeathTest, B24_MisuseDiesBeforeAnythingChanges) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Weighted(-1), "\\(-1 vs\\. 0\\).*Weighted::Weighted");
  EXPECT_DEATH((void)Weighted(2).Acquire(Context(), -5),
               "\\(-5 vs\\. 0\\).*Weighted::Acquire");
  Weighted named(2);
  EXPECT_DEATH((void)named.AcquirePermit(Context(), -5),
               "\\(-5 vs\\. 0\\).*Weighted::Acquire");
  EXPECT_DEATH((void)Weighted(2).Acquire(Done(), -5),
               "\\(-5 vs\\. 0\\).*Weighted::Acquire");
  EXPECT_DEATH((void)Weighted(2).TryAcquire(-5),
               "\\(-5 vs\\. 0\\).*Weighted::TryAcquire");
  EXPECT_DEATH(Weighted(2).Release(-1), "\\(-1 vs\\. 0\\).*Weighted::Release");
  EXPECT_DEATH(Weighted(2).Resize(-1), "\\(-1 vs\\. 0\\).*Weighted::Resize");
  EXPECT_DEATH(Weighted(2).Release(),
               "\\(1 vs\\. 0\\).*Weighted::Release of more than is held");
  EXPECT_DEATH(
      {
        Weighted semaphore(5);
        (void)semaphore.TryAcquire(2);
        semaphore.Release(3);
      },
      "\\(3 vs\\. 2\\).*Weighted::Release of more than is held");
  EXPECT_DEATH(
      {
        Weighted semaphore(5);
        (void)semaphore.TryAcquire(5);
        semaphore.Resize(1);
        semaphore.Release(kMost);
      },
      "vs\\. 5\\).*Weighted::Release of more than is held");
}

TEST(WeightedDeathTest, B41_AnUnlockTooManyDiesRatherThanWait) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Weighted lock(1);
        (void)lock.TryAcquire();
        lock.Release();
        lock.Release();
      },
      "\\(1 vs\\. 0\\).*Weighted::Release of more than is held");
}

TEST(WeightedDeathTest, DestroyedWhileSomebodyWaits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        std::optional<Weighted> semaphore(1);
        JoiningThread waiter([&] { (void)semaphore->Acquire(Context(), 2); });
        Await([&] { return semaphore->waiters() == 1; });
        semaphore.reset();
        std::_Exit(0);  // rather than wait for who waits
      },
      "Weighted is destroyed while somebody waits for 2");
}

}  // namespace
}  // namespace cohort::semaphore
