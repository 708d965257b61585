// hunch on every schedule that the search comes across. The names of the B-…
// are those of docs/immunity.md.

#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/hunch/hunch.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::hunch {
namespace {

using ::cohort::testing::JoiningThread;

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

// What a function has done that is over.
class Work {
 public:
  // Tells whether it was told to stop.
  bool Do(const Context& context) {
    ++inside_;
    sync::SchedulePoint("working");
    const bool stopped = context.done();
    --inside_;
    return stopped;
  }
  ~Work() { EXPECT_EQ(inside_, 0); }

 private:
  sync::Atomic<int> inside_ = 0;
};

TEST(HunchSimTest, AllOrdersWhatItsFunctionsDo) {
  Explore(2000, [] {
    sync::RaceChecked<int> before;
    sync::RaceChecked<int> data[2];
    before.Write() = 1;
    const auto all = All(
        Context(),
        [&] {
          data[0].Write() = before.Read();
          return 10;
        },
        [&] {
          data[1].Write() = before.Read() + 1;
          return std::string("b");
        });
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(*all, std::make_tuple(10, "b"));
    EXPECT_EQ(data[0].Read(), 1);
    EXPECT_EQ(data[1].Read(), 2);
  });
}

// The first error ends the others, and their echoes do not mask it.
TEST(HunchSimTest, B21_TheFirstErrorOfAll) {
  Explore(4000, [] {
    Work work;
    auto echo = [&work](const Context& context) -> absl::StatusOr<int> {
      if (work.Do(context)) {
        EXPECT_EQ(context.cause(), No("b"));
        return context.status();
      }
      return 1;
    };
    auto fail = [&work](const Context& context) -> absl::StatusOr<int> {
      work.Do(context);
      return No("b");
    };
    EXPECT_EQ(All(Context(), echo, fail, echo).status(), No("b"));
  });
}

TEST(HunchSimTest, OfTwoErrorsTheOneThatCameFirst) {
  Explore(4000, [] {
    Work work;
    auto fail = [&work](const char* text) {
      return [&work, text](const Context& context) -> absl::StatusOr<int> {
        work.Do(context);
        return No(text);
      };
    };
    const absl::Status status = All(Context(), fail("a"), fail("b")).status();
    EXPECT_TRUE(status == No("a") || status == No("b")) << status;
  });
}

TEST(HunchSimTest, AllAgainstACancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    Work work;
    sync::Atomic<int> succeeded = 0;
    auto function = [&](const Context& context) -> absl::StatusOr<int> {
      if (work.Do(context)) return context.status();
      ++succeeded;
      return 1;
    };
    const absl::Status status =
        All(scope.context(), function, function).status();
    if (succeeded == 2) {
      EXPECT_EQ(status, absl::OkStatus());
    } else {
      EXPECT_EQ(status, No("enough"));
    }
  });
}

TEST(HunchSimTest, AnErrorAgainstACancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    sync::Atomic<bool> failed = false;
    auto fail = [&failed]() -> absl::StatusOr<int> {
      failed = true;
      return absl::InternalError("mine");
    };
    const absl::Status status = All(scope.context(), fail).status();
    EXPECT_EQ(status, failed ? absl::InternalError("mine") : No("enough"));
  });
}

// The echo has come by the time that the error does.
TEST(HunchSimTest, AnErrorAfterAnEchoOfTheCancellation) {
  sim::Explore({.schedules = 1000, .time = sim::Time::kQuiescent}, [] {
    CancelScope scope = WithCancel(Context());
    const absl::Status status =
        All(
            scope.context(),
            [](const Context& context) -> absl::StatusOr<int> {
              context.AwaitDone();
              return context.status();
            },
            [&scope]() -> absl::StatusOr<int> {
              scope.Cancel(No("enough"));
              sync::SleepFor(absl::Milliseconds(1));
              return absl::InternalError("mine");
            })
            .status();
    EXPECT_EQ(status, absl::InternalError("mine"));
  });
}

TEST(HunchSimTest, TakeKeepsTheOrderInWhichTheyCame) {
  Explore(4000, [] {
    Work work;
    sync::Atomic<int> turn = 0;
    auto function = [&](const Context& context) {
      work.Do(context);
      return ++turn;
    };
    const auto taken = Take(Context(), 2, function, function, function);
    ASSERT_TRUE(taken.ok());
    ASSERT_EQ(taken->size(), 2);
    EXPECT_NE((*taken)[0].index, (*taken)[1].index);
    EXPECT_NE((*taken)[0].value, (*taken)[1].value);
  });
}

