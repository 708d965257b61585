#include "cohort/group/internal/retry_loop.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/sync/random.h"
#include "cohort/task/capture.h"

namespace cohort::group_internal {
namespace {

void Check(const char* caller, const RetryOptions& options) {
  ABSL_CHECK_GE(options.attempts, 0)
      << caller << ": attempts; without a bound it is 0 or kUnlimited";
  ABSL_CHECK_GE(options.backoff, absl::ZeroDuration()) << caller << ": backoff";
  ABSL_CHECK_GE(options.max_backoff, absl::ZeroDuration())
      << caller << ": max_backoff";
  ABSL_CHECK_GE(options.multiplier, 1) << caller << ": multiplier";
  ABSL_CHECK(options.jitter >= 0 && options.jitter <= 1)
      << caller << ": jitter is " << options.jitter << ", not from 0 to 1";
  ABSL_CHECK_GT(options.attempt_timeout, absl::ZeroDuration())
      << caller << ": attempt_timeout";
}

absl::Status Attempt(const Context& parent, const char* caller,
                     absl::Duration timeout, int64_t number,
                     absl::FunctionRef<absl::Status(const Context&)> attempt) {
  std::optional<CancelScope> scope;
  if (timeout != absl::InfiniteDuration()) {
    scope.emplace(WithTimeout(parent, timeout));
  }
  const Context& context = scope.has_value() ? scope->context() : parent;
  return task_internal::InvokeCapturing(
      [&] { return attempt(context); },
      [&] { return absl::StrCat(caller, ": attempt ", number); });
}

}  // namespace

RetryOutcome RunRetry(const Context& parent, const char* caller,
                      const RetryOptions& options,
                      absl::FunctionRef<absl::Status(const Context&)> attempt) {
  Check(caller, options);
  const int64_t limit =
      options.attempts == 0 ? int64_t{kUnlimited} : options.attempts;
  absl::Duration backoff = std::min(options.backoff, options.max_backoff);
  RetryOutcome outcome;
  while (!parent.done()) {
    ++outcome.attempts;
    outcome.status = Attempt(parent, caller, options.attempt_timeout,
                             outcome.attempts, attempt);
    if (outcome.status.ok()) {
      outcome.end = RetryEnd::kSucceeded;
      return outcome;
    }
    if (IsEcho(outcome.status, parent)) break;
    outcome.last_error = outcome.status;
    FailedAttempt failure{.attempt = outcome.attempts, .error = outcome.status};
    if (options.retry_if != nullptr && !options.retry_if(outcome.status)) {
      outcome.end = RetryEnd::kRefused;
    } else if (limit != kUnlimited && outcome.attempts == limit) {
      outcome.end = RetryEnd::kExhausted;
    } else {
      failure.pause = backoff * (1 - options.jitter * sync::RandomFraction());
      backoff = std::min(backoff * options.multiplier, options.max_backoff);
    }
    if (options.on_failure != nullptr) options.on_failure(failure);
    if (outcome.end != RetryEnd::kCancelled) return outcome;
    if (!parent.SleepFor(failure.pause).ok()) break;
  }
  outcome.status = parent.cause();
  return outcome;
}

}  // namespace cohort::group_internal
