// Intrusive reference counting, for objects with shared ownership.

#ifndef COHORT_SYNC_REF_PTR_H_
#define COHORT_SYNC_REF_PTR_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cohort/sync/atomic.h"

namespace cohort::sync {

class RefCount {
 public:
  // A new object has one reference.
  void Ref() const { count_.fetch_add(1, kRelaxed); }

  // True if this was the last reference: the caller must delete the object.
  bool Unref() const { return count_.fetch_sub(1, kAcqRel) == 1; }

 private:
  mutable Atomic<int64_t> count_{1};
};

// Owns a reference to a T, which has Ref(), and an Unref() that deletes it with
// its last reference.
template <class T>
class RefPtr {
 public:
  RefPtr() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as the standard's pointers
  RefPtr(std::nullptr_t) {}

  // Takes over a reference that the caller owns.
  static RefPtr Adopt(T* object) {
    RefPtr pointer;
    pointer.object_ = object;
    return pointer;
  }

  // Adds a reference.
  static RefPtr Share(T* object) {
    if (object != nullptr) object->Ref();
    return Adopt(object);
  }

  RefPtr(const RefPtr& other) : object_(other.object_) {
    if (object_ != nullptr) object_->Ref();
  }
  RefPtr(RefPtr&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)) {}
  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~RefPtr() {
    if (object_ != nullptr) object_->Unref();
  }

  // Gives up the reference to the caller.
  T* Release() { return std::exchange(object_, nullptr); }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  friend bool operator==(const RefPtr& a, std::nullptr_t) {
    return a.object_ == nullptr;
  }

 private:
  T* object_ = nullptr;
};

}  // namespace cohort::sync

#endif  // COHORT_SYNC_REF_PTR_H_
