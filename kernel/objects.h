// The simulator's state of each mutex, condition variable, atomic and shared
// datum: the part that does not depend on a type.

#ifndef COHORT_KERNEL_OBJECTS_H_
#define COHORT_KERNEL_OBJECTS_H_

#include <cstdint>

#include "cohort/kernel/scheduler.h"

namespace cohort::kernel {

enum class ObjectKind : uint8_t {
  kNone,
  kClock,
  kThread,
  kMutex,
  kCondVar,
  kAtomic,
  kShared,
};

// An object that lives across runs, or was made before the first, counts as new
// in each run: ids count from 1 in the order of construction, or of first use.
class Object {
 public:
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

 protected:
  Object(ObjectKind kind, Site site) : kind_(kind), site_(site) {}
  ~Object() { const_cast<volatile uint32_t&>(life_) = kDead; }

 private:
  friend class Kernel;

  static constexpr uint32_t kAlive = 0x616c6976;
  static constexpr uint32_t kDead = 0x64656164;

  uint32_t life_ = kAlive;
  uint32_t id_ = 0;
  int64_t run_ = -1;
  ObjectKind kind_;
  Site site_;
};

struct VectorClock;

class MutexCore : public Object {
 protected:
  explicit MutexCore(Site site) : Object(ObjectKind::kMutex, site) {}
  ~MutexCore();

 private:
  friend class Kernel;

  int owner_ = -1;
  Site locked_at_;
  uint64_t contenders_ = 0;  // threads that continue when this is free
  VectorClock* released_ = nullptr;
};

class CondVarCore : public Object {
 protected:
  explicit CondVarCore(Site site) : Object(ObjectKind::kCondVar, site) {}
  ~CondVarCore();

 private:
  friend class Kernel;

  uint64_t waiters_ = 0;
  // The last signal for which there was no waiter.
  int64_t vain_step_ = -1;
  int vain_thread_ = -1;
  Site vain_site_;
};

class AtomicCore : public Object {
 protected:
  AtomicCore(uint64_t value, Site site)
      : Object(ObjectKind::kAtomic, site), value_(value) {}
  ~AtomicCore();

  uint64_t value_;  // the newest value

 private:
  friend class Kernel;

  struct History;

  History* history_ = nullptr;
};

class RaceCheckedCore : public Object {
 protected:
  explicit RaceCheckedCore(Site site) : Object(ObjectKind::kShared, site) {}
  ~RaceCheckedCore();

 private:
  friend class Kernel;

  // Epochs, in each thread's own time: the last write, and each thread's last
  // read.
  int writer_ = -1;
  uint32_t written_ = 0;
  Site written_at_;
  VectorClock* reads_ = nullptr;
  Site read_at_;
};

}  // namespace cohort::kernel

#endif  // COHORT_KERNEL_OBJECTS_H_
