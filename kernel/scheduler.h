// Who decides in a simulated run: everything that is not determined by the
// program is a question to a Scheduler.

#ifndef COHORT_KERNEL_SCHEDULER_H_
#define COHORT_KERNEL_SCHEDULER_H_

#include <bit>
#include <cstdint>
#include <source_location>

namespace cohort::kernel {

using Site = std::source_location;

inline constexpr int kMaxThreads = 63;
// The clock is one more thread, whose every step lets time pass up to the next
// deadline that somebody waits for.
inline constexpr int kClockThread = 63;

enum class OpKind : uint8_t {
  kStart,  // a thread's first step
  kEnd,    // and its last
  kSpawn,
  kJoin,
  kLock,
  kTryLock,
  kUnlock,
  kWait,  // releases the mutex and begins to wait
  kWake,  // has been woken, and takes the mutex again
  kSignal,
  kSignalAll,
  kLoad,
  kStore,
  kReadModifyWrite,
  kSleep,  // begins to sleep
  kSlept,
  kReadClock,
  kSetClock,
  kYield,
  kPoint,
  kDestroy,  // of an object that several threads have used
  kTick,     // the clock's
  kQuiesce,  // the end of the run: waits for all others
};

const char* OpName(OpKind kind);

// In place of an object: each of them.
inline constexpr uint32_t kAnyObject = ~uint32_t{0};

// What a thread is about to do.
struct PendingOp {
  OpKind kind = OpKind::kStart;
  bool read = false;            // changes none of its objects
  uint32_t objects[3] = {};     // 0: none
  const char* label = nullptr;  // of a Point
  Site site;
};

// Whether the order of the two matters.
inline bool Dependent(const PendingOp& a, const PendingOp& b) {
  if (a.read && b.read) return false;
  for (const uint32_t x : a.objects) {
    if (x == 0) continue;
    for (const uint32_t y : b.objects) {
      if (x == y || (y != 0 && (x == kAnyObject || y == kAnyObject))) {
        return true;
      }
    }
  }
  return false;
}

// The state in which a thread is picked.
struct View {
  uint64_t enabled;  // by thread; never empty
  int current;       // the thread that made the last step
  bool current_yields;
  int64_t step;
  const PendingOp* pending;  // by thread, of those that are enabled

  int count() const { return std::popcount(enabled); }
  bool is_enabled(int thread) const { return (enabled >> thread & 1) != 0; }
  // The n-th enabled thread.
  int at(int n) const {
    uint64_t left = enabled;
    for (; n > 0; --n) left &= left - 1;
    return std::countr_zero(left);
  }
};

enum class ChoiceKind : uint8_t {
  kWaiter,          // which of those that wait does a signal wake
  kSpuriousWakeUp,  // 1: this wait wakes for no reason
  kStaleLoad,       // how many stores ago was this value stored
  kWeakFailure,     // 1: this compare_exchange_weak fails for no reason
  kRefusedStart,    // 1: the system has no thread to give
  kUser,            // sync::Choose
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  virtual void Begin() {}
  virtual void Started(int /*thread*/, int /*parent*/) {}

  // The enabled thread whose pending operation is executed next. Asked before
  // every step, also where there is but one.
  virtual int PickThread(const View& view) = 0;

  // Below n, which is at least 2; 0 is what ordinarily happens. Concerns the
  // step that `thread` makes with `op`.
  virtual int Choose(ChoiceKind kind, int n, int thread,
                     const PendingOp& op) = 0;
};

// What costs the least attention: goes on with the current thread while it can
// and does not yield, then with the next one, and lets time pass last.
inline int DefaultPick(const View& view) {
  if (view.is_enabled(view.current) && !view.current_yields) {
    return view.current;
  }
  const uint64_t clock = uint64_t{1} << kClockThread;
  const uint64_t threads = view.enabled & ~clock;
  if (threads == 0) return kClockThread;
  const uint64_t later = view.current >= kMaxThreads - 1
                             ? 0
                             : threads & (~uint64_t{0} << (view.current + 1));
  return std::countr_zero(later != 0 ? later : threads);
}

}  // namespace cohort::kernel

#endif  // COHORT_KERNEL_SCHEDULER_H_
