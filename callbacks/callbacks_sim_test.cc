// callbacks on every schedule that the search comes across. The names of the
// B-… are those of docs/immunity.md.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::callbacks {
namespace {

using ::cohort::testing::JoiningThread;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

absl::Status No(const std::string& text) { return absl::NotFoundError(text); }

void Explore(int schedules, absl::FunctionRef<void()> body,
             std::source_location site = std::source_location::current()) {
  sim::Explore({.schedules = schedules}, body, site);
}

// Where time passes when nobody has anything else to do.
sim::Options Quiescent(sim::Strategy strategy) {
  sim::Options options = sim::AllSchedules(std::move(strategy));
  options.time = sim::Time::kQuiescent;
  return options;
}

// What is before the call is visible to the functions, and what they did to
// whoever it returns to; so that the accesses are ordered.
TEST(CallbacksSimTest, AllOrdersWhatItsFunctionsDo) {
  Explore(2000, [] {
    sync::RaceChecked<int> before;
    sync::RaceChecked<int> data[2];
    before.Write() = 1;
    const auto [a, b] = All(
        Context(),
        [&] {
          data[0].Write() = before.Read();
          return 10;
        },
        [&]() -> absl::StatusOr<int> {
          data[1].Write() = before.Read() + 1;
          return No("b");
        });
    EXPECT_EQ(*a, 10);
    EXPECT_EQ(b.status(), No("b"));
    EXPECT_EQ(data[0].Read(), 1);
    EXPECT_EQ(data[1].Read(), 2);
  });
}

TEST(CallbacksSimTest, AnErrorStopsNoOther) {
  Explore(2000, [] {
    const auto [failed, context_done] = All(
        Context(), []() -> absl::StatusOr<int> { return No("a"); },
        [](const Context& context) {
          sync::SchedulePoint("running");
          return context.done();
        });
    EXPECT_EQ(failed.status(), No("a"));
    EXPECT_FALSE(*context_done);
  });
}

// Accounted: a function has run, or has the cause.
TEST(CallbacksSimTest, AllAgainstACancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    sync::Atomic<int> calls = 0;
    auto function = [&calls](const Context& context) -> absl::StatusOr<int> {
      ++calls;
      sync::SchedulePoint("running");
      if (context.done()) return context.status();
      return 1;
    };
    const auto [a, b] = All(scope.context(), function, function);
    int skipped = 0;
    for (const auto& result : {a, b}) {
      if (result.ok()) continue;
      EXPECT_TRUE(result.status() == No("enough") ||
                  absl::IsCancelled(result.status()))
          << result.status();
      skipped += result.status() == No("enough") ? 1 : 0;
    }
    EXPECT_EQ(calls, 2 - skipped);
  });
}

TEST(CallbacksSimTest, TheFirstSuccessWinsAndTheLosersAreJoined) {
  Explore(4000, [] {
    sync::Atomic<int> inside = 0;
    auto succeed = [&inside](int value) {
      return [&inside, value] {
        ++inside;
        sync::SchedulePoint("running");
        --inside;
        return value;
      };
    };
    auto fail = [&inside]() -> absl::StatusOr<int> {
      ++inside;
      sync::SchedulePoint("running");
      --inside;
      return No("no");
    };
    const absl::StatusOr<int> result =
        Race(Context(), succeed(1), fail, succeed(3));
    EXPECT_EQ(inside, 0);
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(*result == 1 || *result == 3);
  });
}

TEST(CallbacksSimTest, B43_TheLastErrorComesFirst) {
  Explore(3000, [] {
    auto fail = [](int moments, const char* text) {
      return [moments, text]() -> absl::StatusOr<int> {
        sync::SleepFor(moments * kMoment);
        return absl::Status(moments == 2 ? absl::StatusCode::kAborted
                                         : absl::StatusCode::kNotFound,
                            text);
      };
    };
    const absl::Status status =
        Race(Context(), fail(1, "a"), fail(2, "b"), fail(0, "c")).status();
    // On some schedules they oversleep.
    const bool last = absl::StrContains(status.message(), "occurred: [1] {b}");
    EXPECT_EQ(status.code(),
              last ? absl::StatusCode::kAborted : absl::StatusCode::kNotFound);
    for (const char* text : {"[0] {a}", "[1] {b}", "[2] {c}"}) {
      EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
    }
  });
}