TEST(HunchSimTest, InTimeTheFirstAndTheLast) {
  sim::Explore({.schedules = 300, .time = sim::Time::kQuiescent}, [] {
    auto after = [](int hours) {
      return [hours](const Context& context) -> absl::StatusOr<int> {
        const absl::Status slept = context.SleepFor(absl::Hours(hours));
        if (!slept.ok()) return slept;
        return hours;
      };
    };
    const auto first = Take(Context(), 2, after(3), after(1), after(2));
    ASSERT_TRUE(first.ok());
    EXPECT_EQ((*first)[0].value, 1);
    EXPECT_EQ((*first)[0].index, 1);
    EXPECT_EQ((*first)[1].value, 2);
    const auto last = Last(Context(), 2, after(3), after(1), after(2));
    ASSERT_TRUE(last.ok());
    EXPECT_EQ((*last)[0].value, 2);
    EXPECT_EQ((*last)[1].value, 3);
    EXPECT_EQ((*last)[1].index, 0);
  });
}

TEST(HunchSimTest, TakeToleratesErrorsWhileEnoughCanSucceed) {
  Explore(4000, [] {
    Work work;
    auto succeed = [&work](const Context& context) -> absl::StatusOr<int> {
      work.Do(context);
      return 1;
    };
    auto fail = [&work](const Context& context) -> absl::StatusOr<int> {
      work.Do(context);
      return No("no");
    };
    const TakeOptions tolerant = {.tolerate_errors = true};
    const auto one = Take(Context(), 1, tolerant, fail, succeed, fail);
    ASSERT_TRUE(one.ok());
    EXPECT_EQ(one->front().index, 1);
    const absl::Status two =
        Take(Context(), 2, tolerant, fail, succeed, fail).status();
    EXPECT_TRUE(
        absl::StartsWith(two.message(), "hunch::Take: 2 error(s) occurred: "));
    EXPECT_TRUE(absl::StrContains(two.message(), "[0] {no}"));
    EXPECT_TRUE(absl::StrContains(two.message(), "[2] {no}"));
  });
}

TEST(HunchSimTest, B45_AResultAgainstACancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    Work work;
    sync::Atomic<int> succeeded = 0;
    auto function = [&](const Context& context) -> absl::StatusOr<int> {
      if (work.Do(context)) return context.status();
      return ++succeeded;
    };
    const auto taken = Take(scope.context(), 1, function, function);
    EXPECT_EQ(taken.ok(), succeeded > 0);
    if (!taken.ok()) {
      EXPECT_EQ(taken.status(), No("enough"));
    }
  });
}

TEST(HunchSimTest, B46_TakeEndsAfterTheRest) {
  Explore(4000, [] {
    auto data = std::make_unique<sync::RaceChecked<int>>();
    const auto taken = Take(
        Context(), 1,
        [&data](const Context& context) -> absl::StatusOr<int> {
          context.AwaitDone();
          data->Write() = 1;
          return 1;
        },
        [] { return 2; });
    EXPECT_EQ(taken->front().value, 2);
    data.reset();
  });
}

TEST(HunchSimTest, B46_TheDetachedUseNothingOfTheCaller) {
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
      const auto taken = TakeDetached(scope->context(), 2, function(0),
                                      function(1), function(2));
      ASSERT_TRUE(taken.ok());
      EXPECT_EQ(*(*taken)[0].value + *(*taken)[1].value, 3);
    }
    scope.reset();
  });
}

TEST(HunchSimTest, ACancellationThatHasReturnedIsFollowedByNoValues) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    CancelScope returned = WithCancel(Context());
    JoiningThread canceller([&] {
      scope.Cancel(No("enough"));
      returned.Cancel();
    });
    auto function = [gate = returned.context()] {
      gate.AwaitDone();
      return 1;
    };
    EXPECT_EQ(TakeDetached(scope.context(), 1, function, function).status(),
              No("enough"));
  });
}

TEST(HunchSimTest, WithALimitTheFirstErrorReachesWhatHasNotStarted) {
  Explore(3000, [] {
    sync::Atomic<int> calls = 0;
    auto fail = [&calls]() -> absl::StatusOr<int> {
      return No(std::to_string(++calls));
    };
    EXPECT_EQ(All(Context(), {.limit = 1}, fail, fail, fail).status(), No("1"));
    EXPECT_EQ(calls, 1);
  });
}

// Of two errors the first by completion, and no element after it but those of
// runners that had one already.
TEST(HunchSimTest, TheFirstErrorEndsForEach) {
  Explore(4000, [] {
    Work work;
    std::vector<int> numbers = {0, 1, 2, 3, 4};
    sync::Atomic<int> failures = 0;
    const absl::Status status =
        ForEach(Context(), {.limit = 2}, numbers,
                [&](const Context& context, int& number) -> absl::Status {
                  if (work.Do(context)) return context.status();
                  ++number;
                  if (number % 2 != 0) return absl::OkStatus();
                  ++failures;
                  return No(std::to_string(number));
                });
    EXPECT_TRUE(status == No("2") || status == No("4")) << status;
    EXPECT_GE(failures, 1);
    EXPECT_LE(failures, 2);
  });
}

