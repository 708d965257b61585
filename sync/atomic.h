// Atomics: std::atomic under a name that the simulator can take over.
//
// Fences are left out on purpose: ThreadSanitizer does not model them.

#ifndef COHORT_SYNC_ATOMIC_H_
#define COHORT_SYNC_ATOMIC_H_

#include <atomic>

namespace cohort::sync {
inline namespace real {

template <class T>
using Atomic = std::atomic<T>;

}  // namespace real

inline constexpr std::memory_order kRelaxed = std::memory_order_relaxed;
inline constexpr std::memory_order kAcquire = std::memory_order_acquire;
inline constexpr std::memory_order kRelease = std::memory_order_release;
inline constexpr std::memory_order kAcqRel = std::memory_order_acq_rel;
inline constexpr std::memory_order kSeqCst = std::memory_order_seq_cst;

}  // namespace cohort::sync

#endif  // COHORT_SYNC_ATOMIC_H_
