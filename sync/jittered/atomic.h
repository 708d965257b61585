// cohort/sync/atomic.h in jittered mode.

#ifndef COHORT_SYNC_JITTERED_ATOMIC_H_
#define COHORT_SYNC_JITTERED_ATOMIC_H_

#include <atomic>

#include "cohort/sync/jitter.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// The interface of std::atomic, except wait and notify.
template <class T>
class Atomic {
  using Order = std::memory_order;
  static constexpr Order kStrongest = std::memory_order_seq_cst;

  // A delay at its construction and at its destruction. It touches no atomic,
  // since another thread may have destroyed that by then.
  struct Delays {
    Delays() { Jitter(); }
    ~Delays() { Jitter(); }
  };

 public:
  using value_type = T;
  static constexpr bool is_always_lock_free =
      std::atomic<T>::is_always_lock_free;

  // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic's
  constexpr Atomic(T value = T()) : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(Order order = kStrongest) const {
    const Delays delays;
    return value_.load(order);
  }
  void store(T value, Order order = kStrongest) {
    const Delays delays;
    value_.store(value, order);
  }
  T exchange(T value, Order order = kStrongest) {
    const Delays delays;
    return value_.exchange(value, order);
  }

  template <class... Orders>
  bool compare_exchange_strong(T& expected, T desired, Orders... orders) {
    const Delays delays;
    return value_.compare_exchange_strong(expected, desired, orders...);
  }
  template <class... Orders>
  bool compare_exchange_weak(T& expected, T desired, Orders... orders) {
    const Delays delays;
    return value_.compare_exchange_weak(expected, desired, orders...);
  }

  template <class U>
  T fetch_add(U value, Order order = kStrongest) {
    const Delays delays;
    return value_.fetch_add(value, order);
  }
  template <class U>
  T fetch_sub(U value, Order order = kStrongest) {
    const Delays delays;
    return value_.fetch_sub(value, order);
  }
  T fetch_and(T value, Order order = kStrongest) {
    const Delays delays;
    return value_.fetch_and(value, order);
  }
  T fetch_or(T value, Order order = kStrongest) {
    const Delays delays;
    return value_.fetch_or(value, order);
  }
  T fetch_xor(T value, Order order = kStrongest) {
    const Delays delays;
    return value_.fetch_xor(value, order);
  }

  // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic's
  operator T() const { return load(); }
  T operator=(T value) {
    store(value);
    return value;
  }
  T operator++() { return static_cast<T>(fetch_add(1) + 1); }
  T operator++(int) { return fetch_add(1); }
  T operator--() { return static_cast<T>(fetch_sub(1) - 1); }
  T operator--(int) { return fetch_sub(1); }
  T operator+=(T value) { return static_cast<T>(fetch_add(value) + value); }
  T operator-=(T value) { return static_cast<T>(fetch_sub(value) - value); }

 private:
  std::atomic<T> value_;
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_JITTERED_ATOMIC_H_
