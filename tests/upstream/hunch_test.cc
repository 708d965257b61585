// What AaronJan/Hunch's own tests pin down, against cohort. Each case is named
// after the one that it follows; where cohort differs on purpose, it says by
// which law. In virtual time.
//
// Without a counterpart: TestMin, of a helper that is not exported.

#include "cohort/hunch/hunch.h"

#include <string>
#include <tuple>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::hunch {
namespace {

using ::cohort::testing::JoiningThread;

const absl::Status kAppError = absl::UnknownError("app error!");

absl::Duration Ms(int ms) { return absl::Milliseconds(ms); }

auto After(int ms, int value) {
  return [=](const Context&) -> absl::StatusOr<int> {
    sync::SleepFor(Ms(ms));
    return value;
  };
}

auto FailAfter(int ms) {
  return [=](const Context&) -> absl::StatusOr<int> {
    sync::SleepFor(Ms(ms));
    return kAppError;
  };
}

// Looks at its context, and fails with an error of its own when that is done.
absl::StatusOr<int> SleepOrFail(const Context& context) {
  if (!context.SleepFor(Ms(300)).ok()) return kAppError;
  return 3;
}

void InTime(absl::FunctionRef<void()> body) {
  sim::Explore(
      {.schedules = 200, .time = sim::Time::kQuiescent, .stale_loads = false},
      body);
}

template <class T>
std::vector<T> Values(const absl::StatusOr<std::vector<IndexedValue<T>>>& all) {
  std::vector<T> values;
  if (!all.ok()) {
    ADD_FAILURE() << all.status();
    return values;
  }
  for (const IndexedValue<T>& one : *all) values.push_back(one.value);
  return values;
}

TEST(HunchTest, TakeShouldWorksAsExpected) {
  InTime([] {
    EXPECT_EQ(
        Values(Take(Context(), 3, After(200, 1), After(100, 2), After(300, 3))),
        (std::vector<int>{2, 1, 3}));
  });
}

TEST(HunchTest, TakeShouldJustTakeAll) {
  InTime([] {
    EXPECT_EQ(
        Values(Take(Context(), 100, After(0, 1), After(0, 2), After(0, 3)))
            .size(),
        3);
  });
}

TEST(HunchTest, TakeShouldLimitResults) {
  InTime([] {
    EXPECT_EQ(
        Values(Take(Context(), 2, After(200, 1), After(100, 2), After(300, 3))),
        (std::vector<int>{2, 1}));
  });
}

TEST(HunchTest, TakeShouldCancelWhenOneExecutableReturnedError) {
  InTime([] {
    EXPECT_EQ(Take(Context(), 3, After(100, 1), FailAfter(200), After(200, 3))
                  .status(),
              kAppError);
  });
}

// Structured: Hunch returns at once, at 150 ms; here a function that does not
// look at its context is waited for. First error: one that returns an error of
// its own is heard before the cause.
TEST(HunchTest, TakeShouldCancelWhenRootCanceled) {
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] {
      sync::SleepFor(Ms(150));
      scope.Cancel(absl::AbortedError("enough"));
    });
    EXPECT_EQ(
        Take(scope.context(), 3, After(100, 1), After(200, 2), &SleepOrFail)
            .status(),
        kAppError);
    EXPECT_EQ(sync::Now() - start, Ms(200));
  });
  // As there, at once and with the context's error.
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] {
      sync::SleepFor(Ms(150));
      scope.Cancel(absl::AbortedError("enough"));
    });
    EXPECT_EQ(
        TakeDetached(scope.context(), 2, After(100, 1), After(200, 2)).status(),
        absl::AbortedError("enough"));
    EXPECT_EQ(sync::Now() - start, Ms(150));
  });
}

TEST(HunchTest, AllShouldWorksAsExpected) {
  InTime([] {
    EXPECT_EQ(*All(Context(), After(200, 1), After(100, 2), After(300, 3)),
              std::make_tuple(1, 2, 3));
  });
}

TEST(HunchTest, AllWhenOutOfOrder) {
  InTime([] {
    EXPECT_EQ(*All(Context(), After(200, 1), After(300, 2), After(100, 3)),
              std::make_tuple(1, 2, 3));
  });
}

