// Random delays between the steps of real threads, so that a stress test meets
// schedules that an idle machine would hardly ever produce.
//
// In a build with --//sync:jittered, all of //sync works as in real mode, with
// a delay before and after each operation, most of them zero. The sanitizers'
// configurations are built that way. Nothing is delayed before StartJitter.

#ifndef COHORT_SYNC_JITTER_H_
#define COHORT_SYNC_JITTER_H_

#include <cstdint>

#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

#ifdef COHORT_SYNC_JITTERED

// From here on all threads are delayed, each by its own random numbers, which
// follow from the seed and the order in which the threads first asked for one.
// How the system schedules the delayed threads is not under control: a seed
// that failed is likely, not certain, to fail again. Never blocks.
void StartJitter(uint64_t seed);

// From here on, no thread is delayed.
void StopJitter();

// Possibly delays the calling thread: usually not at all; sometimes by some
// turns of a loop, a yield, or a sleep of some microseconds. Orders nothing.
void Jitter();

#else

inline void StartJitter(uint64_t /*seed*/) {}
inline void StopJitter() {}
inline void Jitter() {}

#endif

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_JITTER_H_
