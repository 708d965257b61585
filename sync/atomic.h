// Atomics: std::atomic under a name that simulated and jittered builds can
// replace.
//
// Fences are left out on purpose: ThreadSanitizer does not model them.

#ifndef COHORT_SYNC_ATOMIC_H_
#define COHORT_SYNC_ATOMIC_H_

#include <atomic>

#include "cohort/sync/mode.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/atomic.h"
#elif defined(COHORT_SYNC_JITTERED)
#include "cohort/sync/jittered/atomic.h"
#endif

namespace cohort::sync {

#if !defined(COHORT_SYNC_SIMULATED) && !defined(COHORT_SYNC_JITTERED)
inline namespace COHORT_SYNC_MODE {

template <class T>
using Atomic = std::atomic<T>;

}  // namespace COHORT_SYNC_MODE
#endif

inline constexpr std::memory_order kRelaxed = std::memory_order_relaxed;
inline constexpr std::memory_order kAcquire = std::memory_order_acquire;
inline constexpr std::memory_order kRelease = std::memory_order_release;
inline constexpr std::memory_order kAcqRel = std::memory_order_acq_rel;
inline constexpr std::memory_order kSeqCst = std::memory_order_seq_cst;

}  // namespace cohort::sync

#endif  // COHORT_SYNC_ATOMIC_H_