TEST(CallbacksSimTest, B43_InTimeTheLastErrorIsTheLast) {
  sim::Explore({.schedules = 300, .time = sim::Time::kQuiescent}, [] {
    auto fail = [](int moments, const char* text) {
      return [moments, text]() -> absl::StatusOr<int> {
        sync::SleepFor(moments * kMoment);
        return No(text);
      };
    };
    EXPECT_EQ(
        Race(Context(), fail(3, "a"), fail(1, "b"), fail(2, "c")).status(),
        No("callbacks::Race: 3 error(s) occurred: "
           "[0] {a}, [1] {b}, [2] {c}"));
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(CallbacksSimTest, B44_RaceReturnsWhenNobodyCanSucceed) {
  Explore(4000, [] {
    auto fail = []() -> absl::StatusOr<int> { return No("no"); };
    auto boom = []() -> absl::StatusOr<int> {
      throw std::runtime_error("boom");
    };
    EXPECT_FALSE(Race(Context(), fail, boom).ok());
    EXPECT_FALSE(RaceDetached(Context(), fail, boom).ok());
  });
}

#endif

// A success that was recorded beats a later cancellation, and nothing else is
// returned than a value or the cause.
TEST(CallbacksSimTest, B45_SuccessAgainstCancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    sync::Atomic<bool> succeeded = false;
    const absl::StatusOr<int> result = Race(
        scope.context(), [&](const Context& context) -> absl::StatusOr<int> {
          if (context.done()) return context.status();
          succeeded = true;
          return 1;
        });
    if (succeeded) {
      EXPECT_EQ(*result, 1);
    } else {
      EXPECT_EQ(result.status(), No("enough"));
    }
  });
}

TEST(CallbacksSimTest, AnEchoOfTheParentIsNoFailure) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    // These look at the context that they have captured, which ends before the
    // one that they are given.
    auto function = [outer = scope.context()]() -> absl::StatusOr<int> {
      outer.AwaitDone();
      return outer.status();
    };
    EXPECT_EQ(Race(scope.context(), function, function).status(), No("enough"));
  });
}

TEST(CallbacksSimTest, B46_RaceEndsAfterItsLosers) {
  Explore(4000, [] {
    auto data = std::make_unique<sync::RaceChecked<int>>();
    const absl::StatusOr<int> result = Race(
        Context(),
        [&data](const Context& context) -> absl::StatusOr<int> {
          context.AwaitDone();
          data->Write() = 1;
          return context.status();
        },
        [] { return 2; });
    EXPECT_EQ(*result, 2);
    data.reset();  // a loser that is alive would use it
  });
}

TEST(CallbacksSimTest, B46_ADetachedLoserUsesNothingOfTheCaller) {
  Explore(4000, [] {
    auto ended = std::make_shared<sync::Atomic<int>>(0);
    auto scope = std::make_unique<CancelScope>(WithCancel(Context()));
    auto function = [ended](int value) {
      return [ended, value](const Context& context) {
        if (value == 0) context.AwaitDone();
        ++*ended;
        return std::make_unique<int>(value);
      };
    };
    {
      const absl::StatusOr<std::unique_ptr<int>> result =
          RaceDetached(scope->context(), function(0), function(1), function(2));
      ASSERT_TRUE(result.ok());
      EXPECT_NE(**result, 0);
    }
    scope.reset();
    // The simulator reports a thread, or a use, that is left over.
  });
}

TEST(CallbacksSimTest, B46_ADetachedCallWaitsForNoLoser) {
  Explore(2000, [] {
    CancelScope gate = WithCancel(Context());
    const absl::StatusOr<int> result = RaceDetached(
        Context(),
        [gate = gate.context()] {
          gate.AwaitDone();
          return 1;
        },
        [] { return 2; });
    EXPECT_EQ(*result, 2);
    gate.Cancel();
  });
}

