#include "cohort/group/internal/lineage.h"

#include <utility>

#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::group_internal {

Lineage::Lineage(const Core* core, sync::RefPtr<Lineage> maker)
    : core_(core), maker_(std::move(maker)) {}

// In a loop: a chain of makers may be long, and each may hold the last
// reference to the next.
void Lineage::Unref() {
  Lineage* task = this;
  while (task != nullptr && task->references_.Unref()) {
    Lineage* maker = nullptr;
    {
      sync::MutexLock lock(&task->mutex_);
      maker = task->maker_.Release();
    }
    delete task;
    task = maker;
  }
}

void Lineage::End() {
  sync::RefPtr<Lineage> maker;
  {
    sync::MutexLock lock(&mutex_);
    core_ = nullptr;
    maker = maker_;
  }
  // Leaves out makers that have ended, so that a chain of tasks that each make
  // the next one's group does not grow.
  maker = Running(std::move(maker));
  sync::MutexLock lock(&mutex_);
  std::swap(maker, maker_);
}

bool Lineage::Includes(sync::RefPtr<Lineage> task, const Core* core) {
  while (task != nullptr) {
    sync::RefPtr<Lineage> maker;
    {
      sync::MutexLock lock(&task->mutex_);
      if (task->core_ == core) return true;
      maker = task->maker_;
    }
    task = std::move(maker);
  }
  return false;
}

sync::RefPtr<Lineage> Lineage::Running(sync::RefPtr<Lineage> task) {
  while (task != nullptr) {
    sync::RefPtr<Lineage> maker;
    {
      sync::MutexLock lock(&task->mutex_);
      if (task->core_ != nullptr) return task;
      maker = task->maker_;
    }
    task = std::move(maker);
  }
  return task;
}

}  // namespace cohort::group_internal
