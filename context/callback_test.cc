// OnDone: registration, withdrawal, and their races with the end.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

TEST(OnDoneTest, RunsOnceInTheCancellingThreadBeforeCancelReturns) {
  CancelScope scope = WithCancel(Context());
  std::vector<sync::ThreadId> ran_on;
  DoneCallback callback = scope.context().OnDone(
      [&ran_on] { ran_on.push_back(sync::CurrentThreadId()); });
  EXPECT_TRUE(ran_on.empty());
  scope.Cancel();
  ASSERT_EQ(ran_on.size(), 1);
  EXPECT_EQ(ran_on[0], sync::CurrentThreadId());
  scope.Cancel();
  EXPECT_EQ(ran_on.size(), 1);
}

TEST(OnDoneTest, RunsWhenTheScopeIsDestroyed) {
  bool ran = false;
  std::optional<CancelScope> scope(WithCancel(Context()));
  DoneCallback callback = scope->context().OnDone([&ran] { ran = true; });
  scope.reset();
  EXPECT_TRUE(ran);
}

TEST(OnDoneTest, RunsHereAndNowIfDoneAlready) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel();
  CancelScope child = WithCancel(scope.context());
  for (const Context& context : {scope.context(), child.context()}) {
    bool destroyed = false;
    sync::ThreadId ran_on;
    DoneCallback callback = context.OnDone(
        [&ran_on, at_end = AtEnd([&destroyed] { destroyed = true; })] {
          ran_on = sync::CurrentThreadId();
        });
    EXPECT_EQ(ran_on, sync::CurrentThreadId());
    EXPECT_TRUE(destroyed);
  }
}

TEST(OnDoneTest, NeverRunsOnADefaultContextAndIsDestroyed) {
  bool destroyed = false;
  DoneCallback callback =
      Context().OnDone([at_end = AtEnd([&destroyed] { destroyed = true; })] {
        ADD_FAILURE() << "nothing ends it";
      });
  EXPECT_TRUE(destroyed);
}

TEST(OnDoneTest, SeesTheEndAndItsCause) {
  CancelScope parent = WithCancel(Context());
  CancelScope child = WithCancel(parent.context());
  absl::Status cause;
  DoneCallback callback = child.context().OnDone(
      [&cause, context = child.context()] { cause = context.cause(); });
  parent.Cancel(absl::AbortedError("because"));
  EXPECT_EQ(cause, absl::AbortedError("because"));
}

TEST(OnDoneTest, TakesMoveOnlyFunctors) {
  CancelScope scope = WithCancel(Context());
  int seen = 0;
  DoneCallback callback = scope.context().OnDone(
      [&seen, value = std::make_unique<int>(7)] { seen = *value; });
  scope.Cancel();
  EXPECT_EQ(seen, 7);
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
  DoneCallback callback = parent.context().OnDone([&] {
    all_done = child.context().done() && grandchild.context().done();
  });
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
  DoneCallback& same = moved;
  moved = std::move(same);
  scope.Cancel();
  EXPECT_EQ(ran, 10);
}

TEST(OnDoneTest, AnEmptyHandleMayBeMovedAssignedAndDestroyed) {
  DoneCallback empty;
  DoneCallback moved = std::move(empty);
  empty = DoneCallback();
  moved = std::move(empty);
}

TEST(OnDoneTest, AHandleMayOutliveScopeAndContext) {
  int ran = 0;
  DoneCallback callback;
  {
    CancelScope scope = WithCancel(Context());
    callback = scope.context().OnDone([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 1);
  callback = DoneCallback();
  EXPECT_EQ(ran, 1);
}

TEST(OnDoneTest, WithdrawnOnesLeaveTheOthersInOrder) {
  CancelScope scope = WithCancel(Context());
  std::vector<int> order;
  std::vector<DoneCallback> callbacks;
  for (int i = 0; i < 10; ++i) {
    callbacks.push_back(
        scope.context().OnDone([&order, i] { order.push_back(i); }));
  }
  for (int i : {0, 4, 5, 9}) callbacks[static_cast<size_t>(i)] = DoneCallback();
  callbacks.push_back(
      scope.context().OnDone([&order] { order.push_back(10); }));
  scope.Cancel();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 6, 7, 8, 10}));
}