// A pool of one thread that is told of a wait replaces it at once.
TEST(CallbacksSimTest, ADetachedCallAnnouncesThatItWaits) {
  sim::Explore({.schedules = 1000, .time = sim::Time::kQuiescent}, [] {
    CancelScope open = WithCancel(Context());
    CancelScope over = WithCancel(Context());
    ElasticPool pool({.workers = 1});
    pool.Submit([&] {
      EXPECT_TRUE(RaceDetached(Context(), [gate = open.context()] {
                    gate.AwaitDone();
                    return 1;
                  }).ok());
      over.Cancel();
    });
    pool.Submit([&open] { open.Cancel(); });
    over.context().AwaitDone();
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
}

TEST(CallbacksSimTest, B46_ADetachedCallEndsWithItsContext) {
  Explore(4000, [] {
    auto scope = std::make_unique<CancelScope>(WithCancel(Context()));
    JoiningThread canceller([&scope] { scope->Cancel(No("enough")); });
    const absl::Status status =
        RaceDetached(scope->context(),
                     [](const Context& context) -> absl::StatusOr<int> {
                       context.AwaitDone();
                       return context.status();
                     })
            .status();
    EXPECT_EQ(status, No("enough"));
    canceller.Join();
    scope.reset();
  });
}

// The function succeeds only after the call of Cancel has returned.
TEST(CallbacksSimTest, ACancellationThatHasReturnedIsFollowedByNoSuccess) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    CancelScope returned = WithCancel(Context());
    JoiningThread canceller([&] {
      scope.Cancel(No("enough"));
      returned.Cancel();
    });
    const absl::StatusOr<int> result =
        RaceDetached(scope.context(), [gate = returned.context()] {
          gate.AwaitDone();
          return 1;
        });
    EXPECT_EQ(result.status(), No("enough"));
  });
}

// Where the call waits for its functions anyhow, what they have is not given
// up.
TEST(CallbacksSimTest, AJoiningCallTakesALateSuccess) {
  Explore(2000, [] {
    CancelScope scope = WithCancel(Context());
    CancelScope started = WithCancel(Context());
    CancelScope returned = WithCancel(Context());
    JoiningThread canceller([&] {
      started.context().AwaitDone();
      scope.Cancel(No("enough"));
      returned.Cancel();
    });
    const absl::StatusOr<int> result = Race(scope.context(), [&] {
      started.Cancel();
      returned.context().AwaitDone();
      return 1;
    });
    EXPECT_EQ(*result, 1);
  });
}

TEST(CallbacksSimTest, WithALimitNoMoreRunAtOnce) {
  Explore(3000, [] {
    sync::Atomic<int> inside = 0;
    auto function = [&inside] {
      EXPECT_LE(++inside, 2);
      sync::SchedulePoint("running");
      return --inside;
    };
    const auto [a, b, c] =
        All(Context(), {.limit = 2}, function, function, function);
    EXPECT_TRUE(a.ok() && b.ok() && c.ok());
  });
}

TEST(CallbacksSimTest, WithALimitADecisionReachesWhatHasNotStarted) {
  Explore(3000, [] {
    auto calls = std::make_shared<sync::Atomic<int>>(0);
    auto function = [calls] { return ++*calls; };
    EXPECT_TRUE(
        Race(Context(), {.limit = 1}, function, function, function).ok());
    EXPECT_EQ(*calls, 1);
    EXPECT_TRUE(
        RaceDetached(Context(), {.limit = 1}, function, function, function)
            .ok());
    EXPECT_EQ(*calls, 2);
  });
}

