// Timers: what deadlines, sleeps, backoff and timed groups wait on.

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
// slow callback delays no other timer, since none runs on the queue's own
// thread.
//
// Blocks?         Only the destructor, for its thread.
// Cancellation?   Disarm, which says whether it came in time.
// Order?          By due time; equal times in the order of Arm. That is the
//                 order in which the executor gets them.
// On error?       If the system refuses the queue's thread, starting it is
//                 tried again by the next Arm; no timer is lost. Nothing here
//                 allocates but that start.
// Cost            Arm takes constant time, Disarm logarithmic time, amortized.
// Thread safety   All methods, from any thread. A Timer belongs to one queue at
//                 a time, and arming the same one from two threads at once is a
//                 race.
// Memory ordering What happened before Arm is visible to OnDue.
// Destruction     Dies if a timer is still armed.
class TimerQueue {
 public:
  // A base for what is to happen at a time, embedded in whatever it belongs to,
  // so that a timeout allocates nothing of its own. Dies if destroyed while
  // armed.
  class Timer {
   public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   protected:
    ~Timer();

   private:
    friend class TimerQueue;

    // Runs on the queue's executor, once for each Arm that no Disarm took back.
    // The timer must live until this returns, but may end within it.
    virtual void OnDue() = 0;

    // What the queue's own thread does with a timer that is due: it gives OnDue
    // to the executor. To be overridden, in place of OnDue, by what needs no
    // executor to happen, or has a place of its own to put work and wants to
    // keep the order of due times there. Must not block, nor run code of a
    // user's.
    virtual void HandOver(Executor& executor);

    friend bool Before(const Timer& a, const Timer& b) {
      return a.due_ != b.due_ ? a.due_ < b.due_ : a.sequence_ < b.sequence_;
    }

    bool armed_ = false;
    sync::SteadyTime due_;
    uint64_t sequence_ = 0;
    // Where it stands in the heap of the queue that it is armed in.
    Timer* first_child_ = nullptr;
    Timer* next_ = nullptr;      // sibling
    Timer* previous_ = nullptr;  // sibling, or the parent of a first child
  };

  explicit TimerQueue(Executor& executor);
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // The process's queue, made on first use, never destroyed. Its timers run on
  // DefaultExecutor(). Its one thread starts with the first timer.
  static TimerQueue& Default();

  // Lets `timer` run at `due`, or at once if that has passed. Dies if it is
  // armed already.
  void Arm(Timer& timer, sync::SteadyTime due);

  // True if `timer` was armed, and will not run. False if it was not: it never
  // was, or it is on its way to run, runs, or has run.
  bool Disarm(Timer& timer);

 private:
  // The armed timers, the first one on top: a pairing heap, which is made of
  // the timers themselves.
  class Heap {
   public:
    Timer* top() const { return top_; }
    int64_t size() const { return size_; }
    void Insert(Timer* timer);
    void Remove(Timer* timer);

   private:
    // Of two trees, or none.
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
