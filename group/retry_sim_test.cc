// Retries in virtual time.

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/retry_loop.h"
#include "cohort/group/retry.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::group_internal {
namespace {

using ::cohort::testing::JoiningThread;

// Time passes only where all sleep, so that it is exact.
void InTime(absl::FunctionRef<void()> body) {
  sim::Explore(
      {.schedules = 200, .time = sim::Time::kQuiescent, .stale_loads = false},
      body);
}

absl::Status Try(int64_t attempt) {
  return absl::UnavailableError("try " + std::to_string(attempt));
}

// Fails every time, and notes when.
class Failing {
 public:
  RetryOutcome Run(const Context& context, const RetryOptions& options) {
    return RunRetry(context, "test", options, [this](const Context&) {
      const absl::Time now = sync::Now();
      if (last_ != absl::InfinitePast()) pauses_.push_back(now - last_);
      last_ = now;
      return Try(++calls_);
    });
  }
  int64_t calls() const { return calls_; }
  const std::vector<absl::Duration>& pauses() const { return pauses_; }

 private:
  int64_t calls_ = 0;
  absl::Time last_ = absl::InfinitePast();
  std::vector<absl::Duration> pauses_;
};

TEST(RetrySimTest, PausesGrowUpToTheLongest) {
  InTime([] {
    Failing failing;
    const RetryOutcome outcome =
        failing.Run(Context(), {.attempts = 6,
                                .backoff = absl::Seconds(10),
                                .multiplier = 3,
                                .max_backoff = absl::Minutes(4),
                                .jitter = 0});
    EXPECT_EQ(outcome.end, RetryEnd::kExhausted);
    EXPECT_EQ(outcome.status, Try(6));
    EXPECT_EQ(outcome.last_error, Try(6));
    EXPECT_EQ(outcome.attempts, 6);
    EXPECT_EQ(failing.pauses(),
              (std::vector<absl::Duration>{absl::Seconds(10), absl::Seconds(30),
                                           absl::Seconds(90), absl::Minutes(4),
                                           absl::Minutes(4)}));
  });
}

TEST(RetrySimTest, APauseIsNoLongerThanTheLongest) {
  InTime([] {
    Failing failing;
    failing.Run(Context(), {.attempts = 2,
                            .backoff = absl::Hours(1),
                            .max_backoff = absl::Seconds(1),
                            .jitter = 0});
    EXPECT_EQ(failing.pauses(), std::vector<absl::Duration>{absl::Seconds(1)});
  });
}

// The simulator chooses the smallest, the middle and the largest chance.
TEST(RetrySimTest, JitterShortensAPauseByUpToItsPart) {
  std::vector<absl::Duration> seen;
  sim::Explore({.schedules = 100, .time = sim::Time::kQuiescent}, [&seen] {
    Failing failing;
    failing.Run(Context(), {.attempts = 2,
                            .backoff = absl::Seconds(100),
                            .max_backoff = absl::Hours(1),
                            .jitter = 0.4});
    const absl::Duration pause = failing.pauses().at(0);
    EXPECT_LE(pause, absl::Seconds(100));
    EXPECT_GE(pause, absl::Seconds(60));
    seen.push_back(absl::Trunc(pause, absl::Milliseconds(1)));
  });
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(seen,
            (std::vector<absl::Duration>{absl::Seconds(60), absl::Seconds(80),
                                         absl::Seconds(100)}));
}

TEST(RetrySimTest, AnHourOfPausesEndsWithTheDeadline) {
  InTime([] {
    const absl::Time start = sync::Now();
    CancelScope scope = WithTimeout(Context(), absl::Hours(1),
                                    absl::DeadlineExceededError("an hour"));
    Failing failing;
    const RetryOutcome outcome =
        failing.Run(scope.context(), {.backoff = absl::Minutes(25),
                                      .multiplier = 1,
                                      .max_backoff = absl::Hours(2),
                                      .jitter = 0});
    // In the middle of a pause.
    EXPECT_EQ(sync::Now() - start, absl::Hours(1));
    EXPECT_EQ(outcome.end, RetryEnd::kCancelled);
    EXPECT_EQ(outcome.status, absl::DeadlineExceededError("an hour"));
    EXPECT_EQ(outcome.last_error, Try(3));
    EXPECT_EQ(outcome.attempts, 3);
  });
}

TEST(RetrySimTest, ACancellationEndsAPause) {
  sim::Explore({.schedules = 2000}, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller(
        [&scope] { scope.Cancel(absl::NotFoundError("enough")); });
    Failing failing;
    const RetryOutcome outcome =
        failing.Run(scope.context(), {.attempts = 2,
                                      .backoff = absl::InfiniteDuration(),
                                      .max_backoff = absl::InfiniteDuration()});
    EXPECT_EQ(outcome.end, RetryEnd::kCancelled);
    EXPECT_EQ(outcome.status, absl::NotFoundError("enough"));
    EXPECT_EQ(outcome.attempts, failing.calls());
    EXPECT_EQ(outcome.last_error,
              failing.calls() == 0 ? absl::OkStatus() : Try(1));
  });
}