// What is before the call is visible to the elements, and what they did to
// whoever it returns to.
TEST(CallbacksSimTest, MapOrdersWhatItsElementsDo) {
  Explore(3000, [] {
    sync::RaceChecked<int> before;
    std::vector<sync::RaceChecked<int>> data(4);
    before.Write() = 1;
    const auto results = Map(Context(), {.limit = 2}, data,
                             [&](sync::RaceChecked<int>& element) {
                               element.Write() = before.Read();
                               sync::SchedulePoint("running");
                               return element.Read();
                             });
    for (size_t i = 0; i < data.size(); ++i) {
      EXPECT_EQ(*results[i], 1);
      EXPECT_EQ(data[i].Read(), 1);
    }
  });
}

TEST(CallbacksSimTest, MapAgainstACancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    sync::Atomic<int> calls = 0;
    const std::vector<int> numbers = {0, 1, 2, 3};
    const auto results =
        Map(scope.context(), {.limit = 2}, numbers,
            [&calls](const Context& context, int i) -> absl::StatusOr<int> {
              ++calls;
              sync::SchedulePoint("running");
              if (context.done()) return absl::CancelledError("told to stop");
              return i;
            });
    int started = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].ok()) {
        EXPECT_EQ(*results[i], numbers[i]);
      } else if (results[i].status() != No("enough")) {
        EXPECT_EQ(results[i].status(), absl::CancelledError("told to stop"));
      }
      started += results[i].status() == No("enough") ? 0 : 1;
    }
    EXPECT_EQ(calls, started);
  });
}

TEST(CallbacksSimTest, B47_ARetryIsToldApart) {
  Explore(2000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    int calls = 0;
    const Retried<int> retried = Retry(
        scope.context(), {.attempts = 2}, [&calls]() -> absl::StatusOr<int> {
          return No("try " + std::to_string(++calls));
        });
    EXPECT_EQ(retried.attempts, calls);
    if (calls > 0) {
      EXPECT_EQ(retried.last_error, No("try " + std::to_string(calls)));
    }
    if (retried.end == RetryEnd::kExhausted) {
      EXPECT_EQ(calls, 2);
      EXPECT_EQ(retried.result.status(), No("try 2"));
    } else {
      EXPECT_EQ(retried.end, RetryEnd::kCancelled);
      EXPECT_EQ(retried.result.status(), No("enough"));
    }
  });
}

TEST(CallbacksSimTest, NestedCallsShareTheCancellation) {
  Explore(2000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    auto race = [](const Context& context) -> absl::StatusOr<int> {
      auto wait = [](const Context& inner) -> absl::StatusOr<int> {
        inner.AwaitDone();
        return inner.status();
      };
      return Race(context, wait, wait);
    };
    const auto [a, b] = All(scope.context(), race, race);
    EXPECT_EQ(a.status(), No("enough"));
    EXPECT_EQ(b.status(), No("enough"));
  });
}

TEST(CallbacksSimTest, ADeadlineAgainstASuccess) {
  Explore(4000, [] {
    CancelScope scope = WithTimeout(Context(), kMoment, No("late"));
    const absl::StatusOr<int> result = Race(
        scope.context(), [](const Context& context) -> absl::StatusOr<int> {
          const absl::Status slept = context.SleepFor(kMoment);
          if (!slept.ok()) return slept;
          return 1;
        });
    EXPECT_TRUE(result.ok() || result.status() == No("late"))
        << result.status();
  });
}

// All schedules with at most one preemption.

TEST(CallbacksSimTest, EveryRaceOfTwoHasOneWinner) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    const absl::StatusOr<int> result =
        Race(Context(), [] { return 1; }, [] { return 2; });
    EXPECT_TRUE(*result == 1 || *result == 2);
  });
}

TEST(CallbacksSimTest, EveryRaceOfSuccessAndFailureSucceeds) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    EXPECT_EQ(*Race(
                  Context(), []() -> absl::StatusOr<int> { return No("no"); },
                  [] { return 2; }),
              2);
  });
}

TEST(CallbacksSimTest, EveryDetachedRaceOfTwoHasOneWinner) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    const absl::StatusOr<int> result =
        RaceDetached(Context(), [] { return 1; }, [] { return 2; });
    EXPECT_TRUE(*result == 1 || *result == 2);
  });
}

}  // namespace
}  // namespace cohort::callbacks
