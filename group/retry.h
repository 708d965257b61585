// Options and results of Retry: backoff, jitter, and limits on attempts.

#ifndef COHORT_GROUP_RETRY_H_
#define COHORT_GROUP_RETRY_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cohort {

// A failed attempt, as passed to RetryOptions::on_failure.
struct FailedAttempt {
  int64_t attempt = 0;  // from 1
  absl::Status error = absl::OkStatus();
  // The time until the next attempt; InfiniteDuration if there is none.
  absl::Duration pause = absl::InfiniteDuration();
};

struct RetryOptions {
  // The maximum number of calls, including the first. 0 and kUnlimited: until
  // one succeeds or the context ends.
  int attempts = 0;

  // The pause after the first failure; zero for no pauses.
  absl::Duration backoff = absl::Milliseconds(100);
  // The factor by which the pause grows with each failure.
  double multiplier = 2;
  // The upper bound of the pause.
  absl::Duration max_backoff = absl::Seconds(30);
  // The fraction of each pause that is random, so that callers that fail
  // together do not retry together. 0: none; 1: a pause may be anything down to
  // zero.
  double jitter = 0.5;

  // How long one attempt may take. Its context ends then, and an attempt that
  // returns an error because of that counts as failed, like any other.
  absl::Duration attempt_timeout = absl::InfiniteDuration();

  // The two hooks are called on the calling thread; an exception that they
  // throw leaves the call.

  // Whether an error is worth another attempt; null: all are.
  std::function<bool(const absl::Status&)> retry_if = nullptr;

  // Called after each failed attempt, before the pause.
  std::function<void(const FailedAttempt&)> on_failure = nullptr;
};

// Why a Retry has ended.
enum class RetryEnd {
  kSucceeded,
  kExhausted,  // all attempts failed
  kRefused,    // retry_if said no
  kCancelled,  // the context ended
};

// The result of a Retry.
template <class T>
struct [[nodiscard]] Retried {
  // The value; with kCancelled the cause; else the error of the last attempt.
  absl::StatusOr<T> result = absl::UnknownError("");
  int64_t attempts = 0;  // attempts made
  // The error of the last attempt that failed for a reason other than the end
  // of the context; OK if none has.
  absl::Status last_error = absl::OkStatus();
  RetryEnd end = RetryEnd::kCancelled;
};

}  // namespace cohort

#endif  // COHORT_GROUP_RETRY_H_
