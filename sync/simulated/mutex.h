// cohort/sync/mutex.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_MUTEX_H_
#define COHORT_SYNC_SIMULATED_MUTEX_H_

#include "absl/base/thread_annotations.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {

enum class WaitKind;

inline namespace COHORT_SYNC_MODE {

// The part of absl::Mutex that can be simulated: exclusive locks, and no
// conditions except through CondVar.
class ABSL_LOCKABLE Mutex : private kernel::MutexCore {
 public:
  explicit Mutex(kernel::Site site = kernel::Site::current())
      : MutexCore(site) {}

  void Lock(kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_LOCK_FUNCTION();
  bool TryLock(kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true);
  void Unlock(kernel::Site site = kernel::Site::current())
      ABSL_UNLOCK_FUNCTION();
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK();

 private:
  friend class CondVar;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex, kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex), site_(site) {
    mutex_->Lock(site);
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(site_); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
  const kernel::Site site_;
};

class CondVar : private kernel::CondVarCore {
 public:
  explicit CondVar(kernel::Site site = kernel::Site::current())
      : CondVarCore(site) {}

  void Wait(Mutex* mutex, kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Wait(mutex, WaitKind{}, site);
  }
  void Wait(Mutex* mutex, WaitKind kind,
            kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool WaitUntil(Mutex* mutex, SteadyTime deadline,
                 kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(mutex, deadline, WaitKind{}, site);
  }
  bool WaitUntil(Mutex* mutex, SteadyTime deadline, WaitKind kind,
                 kernel::Site site = kernel::Site::current())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  void Signal(kernel::Site site = kernel::Site::current());
  void SignalAll(kernel::Site site = kernel::Site::current());
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED_MUTEX_H_
