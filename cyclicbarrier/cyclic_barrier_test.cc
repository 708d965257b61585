// What a CyclicBarrier does. The names with numbers are those of
// docs/immunity.md.

#include "cohort/cyclicbarrier/cyclic_barrier.h"

#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "absl/base/config.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::cyclicbarrier {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

absl::Status Cause() { return absl::UnknownError("the test says so"); }

absl::Status Broken(const char* why) {
  return absl::AbortedError(std::string("the barrier is broken: ") + why);
}

TEST(CyclicBarrierTest, OneIsEnoughForItself) {
  int rounds = 0;
  CyclicBarrier barrier(1, [&] { ++rounds; });
  EXPECT_EQ(barrier.parties(), 1);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(*barrier.Await(Context()), 0);
    EXPECT_EQ(rounds, i);
  }
  EXPECT_EQ(barrier.waiting(), 0);
  EXPECT_FALSE(barrier.broken());
}

TEST(CyclicBarrierTest, TellsInWhichOrderTheyCame) {
  CyclicBarrier barrier(3);
  for (int round = 0; round < 2; ++round) {
    std::deque<JoiningThread> others;
    for (int i = 0; i < 2; ++i) {
      others.emplace_back([&, i] { EXPECT_EQ(*barrier.Await(Context()), i); });
      Await([&] { return barrier.waiting() == i + 1; });
    }
    EXPECT_EQ(*barrier.Await(Context()), 2);
  }
  EXPECT_EQ(barrier.waiting(), 0);
}

TEST(CyclicBarrierTest, TheActionRunsOnceARoundBeforeAnyoneLeaves) {
  constexpr int kParties = 4;
  constexpr int kRounds = 50;
  int rounds = 0;  // guarded by the barrier
  CyclicBarrier barrier(kParties, [&] { ++rounds; });
  std::deque<JoiningThread> callers;
  for (int i = 0; i < kParties; ++i) {
    callers.emplace_back([&] {
      for (int round = 1; round <= kRounds; ++round) {
        EXPECT_TRUE(barrier.Await(Context()).ok());
        EXPECT_EQ(rounds, round);  // until all are here again
      }
    });
  }
  callers.clear();
}

TEST(CyclicBarrierTest, AnActionIsAnyCallable) {
  int ran = 0;
  std::function<void()> function = [&] { ++ran; };
  CyclicBarrier plain(1, function);
  CyclicBarrier owning(1, [&, owned = std::make_unique<int>(1)]() mutable {
    ran += (*owned)++;
    return absl::OkStatus();
  });
  CyclicBarrier erased(1, absl::AnyInvocable<absl::Status()>([&] {
                         ++ran;
                         return absl::OkStatus();
                       }));
  EXPECT_TRUE(plain.Await(Context()).ok());
  EXPECT_TRUE(owning.Await(Context()).ok());
  EXPECT_TRUE(owning.Await(Context()).ok());
  EXPECT_TRUE(erased.Await(Context()).ok());
  EXPECT_EQ(ran, 5);
}

TEST(CyclicBarrierTest, ADoneContextIsNoArrival) {
  CyclicBarrier barrier(2);
  CancelScope scope = WithCancel(Context());
  scope.Cancel(Cause());
  EXPECT_EQ(barrier.Await(scope.context()).status(), Cause());
  EXPECT_EQ(barrier.waiting(), 0);
  EXPECT_FALSE(barrier.broken());
  JoiningThread other([&] { EXPECT_EQ(*barrier.Await(Context()), 0); });
  Await([&] { return barrier.waiting() == 1; });
  EXPECT_EQ(barrier.Await(scope.context()).status(), Cause());
  EXPECT_EQ(*barrier.Await(Context()), 1);
}

TEST(CyclicBarrierTest, WhoGivesUpBreaksTheRound) {
  CyclicBarrier barrier(3, [] { ADD_FAILURE() << "must not run"; });
  CancelScope scope = WithCancel(Context());
  JoiningThread stays([&] {
    EXPECT_EQ(barrier.Await(Context()).status(),
              Broken("a party has left: the test says so"));
  });
  Await([&] { return barrier.waiting() == 1; });
  JoiningThread leaves(
      [&] { EXPECT_EQ(barrier.Await(scope.context()).status(), Cause()); });
  Await([&] { return barrier.waiting() == 2; });
  scope.Cancel(Cause());
  stays.Join();
  leaves.Join();
  EXPECT_TRUE(barrier.broken());
  EXPECT_EQ(barrier.waiting(), 0);
  EXPECT_EQ(barrier.Await(Context()).status(),
            Broken("a party has left: the test says so"));
}

