// CyclicBarrier on every schedule that the search comes across. The names with
// numbers are those of docs/immunity.md.

#include <array>
#include <cstddef>
#include <deque>
#include <stdexcept>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::cyclicbarrier {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

absl::Status Cause() { return absl::UnknownError("the test says so"); }

// A barrier of two, and what has come of all its rounds.
class Two {
 public:
  // The action fails the first `failures` times, and in every other way of
  // failing that there is.
  explicit Two(int failures = 0)
      : failures_(failures), barrier_(2, [this] { return Act(); }) {}

  absl::StatusOr<int> Await(const Context& context) {
    const absl::StatusOr<int> index = barrier_.Await(context);
    if (index.ok()) {
      ++left_[static_cast<size_t>(*index)];
    } else if (index.status() != Failure()) {
      EXPECT_TRUE(absl::IsAborted(index.status()) ||
                  index.status() == context.cause())
          << index.status();
    }
    return index;
  }

  void Reset() { barrier_.Reset(); }
  bool broken() const { return barrier_.broken(); }

  // How many rounds have passed, after the last. Each has let both of its
  // parties go, and none only one.
  int Passed() {
    EXPECT_EQ(left_[0], left_[1]);
    EXPECT_LE(left_[0], acted_.Read());
    return left_[0];
  }

 private:
  static absl::Status Failure() { return absl::DataLossError("action"); }

  absl::Status Act() {
    EXPECT_EQ(++acting_, 1);
    ++acted_.Write();
    sync::SchedulePoint("acting");
    --acting_;
    return failures_-- > 0 ? Failure() : absl::OkStatus();
  }

  int failures_;
  CyclicBarrier barrier_;
  sync::Atomic<int> acting_ = 0;
  sync::RaceChecked<int> acted_;
  std::array<sync::Atomic<int>, 2> left_;
};

TEST(CyclicBarrierSimTest, WhatEachDidBeforeIsVisibleToAllAfter) {
  sim::Explore({.schedules = 3000}, [] {
    constexpr int kParties = 3;
    std::array<sync::RaceChecked<int>, kParties> parts;
    sync::RaceChecked<int> sum(0);
    CyclicBarrier barrier(kParties, [&] {
      for (const sync::RaceChecked<int>& part : parts)
        sum.Write() += part.Read();
    });
    const auto run = [&](size_t self) {
      int indices = 0;
      for (int round = 1; round <= 2; ++round) {
        parts[self].Write() = round;
        const absl::StatusOr<int> index = barrier.Await(Context());
        EXPECT_TRUE(index.ok());
        indices += *index;
        EXPECT_EQ(sum.Read(), round == 1 ? 3 : 9);
      }
      EXPECT_GE(indices, 0);
      EXPECT_LE(indices, 4);
    };
    JoiningThread one([&] { run(1); });
    JoiningThread two([&] { run(2); });
    run(0);
  });
}

TEST(CyclicBarrierSimTest, B61_MoreThreadsThanParties) {
  sim::Explore({.schedules = 5000}, [] {
    Two barrier;
    {
      std::deque<JoiningThread> callers;
      for (int i = 0; i < 4; ++i) {
        callers.emplace_back(
            [&] { EXPECT_TRUE(barrier.Await(Context()).ok()); });
      }
    }
    EXPECT_EQ(barrier.Passed(), 2);
  });
}

TEST(CyclicBarrierSimTest, TheNextRoundDoesNotTakeFromTheLast) {
  sim::Explore({.schedules = 3000}, [] {
    Two barrier;
    const auto three = [&] {
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(barrier.Await(Context()).ok());
      }
    };
    {
      JoiningThread other(three);
      three();
    }
    EXPECT_EQ(barrier.Passed(), 3);
  });
}

