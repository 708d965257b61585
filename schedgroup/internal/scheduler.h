// The scheduler of a timed group: tasks that wait for their time. Internal.

#ifndef COHORT_SCHEDGROUP_INTERNAL_SCHEDULER_H_
#define COHORT_SCHEDGROUP_INTERNAL_SCHEDULER_H_

#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/internal/wall_clock.h"
#include "cohort/schedgroup/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort::schedgroup::internal {

class Scheduler;

// Leaves `next` empty unless the task returns a Next.
using RepeatableTask = absl::AnyInvocable<absl::Status(
    const Context&, task_internal::Slot<Next>& next)>;

// For a task that runs once, and is called as an rvalue.
template <GroupTask F>
RepeatableTask MakeRepeatable(F task) {
  if (task_internal::IsNull(task)) return nullptr;
  return [task = std::move(task)](const Context& context,
                                  task_internal::Slot<Next>&) mutable {
    return task_internal::CallTask(std::move(task), context);
  };
}

// For a task that may run repeatedly.
template <PeriodicTask F>
RepeatableTask MakeRepeated(F task) {
  if (task_internal::IsNull(task)) return nullptr;
  return [task = std::move(task)](const Context& context,
                                  task_internal::Slot<Next>& next) mutable {
    if constexpr (GroupTask<F&>) {
      return task_internal::CallTask(task, context);
    } else {
      return task_internal::CallInto(next, task, context);
    }
  };
}

// One task. While it waits for its time, it is a timer and is in its
// scheduler's list; each of these holds a reference.
class Scheduled final : private TimerQueue::Timer,
                        public sync::ListHook<Scheduled> {
 public:
  Scheduled(sync::RefPtr<Scheduler> scheduler, sync::SteadyTime due,
            absl::Duration period, RepeatableTask task);

  void Ref() const { references_.Ref(); }
  void Unref() {
    if (references_.Unref()) delete this;
  }

  const Scheduler& scheduler() const { return *scheduler_; }

 private:
  friend class Scheduler;
  class Turn;

  enum class State {
    kWaiting,  // for its time
    kDue,      // the group's core has it: queued, running, or at its end
    kLeaving,  // the thread that took it from kWaiting or kDue is destroying it
    kOver,     // the functor is gone
  };

  ~Scheduled() = default;

  void OnDue() override {}
  void HandOver(Executor&) override;

  sync::RefCount references_;
  const sync::RefPtr<Scheduler> scheduler_;
  const absl::Duration period_;  // zero for a task that runs once
  sync::SteadyTime due_;
  int64_t index_ = 0;
  RepeatableTask task_;

  // Guarded by the scheduler's mutex.
  State state_ = State::kLeaving;
  bool stopped_ = false;  // not to be repeated
  // While it is kDue: its place in the core.
  group_internal::Core::Entries::iterator entry_;
};

class Scheduler {
 public:
  Scheduler(const Context& parent, group_internal::Policy policy);

  void Ref() const { references_.Ref(); }
  void Unref() {
    if (references_.Unref()) delete this;
  }

  group_internal::Core& core() const { return *core_; }

  sync::SteadyTime At(absl::Time time);

  // Lets `task` wait for its time, or refuses it.
  void Add(Scheduled& task);

  // Cancels `task` if it has not begun.
  CancelResult Cancel(Scheduled& task);

  // Blocks until `task` is over: kFinished. kRunning if it is not over by
  // `deadline`, or cannot be over before this returns.
  CancelResult Await(Scheduled& task, sync::SteadyTime deadline);

  // Skips all waiting tasks once the group is cancelled. Called by the core.
  void OnCancelled();

  // The destructor of a group.
  void Close();

 private:
  friend class Scheduled;
  class Waiter;

  ~Scheduler() = default;

  sync::RefPtr<group_internal::Core> MakeCore(const Context& parent,
                                              group_internal::Policy policy);

  // False if the task was stopped or the group cancelled.
  bool LetWait(Scheduled& task);
  // After a run: lets the task wait for its next one, or finishes it.
  void EndTurn(Scheduled& task, bool again);
  void Finish(Scheduled& task);
  static void Disarm(Scheduled& task);
  // Whether the calling thread is inside a task that must end before `task`
  // can: `task` itself, or a task that it waits for.
  bool WaitsForHere(const Scheduled& task) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  sync::RefCount references_;
  const bool cancel_on_error_;
  sync::Mutex mutex_;  // acquired before the core's and the timers' mutexes
  sync::LinkedList<Scheduled> waiting_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);  // threads in
                                                              // Await
  WallClock wall_clock_ ABSL_GUARDED_BY(mutex_);

  // Last: its construction may call OnCancelled.
  const sync::RefPtr<group_internal::Core> core_;
};

}  // namespace cohort::schedgroup::internal

#endif  // COHORT_SCHEDGROUP_INTERNAL_SCHEDULER_H_
