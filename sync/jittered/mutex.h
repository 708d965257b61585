// cohort/sync/mutex.h in jittered mode.

#ifndef COHORT_SYNC_JITTERED_MUTEX_H_
#define COHORT_SYNC_JITTERED_MUTEX_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/jitter.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {

enum class WaitKind;

inline namespace COHORT_SYNC_MODE {

class ABSL_LOCKABLE Mutex : private absl::Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    Jitter();
    absl::Mutex::Lock();
  }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    Jitter();
    return absl::Mutex::TryLock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    absl::Mutex::Unlock();
    Jitter();
  }
  using absl::Mutex::AssertHeld;

 private:
  friend class CondVar;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// The delay before a wait is one between the predicate and the wait: it is
// there that a signal which does not hold the mutex gets lost.
class CondVar {
 public:
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Jitter();
    cv_.Wait(mutex);
  }
  void Wait(Mutex* mutex, WaitKind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Wait(mutex);
  }
  bool WaitUntil(Mutex* mutex, SteadyTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Jitter();
    if (deadline == SteadyTime::InfiniteFuture()) {
      cv_.Wait(mutex);
      return false;
    }
    return cv_.WaitWithTimeout(mutex, deadline - SteadyTime::Now());
  }
  bool WaitUntil(Mutex* mutex, SteadyTime deadline, WaitKind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(mutex, deadline);
  }

  void Signal() {
    Jitter();
    cv_.Signal();
  }
  void SignalAll() {
    Jitter();
    cv_.SignalAll();
  }

 private:
  absl::CondVar cv_;
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_JITTERED_MUTEX_H_
