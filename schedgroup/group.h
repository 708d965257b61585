// A scheduler group: tasks that run at given times, or periodically.
//
//   cohort::schedgroup::Group group(context);
//   group.Delay(absl::Seconds(1), [] { Blink(); });
//   group.Schedule(midnight, [] { Rotate(); });
//   group.Every(absl::Minutes(1), [](const cohort::Context& context) {
//     return Poll(context);
//   });
//   absl::Status status = group.Wait();
//
// Use Context::SleepFor instead for one pause inside a task.

#ifndef COHORT_SCHEDGROUP_GROUP_H_
#define COHORT_SCHEDGROUP_GROUP_H_

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/internal/scheduler.h"
#include "cohort/schedgroup/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/task/task.h"

namespace cohort::schedgroup {

struct Options {
  // The maximum number of tasks that run at once. A task that comes due while
  // `limit` tasks run waits in the group's queue, and costs no thread there.
  int limit = kUnlimited;

  // Whether the first error cancels the group, and so everything that is still
  // to come.
  bool cancel_on_error = false;

  Exceptions exceptions = Exceptions::kCapture;

  // Where tasks run; null means DefaultExecutor(). The executor must outlive
  // the group's last task, and no task of the group may destroy it.
  Executor* executor = nullptr;

  // The group's name in error messages.
  std::string name = "";
};

// Identifies a task of one group, for Cancel. Cheap to copy; a
// default-constructed one identifies no task. May outlive the group, but cannot
// be used then.
class TaskId {
 public:
  TaskId() = default;

 private:
  friend class Group;
  explicit TaskId(sync::RefPtr<internal::Scheduled> task)
      : task_(std::move(task)) {}

  sync::RefPtr<internal::Scheduled> task_;
};

// Runs each task at its time.
//
// Blocks?         Wait, CancelAndWait, CancelAndWaitUntil and the destructor
//                 do; they announce it with a BlockingScope. A slow task delays
//                 another one only if Options::limit makes the other one wait.
// Cancellation?   The group is cancelled when the context given to the
//                 constructor ends, by Cancel, and with cancel_on_error by the
//                 first error. Tasks that have not started are skipped, at
//                 once. Running tasks learn of it through the context that they
//                 are given.
// Order?          By time; tasks with equal times in the order of submission.
//                 Tasks start in that order, at or after their time. With a
//                 limit, due tasks wait in that order.
// On error?       Wait returns the first error; the others are counted. What a
//                 task returns because it was told to stop (CANCELLED, the
//                 context's status code, or its cause) is not an error.
//                 Exceptions: see Exceptions in group/types.h. A call for which
//                 memory runs out throws std::bad_alloc and has changed
//                 nothing; the process ends if memory runs out when a task is
//                 started at its time.
// Thread safety   All methods, from any thread; but not the destructor inside
//                 one of the group's tasks.
// Memory ordering What happened before a task was scheduled is visible to the
//                 task. What the task did is visible to its next run, and to a
//                 thread that returns from a Wait that saw it end, or learns
//                 from Cancel or CancelAndWait that it is over.
// Destruction     Cancels, then waits for running tasks.
//
// Times are kept on the monotonic clock: the wall clock is read when a task is
// scheduled, and setting it later neither loses nor repeats a task. Time during
// which the machine is suspended does not count.
//
// The following are contract violations, and die: a null task, a period that is
// not positive, scheduling anything after Wait has returned, and the id of
// another group's task.
//
// From mdlayher/schedgroup. What differs: tasks may be scheduled while Wait
// waits, also from inside tasks; Wait may be called again; it waits for running
// tasks after a cancellation, and is OK if the cancellation lost no task; a
// group that is never waited for leaves nothing behind; tasks with equal times
// run in order; Cancel, CancelAndWait, Every and the limit are new.
class Group {
 public:
  explicit Group(const Context& context = {}, Options options = {});
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Runs `task` when `delay` has passed; at once if `delay` is not positive.
  // See GroupTask for its forms. Does not block. If the group is cancelled, the
  // task is refused: it is counted in Stats::refused and makes Wait fail. A
  // task with an infinite delay never runs, and Wait waits for it until it is
  // cancelled.
  template <GroupTask F>
  TaskId Delay(absl::Duration delay, F task) {
    return Add("Delay", sync::SteadyTime::Now() + delay, absl::ZeroDuration(),
               internal::MakeRepeatable(std::move(task)));
  }

