// Which world this build lives in: the real one, the simulated one of
// --//sync:simulated, or the real one with the random delays of
// --//sync:jittered.

#ifndef COHORT_SYNC_MODE_H_
#define COHORT_SYNC_MODE_H_

// The inline namespace of everything that differs between them, so that an
// object built for one does not link with an object built for another.
#ifdef COHORT_SYNC_SIMULATED
#define COHORT_SYNC_MODE simulated_v1
#elif defined(COHORT_SYNC_JITTERED)
#define COHORT_SYNC_MODE jittered_v1
#else
#define COHORT_SYNC_MODE real
#endif

#endif  // COHORT_SYNC_MODE_H_
