// Mutual exclusion: the locks and condition variables that cohort is built on.
//
// These are Abseil's, under names of our own, so that one build setting can
// replace them by simulated ones. Thread-safety annotations work on them as
// they do on Abseil's.

#ifndef COHORT_SYNC_MUTEX_H_
#define COHORT_SYNC_MUTEX_H_

#include "absl/synchronization/mutex.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {

// Who waits. A daemon (a timer thread, a monitor) waits for work that may never
// come, so a run in which only daemons wait has not deadlocked. The simulator
// needs to be told; in real mode the argument costs nothing.
enum class WaitKind { kNormal, kDaemon };

}  // namespace cohort::sync

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/mutex.h"
#elif defined(COHORT_SYNC_JITTERED)
#include "cohort/sync/jittered/mutex.h"
#else

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

using Mutex = absl::Mutex;
using MutexLock = absl::MutexLock;

// A condition variable. Wake-ups may be spurious: wait in a loop.
class CondVar {
 public:
  // Blocks until signalled, with `*mutex` released meanwhile.
  void Wait(Mutex* mutex, WaitKind = WaitKind::kNormal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    cv_.Wait(mutex);
  }

  // The same, until `deadline` at the latest. True if it was the deadline that
  // ended the wait.
  bool WaitUntil(Mutex* mutex, SteadyTime deadline,
                 WaitKind = WaitKind::kNormal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (deadline == SteadyTime::InfiniteFuture()) {
      cv_.Wait(mutex);
      return false;
    }
    return cv_.WaitWithTimeout(mutex, deadline - SteadyTime::Now());
  }

  // Wakes one waiter, or all. Never blocks.
  void Signal() { cv_.Signal(); }
  void SignalAll() { cv_.SignalAll(); }

 private:
  absl::CondVar cv_;
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif

#endif  // COHORT_SYNC_MUTEX_H_
