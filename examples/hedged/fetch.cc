#include "hedged/fetch.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"

namespace hedged {
namespace {

using cohort::Context;

// Asks one mirror until it answers. A mirror that does not have the page will
// not have it later either.
absl::StatusOr<std::string> Ask(const Context& context,
                                const std::string& mirror,
                                const Request& request,
                                const Options& options) {
  cohort::callbacks::RetryOptions retry = {
      .attempts = options.attempts,
      .backoff = options.backoff,
      .attempt_timeout = options.attempt_timeout};
  retry.retry_if = [](const absl::Status& error) {
    return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error);
  };
  if (options.on_failure != nullptr) {
    retry.on_failure = [&](const cohort::FailedAttempt& failure) {
      options.on_failure(mirror, failure.error);
    };
  }
  return cohort::callbacks::Retry(
             context, retry,
             [&](const Context& attempt) { return request(attempt, mirror); })
      .result;
}

}  // namespace

absl::StatusOr<std::string> Fetch(const Context& context,
                                  const std::vector<std::string>& mirrors,
                                  const Request& request,
                                  const Options& options) {
  // Race joins its losers, so that they may use what belongs to the caller.
  std::vector<std::function<absl::StatusOr<std::string>(const Context&)>> asks;
  absl::Duration delay = absl::ZeroDuration();
  for (const std::string& mirror : mirrors) {
    asks.push_back(
        [&, delay](const Context& race) -> absl::StatusOr<std::string> {
          const absl::Status slept = race.SleepFor(delay);
          if (!slept.ok()) return slept;
          return Ask(race, mirror, request, options);
        });
    delay += options.hedge_delay;
  }
  return cohort::callbacks::Race(context, asks);
}

}  // namespace hedged
