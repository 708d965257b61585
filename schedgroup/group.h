// A group of tasks that run at times.
//
//   cohort::schedgroup::Group group(context);
//   group.Delay(absl::Seconds(1), [] { Blink(); });
//   group.Schedule(midnight, [] { Rotate(); });
//   group.Every(absl::Minutes(1), [](const cohort::Context& context) {
//     return Poll(context);
//   });
//   absl::Status status = group.Wait();

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
  // Tasks running at once. One whose time comes while so many run waits in the
  // group's queue, and costs no thread there.
  int limit = kUnlimited;

  // Whether the first error cancels the group, and so all that is to come.
  bool cancel_on_error = false;

  Exceptions exceptions = Exceptions::kCapture;

  // Where tasks run; null means DefaultExecutor(). Must outlive the group's
  // last task, and may not be destroyed by one.
  Executor* executor = nullptr;

  // For error messages.
  std::string name = "";
};

// Names a task of one group, for Cancel. Cheap to copy; one made by default
// names none. May outlive the group, but is of no use then.
class TaskId {
 public:
  TaskId() = default;

 private:
  friend class Group;
  explicit TaskId(sync::RefPtr<internal::Scheduled> task)
      : task_(std::move(task)) {}

  sync::RefPtr<internal::Scheduled> task_;
};

// Runs each of its tasks once its time has come.
//
// Blocks?         Wait, CancelAndWait, CancelAndWaitUntil and the destructor
//                 do; they announce it with a BlockingScope. A slow task delays
//                 no other one, unless Options::limit says so.
// Cancellation?   Of the context given to the constructor, by Cancel, or with
//                 cancel_on_error by the first error. Tasks that have not
//                 started are skipped, at once. Running tasks are told through
//                 the context that they are given.
// Order?          By time; equal times in the order of submission. That is the
//                 order in which tasks start, at or after their time. With a
//                 limit, those that are due wait in that order.
// On error?       The first error is the result of Wait; others are counted.
//                 What a task returns because it was told to stop (CANCELLED,
//                 the context's status code, or its cause) is none. An
//                 exception counts as kInternal, with its type and what(), and
//                 so does a task that ends its thread (pthread_exit), except
//                 with Exceptions::kTerminate or without exceptions: that
//                 terminates the process. A call that finds no memory throws
//                 std::bad_alloc and has changed nothing; the process ends if
//                 there is none to start a task at its time.
// Thread safety   All methods, from any thread; the destructor not inside one
//                 of the group's tasks.
// Memory ordering What happened before a task was scheduled is visible to it,
//                 and what it did to whoever returns from a Wait that saw it
//                 end, or learns from Cancel or CancelAndWait that it is over,
//                 and to its next run.
// Destruction     Cancels, then waits for running tasks.
//
// Times are kept on the monotonic clock: the wall clock is read when a task is
// scheduled, and setting it later neither loses nor repeats one. Time that the
// machine is suspended does not count.
//
// A null task, a period that is not positive, scheduling anything after Wait
// has returned, or the id of another group's task is a contract violation, and
// dies.
//
// From mdlayher/schedgroup. What differs: tasks may be scheduled while Wait
// waits, from inside tasks too; Wait may be called again; it waits for running
// tasks after a cancellation, and is OK if nothing was lost to it; a group that
// is never waited for leaves nothing behind; equal times are in order; Cancel,
// CancelAndWait, Every and the limit.
class Group {
 public:
  explicit Group(const Context& context = {}, Options options = {});
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Runs `task` when `delay` has passed; at once if that is not positive. See
  // GroupTask for its forms. Does not block. If the group is cancelled, the
  // task is refused: it counts as such, and Wait tells of it. One whose delay
  // is infinite never runs, and Wait waits for it until it is cancelled.
  template <GroupTask F>
  TaskId Delay(absl::Duration delay, F task) {
    return Add("Delay", sync::SteadyTime::Now() + delay, absl::ZeroDuration(),
               internal::MakeRepeatable(std::move(task)));
  }

