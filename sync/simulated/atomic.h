// cohort/sync/atomic.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_ATOMIC_H_
#define COHORT_SYNC_SIMULATED_ATOMIC_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cohort/kernel/kernel.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// The interface of std::atomic, except wait and notify. A load may return an
// older value than the newest wherever C++ allows that.
template <class T>
class Atomic : private kernel::AtomicCore {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);

  using Order = std::memory_order;
  using Site = kernel::Site;
  static constexpr Order kStrongest = std::memory_order_seq_cst;

 public:
  using value_type = T;
  static constexpr bool is_always_lock_free = true;

  // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic's
  Atomic(T value = T(), Site site = Site::current())
      : AtomicCore(ToBits(value), site) {}

  T load(Order order = kStrongest, Site site = Site::current()) const {
    auto* const kernel = kernel::Kernel::Active();
    if (kernel == nullptr) return FromBits(value_);
    return FromBits(kernel->Load(const_cast<Atomic&>(*this), order, site));
  }

  void store(T value, Order order = kStrongest, Site site = Site::current()) {
    auto* const kernel = kernel::Kernel::Active();
    if (kernel == nullptr) {
      value_ = ToBits(value);
    } else {
      kernel->Store(*this, ToBits(value), order, site);
    }
  }

  T exchange(T value, Order order = kStrongest, Site site = Site::current()) {
    return Update(order, site, [value](T) { return value; });
  }

  bool compare_exchange_strong(T& expected, T desired, Order order = kStrongest,
                               Site site = Site::current()) {
    return Exchange(expected, desired, order, Weaker(order), site, false);
  }
  bool compare_exchange_strong(T& expected, T desired, Order success,
                               Order failure, Site site = Site::current()) {
    return Exchange(expected, desired, success, failure, site, false);
  }
  bool compare_exchange_weak(T& expected, T desired, Order order = kStrongest,
                             Site site = Site::current()) {
    return Exchange(expected, desired, order, Weaker(order), site, true);
  }
  bool compare_exchange_weak(T& expected, T desired, Order success,
                             Order failure, Site site = Site::current()) {
    return Exchange(expected, desired, success, failure, site, true);
  }

  template <class U>
  T fetch_add(U value, Order order = kStrongest, Site site = Site::current()) {
    return Update(order, site,
                  [value](T old) { return static_cast<T>(old + value); });
  }
  template <class U>
  T fetch_sub(U value, Order order = kStrongest, Site site = Site::current()) {
    return Update(order, site,
                  [value](T old) { return static_cast<T>(old - value); });
  }
  T fetch_and(T value, Order order = kStrongest, Site site = Site::current()) {
    return Update(order, site,
                  [value](T old) { return static_cast<T>(old & value); });
  }
  T fetch_or(T value, Order order = kStrongest, Site site = Site::current()) {
    return Update(order, site,
                  [value](T old) { return static_cast<T>(old | value); });
  }
  T fetch_xor(T value, Order order = kStrongest, Site site = Site::current()) {
    return Update(order, site,
                  [value](T old) { return static_cast<T>(old ^ value); });
  }

  // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic's
  operator T() const { return load(kStrongest, Site()); }
  T operator=(T value) {
    store(value, kStrongest, Site());
    return value;
  }
  T operator++() {
    return static_cast<T>(fetch_add(1, kStrongest, Site()) + 1);
  }
  T operator++(int) { return fetch_add(1, kStrongest, Site()); }
  T operator--() {
    return static_cast<T>(fetch_sub(1, kStrongest, Site()) - 1);
  }
  T operator--(int) { return fetch_sub(1, kStrongest, Site()); }
  T operator+=(T value) {
    return static_cast<T>(fetch_add(value, kStrongest, Site()) + value);
  }
  T operator-=(T value) {
    return static_cast<T>(fetch_sub(value, kStrongest, Site()) - value);
  }

 private:
  static uint64_t ToBits(T value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
  }
  static T FromBits(uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
  }
  static constexpr Order Weaker(Order order) {
    return order == std::memory_order_acq_rel   ? std::memory_order_acquire
           : order == std::memory_order_release ? std::memory_order_relaxed
                                                : order;
  }

  template <class F>
  T Update(Order order, Site site, F next) {
    auto* const kernel = kernel::Kernel::Active();
    const T old = Begin(kernel, site);
    End(kernel, next(old), order);
    return old;
  }

  bool Exchange(T& expected, T desired, Order success, Order failure, Site site,
                bool weak) {
    auto* const kernel = kernel::Kernel::Active();
    const T old = Begin(kernel, site);
    if (ToBits(old) == ToBits(expected) &&
        !(weak && kernel != nullptr && kernel->FailsSpuriously())) {
      End(kernel, desired, success);
      return true;
    }
    if (kernel != nullptr) kernel->FailUpdate(*this, failure);
    expected = old;
    return false;
  }

  T Begin(kernel::Kernel* kernel, Site site) {
    return FromBits(kernel == nullptr ? value_
                                      : kernel->BeginUpdate(*this, site));
  }
  void End(kernel::Kernel* kernel, T value, Order order) {
    if (kernel == nullptr) {
      value_ = ToBits(value);
    } else {
      kernel->EndUpdate(*this, ToBits(value), order);
    }
  }
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED_ATOMIC_H_
