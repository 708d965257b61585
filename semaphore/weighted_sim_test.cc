// Weighted on every schedule that the search comes across. The names with
// numbers are those of docs/immunity.md.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sim/linearizable.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::semaphore {
namespace {

using ::cohort::testing::AtOnce;
using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

absl::Status Cause() { return absl::AbortedError("the test says so"); }

void ExpectUnused(const Weighted& semaphore) {
  EXPECT_EQ(semaphore.in_use(), 0);
  EXPECT_EQ(semaphore.waiters(), 0);
}

TEST(WeightedSimTest, NeverMoreThanTheSizeAndNobodyIsForgotten) {
  sim::Explore({.schedules = 5000}, [] {
    Weighted semaphore(3);
    AtOnce visitors(3);
    const auto visit = [&](int64_t n) {
      EXPECT_EQ(semaphore.Acquire(Context(), n), absl::OkStatus());
      visitors.Visit(n);
      semaphore.Release(n);
    };
    {
      JoiningThread one([&] {
        visit(1);
        visit(2);
      });
      JoiningThread three([&] { visit(3); });
      JoiningThread tries([&] {
        if (!semaphore.TryAcquire(2)) return;
        visitors.Visit(2);
        semaphore.Release(2);
      });
      visit(2);
    }
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, WhatWasBeforeAReleaseIsVisible) {
  sim::Explore({.schedules = 5000}, [] {
    Weighted semaphore(1);
    sync::RaceChecked<int> guarded(0);
    const auto add = [&] {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      ++guarded.Write();
      semaphore.Release();
    };
    {
      JoiningThread one(add);
      JoiningThread two([&] {
        if (!semaphore.TryAcquire()) return;
        guarded.Write() += 10;
        semaphore.Release();
      });
      JoiningThread resizes([&] { semaphore.Resize(1); });
      add();
    }
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    EXPECT_EQ(guarded.Read() % 10, 2);
  });
}

// Both have come back by the fast path, and both are visible.
TEST(WeightedSimTest, WhatWasBeforeBothOfTwoReleasesIsVisible) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    sync::RaceChecked<int> a(0);
    sync::RaceChecked<int> b(0);
    ASSERT_TRUE(semaphore.TryAcquire(2));
    JoiningThread one([&] {
      a.Write() = 1;
      semaphore.Release();
    });
    JoiningThread two([&] {
      b.Write() = 1;
      semaphore.Release();
    });
    EXPECT_EQ(semaphore.Acquire(Context(), 2), absl::OkStatus());
    EXPECT_EQ(a.Read() + b.Read(), 2);
  });
}

TEST(WeightedSimTest, B22_TheNextMovesUpWhenTheFirstGivesUp) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread first(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context(), 2), Cause()); });
    JoiningThread second(
        [&] { EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus()); });
    scope.Cancel(Cause());
    second.Join();
    EXPECT_EQ(semaphore.in_use(), 2);
  });
}

TEST(WeightedSimTest, B25_PermitsThatComeOneByOneAddUp) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(3);
    ASSERT_TRUE(semaphore.TryAcquire(3));
    JoiningThread waiter(
        [&] { EXPECT_EQ(semaphore.Acquire(Context(), 3), absl::OkStatus()); });
    JoiningThread one([&] { semaphore.Release(); });
    JoiningThread two([&] { semaphore.Release(); });
    semaphore.Release();
    waiter.Join();
    EXPECT_EQ(semaphore.in_use(), 3);
  });
}

TEST(WeightedSimTest, OneReleaseServesSeveral) {
  sim::Explore({.schedules = 2000}, [] {
    Weighted semaphore(3);
    ASSERT_TRUE(semaphore.TryAcquire(3));
    const auto take = [&] {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    };
    {
      JoiningThread one(take);
      JoiningThread two(take);
      semaphore.Release(3);
    }
    EXPECT_EQ(semaphore.in_use(), 2);
    EXPECT_TRUE(semaphore.TryAcquire());
  });
}