TEST(RetrySimTest, AnAttemptThatTakesTooLongHasFailed) {
  InTime([] {
    const absl::Time start = sync::Now();
    int calls = 0;
    const RetryOutcome outcome = RunRetry(
        Context(), "test",
        {.backoff = absl::ZeroDuration(), .attempt_timeout = absl::Seconds(5)},
        [&calls](const Context& context) {
          return context.SleepFor(absl::Seconds(++calls < 3 ? 100 : 1));
        });
    EXPECT_EQ(sync::Now() - start, absl::Seconds(5 + 5 + 1));
    EXPECT_EQ(outcome.end, RetryEnd::kSucceeded);
    EXPECT_EQ(outcome.attempts, 3);
    EXPECT_TRUE(absl::IsDeadlineExceeded(outcome.last_error));
  });
}

TEST(RetrySimTest, TheCallersDeadlineIsNoFailureOfAnAttempt) {
  InTime([] {
    CancelScope scope =
        WithTimeout(Context(), absl::Seconds(5), absl::AbortedError("late"));
    const RetryOutcome outcome = RunRetry(
        scope.context(), "test", {.attempt_timeout = absl::Seconds(100)},
        [](const Context& context) {
          EXPECT_EQ(context.deadline() - sync::Now(), absl::Seconds(5));
          return context.SleepFor(absl::Hours(1));
        });
    EXPECT_EQ(outcome.end, RetryEnd::kCancelled);
    EXPECT_EQ(outcome.status, absl::AbortedError("late"));
    EXPECT_EQ(outcome.attempts, 1);
    EXPECT_EQ(outcome.last_error, absl::OkStatus());
  });
}

TEST(RetrySimTest, ASuccessIsNotGivenUpForACancellation) {
  sim::Explore({.schedules = 1000}, [] {
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(); });
    bool called = false;
    const RetryOutcome outcome =
        RunRetry(scope.context(), "test", {}, [&called](const Context&) {
          called = true;
          return absl::OkStatus();
        });
    EXPECT_EQ(outcome.status.ok(), called);
    EXPECT_EQ(outcome.end,
              called ? RetryEnd::kSucceeded : RetryEnd::kCancelled);
  });
}

TEST(RetrySimTest, ARefusedErrorIsTheLast) {
  InTime([] {
    int calls = 0;
    const RetryOutcome outcome = RunRetry(
        Context(), "test", {.retry_if = absl::IsUnavailable},
        [&calls](const Context&) {
          return ++calls < 3 ? Try(calls) : absl::NotFoundError("gone");
        });
    EXPECT_EQ(outcome.end, RetryEnd::kRefused);
    EXPECT_EQ(outcome.status, absl::NotFoundError("gone"));
    EXPECT_EQ(outcome.attempts, 3);
  });
}

// retry_if, then on_failure, then the pause.
TEST(RetrySimTest, TheHooksComeInOrder) {
  InTime([] {
    std::vector<std::string> events;
    const absl::Time start = sync::Now();
    auto note = [&](const std::string& what) {
      events.push_back(what + " at " +
                       absl::FormatDuration(sync::Now() - start));
    };
    RetryOptions options = {
        .attempts = 3, .backoff = absl::Seconds(1), .jitter = 0};
    options.retry_if = [&](const absl::Status& error) {
      note(std::string(error.message()) + "?");
      return true;
    };
    options.on_failure = [&](const FailedAttempt& failure) {
      note(std::to_string(failure.attempt) + " " +
           std::string(failure.error.message()) + " " +
           absl::FormatDuration(failure.pause));
    };
    RunRetry(Context(), "test", options, [&](const Context&) {
      note("call");
      return absl::UnavailableError("e");
    });
    EXPECT_EQ(events, (std::vector<std::string>{
                          "call at 0", "e? at 0", "1 e 1s at 0", "call at 1s",
                          "e? at 1s", "2 e 2s at 1s", "call at 3s", "e? at 3s",
                          "3 e inf at 3s"}));
  });
}

TEST(RetrySimTest, AContextThatIsDoneStartsNothing) {
  InTime([] {
    CancelScope scope = WithCancel(Context());
    scope.Cancel(absl::NotFoundError("over"));
    Failing failing;
    const RetryOutcome outcome = failing.Run(scope.context(), {});
    EXPECT_EQ(failing.calls(), 0);
    EXPECT_EQ(outcome.attempts, 0);
    EXPECT_EQ(outcome.status, absl::NotFoundError("over"));
    EXPECT_EQ(outcome.end, RetryEnd::kCancelled);
  });
}

TEST(RetrySimTest, WithoutABoundItGoesOn) {
  InTime([] {
    for (const int attempts : {0, kUnlimited}) {
      int calls = 0;
      const RetryOutcome outcome = RunRetry(
          Context(), "test", {.attempts = attempts}, [&calls](const Context&) {
            return ++calls < 100 ? Try(calls) : absl::OkStatus();
          });
      EXPECT_EQ(outcome.attempts, 100);
      EXPECT_EQ(outcome.end, RetryEnd::kSucceeded);
    }
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(RetrySimTest, AnExceptionOfAHookLeavesTheCall) {
  InTime([] {
    RetryOptions options;
    options.on_failure = [](const FailedAttempt&) {
      throw std::runtime_error("hook");
    };
    EXPECT_THROW(RunRetry(Context(), "test", options,
                          [](const Context&) { return Try(1); }),
                 std::runtime_error);
  });
}

#endif

}  // namespace
}  // namespace cohort::group_internal
