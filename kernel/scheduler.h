// The interface of schedulers: everything in a simulated run that the program
// does not determine is a question to a Scheduler.

#ifndef COHORT_KERNEL_SCHEDULER_H_
#define COHORT_KERNEL_SCHEDULER_H_

#include <bit>
#include <cstdint>
#include <source_location>

namespace cohort::kernel {

using Site = std::source_location;

inline constexpr int kMaxThreads = 63;
// The clock is one more thread, each of whose steps lets time pass up to the
// next deadline that a thread waits for.
inline constexpr int kClockThread = 63;

enum class OpKind : uint8_t {
  kStart,  // a thread's first step
  kEnd,    // a thread's last step
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
  kDestroy,  // destroys an object that several threads have used
  kTick,     // a step of the clock
  kQuiesce,  // the end of the run: waits for all others
};

const char* OpName(OpKind kind);

// In place of an object: every object.
inline constexpr uint32_t kAnyObject = ~uint32_t{0};

// The operation that a thread is about to execute.
struct PendingOp {
  OpKind kind = OpKind::kStart;
  bool read = false;            // changes none of its objects
  uint32_t objects[3] = {};     // 0: none
  const char* label = nullptr;  // name of a SchedulePoint
  Site site;
};

// Whether the order of the two operations matters.
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
  uint64_t enabled;  // one bit per thread; never 0
  int current;       // the thread that made the last step
  bool current_yields;
  int64_t step;
  const PendingOp* pending;  // indexed by thread; valid for enabled threads

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
  kWaiter,          // which of the waiting threads a signal wakes
  kSpuriousWakeUp,  // 1: this wait wakes spuriously
  kStaleLoad,       // how many stores ago this value was stored
  kWeakFailure,     // 1: this compare_exchange_weak fails spuriously
  kRefusedStart,    // 1: the system refuses the thread
  kUser,            // sync::Choose
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  virtual void Begin() {}
  virtual void Started(int /*thread*/, int /*parent*/) {}

  // The enabled thread whose pending operation is executed next. Called before
  // every step, even if only one thread is enabled.
  virtual int PickThread(const View& view) = 0;

  // A number below n, which is at least 2; 0 is the ordinary outcome. For the
  // step that `thread` makes with `op`.
  virtual int Choose(ChoiceKind kind, int n, int thread,
                     const PendingOp& op) = 0;
};

// The default choice, which replays leave out: continues with the current
// thread while it can run and does not yield, then with the next one, and lets
// time pass last.
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
