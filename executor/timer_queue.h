// A queue of timers: deadlines, sleeps, backoff and timed groups wait on it.

#ifndef COHORT_EXECUTOR_TIMER_QUEUE_H_
#define COHORT_EXECUTOR_TIMER_QUEUE_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort {

// Hands timers to an executor when they are due, ahead of its other work. A
// slow callback delays no other timer, since callbacks do not run on the
// queue's own thread.
//
// Blocks?         Only the destructor does: it waits for the queue's thread.
// Cancellation?   Disarm; its result says whether it came in time.
// Order?          By due time; timers with equal times in the order of Arm.
//                 That is the order in which the executor receives them.
// On error?       If the system refuses the queue's thread, the next Arm tries
//                 again to start it; no timer is lost. Nothing here allocates
//                 except starting that thread.
// Cost            Arm takes constant time, Disarm logarithmic time, amortized.
// Thread safety   All methods, from any thread. A Timer belongs to one queue at
//                 a time; arming the same one from two threads at once is a
//                 race.
// Memory ordering What happened before Arm is visible to OnDue.
// Destruction     Dies if a timer is still armed.
class TimerQueue {
 public:
  // The base class of a timer, embedded in the object that needs one, so that a
  // timeout allocates nothing of its own. Dies if destroyed while armed.
  class Timer {
   public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   protected:
    ~Timer();

   private:
    friend class TimerQueue;

    // Runs on the queue's executor, once for each Arm that no Disarm undid. The
    // timer must live until this returns, except that it may be destroyed
    // within it.
    virtual void OnDue() = 0;

    // Called on the queue's own thread for a timer that is due: hands OnDue to
    // the executor. Override this instead of OnDue for work that needs no
    // executor, or to hand due timers to a queue of your own in order of due
    // time. Must not block or run user code.
    virtual void HandOver(Executor& executor);

    friend bool Before(const Timer& a, const Timer& b) {
      return a.due_ != b.due_ ? a.due_ < b.due_ : a.sequence_ < b.sequence_;
    }

    bool armed_ = false;
    sync::SteadyTime due_;
    uint64_t sequence_ = 0;
    // The timer's place in the heap of the queue that it is armed in.
    Timer* first_child_ = nullptr;
    Timer* next_ = nullptr;      // sibling
    Timer* previous_ = nullptr;  // sibling, or the parent of a first child
  };

  explicit TimerQueue(Executor& executor);
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // The process-wide queue, created on first use, never destroyed. Its timers
  // run on DefaultExecutor(). Its one thread starts with the first timer.
  static TimerQueue& Default();

  // Lets `timer` run at `due`, or at once if that time has passed. Dies if
  // `timer` is armed already.
  void Arm(Timer& timer, sync::SteadyTime due);

  // True if `timer` was armed, and now will not run. False if it was not armed:
  // it was never armed, is being handed to the executor, is running, or has
  // run.
  bool Disarm(Timer& timer);

 private:
  // The armed timers, the earliest on top: a pairing heap whose nodes are the
  // timers themselves.
  class Heap {
   public:
    Timer* top() const { return top_; }
    int64_t size() const { return size_; }
    void Insert(Timer* timer);
    void Remove(Timer* timer);

   private:
    // Merges two trees; either may be null.
    static Timer* Merge(Timer* a, Timer* b);
    static Timer* MergeSiblings(Timer* first);

    Timer* top_ = nullptr;
    int64_t size_ = 0;
  };

  void Run();

  Executor& executor_;
  sync::Mutex mutex_;
  sync::CondVar changed_;
  Heap timers_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  sync::Thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort

#endif  // COHORT_EXECUTOR_TIMER_QUEUE_H_
