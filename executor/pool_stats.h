// Statistics of a thread pool.

#ifndef COHORT_EXECUTOR_POOL_STATS_H_
#define COHORT_EXECUTOR_POOL_STATS_H_

#include <cstdint>

namespace cohort {

// A snapshot of a pool; exact at one moment during the call.
struct PoolStats {
  int threads = 0;             // all threads of the pool
  int idle = 0;                // of these, without work
  int blocked = 0;             // of these, in a BlockingScope
  int64_t queued = 0;          // tasks that have not started
  int64_t start_failures = 0;  // threads that the system has refused so far
  bool at_cap = false;  // tasks are queued, and no more threads are allowed
};

}  // namespace cohort

#endif  // COHORT_EXECUTOR_POOL_STATS_H_
