// What context.h promises, on every schedule that the search comes across.

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>
#include <version>
#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/context/test_util.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/linearizable.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::ContextOf;
using ::cohort::testing::Gate;
using ::cohort::testing::JoiningThread;
using sim::Time;
using sync::SteadyTime;

const absl::Status kOne = absl::AbortedError("one");
const absl::Status kTwo = absl::InternalError("two");
const absl::Status kThree = absl::DataLossError("three");
const absl::Status kDropped = absl::CancelledError("context cancelled");

constexpr absl::Duration kTick = absl::Milliseconds(1);

// Many schedules, where there are too many for all of them.
void ExploreMany(Time time, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 10'000 / sim::kCost, .time = time}, body);
}

void ExploreAll(Time time, absl::FunctionRef<void()> body) {
  // Woken for no reason as well, which would be too much for all schedules.
  sim::Explore({.schedules = 2000 / sim::kCost, .time = time}, body);
  if (::testing::Test::HasFailure()) return;
  sim::Options all = sim::AllSchedules();
  all.time = time;
  all.stale_loads = true;
  sim::ExploreAllOrSome(all, 1000, body);
}

// What happens to a callback. Two threads at it at once are a race, and so is
// whoever looks without having waited.
struct Trace {
  void Run() {
    ++runs.Write();
    sync::Yield();
    ++runs.Write();
  }
  // Of the functor.
  AtEnd End() {
    return AtEnd([this] { ++ends.Write(); });
  }
  bool HasRun() const {
    EXPECT_TRUE(runs.Read() == 0 || runs.Read() == 2) << runs.Read();
    return runs.Read() != 0;
  }

  sync::RaceChecked<int> runs;
  sync::RaceChecked<int> ends;
};

DoneCallback Register(const Context& context, Trace& trace) {
  return context.OnDone([&trace, end = trace.End()] { trace.Run(); });
}

// All that keeps a context alive.
struct Owner {
  explicit Owner(const Context& parent) : scope(WithCancel(parent)) {}

  CancelScope scope;
  DoneCallback callback;
};

TEST(CancelSimTest, OneOfTwoCallsEndsTheContextAndItsCauseStays) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    bool first = false;
    bool second = false;
    {
      JoiningThread caller([&] {
        first = scope.Cancel(kOne);
        EXPECT_EQ(scope.context().cause(), first ? kOne : kTwo);
      });
      second = scope.Cancel(kTwo);
      EXPECT_EQ(scope.context().cause(), second ? kTwo : kOne);
    }
    EXPECT_NE(first, second);
    EXPECT_EQ(scope.context().cause(), first ? kOne : kTwo);
    EXPECT_EQ(scope.context().status().code(), absl::StatusCode::kCancelled);
    EXPECT_FALSE(scope.Cancel(kThree));
    EXPECT_EQ(scope.context().cause(), first ? kOne : kTwo);
  });
}

TEST(CancelSimTest, WhatAReaderSeesNeverChanges) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread first([&] { scope.Cancel(kOne); });
    JoiningThread second([&] { scope.Cancel(kTwo); });
    const Context& context = scope.context();
    absl::Status seen;
    for (int i = 0; i < 3; ++i) {
      const bool done = context.done();
      const absl::Status cause = context.cause();
      const absl::Status status = context.status();
      EXPECT_TRUE(cause.ok() || cause == kOne || cause == kTwo);
      if (done || !seen.ok()) {
        EXPECT_FALSE(cause.ok());
      }
      if (!cause.ok()) {
        EXPECT_TRUE(absl::IsCancelled(status));
      }
      if (!seen.ok()) {
        EXPECT_EQ(cause, seen);
      }
      seen = cause;
    }
  });
}

// One after the other, its calls are those of a status that is set once.
TEST(CancelSimTest, IsLinearizable) {
  ExploreMany(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    const Context& context = scope.context();
    sim::History<absl::Status> history;
    const auto cancel = [&](const absl::Status& cause) {
      history.Call(
          "Cancel", [&] { return scope.Cancel(cause); },
          [cause](absl::Status& model) {
            if (!model.ok()) return false;
            model = cause;
            return true;
          });
    };
    const auto done = [&] {
      history.Call(
          "done", [&] { return context.done(); },
          [](absl::Status& model) { return !model.ok(); });
    };
    const auto cause = [&] {
      (void)history.Call(
          "cause", [&] { return context.cause(); },
          [](absl::Status& model) { return model; });
    };
    const auto await_done = [&] {
      history.Call(
          "AwaitDone", [&] { context.AwaitDone(); },
          [](absl::Status& model) { return !model.ok(); });
    };
    {
      JoiningThread one([&] {
        cancel(kOne);
        done();
      });
      JoiningThread two([&] {
        cancel(kTwo);
        cause();
      });
      JoiningThread waiter([&] {
        await_done();
        cause();
      });
      cause();
      done();
      cause();
    }
    history.CheckLinearizable();
  });
}

TEST(CancelSimTest, WhatCameBeforeTheEndIsVisibleToWhoeverSeesIt) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    sync::RaceChecked<int> data;
    JoiningThread caller([&] {
      data.Write() = 1;
      scope.Cancel();
    });
    if (scope.context().done()) {
      EXPECT_EQ(data.Read(), 1);
    }
  });
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    sync::RaceChecked<int> data;
    JoiningThread caller([&] {
      data.Write() = 1;
      scope.Cancel();
    });
    if (!scope.context().cause().ok()) {
      EXPECT_EQ(data.Read(), 1);
    }
  });
}

TEST(CancelSimTest, WhatCameBeforeTheEndIsVisibleBelowToo) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    CancelScope child = WithCancel(scope.context());
    sync::RaceChecked<int> data;
    JoiningThread caller([&] {
      data.Write() = 1;
      scope.Cancel(kOne);
    });
    if (child.context().done()) {
      EXPECT_EQ(data.Read(), 1);
      // An end goes downwards.
      EXPECT_EQ(scope.context().cause(), kOne);
      EXPECT_EQ(child.context().cause(), kOne);
    }
  });
}

TEST(CancelSimTest, WhatCameBeforeTheEndIsVisibleToThoseWhoWaited) {
  using Wait = bool (*)(const Context&);
  for (const Wait wait : {
           +[](const Context& context) {
             context.AwaitDone();
             return true;
           },
           +[](const Context& context) {
             return context.AwaitDoneUntil(sync::Now() + kTick);
           },
           +[](const Context& context) {
             return !context.SleepFor(kTick).ok();
           },
       }) {
    ExploreAll(Time::kRacing, [wait] {
      CancelScope scope = WithCancel(Context());
      sync::RaceChecked<int> data;
      JoiningThread caller([&] {
        if (wait(scope.context())) {
          EXPECT_EQ(data.Read(), 1);
        }
      });
      data.Write() = 1;
      scope.Cancel();
    });
  }
}

TEST(CancelSimTest, WhatCameBeforeTheEndIsVisibleToCallbacks) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    sync::RaceChecked<int> data;
    JoiningThread caller([&] {
      DoneCallback callback =
          scope.context().OnDone([&] { EXPECT_EQ(data.Read(), 1); });
    });
    data.Write() = 1;
    scope.Cancel();
  });
}

