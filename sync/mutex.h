// Locks and condition variables: the mutual exclusion that cohort is built on.
//
// These are Abseil's, under names of our own, so that a build setting can
// replace them with simulated ones, or delay them (jitter.h). Thread-safety
// annotations work on them as they do on Abseil's.

#ifndef COHORT_SYNC_MUTEX_H_
#define COHORT_SYNC_MUTEX_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/jitter.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {

// The kind of a waiting thread. A daemon (a timer thread, a monitor) waits for
// work that may never come, so a run in which only daemons wait has not
// deadlocked. The simulator needs this information; in real mode the argument
// costs nothing.
enum class WaitKind { kNormal, kDaemon };

}  // namespace cohort::sync

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/mutex.h"
#else

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// Exclusive locks, and no conditions except through CondVar: the part of
// absl::Mutex that can be simulated.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    Jitter();
    LockImpl(mutex_);
  }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    Jitter();
    return TryLockImpl(mutex_);
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    UnlockImpl(mutex_);
    Jitter();
  }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mutex_.AssertHeld(); }

 private:
  friend class CondVar;

  // Abseil has renamed these methods, and deprecates the old names where it has
  // both.
  template <class M>
  static void LockImpl(M& mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if constexpr (requires { mutex.lock(); }) {
      mutex.lock();
    } else {
      mutex.Lock();
    }
  }
  template <class M>
  static bool TryLockImpl(M& mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if constexpr (requires { mutex.try_lock(); }) {
      return mutex.try_lock();
    } else {
      return mutex.TryLock();
    }
  }
  template <class M>
  static void UnlockImpl(M& mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if constexpr (requires { mutex.unlock(); }) {
      mutex.unlock();
    } else {
      mutex.Unlock();
    }
  }

  absl::Mutex mutex_;
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

// A condition variable. Wake-ups may be spurious: wait in a loop.
class CondVar {
 public:
  // Blocks until signalled, with `*mutex` released meanwhile.
  void Wait(Mutex* mutex, WaitKind = WaitKind::kNormal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    // Between the check of the predicate and the wait: there, a signal that
    // does not hold the mutex gets lost.
    Jitter();
    cv_.Wait(&mutex->mutex_);
  }

  // Like Wait, until `deadline` at the latest. True if the deadline ended the
  // wait.
  bool WaitUntil(Mutex* mutex, SteadyTime deadline,
                 WaitKind = WaitKind::kNormal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Jitter();
    if (deadline == SteadyTime::InfiniteFuture()) {
      cv_.Wait(&mutex->mutex_);
      return false;
    }
    return cv_.WaitWithTimeout(&mutex->mutex_, deadline - SteadyTime::Now());
  }

  // Wakes one waiter, or all. Never blocks.
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

#endif

#endif  // COHORT_SYNC_MUTEX_H_
