// Which world this build lives in: the real one, or the simulated one of
// --//sync:simulated.

#ifndef COHORT_SYNC_MODE_H_
#define COHORT_SYNC_MODE_H_

// The inline namespace of everything that differs between the two, so that an
// object built for one does not link with an object built for the other.
#ifdef COHORT_SYNC_SIMULATED
#define COHORT_SYNC_MODE simulated_v1
#else
#define COHORT_SYNC_MODE real
#endif

#endif  // COHORT_SYNC_MODE_H_