// What a parent and a child end with when both are cancelled at once.
void ExpectCausesFit(const Context& parent, const Context& child, bool by_child,
                     const absl::Status& child_cause) {
  EXPECT_EQ(parent.cause(), kOne);
  EXPECT_EQ(child.cause(), by_child ? child_cause : kOne);
}

TEST(CancelSimTest, ParentAndChildCancelledAtOnceHaveOneCauseEach) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    bool by_child = false;
    {
      JoiningThread caller([&] {
        by_child = child.Cancel(kTwo);
        EXPECT_TRUE(child.context().done());
      });
      EXPECT_TRUE(parent.Cancel(kOne));
    }
    ExpectCausesFit(parent.context(), child.context(), by_child, kTwo);
  });
}

TEST(CancelSimTest, AGrandchildHasTheCauseOfTheChild) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    CancelScope grandchild = WithCancel(child.context());
    std::array<Trace, 2> traces;
    DoneCallback of_child = Register(child.context(), traces[0]);
    DoneCallback of_grandchild = Register(grandchild.context(), traces[1]);
    bool by_child = false;
    {
      JoiningThread caller([&] {
        by_child = child.Cancel(kTwo);
        // Whoever was faster with the child has the grandchild to end as well.
        if (by_child) {
          EXPECT_EQ(grandchild.context().cause(), kTwo);
          EXPECT_TRUE(traces[0].HasRun());
          EXPECT_TRUE(traces[1].HasRun());
        }
      });
      EXPECT_TRUE(parent.Cancel(kOne));
      EXPECT_TRUE(child.context().done());
    }
    ExpectCausesFit(parent.context(), child.context(), by_child, kTwo);
    EXPECT_EQ(grandchild.context().cause(), child.context().cause());
    for (const Trace& trace : traces) EXPECT_TRUE(trace.HasRun());
  });
}

TEST(CancelSimTest, AChainThatIsCancelledInThreePlacesEndsDownwards) {
  ExploreAll(Time::kRacing, [] {
    std::vector<CancelScope> chain;
    Context last;
    for (int i = 0; i < 6; ++i) {
      chain.push_back(WithCancel(last));
      last = chain.back().context();
    }
    std::array<bool, 3> own = {};
    const std::array<size_t, 3> at = {0, 2, 4};
    const std::array<absl::Status, 3> causes = {kOne, kTwo, kThree};
    {
      JoiningThread first([&] { own[0] = chain[at[0]].Cancel(causes[0]); });
      JoiningThread second([&] { own[1] = chain[at[1]].Cancel(causes[1]); });
      own[2] = chain[at[2]].Cancel(causes[2]);
      // Whatever ended the last came all the way down to it.
      const absl::Status cause = chain.back().context().cause();
      for (size_t j = 0; j < at.size(); ++j) {
        for (size_t i = at[j]; cause == causes[j] && i < chain.size(); ++i) {
          EXPECT_EQ(chain[i].context().cause(), cause);
        }
      }
    }
    EXPECT_TRUE(own[0]);
    for (size_t i = 0; i < chain.size(); ++i) {
      absl::Status expected = i == 0 ? kOne : chain[i - 1].context().cause();
      for (size_t j = 0; j < at.size(); ++j) {
        if (at[j] == i && own[j]) expected = causes[j];
      }
      EXPECT_EQ(chain[i].context().cause(), expected) << i;
    }
  });
}

TEST(CancelSimTest, AllAreDoneBeforeTheFirstCallback) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    std::vector<CancelScope> children;
    for (int i = 0; i < 3; ++i) {
      children.push_back(WithCancel(parent.context()));
    }
    CancelScope grandchild = WithCancel(children[1].context());
    int ran = 0;
    DoneCallback callback = parent.context().OnDone([&] {
      ++ran;
      for (const CancelScope& child : children) {
        EXPECT_TRUE(child.context().done());
      }
      EXPECT_TRUE(grandchild.context().done());
    });
    JoiningThread leaves(
        [&] { CancelScope another = WithCancel(parent.context()); });
    parent.Cancel();
    EXPECT_EQ(ran, 1);
  });
}

TEST(CancelSimTest, AChildMadeWhileTheParentEndsEndsToo) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> child;
    {
      JoiningThread caller([&] {
        const bool late = parent.context().done();
        child.emplace(WithCancel(parent.context()));
        if (late) {
          EXPECT_EQ(child->context().cause(), kOne);
        }
      });
      parent.Cancel(kOne);
    }
    EXPECT_EQ(child->context().cause(), kOne);
    EXPECT_FALSE(child->Cancel());
  });
}

TEST(CancelSimTest, AGrandchildMadeWhileChildAndParentEndEndsToo) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    std::optional<CancelScope> grandchild;
    Trace trace;
    DoneCallback callback;
    {
      JoiningThread makes([&] {
        grandchild.emplace(WithCancel(child.context()));
        callback = Register(grandchild->context(), trace);
      });
      JoiningThread cancels([&] { child.Cancel(kTwo); });
      parent.Cancel(kOne);
    }
    EXPECT_EQ(grandchild->context().cause(), child.context().cause());
    EXPECT_TRUE(trace.HasRun());
  });
}

TEST(CancelSimTest, TheLastReferenceOfAChildGoesWhileTheParentEnds) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> child(WithCancel(parent.context()));
    JoiningThread caller([&] { child.reset(); });
    parent.Cancel();
  });
}

TEST(CancelSimTest, AFamilyIsDestroyedByThreeThreadsAtOnce) {
  ExploreAll(Time::kRacing, [] {
    std::optional<CancelScope> parent(WithCancel(Context()));
    std::optional<CancelScope> child(WithCancel(parent->context()));
    std::optional<CancelScope> grandchild(WithCancel(child->context()));
    JoiningThread first([&] { child.reset(); });
    JoiningThread second([&] { grandchild.reset(); });
    parent.reset();
  });
}

TEST(CancelSimTest, SiblingsComeAndGoWhileTheParentEnds) {
  ExploreMany(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> oldest(WithCancel(parent.context()));
    CancelScope stays = WithCancel(parent.context());
    Trace trace;
    DoneCallback callback = Register(stays.context(), trace);
    {
      JoiningThread comes([&] {
        CancelScope youngest = WithCancel(parent.context());
        EXPECT_FALSE(youngest.Cancel(kTwo) &&
                     youngest.context().cause() != kTwo);
      });
      JoiningThread goes([&] { oldest.reset(); });
      parent.Cancel(kOne);
      EXPECT_TRUE(trace.HasRun());
    }
    EXPECT_EQ(stays.context().cause(), kOne);
  });
}

TEST(CancelSimTest, CopiesOutliveTheScopeAndAreDone) {
  ExploreAll(Time::kRacing, [] {
    std::optional<CancelScope> scope(WithCancel(Context()));
    JoiningThread caller([context = scope->context()] {
      CancelScope below = WithCancel(context);
      context.AwaitDone();
      EXPECT_EQ(context.cause(), kDropped);
      below.context().AwaitDone();
      EXPECT_EQ(below.context().cause(), kDropped);
    });
    scope.reset();
  });
}

