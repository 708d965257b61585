// Jobs that are done again and again, as cron does them.

#ifndef TICKER_RUN_JOBS_H_
#define TICKER_RUN_JOBS_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"

namespace ticker {

struct Job {
  absl::Duration period;
  // Never called while it still runs.
  absl::AnyInvocable<absl::Status(const cohort::Context&)> run;
};

// Runs each job once every `period`, for `duration`. Stops at the first error,
// and returns it; also when `context` ends, with its cause.
absl::Status RunJobs(const cohort::Context& context, absl::Duration duration,
                     std::vector<Job> jobs);

}  // namespace ticker

#endif  // TICKER_RUN_JOBS_H_
