// Random delays between the steps of real threads, so that a stress test meets
// schedules that an idle machine would hardly ever show.
//
// Built with --//sync:jittered, everything of //sync is what it is in real mode
// with a delay, mostly of nothing, before it and after it. The sanitizers'
// configurations are built that way. Nothing is delayed before StartJitter.

#ifndef COHORT_SYNC_JITTER_H_
#define COHORT_SYNC_JITTER_H_

#include <cstdint>

#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

#ifdef COHORT_SYNC_JITTERED

// From here on all threads are delayed, each as its own random numbers say;
// these follow from the seed and the order in which threads came. What the
// system makes of the delays is its own affair: a seed that failed is likely,
// not certain, to fail again. Never blocks.
void StartJitter(uint64_t seed);

// From here on, none is.
void StopJitter();

// A place for a delay: nothing, as a rule; some turns of a loop, a yield, or a
// sleep of some microseconds. Orders nothing.
void Jitter();

#else

inline void StartJitter(uint64_t /*seed*/) {}
inline void StopJitter() {}
inline void Jitter() {}

#endif

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_JITTER_H_