  // Like Delay, but runs `task` when the wall clock, as it is set now, will
  // show `time`.
  template <GroupTask F>
  TaskId Schedule(absl::Time time, F task) {
    return Add("Schedule", scheduler_->At(time), absl::ZeroDuration(),
               internal::MakeRepeatable(std::move(task)));
  }

  // Runs `task` repeatedly, first after one `period`, until it returns
  // Next::kStop, or is cancelled by its id, or the group is cancelled: Wait
  // does not return before that. See PeriodicTask for its forms. The task is
  // called as an lvalue, and never while it is still running: runs that it
  // misses meanwhile are left out, and later runs stay at multiples of the
  // period. Each run is a task of its own in stats(). An error does not stop
  // the task, unless it cancels the group; the error of one run may be recorded
  // after the next run has begun, except with a limit of 1.
  template <PeriodicTask F>
  TaskId Every(absl::Duration period, F task) {
    CheckPeriod(period);
    return Add("Every", sync::SteadyTime::Now() + period, period,
               internal::MakeRepeated(std::move(task)));
  }

  // Cancels a task that has not begun, whether its time has not come or it
  // waits for a slot. The functor of a task that will not run is destroyed
  // before this returns. Cancelling a task this way does not make Wait fail.
  // Does not block, and does not tell a running task. May be called anywhere,
  // also inside the task; a periodic task that wants to stop returns
  // Next::kStop instead, for which it needs no id.
  CancelResult Cancel(const TaskId& id);

  // Like Cancel, but then blocks until a task that has begun is over: it has
  // returned, its functor is destroyed, and what it uses may be destroyed.
  // stats() and errors() may show that a moment later. A task of the group that
  // calls this lends its slot meanwhile.
  //
  // Returns kCancelled or kFinished. It returns kRunning, at once, where the
  // task could not end before this returned: inside the task itself, inside a
  // task that it is waiting for in this way, and in the destructor of a functor
  // that is cancelled or skipped.
  CancelResult CancelAndWait(const TaskId& id);

  // Like CancelAndWait, but waits until `t` by the wall clock at the latest:
  // kRunning if the task is not over by then.
  CancelResult CancelAndWaitUntil(const TaskId& id, absl::Time t);

  // Cancels the group. True for the one call that did so. The cause must not be
  // OK.
  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled"));

  // Blocks until all tasks have ended, including those that are scheduled
  // meanwhile, then ends the group. OK if every task succeeded and none was
  // skipped or refused; else the first error; else the cause of the
  // cancellation. May be called any number of times and from any threads.
  // Inside a task of the group it does not wait for tasks that wait here or in
  // CancelAndWait, and does not end the group. With kHelp it runs due tasks
  // meanwhile.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // The context that tasks are given. It ends with the group, so calling this
  // on a temporary group does not compile.
  const Context& context() const& { return scheduler_->core().context(); }
  const Context& context() const&& = delete;

  // The first error with the index of its task.
  std::vector<TaskError> errors() const { return scheduler_->core().errors(); }

  // The first exception that was captured, for the first caller that asks; null
  // for all others.
  std::exception_ptr exception() { return scheduler_->core().TakeException(); }

  // Tasks whose time has not come count as queued; tasks that Cancel(id)
  // prevented count as skipped.
  Stats stats() const { return scheduler_->core().stats(); }

 private:
  TaskId Add(const char* method, sync::SteadyTime due, absl::Duration period,
             internal::RepeatableTask task);

  static void CheckPeriod(absl::Duration period);

  // Null for a default-constructed id. Dies if `id` identifies another group's
  // task.
  internal::Scheduled* Find(const char* method, const TaskId& id) const;
  CancelResult DoCancelAndWait(const char* method, const TaskId& id,
                               sync::SteadyTime deadline);

  const sync::RefPtr<internal::Scheduler> scheduler_;
};

}  // namespace cohort::schedgroup

#endif  // COHORT_SCHEDGROUP_GROUP_H_