// So in a group that is cancelled each task returns the cause, and none of them
// hides it.
TEST(CyclicBarrierTest, WhoseOwnContextHasEndedIsToldWhy) {
  CyclicBarrier barrier(4);
  CancelScope scope = WithCancel(Context());
  std::deque<JoiningThread> parties;
  for (int i = 0; i < 3; ++i) {
    parties.emplace_back(
        [&] { EXPECT_EQ(barrier.Await(scope.context()).status(), Cause()); });
  }
  Await([&] { return barrier.waiting() == 3; });
  scope.Cancel(Cause());
}

TEST(CyclicBarrierTest, ADeadlineBreaksTheRound) {
  CyclicBarrier barrier(2);
  CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1), Cause());
  EXPECT_EQ(barrier.Await(scope.context()).status(), Cause());
  EXPECT_TRUE(barrier.broken());
}

TEST(CyclicBarrierTest, ResetReleasesWhoWaitsAndBeginsAnew) {
  CyclicBarrier barrier(2);
  barrier.Reset();
  EXPECT_FALSE(barrier.broken());
  JoiningThread waiter([&] {
    EXPECT_EQ(barrier.Await(Context()).status(), Broken("it was reset"));
  });
  Await([&] { return barrier.waiting() == 1; });
  barrier.Reset();
  waiter.Join();
  EXPECT_FALSE(barrier.broken());
  EXPECT_EQ(barrier.waiting(), 0);
  JoiningThread other([&] { EXPECT_TRUE(barrier.Await(Context()).ok()); });
  EXPECT_TRUE(barrier.Await(Context()).ok());
}

TEST(CyclicBarrierTest, ResetMendsABrokenBarrier) {
  bool fails = true;
  CyclicBarrier barrier(1, [&] { return fails ? Cause() : absl::OkStatus(); });
  EXPECT_EQ(barrier.Await(Context()).status(), Cause());
  EXPECT_TRUE(barrier.broken());
  fails = false;
  EXPECT_EQ(barrier.Await(Context()).status(),
            Broken("its action failed: the test says so"));
  barrier.Reset();
  EXPECT_FALSE(barrier.broken());
  EXPECT_EQ(*barrier.Await(Context()), 0);
}

TEST(CyclicBarrierTest, AnActionThatFailsBreaksTheRound) {
  CyclicBarrier barrier(2, [] { return Cause(); });
  JoiningThread first([&] {
    EXPECT_EQ(barrier.Await(Context()).status(),
              Broken("its action failed: the test says so"));
  });
  Await([&] { return barrier.waiting() == 1; });
  EXPECT_EQ(barrier.Await(Context()).status(), Cause());
  EXPECT_TRUE(barrier.broken());
}

TEST(CyclicBarrierTest, B61_WhoComesDuringTheActionIsOfTheNextRound) {
  absl::Notification in_action;
  absl::Notification go_on;
  int rounds = 0;  // guarded by the barrier
  CyclicBarrier barrier(2, [&] {
    if (++rounds > 1) return;
    in_action.Notify();
    go_on.WaitForNotification();
  });
  const auto await = [&] { EXPECT_TRUE(barrier.Await(Context()).ok()); };
  JoiningThread a(await);
  JoiningThread b(await);
  in_action.WaitForNotification();
  EXPECT_EQ(barrier.waiting(), 2);
  JoiningThread c(await);
  JoiningThread d(await);
  CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1), Cause());
  EXPECT_EQ(barrier.Await(scope.context()).status(), Cause());
  EXPECT_FALSE(barrier.broken());
  EXPECT_EQ(barrier.waiting(), 2);
  go_on.Notify();
  a.Join();
  b.Join();
  c.Join();
  d.Join();
  EXPECT_EQ(rounds, 2);
}

TEST(CyclicBarrierTest, WhoGivesUpDuringTheActionBreaksTheRoundAtOnce) {
  absl::Notification in_action;
  absl::Notification go_on;
  CyclicBarrier barrier(2, [&] {
    in_action.Notify();
    go_on.WaitForNotification();
  });
  CancelScope scope = WithCancel(Context());
  JoiningThread leaves(
      [&] { EXPECT_EQ(barrier.Await(scope.context()).status(), Cause()); });
  Await([&] { return barrier.waiting() == 1; });
  JoiningThread acts([&] {
    EXPECT_EQ(barrier.Await(Context()).status(),
              Broken("a party has left: the test says so"));
  });
  in_action.WaitForNotification();
  scope.Cancel(Cause());
  leaves.Join();
  EXPECT_TRUE(barrier.broken());
  EXPECT_EQ(barrier.Await(Context()).status(),
            Broken("a party has left: the test says so"));
  go_on.Notify();
}