TEST(WeightedSimTest, B25_SmallOnesDoNotStarveALargeOne) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    ASSERT_TRUE(semaphore.TryAcquire(2));
    JoiningThread large(
        [&] { EXPECT_EQ(semaphore.Acquire(Context(), 2), absl::OkStatus()); });
    Await([&] { return semaphore.waiters() == 1; });
    CancelScope scope = WithCancel(Context());
    JoiningThread small([&] {
      EXPECT_FALSE(semaphore.TryAcquire());
      EXPECT_EQ(semaphore.Acquire(scope.context()), Cause());
    });
    semaphore.Release();
    semaphore.Release();
    large.Join();
    scope.Cancel(Cause());
  });
}

TEST(WeightedSimTest, ServesInTheOrderOfArrival) {
  sim::Explore({.schedules = 2000}, [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    sync::RaceChecked<int> served(0);
    const auto take = [&](int turn) {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      EXPECT_EQ(++served.Write(), turn);
      semaphore.Release();
    };
    JoiningThread first([&] { take(1); });
    Await([&] { return semaphore.waiters() == 1; });
    JoiningThread second([&] { take(2); });
    Await([&] { return semaphore.waiters() == 2; });
    semaphore.Release();
    take(3);
  });
}

TEST(WeightedSimTest, B26_ACancellationAlwaysWakes) {
  sim::Explore({.schedules = 5000}, [] {
    Weighted semaphore(0);
    CancelScope scope = WithCancel(Context());
    JoiningThread waiter(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context()), Cause()); });
    scope.Cancel(Cause());
    waiter.Join();
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, AGrantOrACancellationButNothingBetween) {
  sim::Explore({.schedules = 5000}, [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread waiter([&] {
      const absl::StatusOr<Permit> permit =
          semaphore.AcquirePermit(scope.context());
      const bool granted = permit.ok();
      EXPECT_EQ(permit.status(), granted ? absl::OkStatus() : Cause());
      if (granted) {
        EXPECT_EQ(semaphore.in_use(), 1);
      }
    });
    JoiningThread canceller([&] { scope.Cancel(Cause()); });
    semaphore.Release();
    waiter.Join();
    ExpectUnused(semaphore);
    EXPECT_TRUE(semaphore.TryAcquire());
  });
}

// It was served before its context ended, if it looks only later.
TEST(WeightedSimTest, AGrantBeforeTheCancellationStays) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread waiter([&] {
      EXPECT_EQ(semaphore.Acquire(scope.context()), absl::OkStatus());
    });
    Await([&] { return semaphore.waiters() == 1; });
    semaphore.Release();
    scope.Cancel(Cause());
  });
}

// A cancel that has returned is final, whoever would grant after it.

TEST(WeightedSimTest, NoReleaseServesAfterACancelThatHasReturned) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread waiter(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context()), Cause()); });
    scope.Cancel(Cause());
    semaphore.Release();
    waiter.Join();
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, NoResizeServesAfterACancelThatHasReturned) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(0);
    CancelScope scope = WithCancel(Context());
    JoiningThread waiter(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context()), Cause()); });
    scope.Cancel(Cause());
    semaphore.Resize(1);
    waiter.Join();
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, WhoLeavesServesNobodyAfterACancelThatHasReturned) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope first = WithCancel(Context());
    CancelScope second = WithCancel(Context());
    JoiningThread large(
        [&] { EXPECT_EQ(semaphore.Acquire(first.context(), 2), Cause()); });
    Await([&] { return semaphore.waiters() == 1; });
    JoiningThread small(
        [&] { EXPECT_EQ(semaphore.Acquire(second.context()), Cause()); });
    second.Cancel(Cause());
    first.Cancel(Cause());
    large.Join();
    small.Join();
    EXPECT_EQ(semaphore.in_use(), 1);
  });
}