TEST(CancelSimTest, AnAssignmentEndsTheOldContextAlone) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    const Context old = scope.context();
    Trace trace;
    JoiningThread caller([&] {
      CancelScope below = WithCancel(old);
      DoneCallback callback = Register(below.context(), trace);
      old.AwaitDone();
    });
    CancelScope next = WithCancel(Context());
    const Context context = next.context();
    scope = std::move(next);
    EXPECT_EQ(old.cause(), kDropped);
    EXPECT_FALSE(context.done());
    EXPECT_TRUE(scope.Cancel(kOne));
  });
}

#ifdef __cpp_lib_jthread
TEST(StopTokenSimTest, AskedForWhileTheContextEndsIsStopped) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    std::stop_token token;
    {
      JoiningThread caller([&] { token = scope.context().stop_token(); });
      scope.Cancel();
    }
    EXPECT_TRUE(token.stop_requested());
  });
}
#endif

TEST(OnDoneSimTest, WhatIsRegisteredWhileTheContextEndsRunsOnce) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Trace trace;
    DoneCallback callback;
    {
      JoiningThread caller(
          [&] { callback = Register(scope.context(), trace); });
      scope.Cancel();
    }
    EXPECT_TRUE(trace.HasRun());
    EXPECT_EQ(trace.ends.Read(), 1);
  });
}

TEST(OnDoneSimTest, ItRunsBeforeTheCallThatEndsTheContextReturns) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Trace trace;
    DoneCallback callback = Register(scope.context(), trace);
    const auto cancel = [&](const absl::Status& cause) {
      if (scope.Cancel(cause)) {
        EXPECT_TRUE(trace.HasRun());
        EXPECT_EQ(trace.ends.Read(), 1);
      }
    };
    JoiningThread caller([&] { cancel(kOne); });
    cancel(kTwo);
  });
}

TEST(OnDoneSimTest, TheEndOfAHandleWaitsForWhatRuns) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Trace trace;
    std::optional<DoneCallback> callback(Register(scope.context(), trace));
    JoiningThread caller([&] { scope.Cancel(); });
    callback.reset();
    // Whatever still ran would race with these.
    (void)trace.HasRun();
    EXPECT_EQ(trace.ends.Read(), 1);
    trace.ends.Write() = 0;
    trace.runs.Write() = 0;
  });
}

TEST(OnDoneSimTest, TheEndOfAHandleAnnouncesThatItWaits) {
  ExploreMany(Time::kQuiescent, [] {
    CancelScope scope = WithCancel(Context());
    Gate runs;
    Gate may_end;
    DoneCallback callback = scope.context().OnDone([&] {
      runs.Open();
      may_end.Pass();
    });
    JoiningThread canceller([&] { scope.Cancel(); });
    runs.Pass();
    {
      ElasticPool pool({.workers = 1});
      pool.Submit([&] { callback = DoneCallback(); });
      pool.Submit([&] { may_end.Open(); });
    }
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

TEST(OnDoneSimTest, AnAssignmentToAHandleWaitsToo) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Trace old;
    Trace next;
    DoneCallback callback = Register(scope.context(), old);
    {
      JoiningThread caller([&] { scope.Cancel(); });
      callback = Register(scope.context(), next);
      EXPECT_EQ(old.ends.Read(), 1);
    }
    EXPECT_TRUE(next.HasRun());
    // Taken back only where it had not been its turn.
    (void)old.HasRun();
  });
}

TEST(OnDoneSimTest, ACallbackMayDestroyItsOwnHandle) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    bool ran = false;
    std::optional<DoneCallback> callback;
    callback = scope.context().OnDone([&] {
      callback.reset();
      ran = true;
    });
    JoiningThread caller([&] { scope.Cancel(kOne); });
    scope.Cancel(kTwo);
    caller.Join();
    EXPECT_TRUE(ran);
    EXPECT_FALSE(callback.has_value());
  });
}

TEST(OnDoneSimTest, ACallbackMayOverwriteItsOwnHandle) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Trace inner;
    DoneCallback callback;
    callback = scope.context().OnDone(
        [&] { callback = Register(scope.context(), inner); });
    JoiningThread caller([&] { scope.Cancel(kOne); });
    scope.Cancel(kTwo);
    caller.Join();
    EXPECT_TRUE(inner.HasRun());
  });
}

// By the time a functor is destroyed, the handle that it is in may be the only
// thing that keeps its context.
TEST(OnDoneSimTest, ACallbackMayDestroyAllThatKeepsItsContext) {
  ExploreAll(Time::kRacing, [] {
    auto owner = std::make_unique<Owner>(Context());
    sync::RaceChecked<int> ends;
    owner->callback = owner->scope.context().OnDone(
        [&owner, end = AtEnd([&ends] { ++ends.Write(); })] { owner.reset(); });
    {
      CancelScope* const scope = &owner->scope;
      JoiningThread holds(
          [context = scope->context()] { context.AwaitDone(); });
      JoiningThread cancels([scope] { scope->Cancel(); });
    }
    EXPECT_EQ(owner, nullptr);
    EXPECT_EQ(ends.Read(), 1);
  });
}

TEST(OnDoneSimTest, ACallbackMayDestroyTheHandleOfTheNext) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Trace before;
    Trace after;
    std::optional<DoneCallback> next;
    std::optional<DoneCallback> previous(Register(scope.context(), before));
    DoneCallback callback = scope.context().OnDone([&] {
      EXPECT_TRUE(before.HasRun());
      previous.reset();
      next.reset();
      EXPECT_EQ(after.ends.Read(), 1);
    });
    next = Register(scope.context(), after);
    JoiningThread caller([&] { scope.Cancel(kOne); });
    scope.Cancel(kTwo);
    caller.Join();
    EXPECT_FALSE(after.HasRun());
    EXPECT_EQ(after.ends.Read(), 1);
  });
}

TEST(OnDoneSimTest, HandlesGoWhileAnotherOnesCallbackIsStuck) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    Gate release;
    Trace before;
    Trace after;
    std::optional<DoneCallback> previous(Register(scope.context(), before));
    DoneCallback slow = scope.context().OnDone([&] { release.Pass(); });
    std::optional<DoneCallback> next(Register(scope.context(), after));
    JoiningThread caller([&] { scope.Cancel(); });
    // Neither waits for the one between.
    previous.reset();
    next.reset();
    EXPECT_EQ(before.ends.Read(), 1);
    EXPECT_EQ(after.ends.Read(), 1);
    release.Open();
  });
}

TEST(OnDoneSimTest, TheEndOfAScopeWaitsForNoCallbackOfAnotherThread) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> child(WithCancel(parent.context()));
    Gate release;
    Gate running;
    DoneCallback callback = child->context().OnDone([&] {
      running.Open();
      release.Pass();
    });
    JoiningThread caller([&] { parent.Cancel(); });
    running.Pass();
    child.reset();
    release.Open();
  });
}

TEST(OnDoneSimTest, OneContextsCallbacksRunInOrderOneAfterAnother) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    // A race if two threads share the callbacks of a context.
    sync::RaceChecked<std::vector<int>> order;
    std::vector<DoneCallback> callbacks;
    for (int i = 0; i < 3; ++i) {
      callbacks.push_back(child.context().OnDone([&order, i] {
        sync::Yield();
        order.Write().push_back(i);
      }));
    }
    {
      JoiningThread caller([&] { child.Cancel(kTwo); });
      parent.Cancel(kOne);
    }
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2}));
  });
}