  // The same, when the wall clock now says it will be `time`.
  template <GroupTask F>
  TaskId Schedule(absl::Time time, F task) {
    return Add("Schedule", scheduler_->At(time), absl::ZeroDuration(),
               internal::MakeRepeatable(std::move(task)));
  }

  // Runs `task` again and again, first when one `period` has passed, until it
  // returns Next::kStop, or is cancelled by its id, or the group is: Wait does
  // not return before. See PeriodicTask for its forms. It is called as an
  // lvalue, and never while it still runs: what it has missed by then is left
  // out, and the others stay at multiples of the period. Each run is a task of
  // its own in stats(). An error does not end it, unless it cancels the group;
  // that of a run may be recorded after the next one has begun, except with a
  // limit of 1.
  template <PeriodicTask F>
  TaskId Every(absl::Duration period, F task) {
    CheckPeriod(period);
    return Add("Every", sync::SteadyTime::Now() + period, period,
               internal::MakeRepeated(std::move(task)));
  }

  // Takes a task back that has not begun, be it that its time has not come, or
  // that it waits for a slot. The functor of one that will not run is destroyed
  // before this returns. A task that was cancelled so is no reason for Wait to
  // fail. Does not block, and does not tell a task that runs. May be called
  // anywhere, also inside the task; a periodic one that has had enough returns
  // Next::kStop instead, for which it needs no id.
  CancelResult Cancel(const TaskId& id);

  // The same, and then blocks until a task that has begun is over: it has
  // returned, its functor is gone, and what it uses may go. stats() and
  // errors() may learn of that a moment later. A task of the group that calls
  // this lends its slot meanwhile.
  //
  // The result is kCancelled or kFinished. It is kRunning, and comes at once,
  // where the task could not end before this returned: inside the task, inside
  // one that it is waiting for in this way, and in the destructor of a functor
  // that is taken back or skipped.
  CancelResult CancelAndWait(const TaskId& id);

  // The same, until `t` by wall clock at the latest: kRunning if the task is
  // not over by then.
  CancelResult CancelAndWaitUntil(const TaskId& id, absl::Time t);

  // Cancels the group. True for the one call that did. The cause must not be
  // OK.
  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled"));

  // Blocks until all tasks have ended, also those that are scheduled meanwhile,
  // then ends the group. OK if every task succeeded and none was skipped or
  // refused; else the first error; else the cause of the cancellation. May be
  // called any number of times and from any threads; inside a task of the group
  // it does not wait for the tasks that wait here or in CancelAndWait, and ends
  // nothing. With kHelp it runs tasks that are due.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // The context that tasks are given. It is done with the group, so a group
  // that is a temporary has none to give.
  const Context& context() const& { return scheduler_->core().context(); }
  const Context& context() const&& = delete;

  // The first error with the index of its task.
  std::vector<TaskError> errors() const { return scheduler_->core().errors(); }

  // The first exception that was captured, to the one caller who asks first;
  // null for all others.
  std::exception_ptr exception() { return scheduler_->core().TakeException(); }

  // Tasks whose time has not come count as queued; those that Cancel took back
  // as skipped.
  Stats stats() const { return scheduler_->core().stats(); }

 private:
  TaskId Add(const char* method, sync::SteadyTime due, absl::Duration period,
             internal::RepeatableTask task);

  static void CheckPeriod(absl::Duration period);

  // Null for a default id. Dies if it names another group's task.
  internal::Scheduled* Find(const char* method, const TaskId& id) const;
  CancelResult DoCancelAndWait(const char* method, const TaskId& id,
                               sync::SteadyTime deadline);

  const sync::RefPtr<internal::Scheduler> scheduler_;
};

}  // namespace cohort::schedgroup

#endif  // COHORT_SCHEDGROUP_GROUP_H_