// Nor do permits wait until who was cancelled has noticed.
TEST(WeightedSimTest, TheNextInLineIsServedInPlaceOfACancelledOne) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread first(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context()), Cause()); });
    Await([&] { return semaphore.waiters() == 1; });
    JoiningThread second([&] {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      semaphore.Release();
    });
    scope.Cancel(Cause());
    semaphore.Release();
    // By now it holds nobody up.
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
    semaphore.Release();
    first.Join();
    second.Join();
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, WhoeverTriesPassesACancelledOne) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread large(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context(), 2), Cause()); });
    Await([&] { return semaphore.waiters() == 1; });
    EXPECT_FALSE(semaphore.TryAcquire());
    scope.Cancel(Cause());
    EXPECT_TRUE(semaphore.TryAcquire());
  });
}

TEST(WeightedSimTest, TwoOfThreeWaitersGiveUp) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    ASSERT_TRUE(semaphore.TryAcquire(2));
    CancelScope scope = WithCancel(Context());
    const auto maybe = [&](int64_t n) {
      if (semaphore.Acquire(scope.context(), n).ok()) semaphore.Release(n);
    };
    {
      JoiningThread one([&] { maybe(2); });
      JoiningThread two([&] { maybe(1); });
      JoiningThread stays([&] {
        EXPECT_EQ(semaphore.Acquire(Context(), 2), absl::OkStatus());
        semaphore.Release(2);
      });
      JoiningThread canceller([&] { scope.Cancel(Cause()); });
      semaphore.Release();
      semaphore.Release();
    }
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, AResizeServesWhoWaits) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(1);
    {
      JoiningThread large([&] {
        EXPECT_EQ(semaphore.Acquire(Context(), 2), absl::OkStatus());
        semaphore.Release(2);
      });
      JoiningThread small([&] {
        EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
        semaphore.Release();
      });
      semaphore.Resize(2);
    }
    ExpectUnused(semaphore);
  });
}

TEST(WeightedSimTest, ARequestForMoreThanTheSizeHoldsNobodyUp) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    CancelScope scope = WithCancel(Context());
    JoiningThread large(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context(), 3), Cause()); });
    Await([&] { return semaphore.waiters() == 1; });
    {
      JoiningThread closes([&] { semaphore.Resize(2); });
      JoiningThread tries([&] {
        EXPECT_TRUE(semaphore.TryAcquire());
        semaphore.Release();
      });
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      semaphore.Release();
    }
    scope.Cancel(Cause());
  });
}

TEST(WeightedSimTest, SizesComeAndGo) {
  sim::Explore({.schedules = 5000}, [] {
    Weighted semaphore(2);
    AtOnce visitors(2);
    const auto visit = [&](int64_t n) {
      EXPECT_EQ(semaphore.Acquire(Context(), n), absl::OkStatus());
      visitors.Visit(n);
      semaphore.Release(n);
    };
    {
      JoiningThread one([&] { visit(1); });
      JoiningThread two([&] { visit(2); });
      JoiningThread resizes([&] {
        semaphore.Resize(0);
        semaphore.Resize(1);
        semaphore.Resize(2);
      });
      visit(1);
    }
    ExpectUnused(semaphore);
  });
}

// Once Resize has returned, the smaller size holds for whoever comes.
TEST(WeightedSimTest, ASmallerSizeHolds) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(2);
    sync::Atomic<bool> smaller = false;
    sync::Atomic<int> late = 0;
    const auto take = [&] {
      const bool was_smaller = smaller;
      if (!semaphore.TryAcquire()) return;
      if (was_smaller) {
        EXPECT_LE(++late, 1);
      }
      sync::SchedulePoint("visiting");
      if (was_smaller) --late;
      semaphore.Release();
    };
    JoiningThread one(take);
    JoiningThread two(take);
    semaphore.Resize(1);
    smaller = true;
    take();
  });
}

TEST(WeightedSimTest, AResizeAndACancellationMeet) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(1);
    CancelScope scope = WithCancel(Context());
    {
      JoiningThread large([&] {
        if (semaphore.Acquire(scope.context(), 2).ok()) semaphore.Release(2);
      });
      JoiningThread small([&] {
        EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
        semaphore.Release();
      });
      JoiningThread canceller([&] { scope.Cancel(Cause()); });
      semaphore.Resize(2);
      semaphore.Resize(1);
    }
    ExpectUnused(semaphore);
    EXPECT_TRUE(semaphore.TryAcquire());
  });
}