TEST(OnDoneSimTest, AParentsCallbacksRunBeforeThoseOfTheChildrenThatEndWithIt) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    Trace of_parent;
    DoneCallback first = child.context().OnDone([&] {
      if (child.context().cause() == kOne) {
        EXPECT_TRUE(of_parent.HasRun());
      }
    });
    DoneCallback second = Register(parent.context(), of_parent);
    JoiningThread caller([&] { child.Cancel(kTwo); });
    parent.Cancel(kOne);
  });
}

TEST(OnDoneSimTest, ACallbackMayCancelItsParent) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    bool by_child = false;
    bool by_callback = false;
    bool by_caller = false;
    DoneCallback callback =
        child.context().OnDone([&] { by_callback = parent.Cancel(kThree); });
    {
      JoiningThread caller([&] { by_caller = parent.Cancel(kOne); });
      by_child = child.Cancel(kTwo);
    }
    EXPECT_NE(by_caller, by_callback);
    EXPECT_EQ(parent.context().cause(), by_caller ? kOne : kThree);
    EXPECT_EQ(child.context().cause(), by_child ? kTwo : kOne);
  });
}

TEST(OnDoneSimTest, TwoCallbacksMayCancelEachOthersContexts) {
  ExploreAll(Time::kRacing, [] {
    CancelScope one = WithCancel(Context());
    CancelScope two = WithCancel(Context());
    Trace of_one;
    Trace of_two;
    DoneCallback first = one.context().OnDone([&] {
      two.Cancel(kOne);
      of_one.Run();
    });
    DoneCallback second = two.context().OnDone([&] {
      one.Cancel(kTwo);
      of_two.Run();
    });
    {
      JoiningThread caller([&] { one.Cancel(kOne); });
      two.Cancel(kTwo);
    }
    EXPECT_TRUE(of_one.HasRun());
    EXPECT_TRUE(of_two.HasRun());
  });
}

TEST(OnDoneSimTest, NoLockIsHeldWhereTheUsersCodeRuns) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    const Context context = scope.context();
    int used = 0;
    const auto use = [&] {
      CancelScope child = WithCancel(context);
      DoneCallback again = context.OnDone([] {});
      ++used;
    };
    std::optional<DoneCallback> callback(
        context.OnDone([use, end = AtEnd(use)] { use(); }));
    {
      JoiningThread caller([&] { scope.Cancel(); });
      callback.reset();
    }
    EXPECT_TRUE(used == 1 || used == 2) << used;
  });
}

// Registers and takes back, here and below, while the context ends.
void ComeAndGo(const Context& context, Trace& here, Trace& below) {
  std::optional<DoneCallback> kept(Register(context, here));
  CancelScope child = WithCancel(context);
  DoneCallback callback = Register(child.context(), below);
  kept.reset();
  EXPECT_EQ(here.ends.Read(), 1);
  (void)here.HasRun();
}

TEST(OnDoneSimTest, RegistrationWithdrawalAndEndAllRace) {
  ExploreAll(Time::kRacing, [] {
    std::optional<CancelScope> scope(WithCancel(Context()));
    std::array<Trace, 2> traces;
    {
      JoiningThread caller([&, context = scope->context()] {
        ComeAndGo(context, traces[0], traces[1]);
      });
      scope.reset();
    }
    (void)traces[1].HasRun();
    EXPECT_EQ(traces[1].ends.Read(), 1);
  });
  ExploreMany(Time::kRacing, [] {
    std::optional<CancelScope> scope(WithCancel(Context()));
    const Context context = scope->context();
    std::array<Trace, 4> traces;
    {
      JoiningThread first([&] { ComeAndGo(context, traces[0], traces[1]); });
      JoiningThread second([&] { ComeAndGo(context, traces[2], traces[3]); });
      scope.reset();
    }
    for (const Trace& trace : traces) {
      (void)trace.HasRun();
      EXPECT_EQ(trace.ends.Read(), 1);
    }
  });
}

// Someone who waits for something else as well, on a condition variable of its
// own; Go calls it AfterFunc.
TEST(OnDoneSimTest, WakesWhoeverWaitsOnAConditionVariable) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    const Context& context = scope.context();
    sync::Mutex mutex;
    sync::CondVar changed;
    JoiningThread caller([&] { scope.Cancel(); });
    ContextWait wait(context, mutex, changed);
    sync::MutexLock lock(&mutex);
    while (!context.done()) wait.Block();
  });
}

// Whoever else waits there has no use for the wake-up.
TEST(OnDoneSimTest, WakesTheOneOfSeveralWhoWaits) {
  ExploreMany(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    const Context& context = scope.context();
    sync::Mutex mutex;
    sync::CondVar changed;
    bool open = false;
    JoiningThread other([&] {
      sync::MutexLock lock(&mutex);
      while (!open) changed.Wait(&mutex);
    });
    JoiningThread canceller([&] { scope.Cancel(); });
    {
      ContextWait wait(context, mutex, changed);
      sync::MutexLock lock(&mutex);
      while (!context.done()) wait.Block();
    }
    sync::MutexLock lock(&mutex);
    open = true;
    changed.SignalAll();
  });
}

// What it waits on may be gone right after it.
TEST(ContextWaitSimTest, IsWokenNoMoreOnceItIsGone) {
  struct Waiter {
    sync::Mutex mutex;
    sync::CondVar changed;
  };
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&] { scope.Cancel(); });
    auto waiter = std::make_unique<Waiter>();
    {
      ContextWait wait(scope.context(), waiter->mutex, waiter->changed);
      sync::MutexLock lock(&waiter->mutex);
      if (!scope.context().done()) wait.Block();
    }
    waiter.reset();
  });
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    auto waiter = std::make_unique<Waiter>();
    JoiningThread canceller([&] { scope.Cancel(); });
    {
      ContextWait wait(scope.context(), waiter->mutex, waiter->changed);
    }
    waiter.reset();
  });
}

// The end has taken it off the list: it touches no other one that was there.
TEST(ContextWaitSimTest, GoesAfterOthersWhosePlaceIsUsedAgain) {
  ExploreMany(Time::kRacing, [] {
    CancelScope over = WithCancel(Context());
    CancelScope scope = WithCancel(Context());
    const Context& context = scope.context();
    sync::Mutex mutex;
    sync::CondVar changed;
    std::optional<ContextWait> first;
    std::optional<ContextWait> second;
    first.emplace(over.context(), mutex, changed);
    second.emplace(over.context(), mutex, changed);
    over.Cancel();
    ContextWait wait(context, mutex, changed);
    second.emplace(context, mutex, changed);
    first.reset();
    second.reset();
    JoiningThread canceller([&] { scope.Cancel(); });
    sync::MutexLock lock(&mutex);
    while (!context.done()) wait.Block();
  });
}

