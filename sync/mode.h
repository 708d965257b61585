// The mode of this build: real, simulated (--//sync:simulated), or real with
// random delays (--//sync:jittered).

#ifndef COHORT_SYNC_MODE_H_
#define COHORT_SYNC_MODE_H_

// The inline namespace of everything that differs between the modes, so that an
// object file built for one mode does not link with an object file built for
// another.
#ifdef COHORT_SYNC_SIMULATED
#define COHORT_SYNC_MODE simulated_v1
#elif defined(COHORT_SYNC_JITTERED)
#define COHORT_SYNC_MODE jittered_v1
#else
#define COHORT_SYNC_MODE real
#endif

#endif  // COHORT_SYNC_MODE_H_
