// Random numbers for jitter and for fair choices.

#ifndef COHORT_SYNC_RANDOM_H_
#define COHORT_SYNC_RANDOM_H_

#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// A number in [0, 1). Not for secrets. In a simulated run the schedule chooses
// among the smallest, the middle and the largest.
double RandomFraction();

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_RANDOM_H_