TEST(OnDoneTest, MayRegisterAnotherWhichRunsAtOnce) {
  CancelScope scope = WithCancel(Context());
  std::vector<int> order;
  DoneCallback inner;
  DoneCallback first = scope.context().OnDone([&] {
    order.push_back(1);
    inner = scope.context().OnDone([&order] { order.push_back(2); });
    order.push_back(3);
  });
  DoneCallback second =
      scope.context().OnDone([&order] { order.push_back(4); });
  scope.Cancel();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(OnDoneTest, MayCancelOtherContexts) {
  CancelScope parent = WithCancel(Context());
  CancelScope child = WithCancel(parent.context());
  CancelScope sibling = WithCancel(parent.context());
  std::vector<int> order;
  DoneCallback of_child = child.context().OnDone([&] {
    order.push_back(1);
    EXPECT_TRUE(parent.Cancel());
    order.push_back(3);
  });
  DoneCallback of_sibling =
      sibling.context().OnDone([&order] { order.push_back(2); });
  EXPECT_TRUE(child.Cancel());
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
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
    DoneCallback callback =
        context.OnDone([at_end = AtEnd([&] {
                          DoneCallback again = context.OnDone([] {});
                          CancelScope child = WithCancel(context);
                          used = true;
                        })] {});
  }
  EXPECT_TRUE(used);
}

// Each context's callbacks belong to the one call that ended it, also where its
// parent ends at the same time.
TEST(OnDoneTest, CallbacksOfOneContextNeverOverlapNorChangeThreads) {
  bool child_was_first = false;
  for (int round = 0; round < 50 && !child_was_first; ++round) {
    CancelScope parent = WithCancel(Context());
    // Time between the parent's end and the child's.
    std::vector<CancelScope> siblings;
    for (int i = 0; i < 5000; ++i) {
      siblings.push_back(WithCancel(parent.context()));
    }
    CancelScope child = WithCancel(parent.context());
    const absl::Status own = absl::AbortedError("own");
    std::atomic<bool> parent_returned{false};
    std::atomic<bool> first_ended{false};
    sync::ThreadId child_thread;
    DoneCallback first = child.context().OnDone([&] {
      if (child.context().cause() == own) {
        EXPECT_EQ(sync::CurrentThreadId(), child_thread);
        if (sync::CurrentThreadId() == child_thread) {
          Await([&parent_returned] { return parent_returned.load(); });
        }
      }
      first_ended = true;
    });
    DoneCallback second = child.context().OnDone([&] {
      EXPECT_TRUE(first_ended);
      if (child.context().cause() == own) {
        EXPECT_EQ(sync::CurrentThreadId(), child_thread);
      }
    });
    JoiningThread canceller([&] {
      child_thread = sync::CurrentThreadId();
      Await([&parent] { return parent.context().done(); });
      child_was_first = child.Cancel(own);
    });
    parent.Cancel();
    parent_returned = true;
    canceller.Join();
  }
}