TEST(ContextWaitSimTest, TheEndWakesEachOfSeveral) {
  ExploreMany(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    const Context& context = scope.context();
    const auto wait_for_it = [&context] {
      sync::Mutex mutex;
      sync::CondVar changed;
      ContextWait wait(context, mutex, changed);
      sync::MutexLock lock(&mutex);
      while (!context.done()) wait.Block();
    };
    JoiningThread first(wait_for_it);
    JoiningThread second(wait_for_it);
    scope.Cancel();
  });
}

TEST(WaitSimTest, TheEndWakesAllWhoAwaitIt) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread caller([&] {
      scope.context().AwaitDone();
      EXPECT_TRUE(scope.context().done());
    });
    scope.Cancel();
  });
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithCancel(Context());
    CancelScope child = WithCancel(scope.context());
    JoiningThread first([&] { scope.context().AwaitDone(); });
    JoiningThread second([&] { scope.context().AwaitDone(); });
    JoiningThread third([&] {
      child.context().AwaitDone();
      EXPECT_TRUE(scope.context().done());
    });
    scope.Cancel();
  });
}

TEST(WaitSimTest, AwaitDoneUntilIsWokenOrLate) {
  const auto body = [] {
    CancelScope scope = WithCancel(Context());
    const absl::Time until = sync::Now() + kTick;
    const auto wait = [&] {
      if (scope.context().AwaitDoneUntil(until)) {
        EXPECT_TRUE(scope.context().done());
      } else {
        EXPECT_GE(sync::Now(), until);
      }
    };
    JoiningThread first(wait);
    JoiningThread second(wait);
    sync::SleepFor(kTick);
    scope.Cancel();
  };
  ExploreMany(Time::kRacing, body);
  ExploreAll(Time::kQuiescent, body);
}

TEST(WaitSimTest, AwaitDoneUntilIsWokenAtOnce) {
  ExploreAll(Time::kQuiescent, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread caller([&] {
      const absl::Time until = sync::Now() + absl::Hours(1);
      EXPECT_TRUE(scope.context().AwaitDoneUntil(until));
      EXPECT_EQ(SteadyTime::Now(), SteadyTime());
    });
    scope.Cancel();
  });
}

// The pool's one thread is replaced at once, and not when the monitor comes.
TEST(WaitSimTest, EveryWaitIsAnnounced) {
  using Wait = void (*)(const Context&);
  for (const Wait wait : std::initializer_list<Wait>{
           [](const Context& context) { context.AwaitDone(); },
           [](const Context& context) {
             EXPECT_TRUE(context.AwaitDoneUntil(absl::InfiniteFuture()));
           },
           [](const Context& context) {
             EXPECT_FALSE(context.SleepFor(absl::Hours(1)).ok());
           },
       }) {
    ExploreMany(Time::kQuiescent, [wait] {
      CancelScope scope = WithCancel(Context());
      {
        ElasticPool pool({.workers = 1});
        pool.Submit([&] { wait(scope.context()); });
        pool.Submit([&] { scope.Cancel(); });
      }
      EXPECT_EQ(SteadyTime::Now(), SteadyTime());
    });
  }
  ExploreMany(Time::kQuiescent, [] {
    ElasticPool pool({.workers = 1});
    pool.Submit([] { EXPECT_TRUE(Context().SleepFor(kTick).ok()); });
    pool.Submit([] { EXPECT_EQ(SteadyTime::Now(), SteadyTime()); });
  });
}

TEST(WaitSimTest, SleepForIsWokenByCancelAtOnce) {
  ExploreAll(Time::kQuiescent, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope scope = WithCancel(parent.context());
    const absl::Time start = sync::Now();
    const auto sleep = [&] {
      const absl::Status slept = scope.context().SleepFor(absl::Hours(1));
      EXPECT_EQ(slept, scope.context().status());
      EXPECT_EQ(sync::Now() - start, kTick);
      EXPECT_TRUE(absl::IsCancelled(scope.context().status()));
    };
    JoiningThread first(sleep);
    JoiningThread second(sleep);
    sync::SleepFor(kTick);
    parent.Cancel();
  });
}

TEST(WaitSimTest, SleepForTakesAsLongAsItSays) {
  ExploreAll(Time::kQuiescent, [] {
    CancelScope scope = WithCancel(Context());
    const absl::Time start = sync::Now();
    const auto sleep = [&](const Context& context, int ticks) {
      EXPECT_TRUE(context.SleepFor(ticks * kTick).ok());
      EXPECT_EQ(sync::Now() - start, ticks * kTick);
    };
    JoiningThread on_default([&] { sleep(Context(), 1); });
    JoiningThread on_other([&] { sleep(scope.context(), 2); });
    sleep(WithoutCancel(scope.context()), 3);
  });
}

TEST(WaitSimTest, SleepForIsNeverOverTooEarly) {
  const auto body = [] {
    CancelScope scope = WithCancel(Context());
    const auto sleep = [&] {
      const absl::Time start = sync::Now();
      const absl::Status status = scope.context().SleepFor(kTick);
      if (status.ok()) {
        EXPECT_GE(sync::Now() - start, kTick);
      } else {
        EXPECT_EQ(status, scope.context().status());
      }
    };
    JoiningThread first(sleep);
    JoiningThread second([&] {
      sync::SleepFor(kTick);
      scope.Cancel();
    });
    sleep();
  };
  ExploreMany(Time::kRacing, body);
  ExploreAll(Time::kQuiescent, body);
}

TEST(DeadlineSimTest, ComesOnTime) {
  ExploreMany(Time::kQuiescent, [] {
    const absl::Time start = sync::Now();
    CancelScope early = WithTimeout(Context(), kTick, kOne);
    CancelScope late = WithTimeout(Context(), 2 * kTick, kTwo);
    CancelScope below = WithTimeout(late.context(), absl::Hours(1), kThree);
    const auto wait = [&](const Context& context, int ticks,
                          const absl::Status& cause) {
      context.AwaitDone();
      EXPECT_EQ(sync::Now() - start, ticks * kTick);
      EXPECT_EQ(context.cause(), cause);
      EXPECT_TRUE(absl::IsDeadlineExceeded(context.status()));
    };
    JoiningThread first([&] { wait(early.context(), 1, kOne); });
    JoiningThread second([&] { wait(late.context(), 2, kTwo); });
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(below.context().SleepFor(absl::Hours(1))));
    wait(below.context(), 2, kTwo);
  });
}

TEST(DeadlineSimTest, EitherItOrCancelEndsTheContext) {
  ExploreAll(Time::kRacing, [] {
    CancelScope scope = WithTimeout(Context(), kTick, kOne);
    const Context& context = scope.context();
    Trace trace;
    const sync::ThreadId caller = sync::CurrentThreadId();
    DoneCallback callback = context.OnDone([&] {
      if (context.cause() == kOne) {
        EXPECT_GE(sync::Now(), context.deadline());
        // Where the context was done by then, it runs here and now.
        if (sync::CurrentThreadId() != caller) {
          EXPECT_EQ(Executor::Current(), &DefaultExecutor());
        }
      } else {
        EXPECT_EQ(sync::CurrentThreadId(), caller);
      }
      trace.Run();
    });
    const bool cancelled = scope.Cancel(kTwo);
    EXPECT_EQ(context.cause(), cancelled ? kTwo : kOne);
    EXPECT_EQ(context.status().code(),
              cancelled ? absl::StatusCode::kCancelled
                        : absl::StatusCode::kDeadlineExceeded);
    callback = DoneCallback();
    if (cancelled) {
      EXPECT_TRUE(trace.HasRun());
    }
  });
}

