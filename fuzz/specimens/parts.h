// What several models are made of. Correct by themselves.

#ifndef COHORT_FUZZ_SPECIMENS_PARTS_H_
#define COHORT_FUZZ_SPECIMENS_PARTS_H_

#include "absl/base/thread_annotations.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"

namespace cohort::specimens {

using ::cohort::testing::JoiningThread;

// Something that happens once.
class Event {
 public:
  void Set() ABSL_LOCKS_EXCLUDED(mutex_) {
    sync::MutexLock lock(&mutex_);
    set_ = true;
    changed_.SignalAll();
  }

  void Wait() ABSL_LOCKS_EXCLUDED(mutex_) {
    sync::MutexLock lock(&mutex_);
    while (!set_) changed_.Wait(&mutex_);
  }

 private:
  sync::Mutex mutex_;
  sync::CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
};

// The slots of a group with a limit.
class Slots {
 public:
  explicit Slots(int limit) : free_(limit) {}

  void Acquire() ABSL_LOCKS_EXCLUDED(mutex_) {
    sync::MutexLock lock(&mutex_);
    while (free_ == 0) freed_.Wait(&mutex_);
    --free_;
  }

  void Release() ABSL_LOCKS_EXCLUDED(mutex_) {
    sync::MutexLock lock(&mutex_);
    ++free_;
    freed_.Signal();
  }

 private:
  sync::Mutex mutex_;
  sync::CondVar freed_;
  int free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::specimens

#endif  // COHORT_FUZZ_SPECIMENS_PARTS_H_
