// What every Retry takes and returns.

#ifndef COHORT_GROUP_RETRY_H_
#define COHORT_GROUP_RETRY_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cohort {

// An attempt that failed, as a hook is told.
struct FailedAttempt {
  int64_t attempt = 0;  // from 1
  absl::Status error = absl::OkStatus();
  // Until the next one; InfiniteDuration if there is none.
  absl::Duration pause = absl::InfiniteDuration();
};

struct RetryOptions {
  // Calls in all, the first one among them. 0 and kUnlimited: until one
  // succeeds or the context ends.
  int attempts = 0;

  // The pause after the first failure, by what it grows with each one, and the
  // longest. Zero for none at all.
  absl::Duration backoff = absl::Milliseconds(100);
  double multiplier = 2;
  absl::Duration max_backoff = absl::Seconds(30);
  // Which part of a pause is left to chance, so that many who fail together do
  // not come back together: 0 for none; with 1 a pause may come to nothing.
  double jitter = 0.5;

  // How long one attempt may take. Its context ends then, and if it fails with
  // that, it has failed as any other.
  absl::Duration attempt_timeout = absl::InfiniteDuration();

  // The two are called on the calling thread; an exception of theirs leaves
  // the call.

  // Whether an error is worth another attempt; null: all are.
  std::function<bool(const absl::Status&)> retry_if = nullptr;

  // Called after each failed attempt, before the pause.
  std::function<void(const FailedAttempt&)> on_failure = nullptr;
};

// Why a Retry has come to its end.
enum class RetryEnd {
  kSucceeded,
  kExhausted,  // all attempts failed
  kRefused,    // retry_if said no
  kCancelled,  // the context ended
};

// What came of a Retry.
template <class T>
struct [[nodiscard]] Retried {
  // The value; else the error of the last attempt; with kCancelled the cause.
  absl::StatusOr<T> result = absl::UnknownError("");
  int64_t attempts = 0;  // that were made
  // Of the last attempt that failed by itself; OK if none has.
  absl::Status last_error = absl::OkStatus();
  RetryEnd end = RetryEnd::kCancelled;
};

}  // namespace cohort

#endif  // COHORT_GROUP_RETRY_H_
