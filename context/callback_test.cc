// OnDone: registration, withdrawal, and their races with the end.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::Caller;

// Runs its function when it is destroyed, moves aside.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> f)
      : guard_(nullptr, [f = std::move(f)](void*) { f(); }) {}

 private:
  std::shared_ptr<void> guard_;
};

TEST(OnDoneTest, RunsInTheCancellingThreadBeforeCancelReturns) {
  CancelScope scope = WithCancel(Context());
  sync::ThreadId ran_on;
  DoneCallback callback = scope.context().OnDone(
      [&ran_on] { ran_on = sync::CurrentThreadId(); });
  scope.Cancel();
  EXPECT_EQ(ran_on, sync::CurrentThreadId());
}

TEST(OnDoneTest, RunsInlineIfDoneAlready) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel();
  bool ran = false;
  DoneCallback callback = scope.context().OnDone([&ran] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(OnDoneTest, NeverRunsOnADefaultContext) {
  DoneCallback callback =
      Context().OnDone([] { ADD_FAILURE() << "nothing ends it"; });
}

TEST(OnDoneTest, ADeadlinesCallbackRunsOnTheDefaultExecutor) {
  CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1));
  absl::Notification ran;
  Executor* executor = nullptr;
  DoneCallback callback = scope.context().OnDone([&] {
    executor = Executor::Current();
    ran.Notify();
  });
  ran.WaitForNotification();
  EXPECT_EQ(executor, &DefaultExecutor());
}

