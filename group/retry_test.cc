#include "cohort/group/retry.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/retry_loop.h"
#include "gtest/gtest.h"

namespace cohort::group_internal {
namespace {

void RetryWith(const RetryOptions& options) {
  RunRetry(Context(), "test::Retry", options,
           [](const Context&) { return absl::OkStatus(); });
}

TEST(RetryDeathTest, OptionsThatMakeNoSenseDie) {
  EXPECT_DEATH(RetryWith({.attempts = -1}), "-1.*test::Retry: attempts");
  EXPECT_DEATH(RetryWith({.backoff = -absl::Seconds(2)}),
               "-2s.*test::Retry: backoff");
  EXPECT_DEATH(RetryWith({.multiplier = 0.5}), "0.5.*test::Retry: multiplier");
  EXPECT_DEATH(
      RetryWith({.multiplier = std::numeric_limits<double>::quiet_NaN()}),
      "nan.*test::Retry: multiplier");
  EXPECT_DEATH(RetryWith({.max_backoff = -absl::Seconds(3)}),
               "-3s.*test::Retry: max_backoff");
  EXPECT_DEATH(RetryWith({.jitter = 1.5}), "test::Retry: jitter is 1.5");
  EXPECT_DEATH(RetryWith({.jitter = -0.5}), "test::Retry: jitter is -0.5");
  EXPECT_DEATH(RetryWith({.attempt_timeout = absl::ZeroDuration()}),
               "0.*test::Retry: attempt_timeout");
}

}  // namespace
}  // namespace cohort::group_internal