// As TakeShouldCancelWhenRootCanceled.
TEST(HunchTest, AllWhenRootCtxCanceled) {
  InTime([] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] {
      sync::SleepFor(Ms(150));
      scope.Cancel();
    });
    EXPECT_EQ(All(scope.context(), After(100, 1), After(200, 2), &SleepOrFail)
                  .status(),
              kAppError);
  });
}

TEST(HunchTest, AllWhenAnySubFunctionFailed) {
  InTime([] {
    EXPECT_EQ(
        All(Context(), After(100, 1), After(200, 2), FailAfter(300)).status(),
        kAppError);
  });
}

TEST(HunchTest, RetryWithNoFailure) {
  InTime([] {
    int times = 0;
    EXPECT_EQ(*Retry(Context(), 10,
                     [&times] {
                       ++times;
                       sync::SleepFor(Ms(100));
                       return 1;
                     }),
              1);
    EXPECT_EQ(times, 1);
  });
}

TEST(HunchTest, LastShouldWorksAsExpected) {
  InTime([] {
    EXPECT_EQ(
        Values(Last(Context(), 2, After(200, 1), After(100, 2), After(300, 3))),
        (std::vector<int>{1, 3}));
  });
}

// The first step takes nothing, where Hunch gives it a nil.
TEST(HunchTest, WaterfallShouldWorksAsExpected) {
  InTime([] {
    const auto plus_one = [](int n) {
      sync::SleepFor(Ms(100));
      return n + 1;
    };
    EXPECT_EQ(*Waterfall(Context(), After(100, 1), plus_one, plus_one), 3);
  });
}

TEST(HunchTest, RetryShouldReturnsOnSuccess) {
  InTime([] { EXPECT_EQ(*Retry(Context(), 3, After(200, 1)), 1); });
}

TEST(HunchTest, RetryShouldReturnsAfterFailingSeveralTimes) {
  InTime([] {
    int times = 0;
    EXPECT_EQ(*Retry(Context(), 3,
                     [&times]() -> absl::StatusOr<int> {
                       if (++times >= 2) return 1;
                       return kAppError;
                     }),
              1);
    EXPECT_EQ(times, 2);
  });
}

// First error: the text of the last error is kept, where Hunch drops it.
TEST(HunchTest, RetryShouldKeepRetrying) {
  InTime([] {
    int times = 0;
    EXPECT_EQ(Retry(Context(), 3,
                    [&times]() -> absl::StatusOr<int> {
                      ++times;
                      return kAppError;
                    })
                  .status(),
              absl::UnknownError("max retries exceeded (3 times): app error!"));
    EXPECT_EQ(times, 3);
  });
}

// Structured: the attempt that runs is waited for.
TEST(HunchTest, RetryWhenRootCtxCanceled) {
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] {
      sync::SleepFor(Ms(10));
      scope.Cancel();
    });
    const absl::Status status =
        Retry(scope.context(), 3, FailAfter(50)).status();
    EXPECT_EQ(status, scope.context().cause());
    EXPECT_EQ(sync::Now() - start, Ms(50));
  });
}

TEST(HunchTest, ExampleAll) {
  InTime([] {
    EXPECT_EQ(*All(Context(), After(300, 1), After(200, 2), After(100, 3)),
              std::make_tuple(1, 2, 3));
  });
}

TEST(HunchTest, ExampleTake) {
  InTime([] {
    EXPECT_EQ(
        Values(Take(Context(), 2, After(300, 1), After(200, 2), After(100, 3))),
        (std::vector<int>{3, 2}));
  });
}

TEST(HunchTest, ExampleLast) {
  InTime([] {
    EXPECT_EQ(
        Values(Last(Context(), 2, After(300, 1), After(200, 2), After(100, 3))),
        (std::vector<int>{2, 1}));
  });
}

TEST(HunchTest, ExampleWaterfall) {
  InTime([] {
    const auto plus_one = [](int n) { return n + 1; };
    EXPECT_EQ(*Waterfall(Context(), [] { return 1; }, plus_one, plus_one), 3);
  });
}

TEST(HunchTest, ExampleRetry) {
  InTime([] {
    int failures = 0;
    EXPECT_EQ(*Retry(Context(), 10,
                     [&failures]() -> absl::StatusOr<int> {
                       if (failures == 5) return 1;
                       ++failures;
                       return absl::DeadlineExceededError("timeout");
                     }),
              1);
    EXPECT_EQ(failures, 5);
  });
}

}  // namespace
}  // namespace cohort::hunch
