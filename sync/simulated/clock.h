// The clocks of cohort/sync/clock.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_CLOCK_H_
#define COHORT_SYNC_SIMULATED_CLOCK_H_

#include <cstdint>

#include "absl/time/time.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// Virtual time, which starts anew with each run.
absl::Time Now();

// Sets the wall clock forward or back, as a person or NTP may. The monotonic
// clock, and so every wait, is not affected.
void ShiftWallClock(absl::Duration shift,
                    kernel::Site site = kernel::Site::current());

// Zero: a simulated run uses no processor time.
absl::Duration ProcessCpuTime();

void SleepFor(absl::Duration duration,
              kernel::Site site = kernel::Site::current());

namespace internal {

int64_t SteadyNanos();

}  // namespace internal
}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED_CLOCK_H_