TEST(CyclicBarrierSimTest, B59_AnActionThatFailsReleasesAll) {
  sim::Explore({.schedules = 3000}, [] {
    Two barrier(1);
    absl::Status theirs;
    JoiningThread other([&] { theirs = barrier.Await(Context()).status(); });
    const absl::Status ours = barrier.Await(Context()).status();
    other.Join();
    EXPECT_EQ(absl::IsAborted(ours), absl::IsDataLoss(theirs));
    EXPECT_EQ(absl::IsAborted(theirs), absl::IsDataLoss(ours));
    EXPECT_TRUE(barrier.broken());
    EXPECT_EQ(barrier.Passed(), 0);
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(CyclicBarrierSimTest, B59_AnActionThatThrowsReleasesAll) {
  sim::Explore({.schedules = 3000}, [] {
    CyclicBarrier barrier(2, [] { throw std::runtime_error("boom"); });
    absl::Status theirs;
    JoiningThread other([&] { theirs = barrier.Await(Context()).status(); });
    const absl::Status ours = barrier.Await(Context()).status();
    other.Join();
    EXPECT_EQ(absl::IsAborted(ours), absl::IsInternal(theirs));
    EXPECT_EQ(absl::IsAborted(theirs), absl::IsInternal(ours));
    EXPECT_TRUE(barrier.broken());
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

// Of two parties one may give up, before, while or after the other comes, which
// it may then have left alone.
void OneGivesUp(const Context& context, absl::FunctionRef<void()> meanwhile) {
  Two barrier;
  CancelScope alone = WithCancel(Context());
  absl::Status theirs;
  JoiningThread other([&] {
    theirs = barrier.Await(context).status();
    if (!theirs.ok()) {
      EXPECT_EQ(theirs, Cause());
      alone.Cancel(absl::NotFoundError("alone"));
    }
  });
  JoiningThread party([&] {
    const absl::Status ours = barrier.Await(alone.context()).status();
    EXPECT_TRUE(ours.ok() || absl::IsAborted(ours) || absl::IsNotFound(ours));
  });
  meanwhile();
  other.Join();
  party.Join();
  EXPECT_EQ(barrier.Passed(), theirs.ok() ? 1 : 0);
}

TEST(CyclicBarrierSimTest, ACancellationRacesWithTheLastArrival) {
  sim::Explore({.schedules = 5000}, [] {
    CancelScope scope = WithCancel(Context());
    OneGivesUp(scope.context(), [&] { scope.Cancel(Cause()); });
  });
}

TEST(CyclicBarrierSimTest, ADeadlineRacesWithTheLastArrival) {
  sim::Explore({.schedules = 3000}, [] {
    CancelScope scope = WithTimeout(Context(), kMoment, Cause());
    OneGivesUp(scope.context(), [] {});
  });
}

// Whoever comes after the cancel finds the round broken, or nobody in it, and
// acts for no one.
void TheOtherComesAfterACancel() {
  CancelScope scope = WithCancel(Context());
  CancelScope alone = WithCancel(Context());
  int acted = 0;
  CyclicBarrier barrier(2, [&acted] { ++acted; });
  JoiningThread cancelled([&] {
    EXPECT_EQ(barrier.Await(scope.context()).status(), Cause());
    alone.Cancel(absl::NotFoundError("alone"));
  });
  scope.Cancel(Cause());
  const absl::Status status = barrier.Await(alone.context()).status();
  EXPECT_TRUE(absl::IsAborted(status) || absl::IsNotFound(status)) << status;
  cancelled.Join();
  EXPECT_EQ(acted, 0);
}

TEST(CyclicBarrierSimTest, NobodyIsLetThroughAfterACancelThatHasReturned) {
  sim::Explore({.schedules = 5000}, TheOtherComesAfterACancel);
}

TEST(CyclicBarrierSimTest, TheActionLetsNobodyThroughAfterACancel) {
  sim::Explore({.schedules = 3000}, [] {
    CancelScope scope = WithCancel(Context());
    CyclicBarrier barrier(2, [&scope] { scope.Cancel(Cause()); });
    JoiningThread cancelled(
        [&] { EXPECT_EQ(barrier.Await(scope.context()).status(), Cause()); });
    Await([&] { return barrier.waiting() == 1; });
    EXPECT_TRUE(absl::IsAborted(barrier.Await(Context()).status()));
    EXPECT_TRUE(barrier.broken());
  });
}

// Whoever acts is not parked, and ends what it does.
TEST(CyclicBarrierSimTest, WhoActsIsLetThroughWithAllOthers) {
  sim::Explore({.schedules = 3000}, [] {
    CancelScope scope = WithCancel(Context());
    CyclicBarrier barrier(2, [&scope] { scope.Cancel(Cause()); });
    JoiningThread first([&] { EXPECT_EQ(*barrier.Await(Context()), 0); });
    Await([&] { return barrier.waiting() == 1; });
    EXPECT_EQ(*barrier.Await(scope.context()), 1);
  });
}

// Also those who learn of it from another one.
TEST(CyclicBarrierSimTest, AllWhoseContextEndsAreToldWhy) {
  sim::Explore({.schedules = 3000}, [] {
    CyclicBarrier barrier(3);
    CancelScope scope = WithCancel(Context());
    const auto await = [&] {
      EXPECT_EQ(barrier.Await(scope.context()).status(), Cause());
    };
    JoiningThread one(await);
    JoiningThread two(await);
    scope.Cancel(Cause());
  });
}

TEST(CyclicBarrierSimTest, NobodyWaitsForAnActionInVain) {
  sim::Explore({.schedules = 2000}, [] {
    CancelScope action = WithCancel(Context());
    sync::Atomic<bool> acting = false;
    CyclicBarrier barrier(2, [&] {
      acting = true;
      action.context().AwaitDone();
    });
    CancelScope scope = WithCancel(Context());
    JoiningThread leaves(
        [&] { EXPECT_EQ(barrier.Await(scope.context()).status(), Cause()); });
    Await([&] { return barrier.waiting() == 1; });
    JoiningThread acts([&] {
      EXPECT_TRUE(absl::IsAborted(barrier.Await(Context()).status()));
    });
    Await([&] { return acting.load(); });
    // Neither who comes and gives up,
    const CancelScope brief = WithTimeout(Context(), kMoment, Cause());
    EXPECT_EQ(barrier.Await(brief.context()).status(), Cause());
    EXPECT_FALSE(barrier.broken());
    // nor who has come and gives up, nor who comes for a round that is broken.
    scope.Cancel(Cause());
    leaves.Join();
    EXPECT_TRUE(absl::IsAborted(barrier.Await(Context()).status()));
    action.Cancel();
  });
}

TEST(CyclicBarrierSimTest, AResetRacesWithARound) {
  sim::Explore({.schedules = 5000}, [] {
    Two barrier;
    const auto until_it_passes = [&] {
      while (!barrier.Await(Context()).ok()) {
      }
    };
    {
      JoiningThread one(until_it_passes);
      JoiningThread two(until_it_passes);
      barrier.Reset();
    }
    EXPECT_EQ(barrier.Passed(), 1);
    EXPECT_FALSE(barrier.broken());
  });
}

// One outcome for each round, whatever happens in it.
TEST(CyclicBarrierSimTest, CancelResetTimeoutAndFailureInOne) {
  sim::Explore({.schedules = 20'000}, [] {
    Two barrier(1);
    CancelScope one = WithTimeout(Context(), kMoment, Cause());
    CancelScope two = WithCancel(Context());
    const auto run = [&](const Context& own, CancelScope& others) {
      for (int i = 0; i < 3; ++i) {
        if (!barrier.Await(own).ok()) barrier.Reset();
      }
      // Who has nobody left to wait for goes, too.
      others.Cancel(Cause());
    };
    {
      JoiningThread first([&] { run(one.context(), two); });
      JoiningThread second([&] { run(two.context(), one); });
      JoiningThread canceller([&] { two.Cancel(Cause()); });
      barrier.Reset();
    }
    EXPECT_LE(barrier.Passed(), 2);
  });
}

// The pool's one thread is replaced at once, and not when the monitor comes.
TEST(CyclicBarrierSimTest, ABlockedAwaitIsAnnounced) {
  sim::Explore({.schedules = 1000, .time = sim::Time::kQuiescent}, [] {
    CyclicBarrier barrier(3);
    {
      ElasticPool pool({.workers = 1});
      for (int i = 0; i < 3; ++i) {
        pool.Submit([&] { EXPECT_TRUE(barrier.Await(Context()).ok()); });
      }
    }
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
}

// Complete searches.

TEST(CyclicBarrierProof, TwoPartiesTwoRounds) {
  ExploreAll(sim::Strategy::DepthFirst(), [] {
    Two barrier;
    const auto two = [&] {
      EXPECT_TRUE(barrier.Await(Context()).ok());
      EXPECT_TRUE(barrier.Await(Context()).ok());
    };
    {
      JoiningThread other(two);
      two();
    }
    EXPECT_EQ(barrier.Passed(), 2);
  });
}

TEST(CyclicBarrierProof, B61_ThreeThreadsOfTwoParties) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    Two barrier;
    const auto once = [&] { EXPECT_TRUE(barrier.Await(Context()).ok()); };
    {
      JoiningThread a(once);
      JoiningThread b(once);
      JoiningThread c(once);
      once();
    }
    EXPECT_EQ(barrier.Passed(), 2);
  });
}

TEST(CyclicBarrierProof, ACancellationAndTheLastArrival) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    CancelScope scope = WithCancel(Context());
    OneGivesUp(scope.context(), [&] { scope.Cancel(Cause()); });
  });
}

TEST(CyclicBarrierProof, NobodyIsLetThroughAfterACancelThatHasReturned) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), TheOtherComesAfterACancel);
}

TEST(CyclicBarrierProof, AResetAndARound) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    Two barrier;
    const auto until_it_passes = [&] {
      while (!barrier.Await(Context()).ok()) {
      }
    };
    {
      JoiningThread other(until_it_passes);
      JoiningThread resets([&] { barrier.Reset(); });
      until_it_passes();
    }
    EXPECT_EQ(barrier.Passed(), 1);
  });
}

}  // namespace
}  // namespace cohort::cyclicbarrier