// The timer, which its maker arms, against whoever ends the context before or
// after and takes it back. A timer that stays is found at the end of the run.
TEST(DeadlineSimTest, IsTakenBackByTheParentsEnd) {
  const auto body = [] {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> child;
    {
      JoiningThread caller([&] {
        child.emplace(WithTimeout(parent.context(), absl::Hours(1), kTwo));
      });
      parent.Cancel(kOne);
    }
    const absl::Status cause = child->context().cause();
    // In racing time an hour is over soon.
    EXPECT_TRUE(cause == kOne || cause == kTwo) << cause;
  };
  ExploreMany(Time::kRacing, body);
  ExploreAll(Time::kQuiescent, body);
}

TEST(DeadlineSimTest, ComesWhileEverythingIsDestroyed) {
  ExploreMany(Time::kRacing, [] {
    std::optional<CancelScope> parent(WithCancel(Context()));
    std::optional<CancelScope> child(WithTimeout(parent->context(), kTick));
    Trace trace;
    std::optional<DoneCallback> callback(Register(child->context(), trace));
    JoiningThread first([&] { parent.reset(); });
    JoiningThread second([&] { callback.reset(); });
    child.reset();
  });
}

TEST(DeadlineSimTest, ItsCallbackMayDestroyEverything) {
  const auto body = [] {
    CancelScope scope = WithTimeout(Context(), kTick);
    auto owner = std::make_unique<Owner>(scope.context());
    Gate made;
    Gate destroyed;
    const sync::ThreadId maker = sync::CurrentThreadId();
    DoneCallback callback = owner->scope.context().OnDone([&] {
      if (sync::CurrentThreadId() != maker) {
        made.Pass();
        owner.reset();
      }
      destroyed.Open();
    });
    owner->callback = std::move(callback);
    made.Open();
    destroyed.Pass();
  };
  ExploreMany(Time::kRacing, body);
  ExploreAll(Time::kQuiescent, body);
}

TEST(DeadlineSimTest, TheEndOfAHandleWaitsForACallbackOnTheExecutor) {
  const auto body = [] {
    CancelScope scope = WithTimeout(Context(), kTick);
    Trace trace;
    std::optional<DoneCallback> callback(Register(scope.context(), trace));
    sync::SleepFor(kTick);
    callback.reset();
    (void)trace.HasRun();
    EXPECT_EQ(trace.ends.Read(), 1);
  };
  ExploreMany(Time::kRacing, body);
  ExploreAll(Time::kQuiescent, body);
}

// Whichever comes first is the child's own; but a parent's earlier deadline
// wins, and its cause, also before its timer gets to run.
TEST(DeadlineSimTest, AParentsEarlierOneWinsAndItsCause) {
  const auto body = [] {
    CancelScope parent = WithTimeout(Context(), kTick, kOne);
    CancelScope between = WithCancel(parent.context());
    CancelScope child = WithTimeout(between.context(), kTick, kTwo);
    CancelScope grandchild = WithCancel(child.context());
    EXPECT_EQ(child.context().deadline(), parent.context().deadline());
    grandchild.context().AwaitDone();
    EXPECT_EQ(child.context().cause(), kOne);
    EXPECT_EQ(grandchild.context().cause(), kOne);
    EXPECT_TRUE(absl::IsDeadlineExceeded(child.context().status()));
    EXPECT_GE(sync::Now(), parent.context().deadline());
  };
  ExploreMany(Time::kRacing, body);
  ExploreAll(Time::kQuiescent, body);
}

TEST(DeadlineSimTest, TwoOfThemAndACancelRace) {
  ExploreMany(Time::kRacing, [] {
    CancelScope parent = WithTimeout(Context(), 2 * kTick, kOne);
    CancelScope child = WithTimeout(parent.context(), kTick, kTwo);
    bool cancelled = false;
    {
      JoiningThread caller([&] {
        sync::SleepFor(kTick);
        cancelled = parent.Cancel(kThree);
      });
      child.context().AwaitDone();
    }
    const absl::Status above = parent.context().cause();
    EXPECT_EQ(above, cancelled ? kThree : kOne);
    const absl::Status below = child.context().cause();
    EXPECT_TRUE(below == kTwo || below == above) << below;
    EXPECT_EQ(absl::IsCancelled(child.context().status()), below == kThree);
  });
}

// The law: time is never late for want of a thread.

TEST(DeadlineSimTest, ThoseWhoWaitNeedNoOtherThread) {
  sim::Options options{.schedules = 2000 / sim::kCost,
                       .time = Time::kQuiescent};
  options.refused_starts = 1000;
  sim::Explore(options, [] {
    const SteadyTime start = SteadyTime::Now();
    const CancelScope first = WithTimeout(Context(), kTick, kOne);
    first.context().AwaitDone();
    EXPECT_EQ(SteadyTime::Now() - start, kTick);
    EXPECT_EQ(first.context().cause(), kOne);

    // What has no deadline of its own, or a later one.
    const CancelScope above = WithTimeout(Context(), kTick, kTwo);
    const CancelScope later = WithTimeout(above.context(), 2 * kTick, kOne);
    const CancelScope below = WithCancel(later.context());
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(below.context().SleepFor(absl::Hours(1))));
    EXPECT_EQ(SteadyTime::Now() - start, 2 * kTick);
    EXPECT_EQ(above.context().cause(), kTwo);
    EXPECT_EQ(below.context().cause(), kTwo);

    const CancelScope third = WithTimeout(Context(), kTick, kThree);
    const CancelScope never = WithCancel(Context());
    const CancelScope either = WithAnyOf({never.context(), third.context()});
    sync::Mutex mutex;
    sync::CondVar changed;
    {
      ContextWait wait(either.context(), mutex, changed);
      sync::MutexLock lock(&mutex);
      while (!either.context().done()) wait.Block();
    }
    EXPECT_EQ(SteadyTime::Now() - start, 3 * kTick);
    EXPECT_EQ(either.context().cause(), kThree);
  });
}

// Not even where the wait ends at the same time.
TEST(DeadlineSimTest, ThoseWhoWaitUntilItNeedNoOtherThread) {
  sim::Options options{.schedules = 2000 / sim::kCost,
                       .time = Time::kQuiescent};
  options.refused_starts = 1000;
  sim::Explore(options, [] {
    const CancelScope scope = WithTimeout(Context(), kTick, kOne);
    const Context& context = scope.context();
    EXPECT_TRUE(context.AwaitDoneUntil(context.deadline()));
    EXPECT_EQ(context.cause(), kOne);
  });
}

