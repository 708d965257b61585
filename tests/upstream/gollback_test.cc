// What vardius/gollback's own tests pin down, against cohort. Each case is
// named after the one that it follows; where cohort differs on purpose, it says
// by which law. In virtual time.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort::callbacks {
namespace {

using Function = std::function<absl::StatusOr<int>()>;

const absl::Status kFailed = absl::UnknownError("failed");

Function Succeed(int value, int seconds = 0) {
  return [=] {
    sync::SleepFor(absl::Seconds(seconds));
    return value;
  };
}

Function Fail(int seconds = 0) {
  return [=] {
    sync::SleepFor(absl::Seconds(seconds));
    return kFailed;
  };
}

void InTime(absl::FunctionRef<void()> body) {
  sim::Explore(
      {.schedules = 200, .time = sim::Time::kQuiescent, .stale_loads = false},
      body);
}

TEST(GollbackTest, RaceNoCallback) {
  InTime([] {
    EXPECT_TRUE(absl::IsInvalidArgument(
        Race(Context(), std::vector<Function>()).status()));
  });
}

TEST(GollbackTest, RaceDoesNotReturnError) {
  InTime([] {
    EXPECT_EQ(*Race(Context(), Succeed(1, 1), Succeed(1, 1), Fail()), 1);
  });
}

TEST(GollbackTest, RaceFirstNonErrorWins) {
  InTime([] {
    EXPECT_EQ(*Race(Context(), Succeed(1, 3), Fail(), Succeed(3)), 3);
  });
}

TEST(GollbackTest, RaceAllFunctionsErrorOutButFirstOneToFinish) {
  InTime(
      [] { EXPECT_EQ(*Race(Context(), Succeed(1, 1), Fail(2), Fail(3)), 1); });
}

TEST(GollbackTest, RaceAllFunctionsErrorOutButMiddleOneToFinish) {
  InTime(
      [] { EXPECT_EQ(*Race(Context(), Succeed(1, 2), Fail(1), Fail(3)), 1); });
}

TEST(GollbackTest, RaceAllFunctionsErrorsButLastOneToFinish) {
  InTime(
      [] { EXPECT_EQ(*Race(Context(), Succeed(1, 3), Fail(2), Fail()), 1); });
}

// First error: an error always reaches whoever waits, so that all of them are
// told; the one that came last gives the code and comes first.
TEST(GollbackTest, RaceAllFunctionsErrorsAndReturnLastErr) {
  InTime([] {
    EXPECT_EQ(Race(Context(), Fail(3), Fail(2), Fail()).status(),
              absl::UnknownError("callbacks::Race: 3 error(s) occurred: "
                                 "[0] {failed}, [1] {failed}, [2] {failed}"));
  });
}

// Bad input: where Go panics for a nil context, the default one is a context
// that is never done. There is no null one.
TEST(GollbackTest, NilContext) {
  InTime([] {
    EXPECT_EQ(*Race(Context(), Succeed(1, 3), Fail(), Succeed(3)), 3);
    EXPECT_EQ(All(Context(), std::vector<Function>(1, Fail())).size(), 1);
    EXPECT_EQ(Retry(Context(), {.attempts = 5}, Fail()).attempts, 5);
  });
}

// Structured: gollback returns after 5 seconds and leaves the function behind.
// Race returns when it has ended; its value came after the deadline, but it
// came.
TEST(GollbackTest, RaceTimeout) {
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithTimeout(Context(), absl::Seconds(5));
    EXPECT_EQ(*Race(scope.context(), Succeed(1, 10)), 1);
    EXPECT_EQ(sync::Now() - start, absl::Seconds(10));
  });
  // One that looks at its context ends with it.
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithTimeout(Context(), absl::Seconds(5));
    const absl::Status status =
        Race(scope.context(),
             [](const Context& context) -> absl::StatusOr<int> {
               const absl::Status slept = context.SleepFor(absl::Seconds(10));
               if (!slept.ok()) return slept;
               return 1;
             })
            .status();
    EXPECT_EQ(status, scope.context().cause());
    EXPECT_EQ(sync::Now() - start, absl::Seconds(5));
  });
  // What gollback does has a name of its own.
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithTimeout(Context(), absl::Seconds(5));
    const absl::Status status =
        RaceDetached(scope.context(), Succeed(1, 10)).status();
    EXPECT_EQ(status, scope.context().cause());
    EXPECT_EQ(sync::Now() - start, absl::Seconds(5));
  });
}

TEST(GollbackTest, All) {
  InTime([] {
    const auto [first, second, third] =
        callbacks::All(Context(), Succeed(1, 3), Fail(), Succeed(3));
    EXPECT_EQ(*first, 1);
    EXPECT_EQ(second.status(), kFailed);
    EXPECT_EQ(*third, 3);
  });
}

TEST(GollbackTest, RetryTimeout) {
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithTimeout(Context(), absl::Seconds(5));
    const Retried<int> retried = Retry(scope.context(), {}, Fail());
    EXPECT_EQ(retried.result.status(), scope.context().cause());
    EXPECT_EQ(sync::Now() - start, absl::Seconds(5));
    // There, 336,221 attempts in 100 ms; and the error is lost.
    EXPECT_LT(retried.attempts, 20);
    EXPECT_EQ(retried.last_error, kFailed);
    EXPECT_EQ(retried.end, RetryEnd::kCancelled);
  });
}

TEST(GollbackTest, RetryFail) {
  InTime([] {
    CancelScope scope = WithTimeout(Context(), absl::Seconds(5));
    const Retried<int> retried =
        Retry(scope.context(), {.attempts = 5}, Fail());
    EXPECT_EQ(retried.result.status(), kFailed);
    EXPECT_EQ(retried.attempts, 5);
  });
}

TEST(GollbackTest, RetrySuccess) {
  InTime([] {
    const Retried<std::string> retried = Retry(
        Context(), {.attempts = 5}, [] { return std::string("success"); });
    EXPECT_EQ(*retried.result, "success");
    EXPECT_EQ(retried.attempts, 1);
  });
}

}  // namespace
}  // namespace cohort::callbacks