// Registers until the end comes; the two threads meet before each round.
TEST(OnDoneTest, RegistrationRacesWithTheEndAndEachRunsOnce) {
  constexpr int kRounds = 10'000;
  std::optional<CancelScope> scope;
  std::vector<DoneCallback> callbacks;
  std::atomic<int> ran{0};
  std::atomic<int> round{-1};
  std::atomic<int> ended{-1};
  JoiningThread registrar([&] {
    for (int i = 0; i < kRounds; ++i) {
      Await([&] { return round == i; });
      bool done = false;
      while (!done) {
        done = scope->context().done();
        callbacks.push_back(scope->context().OnDone([&ran] { ++ran; }));
      }
      ended = i;
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    scope = WithCancel(Context());
    ran = 0;
    round = i;
    for (std::atomic<int> spin{0}; spin < i % 100; ++spin) continue;
    scope->Cancel();
    Await([&] { return ended == i; });
    // Cancel has returned, and so have the registrations.
    EXPECT_EQ(static_cast<size_t>(ran), callbacks.size());
    callbacks.clear();
  }
}

// What a callback of the test below leaves behind.
struct Trace {
  std::atomic<int> runs{0};
  std::atomic<int> ends{0};         // of the functor
  std::atomic<bool> handle{false};  // the handle is gone
};

TEST(OnDoneTest, WithdrawalRacesWithTheEndAndEachRunsOnceOrNever) {
  constexpr size_t kCount = 30;
  for (int round = 0; round < 300; ++round) {
    CancelScope scope = WithCancel(Context());
    CancelScope child = WithCancel(scope.context());
    std::vector<Trace> traces(kCount);
    std::vector<DoneCallback> callbacks;
    for (size_t i = 0; i < kCount; ++i) {
      const Context& context = i % 2 == 0 ? scope.context() : child.context();
      Trace& trace = traces[i];
      callbacks.push_back(
          context.OnDone([&trace, at_end = AtEnd([&trace] { ++trace.ends; })] {
            EXPECT_FALSE(trace.handle);
            ++trace.runs;
            sync::Yield();
            EXPECT_FALSE(trace.handle);
          }));
    }
    std::atomic<int> ready{0};
    {
      auto withdraw = [&](size_t from) {
        ++ready;
        Await([&ready] { return ready == 3; });
        // From the back, towards the canceller.
        for (size_t i = kCount - from; i >= 2; i -= 2) {
          Trace& trace = traces[i - 1];
          callbacks[i - 1] = DoneCallback();
          trace.handle = true;
          EXPECT_LE(trace.runs, 1);
          EXPECT_EQ(trace.ends, 1);
        }
      };
      JoiningThread first([&] { withdraw(0); });
      JoiningThread second([&] { withdraw(1); });
      ++ready;
      Await([&ready] { return ready == 3; });
      scope.Cancel();
    }
    // The first one was nobody's to withdraw.
    EXPECT_EQ(traces[0].runs, 1);
    for (const Trace& trace : traces) {
      ASSERT_LE(trace.runs, 1);
      ASSERT_EQ(trace.ends, 1);
    }
  }
}

TEST(OnDoneTest, EverythingRacesWithEverything) {
  for (int round = 0; round < 100; ++round) {
    std::optional<CancelScope> scope(WithCancel(Context()));
    const Context context = scope->context();
    std::atomic<int> ready{0};
    std::atomic<int64_t> registered{0};
    std::atomic<int64_t> ended{0};
    {
      std::optional<JoiningThread> callers[3];
      for (auto& caller : callers) {
        caller.emplace([&] {
          ++ready;
          Await([&ready] { return ready == 4; });
          for (int i = 0; i < 30; ++i) {
            ++registered;
            DoneCallback kept =
                context.OnDone([at_end = AtEnd([&ended] { ++ended; })] {});
            CancelScope child = WithCancel(context);
            ++registered;
            DoneCallback below = child.context().OnDone(
                [at_end = AtEnd([&ended] { ++ended; })] {});
            if (i % 3 == 0) child.Cancel();
            if (i % 3 == 1) kept = std::move(below);
          }
        });
      }
      ++ready;
      Await([&ready] { return ready == 4; });
      scope.reset();
    }
    ASSERT_EQ(ended, registered);
  }
}

#ifdef __cpp_exceptions
TEST(OnDoneDeathTest, AnExceptionTerminates) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        CancelScope scope = WithCancel(Context());
        DoneCallback callback = scope.context().OnDone([] { throw 1; });
        scope.Cancel();
      },
      "terminate");
}
#endif

}  // namespace
}  // namespace cohort