TEST(OnDoneTest, RunsInOrderOfRegistrationParentsFirst) {
  CancelScope parent = WithCancel(Context());
  CancelScope child = WithCancel(parent.context());
  std::vector<int> order;
  DoneCallback c1 = child.context().OnDone([&] { order.push_back(3); });
  DoneCallback p1 = parent.context().OnDone([&] { order.push_back(1); });
  DoneCallback c2 = child.context().OnDone([&] { order.push_back(4); });
  DoneCallback p2 = parent.context().OnDone([&] { order.push_back(2); });
  parent.Cancel();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(OnDoneTest, AllContextsAreDoneBeforeTheFirstCallback) {
  CancelScope parent = WithCancel(Context());
  CancelScope child = WithCancel(parent.context());
  CancelScope grandchild = WithCancel(child.context());
  bool all_done = false;
  DoneCallback callback = parent.context().OnDone(
      [&] { all_done = child.context().done() && grandchild.context().done(); });
  parent.Cancel();
  EXPECT_TRUE(all_done);
}

TEST(OnDoneTest, AWithdrawnCallbackNeverRunsAndIsDestroyed) {
  CancelScope scope = WithCancel(Context());
  bool destroyed = false;
  {
    DoneCallback callback = scope.context().OnDone(
        [at_end = AtEnd([&destroyed] { destroyed = true; })] {
          ADD_FAILURE() << "withdrawn";
        });
    EXPECT_FALSE(destroyed);
  }
  EXPECT_TRUE(destroyed);
  scope.Cancel();
}

TEST(OnDoneTest, ACallbackIsDestroyedOnceItHasRun) {
  CancelScope scope = WithCancel(Context());
  bool destroyed = false;
  DoneCallback callback = scope.context().OnDone(
      [at_end = AtEnd([&destroyed] { destroyed = true; })] {});
  scope.Cancel();
  EXPECT_TRUE(destroyed);
}

TEST(OnDoneTest, AssignmentWithdrawsTheOldOne) {
  CancelScope scope = WithCancel(Context());
  int ran = 0;
  DoneCallback callback = scope.context().OnDone([&ran] { ran += 1; });
  callback = scope.context().OnDone([&ran] { ran += 10; });
  DoneCallback moved = std::move(callback);
  scope.Cancel();
  EXPECT_EQ(ran, 10);
}

TEST(OnDoneTest, WithdrawalWaitsForACallbackOnAnotherThread) {
  CancelScope scope = WithCancel(Context());
  absl::Notification running;
  absl::Notification release;
  std::atomic<bool> ended{false};
  std::optional<DoneCallback> callback(scope.context().OnDone([&] {
    running.Notify();
    release.WaitForNotification();
    ended = true;
  }));
  Caller canceller([&scope] { scope.Cancel(); });
  running.WaitForNotification();
  absl::Notification withdrawing;
  Caller withdrawer([&] {
    withdrawing.Notify();
    callback.reset();
    EXPECT_TRUE(ended);
  });
  withdrawing.WaitForNotification();
  release.Notify();
}

TEST(OnDoneTest, ACallbackMayWithdrawItself) {
  CancelScope scope = WithCancel(Context());
  std::optional<DoneCallback> callback;
  bool ran = false;
  callback = scope.context().OnDone([&] {
    callback.reset();
    ran = true;
  });
  scope.Cancel();
  EXPECT_TRUE(ran);
}

TEST(OnDoneTest, ACallbackMayWithdrawOneThatHasNotRun) {
  CancelScope scope = WithCancel(Context());
  std::optional<DoneCallback> second;
  DoneCallback first = scope.context().OnDone([&second] { second.reset(); });
  second = scope.context().OnDone([] { ADD_FAILURE() << "withdrawn"; });
  scope.Cancel();
}

TEST(OnDoneTest, ACallbackMayDestroyItsScope) {
  std::optional<CancelScope> scope(WithCancel(Context()));
  DoneCallback callback =
      scope->context().OnDone([&scope] { scope.reset(); });
  const Context context = scope->context();
  CancelScope child = WithCancel(context);
  CancelScope* raw = &*scope;
  raw->Cancel();
  EXPECT_TRUE(child.context().done());
  EXPECT_FALSE(scope.has_value());
}

TEST(OnDoneTest, NoLockIsHeldWhileACallbackRuns) {
  CancelScope scope = WithCancel(Context());
  const Context context = scope.context();
  int inner = 0;
  auto use = [&] {
    EXPECT_TRUE(context.done());
    EXPECT_FALSE(scope.Cancel());
    context.AwaitDone();
    EXPECT_FALSE(context.SleepFor(absl::Hours(1)).ok());
    CancelScope child = WithCancel(context);
    EXPECT_TRUE(child.context().done());
    DoneCallback nested = context.OnDone([&inner] { ++inner; });
#ifdef __cpp_lib_jthread
    EXPECT_TRUE(context.stop_token().stop_requested());
#endif
  };
  DoneCallback callback = context.OnDone([use, at_end = AtEnd(use)] { use(); });
  scope.Cancel();
  EXPECT_EQ(inner, 2);
}

TEST(OnDoneTest, NoLockIsHeldWhileAWithdrawnCallbackIsDestroyed) {
  CancelScope scope = WithCancel(Context());
  const Context context = scope.context();
  bool used = false;
  {
    DoneCallback callback = context.OnDone([at_end = AtEnd([&] {
                                              DoneCallback again =
                                                  context.OnDone([] {});
                                              CancelScope child =
                                                  WithCancel(context);
                                              used = true;
                                            })] {});
  }
  EXPECT_TRUE(used);
}

TEST(OnDoneTest, RegistrationRacesWithTheEnd) {
  for (int round = 0; round < 1000; ++round) {
    CancelScope scope = WithCancel(Context());
    std::atomic<int> ran{0};
    std::optional<DoneCallback> callbacks[2];
    {
      Caller first([&] { callbacks[0] = scope.context().OnDone([&] { ++ran; }); });
      Caller second(
          [&] { callbacks[1] = scope.context().OnDone([&] { ++ran; }); });
      Caller canceller([&scope] { scope.Cancel(); });
    }
    // Cancel has returned, and so have the registrations: each one has run.
    ASSERT_EQ(ran, 2);
  }
}

TEST(OnDoneTest, WithdrawalRacesWithTheEnd) {
  for (int round = 0; round < 1000; ++round) {
    CancelScope scope = WithCancel(Context());
    auto state = std::make_unique<int>(0);
    std::optional<DoneCallback> callback(
        scope.context().OnDone([&state] { ++*state; }));
    Caller canceller([&scope] { scope.Cancel(); });
    callback.reset();
    // Whether it ran or not, it does not any more.
    ASSERT_LE(*state, 1);
    state.reset();
  }
}

TEST(OnDoneDeathTest, AnExceptionTerminates) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
#ifdef __cpp_exceptions
  EXPECT_DEATH(
      {
        CancelScope scope = WithCancel(Context());
        DoneCallback callback = scope.context().OnDone([] { throw 1; });
        scope.Cancel();
      },
      "terminate");
#endif
}

}  // namespace
}  // namespace cohort