// Every worker sleeps, unannounced, and more tasks are queued.
TEST(DeadlineSimTest, IsNotBehindTheWorkOfTheExecutor) {
  // Nothing orders the end with a look at it.
  sim::Explore({.schedules = 10'000 / sim::kCost,
                .time = Time::kQuiescent,
                .stale_loads = false},
               [] {
                 constexpr int kTasks = 4;
                 sync::Atomic<int> left = kTasks;
                 for (int i = 0; i < kTasks; ++i) {
                   DefaultExecutor().Submit([&left] {
                     sync::SleepFor(absl::Seconds(1));
                     --left;
                   });
                 }
                 const SteadyTime start = SteadyTime::Now();
                 const CancelScope scope =
                     WithTimeout(Context(), kTick / 2, kOne);
                 const CancelScope below = WithCancel(scope.context());
                 // Nobody waits for it.
                 sync::SleepFor(kTick * 3 / 4);
                 EXPECT_TRUE(scope.context().done());
                 EXPECT_TRUE(below.context().done());
                 EXPECT_EQ(SteadyTime::Now() - start, kTick * 3 / 4);
                 while (left > 0) sync::SleepFor(kTick);
               });
}

// A callback needs a thread, but is ahead of the tasks that wait for one.
TEST(DeadlineSimTest, ACallbackIsAheadOfQueuedTasks) {
  sim::Options options{.schedules = 10'000 / sim::kCost,
                       .time = Time::kQuiescent};
  options.processors = 1;
  sim::Explore(options, [] {
    constexpr int kTasks = 4;
    sync::Atomic<int> begun = 0;
    sync::Atomic<int> ended = 0;
    sync::Atomic<int> begun_before = -1;
    for (int i = 0; i < kTasks; ++i) {
      DefaultExecutor().Submit([&] {
        ++begun;
        sync::SleepFor(kTick);
        ++ended;
      });
    }
    while (begun < 1) sync::SleepFor(kTick / 8);
    const CancelScope scope = WithTimeout(Context(), kTick / 8, kOne);
    const DoneCallback callback =
        scope.context().OnDone([&] { begun_before.store(begun.load()); });
    while (ended < kTasks || begun_before < 0) sync::SleepFor(kTick);
    EXPECT_LE(begun_before, 1);
  });
}

TEST(DeadlineSimTest, ASlowCallbackDelaysNoOther) {
  ExploreMany(Time::kQuiescent, [] {
    const SteadyTime start = SteadyTime::Now();
    const CancelScope slow = WithTimeout(Context(), kTick, kOne);
    const CancelScope other = WithTimeout(Context(), 2 * kTick, kTwo);
    Gate called;
    const DoneCallback stuck =
        slow.context().OnDone([] { sync::SleepFor(absl::Hours(1)); });
    const DoneCallback callback =
        other.context().OnDone([&called] { called.Open(); });
    other.context().AwaitDone();
    EXPECT_EQ(SteadyTime::Now() - start, 2 * kTick);
    called.Pass();
    EXPECT_LT(SteadyTime::Now() - start, absl::Seconds(1));
  });
}

// Durations are durations, whatever the wall clock does.

TEST(WallClockSimTest, ATimeoutBelowADeadlineIsAsLongAsItSays) {
  for (const absl::Duration shift :
       {absl::Hours(2), -absl::Hours(2), absl::Minutes(30)}) {
    ExploreMany(Time::kQuiescent, [shift] {
      const CancelScope parent = WithTimeout(Context(), absl::Hours(1), kOne);
      sync::ShiftWallClock(shift);
      const SteadyTime start = SteadyTime::Now();
      const CancelScope child = WithTimeout(parent.context(), kTick, kTwo);
      EXPECT_EQ(child.context().time_left(), kTick);
      child.context().AwaitDone();
      EXPECT_EQ(SteadyTime::Now() - start, kTick);
      EXPECT_EQ(child.context().cause(), kTwo);
      EXPECT_FALSE(parent.context().done());
      EXPECT_EQ(child.context().time_left(), absl::ZeroDuration());

      const CancelScope late =
          WithTimeout(parent.context(), absl::Hours(2), kThree);
      late.context().AwaitDone();
      EXPECT_EQ(SteadyTime::Now() - start, absl::Hours(1));
      EXPECT_EQ(late.context().cause(), kOne);
      EXPECT_EQ(child.context().time_left(), absl::ZeroDuration());
    });
  }
}

// At any moment, while WithTimeout runs too.
TEST(WallClockSimTest, ATimeoutIsAsLongAsItSaysWhenTheClockIsSet) {
  for (const absl::Duration shift : {absl::Hours(1), -absl::Hours(1)}) {
    ExploreAll(Time::kQuiescent, [shift] {
      const SteadyTime start = SteadyTime::Now();
      JoiningThread person([shift] { sync::ShiftWallClock(shift); });
      const CancelScope scope = WithTimeout(Context(), kTick, kOne);
      scope.context().AwaitDone();
      EXPECT_EQ(SteadyTime::Now() - start, kTick);
    });
  }
}

TEST(WallClockSimTest, ADeadlineIsConvertedOnce) {
  for (const absl::Duration shift : {absl::Hours(1), -absl::Hours(1)}) {
    ExploreMany(Time::kQuiescent, [shift] {
      const SteadyTime start = SteadyTime::Now();
      const absl::Time t = sync::Now() + kTick;
      const CancelScope scope = WithDeadline(Context(), t, kOne);
      sync::ShiftWallClock(shift);
      EXPECT_EQ(scope.context().deadline(), t);
      EXPECT_EQ(scope.context().time_left(), kTick);
      scope.context().AwaitDone();
      EXPECT_EQ(SteadyTime::Now() - start, kTick);

      const CancelScope next =
          WithDeadline(Context(), sync::Now() + kTick, kTwo);
      EXPECT_FALSE(next.context().AwaitDoneUntil(sync::Now() + kTick / 2));
      next.context().AwaitDone();
      EXPECT_EQ(SteadyTime::Now() - start, 2 * kTick);
    });
  }
}

// Also where the thread pauses while it reads the one clock and then the other.
TEST(WallClockSimTest, APauseMakesNoDeadlineLate) {
  ExploreMany(Time::kRacing, [] {
    const absl::Time start = sync::Now();
    const CancelScope parent = WithDeadline(Context(), start + 3 * kTick, kOne);
    JoiningThread other([] { sync::SleepFor(kTick); });
    const CancelScope child =
        WithDeadline(parent.context(), start + 2 * kTick, kTwo);
    EXPECT_EQ(child.context().deadline(), start + 2 * kTick);
  });
}

// What comes earlier by the steady clock wins, though the wall clock has shown
// it as the later one.
TEST(WallClockSimTest, AncestorsAreComparedOnTheSteadyClock) {
  ExploreMany(Time::kQuiescent, [] {
    const SteadyTime start = SteadyTime::Now();
    const CancelScope parent = WithTimeout(Context(), 3 * kTick, kOne);
    sync::ShiftWallClock(absl::Hours(1));
    const absl::Time t = sync::Now() + kTick;
    const CancelScope child = WithDeadline(parent.context(), t, kTwo);
    EXPECT_EQ(ContextOf(WithCancel(child.context())).deadline(), t);
    child.context().AwaitDone();
    EXPECT_EQ(SteadyTime::Now() - start, kTick);
    EXPECT_EQ(child.context().cause(), kTwo);
  });
}

// A cancel that has returned is final: all below are done, also where another
// thread was ending a part of them.