TEST(WeightedSimTest, ADeadlineRacesWithARelease) {
  sim::Explore({.schedules = 3000}, [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithTimeout(Context(), kMoment, Cause());
    JoiningThread holder([&] {
      sync::SleepFor(kMoment);
      semaphore.Release();
    });
    const absl::Status status = semaphore.Acquire(scope.context());
    if (status.ok()) {
      semaphore.Release();
    } else {
      EXPECT_EQ(status, Cause());
    }
    holder.Join();
    ExpectUnused(semaphore);
  });
}

// The pool's one thread is replaced at once, and not when the monitor comes.
TEST(WeightedSimTest, ABlockedAcquireIsAnnounced) {
  sim::Explore({.schedules = 1000, .time = sim::Time::kQuiescent}, [] {
    Weighted semaphore(0);
    {
      ElasticPool pool({.workers = 1});
      pool.Submit(
          [&] { EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus()); });
      pool.Submit([&] { semaphore.Resize(1); });
    }
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
}

// One after the other, its calls are those of two numbers.
struct Model {
  int64_t size = 0;
  int64_t in_use = 0;
  bool cancelled = false;

  friend bool operator==(const Model&, const Model&) = default;
};

class Recorded {
 public:
  explicit Recorded(int64_t size)
      : semaphore_(size), history_({.size = size}) {}

  void TryAcquire(int64_t n) {
    history_.Call(
        absl::StrCat("TryAcquire ", n),
        [&] { return semaphore_.TryAcquire(n); },
        [n](Model& model) {
          if (model.in_use + n > model.size) return false;
          model.in_use += n;
          return true;
        });
  }
  void Acquire(int64_t n) {
    history_.Call(
        absl::StrCat("Acquire ", n),
        [&] { EXPECT_EQ(semaphore_.Acquire(Context(), n), absl::OkStatus()); },
        [n](Model& model) {
          if (model.in_use + n > model.size) return false;
          model.in_use += n;
          return true;
        });
  }
  // The same with a context that Cancel ends: true if it has got them.
  bool AcquireOrNot(int64_t n) {
    return history_.Call(
        absl::StrCat("Acquire or not ", n),
        [&] { return semaphore_.Acquire(scope_.context(), n).ok(); },
        [n](Model& model, bool granted) {
          if (!granted) return model.cancelled;
          if (model.cancelled || model.in_use + n > model.size) return false;
          model.in_use += n;
          return true;
        });
  }
  void Cancel() {
    history_.Call(
        "Cancel", [&] { scope_.Cancel(); },
        [](Model& model) { model.cancelled = true; });
  }
  void Release(int64_t n) {
    history_.Call(
        absl::StrCat("Release ", n), [&] { semaphore_.Release(n); },
        [n](Model& model) { model.in_use -= n; });
  }
  void Resize(int64_t size) {
    history_.Call(
        absl::StrCat("Resize ", size), [&] { semaphore_.Resize(size); },
        [size](Model& model) { model.size = size; });
  }
  void InUse() {
    history_.Call(
        "in_use", [&] { return semaphore_.in_use(); },
        [](Model& model) { return model.in_use; });
  }
  void Check() const { history_.CheckLinearizable(); }

 private:
  Weighted semaphore_;
  CancelScope scope_ = WithCancel(Context());
  sim::History<Model> history_;
};

// What no thread waits for is refused for want of permits alone.
TEST(WeightedSimTest, IsLinearizableWhereNobodyWaits) {
  sim::Explore({.schedules = 10'000}, [] {
    Recorded semaphore(2);
    semaphore.TryAcquire(1);
    {
      JoiningThread one([&] {
        semaphore.TryAcquire(1);
        semaphore.Release(1);
      });
      JoiningThread two([&] {
        semaphore.TryAcquire(2);
        semaphore.InUse();
        semaphore.TryAcquire(1);
      });
      semaphore.Resize(3);
      semaphore.TryAcquire(1);
      semaphore.InUse();
    }
    semaphore.Check();
  });
}

TEST(WeightedSimTest, IsLinearizableWhereSomeWait) {
  sim::Explore({.schedules = 10'000}, [] {
    Recorded semaphore(2);
    semaphore.Acquire(1);
    {
      JoiningThread one([&] {
        semaphore.Acquire(2);
        semaphore.Release(1);
        semaphore.InUse();
      });
      JoiningThread two([&] {
        semaphore.Acquire(1);
        semaphore.Release(1);
      });
      semaphore.InUse();
      semaphore.Release(1);
      semaphore.Resize(3);
    }
    semaphore.Check();
  });
}

TEST(WeightedSimTest, IsLinearizableWhereSomeAreCancelled) {
  sim::Explore({.schedules = 10'000}, [] {
    Recorded semaphore(2);
    semaphore.Acquire(2);
    {
      JoiningThread one([&] {
        if (semaphore.AcquireOrNot(2)) semaphore.Release(2);
      });
      JoiningThread two([&] {
        semaphore.Acquire(1);
        semaphore.InUse();
        semaphore.Release(1);
      });
      JoiningThread canceller([&] {
        semaphore.Cancel();
        semaphore.Release(1);
      });
      semaphore.Release(1);
      if (semaphore.AcquireOrNot(1)) semaphore.Release(1);
    }
    semaphore.Check();
  });
}

// Complete searches.

// T1 has seen that there is no permit, T2 releases one and finds nobody, T1
// goes to wait.
TEST(WeightedProof, B25_APermitComesBetweenTheLookAndTheWait) {
  ExploreAll(sim::Strategy::Exhaustive(), [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    JoiningThread releaser([&] { semaphore.Release(); });
    EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
  });
}

TEST(WeightedProof, TwoAcquiresAndTheirReleases) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Weighted semaphore(1);
    sync::RaceChecked<int> guarded(0);
    const auto add = [&] {
      EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
      ++guarded.Write();
      semaphore.Release();
    };
    {
      JoiningThread other(add);
      add();
    }
    EXPECT_EQ(guarded.Read(), 2);
    ExpectUnused(semaphore);
  });
}