TEST(CyclicBarrierTest, AResetDuringTheActionLetsItFinishAlone) {
  absl::Notification in_action;
  absl::Notification go_on;
  std::atomic<int> rounds = 0;
  CyclicBarrier barrier(2, [&] {
    if (++rounds > 1) return;
    in_action.Notify();
    go_on.WaitForNotification();
  });
  const auto reset = [&] {
    EXPECT_EQ(barrier.Await(Context()).status(), Broken("it was reset"));
  };
  JoiningThread a(reset);
  JoiningThread b(reset);
  in_action.WaitForNotification();
  barrier.Reset();
  EXPECT_FALSE(barrier.broken());
  EXPECT_EQ(barrier.waiting(), 0);
  const auto await = [&] { EXPECT_TRUE(barrier.Await(Context()).ok()); };
  JoiningThread c(await);
  JoiningThread d(await);
  EXPECT_EQ(rounds, 1);
  go_on.Notify();
  c.Join();
  d.Join();
  EXPECT_EQ(rounds, 2);
}

TEST(CyclicBarrierTest, AnActionThatFailsAfterAResetBreaksNothingMore) {
  CyclicBarrier* self = nullptr;
  CyclicBarrier barrier(1, [&self] {
    self->Reset();
    return absl::DataLossError("action");
  });
  self = &barrier;
  EXPECT_EQ(barrier.Await(Context()).status(), absl::DataLossError("action"));
  EXPECT_FALSE(barrier.broken());
}

// Whether or not the party has noticed yet.
TEST(CyclicBarrierTest, NobodyIsLetThroughAfterACancelThatHasReturned) {
  for (int i = 0; i < 200; ++i) {
    CancelScope scope = WithCancel(Context());
    std::atomic<int> acted = 0;
    CyclicBarrier barrier(2, [&acted] { ++acted; });
    JoiningThread first(
        [&] { EXPECT_EQ(barrier.Await(scope.context()).status(), Cause()); });
    Await([&] { return barrier.waiting() == 1; });
    scope.Cancel(Cause());
    EXPECT_EQ(barrier.Await(Context()).status(),
              Broken("a party has left: the test says so"));
    first.Join();
    EXPECT_EQ(acted, 0);
  }
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(CyclicBarrierTest, B59_AnActionThatThrowsReleasesTheOthers) {
  CyclicBarrier barrier(2, [] { throw std::runtime_error("boom"); });
  JoiningThread first([&] {
    EXPECT_EQ(barrier.Await(Context()).status(),
              Broken("its action failed: cyclicbarrier::CyclicBarrier: the "
                     "action threw std::runtime_error: boom"));
  });
  Await([&] { return barrier.waiting() == 1; });
  EXPECT_EQ(
      barrier.Await(Context()).status(),
      absl::InternalError("cyclicbarrier::CyclicBarrier: the action threw "
                          "std::runtime_error: boom"));
  EXPECT_TRUE(barrier.broken());
}

#if defined(__linux__)

TEST(CyclicBarrierTest, B59_AnActionThatEndsItsThreadReleasesTheOthers) {
  CyclicBarrier barrier(2, [] { pthread_exit(nullptr); });
  JoiningThread first([&] {
    EXPECT_EQ(barrier.Await(Context()).status(),
              Broken("its action did not return"));
  });
  Await([&] { return barrier.waiting() == 1; });
  JoiningThread last([&] { (void)barrier.Await(Context()); });
  first.Join();
  EXPECT_TRUE(barrier.broken());
}

#endif  // __linux__

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(CyclicBarrierDeathTest, BadInputDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(CyclicBarrier(0),
               "\\(0 vs\\. 1\\).*cyclicbarrier::CyclicBarrier");
  EXPECT_DEATH(CyclicBarrier(-1, [] {}),
               "\\(-1 vs\\. 1\\).*cyclicbarrier::CyclicBarrier");
  EXPECT_DEATH(CyclicBarrier(1, std::function<void()>()), "null action");
  EXPECT_DEATH(CyclicBarrier(1, absl::AnyInvocable<void()>()), "null action");
  EXPECT_DEATH(CyclicBarrier(1, static_cast<absl::Status (*)()>(nullptr)),
               "null action");
}

TEST(CyclicBarrierDeathTest, AwaitInsideTheActionDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        const CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1));
        CyclicBarrier* self = nullptr;
        CyclicBarrier barrier(
            1, [&] { return self->Await(scope.context()).status(); });
        self = &barrier;
        (void)barrier.Await(Context());
      },
      "CyclicBarrier::Await inside the action");
}

TEST(CyclicBarrierDeathTest, DestroyedWhileSomebodyWaits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        std::optional<CyclicBarrier> barrier(2);
        JoiningThread waiter([&] { (void)barrier->Await(Context()); });
        Await([&] { return barrier->waiting() == 1; });
        barrier.reset();
        std::_Exit(0);  // rather than wait for who waits
      },
      "CyclicBarrier is destroyed with 1 waiting");
}

}  // namespace
}  // namespace cohort::cyclicbarrier