TEST(FinalSimTest, AllBelowAreDoneWhenACancelReturns) {
  const auto body = [](bool same, int depth) {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithCancel(parent.context());
    std::vector<CancelScope> below;
    below.push_back(WithCancel(child.context()));
    while (static_cast<int>(below.size()) < depth) {
      below.push_back(WithCancel(below.back().context()));
    }
    JoiningThread other([&] { child.Cancel(kOne); });
    (same ? child : parent).Cancel(kTwo);
    for (const CancelScope& scope : below) {
      EXPECT_TRUE(scope.context().done());
    }
  };
  for (const bool same : {false, true}) {
    ExploreAll(Time::kRacing, [&] { body(same, 1); });
    ExploreMany(Time::kRacing, [&] { body(same, 3); });
  }
}

TEST(FinalSimTest, AllBelowAreDoneWhenACancelReturnsThoughADeadlineEndsThem) {
  ExploreMany(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    CancelScope child = WithTimeout(parent.context(), kTick, kOne);
    CancelScope grandchild = WithCancel(child.context());
    CancelScope last = WithCancel(grandchild.context());
    JoiningThread waiter([&] { last.context().AwaitDone(); });
    sync::SleepFor(kTick);
    parent.Cancel(kTwo);
    EXPECT_TRUE(grandchild.context().done());
    EXPECT_TRUE(last.context().done());
  });
}

TEST(AnyOfSimTest, IsDoneWhenACancelOfOneReturns) {
  ExploreAll(Time::kRacing, [] {
    CancelScope first = WithCancel(Context());
    CancelScope second = WithCancel(Context());
    const CancelScope either = WithAnyOf({first.context(), second.context()});
    const CancelScope below = WithCancel(either.context());
    JoiningThread other([&] { first.Cancel(kOne); });
    second.Cancel(kTwo);
    EXPECT_TRUE(either.context().done());
    EXPECT_TRUE(below.context().done());
    const absl::Status cause = either.context().cause();
    EXPECT_TRUE(cause == kOne || cause == kTwo) << cause;
    EXPECT_EQ(below.context().cause(), cause);
  });
}

TEST(AnyOfSimTest, IsDoneFromTheStartIfOneOfThemIs) {
  for (size_t done = 0; done < 3; ++done) {
    ExploreMany(Time::kRacing, [done] {
      std::vector<CancelScope> scopes;
      std::vector<Context> contexts;
      for (size_t i = 0; i < 3; ++i) {
        scopes.push_back(WithCancel(Context()));
        contexts.push_back(scopes.back().context());
      }
      scopes[done].Cancel(kOne);
      const CancelScope any = WithAnyOf(contexts);
      EXPECT_EQ(any.context().cause(), kOne);
    });
  }
}

// One that another context has from above, too; and without its timer.
TEST(AnyOfSimTest, EndsAtTheEarliestDeadlineWithItsCause) {
  std::array<int, 3> order = {0, 1, 2};
  do {
    sim::Options options{.schedules = 500 / sim::kCost,
                         .time = Time::kQuiescent};
    options.refused_starts = 1000;
    sim::Explore(options, [order] {
      const SteadyTime start = SteadyTime::Now();
      const CancelScope late = WithTimeout(Context(), 2 * kTick, kTwo);
      const CancelScope above = WithTimeout(Context(), kTick, kOne);
      const CancelScope early = WithCancel(above.context());
      const CancelScope never = WithCancel(Context());
      const std::array<Context, 3> contexts = {late.context(), early.context(),
                                               never.context()};
      std::vector<Context> ordered;
      for (const int i : order) {
        ordered.push_back(contexts[static_cast<size_t>(i)]);
      }
      const CancelScope any = WithAnyOf(ordered);
      EXPECT_EQ(any.context().time_left(), kTick);
      any.context().AwaitDone();
      EXPECT_EQ(SteadyTime::Now() - start, kTick);
      EXPECT_EQ(any.context().cause(), kOne);
      EXPECT_FALSE(late.context().done());
    });
  } while (std::next_permutation(order.begin(), order.end()));
}

// Below both of two that end at once, in both orders.
TEST(AnyOfSimTest, TwoOfTheSameTwoEndWithBoth) {
  ExploreMany(Time::kRacing, [] {
    CancelScope first = WithCancel(Context());
    CancelScope second = WithCancel(Context());
    const CancelScope one = WithAnyOf({first.context(), second.context()});
    const CancelScope two = WithAnyOf({second.context(), first.context()});
    const CancelScope both = WithAnyOf({one.context(), two.context()});
    JoiningThread other([&] {
      first.Cancel(kOne);
      EXPECT_TRUE(both.context().done());
    });
    second.Cancel(kTwo);
    EXPECT_TRUE(one.context().done());
    EXPECT_TRUE(two.context().done());
    EXPECT_TRUE(both.context().done());
  });
}

TEST(AnyOfSimTest, IsDestroyedWhileTheOthersEnd) {
  ExploreMany(Time::kRacing, [] {
    CancelScope first = WithCancel(Context());
    auto second = std::make_optional(WithTimeout(Context(), kTick, kTwo));
    auto either =
        std::make_optional(WithAnyOf({first.context(), second->context()}));
    Trace trace;
    DoneCallback callback = Register(either->context(), trace);
    {
      JoiningThread one([&] { first.Cancel(kOne); });
      JoiningThread two([&] { second.reset(); });
      JoiningThread three([&] { either.reset(); });
    }
    callback = DoneCallback();
    (void)trace.HasRun();
  });
}

// Counts those that live.
class Counted {
 public:
  explicit Counted(sync::RaceChecked<int>* alive) : alive_(alive) {
    ++alive_->Write();
  }
  Counted(Counted&& other) noexcept
      : alive_(std::exchange(other.alive_, nullptr)) {}
  ~Counted() {
    if (alive_ != nullptr) --alive_->Write();
  }

  bool lives() const { return alive_ != nullptr; }

 private:
  sync::RaceChecked<int>* alive_;
};

struct Key {
  using Type = Counted;
};

TEST(ValueSimTest, LivesAsLongAsAnyContextThatHasIt) {
  ExploreAll(Time::kRacing, [] {
    sync::RaceChecked<int> alive;
    {
      std::optional<CancelScope> scope;
      {
        const Context context = WithValue<Key>(Context(), Counted(&alive));
        scope.emplace(WithCancel(context));
      }
      JoiningThread caller([context = scope->context()] {
        EXPECT_TRUE(context.value<Key>()->lives());
      });
      const Context shield = WithoutCancel(scope->context());
      scope.reset();
      EXPECT_TRUE(shield.value<Key>()->lives());
    }
    EXPECT_EQ(alive.Read(), 0);
  });
}

TEST(ShieldSimTest, OutlivesTheEndOfItsParent) {
  ExploreAll(Time::kRacing, [] {
    CancelScope parent = WithCancel(Context());
    {
      JoiningThread caller([&] {
        CancelScope shield = WithCancel(WithoutCancel(parent.context()));
        parent.context().AwaitDone();
        EXPECT_FALSE(shield.context().done());
        EXPECT_TRUE(shield.context().SleepFor(kTick).ok());
        EXPECT_TRUE(shield.Cancel(kTwo));
      });
      parent.Cancel(kOne);
    }
    EXPECT_EQ(parent.context().cause(), kOne);
  });
}

}  // namespace
}  // namespace cohort