TEST(WeightedProof, AnAcquireACancellationAndARelease) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    {
      JoiningThread waiter([&] {
        if (semaphore.Acquire(scope.context()).ok()) semaphore.Release();
      });
      JoiningThread canceller([&] { scope.Cancel(Cause()); });
      semaphore.Release();
    }
    ExpectUnused(semaphore);
  });
}

TEST(WeightedProof, NoReleaseServesAfterACancelThatHasReturned) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    {
      JoiningThread waiter(
          [&] { EXPECT_EQ(semaphore.Acquire(scope.context()), Cause()); });
      scope.Cancel(Cause());
      semaphore.Release();
    }
    ExpectUnused(semaphore);
  });
}

TEST(WeightedProof, TheFirstGivesUpAndTheNextMovesUp) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    Weighted semaphore(2);
    ASSERT_TRUE(semaphore.TryAcquire());
    CancelScope scope = WithCancel(Context());
    JoiningThread first(
        [&] { EXPECT_EQ(semaphore.Acquire(scope.context(), 2), Cause()); });
    JoiningThread second(
        [&] { EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus()); });
    scope.Cancel(Cause());
  });
}

TEST(WeightedProof, AnAcquireAndAResize) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Weighted semaphore(1);
    {
      JoiningThread waiter([&] {
        EXPECT_EQ(semaphore.Acquire(Context(), 2), absl::OkStatus());
        semaphore.Release(2);
      });
      JoiningThread tries([&] {
        if (semaphore.TryAcquire()) semaphore.Release();
      });
      semaphore.Resize(2);
    }
    ExpectUnused(semaphore);
  });
}

}  // namespace
}  // namespace cohort::semaphore
