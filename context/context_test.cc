// Context and CancelScope, one sentence of the contract at a time. OnDone,
// deadlines, stop tokens and large trees have files of their own.

#include "cohort/context/context.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/context/test_util.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::ContextOf;
using ::cohort::testing::JoiningThread;

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

TEST(ContextTest, ExactlyOneOfManyCancelsDoesItAndGivesTheCause) {
  for (int round = 0; round < 200; ++round) {
    CancelScope scope = WithCancel(Context());
    std::atomic<int> ready{0};
    std::atomic<int> winner{-1};
    {
      std::optional<JoiningThread> callers[4];
      for (int i = 0; i < 4; ++i) {
        callers[i].emplace([&, i] {
          const absl::Status cause = absl::AbortedError(std::to_string(i));
          ++ready;
          Await([&ready] { return ready == 4; });
          if (scope.Cancel(cause)) {
            EXPECT_EQ(winner.exchange(i), -1);
          }
          EXPECT_TRUE(scope.context().done());
        });
      }
    }
    ASSERT_EQ(scope.context().cause(),
              absl::AbortedError(std::to_string(winner)));
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

TEST(ContextTest, AScopeThatWasMovedFromMayBeDestroyedOrAssignedTo) {
  CancelScope first = WithCancel(Context());
  const Context context = first.context();
  {
    CancelScope second = std::move(first);
    first = WithCancel(Context());
    EXPECT_FALSE(first.context().done());
    CancelScope third = std::move(second);
    EXPECT_FALSE(context.done());
  }
  EXPECT_TRUE(context.done());
  EXPECT_TRUE(first.Cancel());
}

TEST(ContextTest, AScopeAssignedToItselfGoesOn) {
  CancelScope scope = WithCancel(Context());
  CancelScope& same = scope;
  scope = std::move(same);
  EXPECT_FALSE(scope.context().done());
  EXPECT_TRUE(scope.Cancel());
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

// Plain variables: ThreadSanitizer finds what only happens to be visible.
TEST(ContextTest, WhatHappenedBeforeCancelIsVisibleToWhoeverSeesTheEnd) {
  using See = void (*)(const Context&);
  constexpr See kWays[] = {
      [](const Context& c) { Await([&c] { return c.done(); }); },
      [](const Context& c) { Await([&c] { return !c.status().ok(); }); },
      [](const Context& c) { Await([&c] { return !c.cause().ok(); }); },
      [](const Context& c) { c.AwaitDone(); },
      [](const Context& c) {
        EXPECT_TRUE(c.AwaitDoneUntil(absl::InfiniteFuture()));
      },
      [](const Context& c) {
        EXPECT_FALSE(c.SleepFor(absl::InfiniteDuration()).ok());
      },
      [](const Context& c) {
        std::atomic<bool> ran{false};
        DoneCallback callback =
            c.OnDone([&ran] { ran.store(true, std::memory_order_relaxed); });
        Await([&ran] { return ran.load(std::memory_order_relaxed); });
        callback = DoneCallback();
      },
      [](const Context& c) {
        Await([&c] { return ContextOf(WithCancel(c)).done(); });
      },
  };
  for (const See see : kWays) {
    for (int round = 0; round < 30; ++round) {
      CancelScope scope = WithCancel(Context());
      CancelScope child = WithCancel(scope.context());
      int value = 0;
      JoiningThread caller([&] {
        value = 7;
        scope.Cancel();
      });
      see(round % 2 == 0 ? scope.context() : child.context());
      ASSERT_EQ(value, 7);
    }
  }
}

TEST(AwaitTest, EveryWaitIsAnnouncedAndEndsWithTheContext) {
  ElasticPool pool;
  CancelScope scope = WithCancel(Context());
  CancelScope child = WithCancel(scope.context());
  std::atomic<int> ended{0};
  for (const Context& context : {scope.context(), child.context()}) {
    pool.Submit([&ended, context] {
      context.AwaitDone();
      EXPECT_TRUE(context.done());
      ++ended;
    });
    pool.Submit([&ended, context] {
      EXPECT_TRUE(context.AwaitDoneUntil(absl::InfiniteFuture()));
      ++ended;
    });
    pool.Submit([&ended, context] {
      EXPECT_TRUE(context.AwaitDoneUntil(absl::Now() + absl::Hours(1)));
      ++ended;
    });
    pool.Submit([&ended, context] {
      const absl::Status slept = context.SleepFor(absl::Hours(1));
      EXPECT_EQ(slept, context.status());
      ++ended;
    });
  }
  Await([&pool] { return pool.stats().blocked == 8; });
  EXPECT_EQ(ended, 0);
  scope.Cancel();
  Await([&ended] { return ended == 8; });
}

TEST(AwaitTest, SleepingOnADefaultContextIsAnnouncedToo) {
  ElasticPool pool;
  std::atomic<bool> seen{false};
  std::atomic<bool> ended{false};
  pool.Submit([&] {
    while (!seen) {
      EXPECT_TRUE(Context().SleepFor(absl::Milliseconds(1)).ok());
    }
    ended = true;
  });
  Await([&pool] { return pool.stats().blocked == 1; });
  seen = true;
  Await([&ended] { return ended.load(); });
}

TEST(AwaitTest, AwaitDoneUntilIsFalseAtItsTimeAndNotBefore) {
  CancelScope scope = WithTimeout(Context(), absl::Hours(1));
  for (const Context& context : {Context(), scope.context()}) {
    EXPECT_FALSE(context.AwaitDoneUntil(absl::InfinitePast()));
    const absl::Time t = absl::Now() + absl::Milliseconds(2);
    EXPECT_FALSE(context.AwaitDoneUntil(t));
    EXPECT_GE(absl::Now(), t);
  }
}

// B-26: the end falls between a waiter's look and its sleep. Hangs if the
// wake-up is lost. The two threads meet before each round and then take their
// steps at changing distances.
TEST(AwaitTest, B26_NoWakeUpIsLost) {
  constexpr int kRounds = 20'000;
  std::optional<CancelScope> scope;
  std::atomic<int> round{-1};
  std::atomic<int> ended{-1};
  JoiningThread waiter([&] {
    for (int i = 0; i < kRounds; ++i) {
      Await([&] { return round == i; });
      if (i % 2 == 0) {
        scope->context().AwaitDone();
      } else {
        EXPECT_FALSE(scope->context().SleepFor(absl::InfiniteDuration()).ok());
      }
      ended = i;
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    scope = WithCancel(Context());
    round = i;
    for (std::atomic<int> spin{0}; spin < i % 300; ++spin) continue;
    scope->Cancel();
    Await([&] { return ended == i; });
  }
}

TEST(SleepForTest, EndsWithTheStatusAsSoonAsTheContextIsDone) {
  ElasticPool pool;
  CancelScope scope = WithCancel(Context());
  std::atomic<bool> ended{false};
  pool.Submit([&] {
    EXPECT_EQ(scope.context().SleepFor(absl::InfiniteDuration()),
              absl::CancelledError("context cancelled"));
    ended = true;
  });
  Await([&pool] { return pool.stats().blocked == 1; });
  scope.Cancel(kCause);
  Await([&ended] { return ended.load(); });
  // And at once where it is done already, however long or short.
  for (absl::Duration d : {absl::InfiniteDuration(), absl::Hours(1),
                           absl::ZeroDuration(), -absl::Hours(1)}) {
    EXPECT_EQ(scope.context().SleepFor(d), scope.context().status());
  }
}

TEST(SleepForTest, EndsWithTheContextsDeadline) {
  CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1), kCause);
  EXPECT_EQ(scope.context().SleepFor(absl::Hours(1)).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(SleepForTest, IsOkAfterItsTimeAndNotBefore) {
  CancelScope scope = WithCancel(Context());
  for (const Context& context : {Context(), scope.context()}) {
    const absl::Time start = absl::Now();
    EXPECT_EQ(context.SleepFor(absl::Milliseconds(3)), absl::OkStatus());
    EXPECT_GE(absl::Now() - start, absl::Milliseconds(3));
  }
}

TEST(SleepForTest, OfATimeThatIsNotPositiveIsOk) {
  CancelScope scope = WithCancel(Context());
  for (const Context& context : {Context(), scope.context()}) {
    for (absl::Duration d : {absl::ZeroDuration(), -absl::Nanoseconds(1),
                             -absl::InfiniteDuration()}) {
      EXPECT_EQ(context.SleepFor(d), absl::OkStatus());
    }
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
  Context context = WithValue<Ticket>(Context(), std::make_unique<int>(17));
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

TEST(ValueTest, IsDestroyedWithTheLastContextThatHasIt) {
  struct Shared {
    using Type = std::shared_ptr<int>;
  };
  const auto object = std::make_shared<int>(1);
  Context context = WithValue<Shared>(Context(), object);
  {
    CancelScope scope = WithCancel(context);
    context = WithoutCancel(scope.context());
    EXPECT_EQ(object.use_count(), 2);
  }
  EXPECT_EQ(object.use_count(), 2);
  context = Context();
  EXPECT_EQ(object.use_count(), 1);
}

TEST(ValueTest, TwoKeysOfOneTypeAreTwoValuesInAnyOrder) {
  const Context context = WithValue<Name>(
      WithValue<Nickname>(WithValue<Name>(Context(), "old"), "A."), "Ada");
  EXPECT_EQ(*context.value<Name>(), "Ada");
  EXPECT_EQ(*context.value<Nickname>(), "A.");
}

TEST(ValueTest, IsReadFromManyThreadsWhileContextsComeAndGo) {
  const Context base = WithValue<Name>(Context(), "Ada");
  std::optional<JoiningThread> callers[3];
  for (auto& caller : callers) {
    caller.emplace([&base] {
      for (int i = 0; i < 1000; ++i) {
        const Context mine = WithValue<Nickname>(base, std::to_string(i));
        const Context copy = mine;
        EXPECT_EQ(*copy.value<Name>(), "Ada");
        EXPECT_EQ(*copy.value<Nickname>(), std::to_string(i));
      }
    });
  }
}

TEST(WithoutCancelTest, KeepsTheValuesAndDropsCancellationAndDeadline) {
  CancelScope scope =
      WithTimeout(WithValue<Name>(Context(), "Ada"), absl::Hours(1));
  const Context early = WithoutCancel(scope.context());
  scope.Cancel();
  const Context late = WithoutCancel(scope.context());
  for (const Context& shielded : {early, late}) {
    EXPECT_FALSE(shielded.done());
    EXPECT_TRUE(shielded.status().ok());
    EXPECT_TRUE(shielded.cause().ok());
    EXPECT_EQ(shielded.deadline(), absl::InfiniteFuture());
    EXPECT_EQ(*shielded.value<Name>(), "Ada");
    EXPECT_FALSE(ContextOf(WithCancel(shielded)).done());
  }
}

TEST(ContextDeathTest, BadInputDiesAndNamesTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)Context().OnDone(nullptr),
               "Context::OnDone: null callback");
  EXPECT_DEATH((void)ContextOf(WithCancel(Context())).OnDone(nullptr),
               "Context::OnDone: null callback");
  EXPECT_DEATH(WithCancel(Context()).Cancel(absl::OkStatus()),
               "CancelScope::Cancel: the cause is OK");
  EXPECT_DEATH(
      {
        CancelScope scope = WithCancel(Context());
        CancelScope moved = std::move(scope);
        scope.Cancel();
      },
      "CancelScope::Cancel: moved from");
}

}  // namespace
}  // namespace cohort