TEST(HunchSimTest, ForEachAgainstACancellation) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    sync::Atomic<int> successes = 0;
    const absl::Status status =
        ForEach(scope.context(), {.limit = 2}, std::vector<int>(4),
                [&](const Context& context, int) -> absl::Status {
                  sync::SchedulePoint("running");
                  if (context.done()) return context.status();
                  ++successes;
                  return absl::OkStatus();
                });
    EXPECT_EQ(status, successes == 4 ? absl::OkStatus() : No("enough"));
  });
}

TEST(HunchSimTest, EveryMapOfThreeOnTwoRunners) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    const std::vector<int> numbers = {1, 2, 3};
    EXPECT_EQ(*Map(Context(), {.limit = 2}, numbers,
                   [](int number) { return 10 * number; }),
              (std::vector<int>{10, 20, 30}));
  });
}

TEST(HunchSimTest, B48_EmptyAndZeroInputsAreAnswered) {
  Explore(100, [] {
    EXPECT_TRUE(All(Context()).ok());
    EXPECT_TRUE(All(Context(), std::vector<int (*)()>()).ok());
    EXPECT_TRUE(Take(Context(), 1, std::vector<int (*)()>()).ok());
    EXPECT_TRUE(Last(Context(), 1, std::vector<int (*)()>()).ok());
    EXPECT_TRUE(Take(Context(), 0, [] { return 1; })->empty());
    EXPECT_TRUE(TakeDetached(Context(), 0, [] { return 1; })->empty());
  });
}

// The simulator reports a thread that outlives the run.
TEST(HunchSimTest, B49_AFailingCallLeavesNoThread) {
  Explore(2000, [] {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(All(
                    Context(), []() -> absl::StatusOr<int> { return No("no"); },
                    [] { return 1; })
                    .status(),
                No("no"));
    }
  });
}

TEST(HunchSimTest, B50_RetryTellsTheLastError) {
  ExploreAll(Quiescent(sim::Strategy::DepthFirst()), [] {
    EXPECT_EQ(
        Retry(Context(), 3, []() -> absl::StatusOr<int> { return No("no"); })
            .status(),
        No("max retries exceeded (3 times): no"));
    // Without a pause.
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(HunchSimTest, B51_AnAbnormalEndIsCounted) {
  Explore(2000, [] {
    auto boom = []() -> int { throw std::runtime_error("boom"); };
    auto succeed = [] { return 1; };
    EXPECT_EQ(All(Context(), succeed, boom).status().code(),
              absl::StatusCode::kInternal);
    EXPECT_EQ(Last(Context(), 1, boom, succeed).status().code(),
              absl::StatusCode::kInternal);
    EXPECT_TRUE(
        Take(Context(), 1, {.tolerate_errors = true}, boom, succeed).ok());
  });
}

#endif

TEST(HunchSimTest, NestedCallsShareTheCancellation) {
  Explore(2000, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    auto take = [](const Context& context) -> absl::StatusOr<int> {
      auto wait = [](const Context& inner) -> absl::StatusOr<int> {
        inner.AwaitDone();
        return inner.status();
      };
      return Take(context, 1, wait, wait).status();
    };
    EXPECT_EQ(All(scope.context(), take, take).status(), No("enough"));
  });
}

TEST(HunchSimTest, AWaterfallAgainstACancellation) {
  ExploreAll(Quiescent(sim::Strategy::DepthFirst()), [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(No("enough")); });
    int steps = 0;
    const absl::StatusOr<int> result = Waterfall(
        scope.context(), [&steps] { return ++steps; },
        [&steps](int value) {
          ++steps;
          return value + 1;
        });
    if (steps == 2) {
      EXPECT_EQ(*result, 2);
    } else {
      EXPECT_EQ(result.status(), No("enough"));
    }
  });
}

// All schedules with at most one preemption.

TEST(HunchSimTest, EveryAllOfTwo) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    const auto all = All(Context(), [] { return 1; }, [] { return 2; });
    EXPECT_EQ(*all, std::make_tuple(1, 2));
  });
}

TEST(HunchSimTest, EveryTakeOfOneFromTwo) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    const auto taken = Take(Context(), 1, [] { return 0; }, [] { return 1; });
    EXPECT_EQ(taken->front().value, taken->front().index);
  });
}

TEST(HunchSimTest, EveryDetachedTakeOfAnErrorAndAValue) {
  ExploreAll(Quiescent(sim::Strategy::PreemptionBounded(1)), [] {
    const auto taken = TakeDetached(
        Context(), 1, []() -> absl::StatusOr<int> { return No("no"); },
        []() -> absl::StatusOr<int> { return 1; });
    EXPECT_TRUE(taken.ok() ? taken->front().index == 1
                           : taken.status() == No("no"));
  });
}

}  // namespace
}  // namespace cohort::hunch
