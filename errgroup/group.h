// A group of tasks that ends with its first error.
//
//   cohort::errgroup::Group group(context, {.limit = 8});
//   for (const Url& url : urls) {
//     group.Go([&url](const cohort::Context& context) -> absl::Status {
//       return Fetch(context, url);
//     });
//   }
//   absl::Status status = group.Wait();  // the first error, if any
//
// Use errgroup::WaitGroup instead to count work that runs elsewhere and to
// collect all its errors.

#ifndef COHORT_ERRGROUP_GROUP_H_
#define COHORT_ERRGROUP_GROUP_H_

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
#include "cohort/task/task.h"

namespace cohort::errgroup {

struct Options {
  // Tasks running at once. 0 lets none start until SetLimit says otherwise.
  int limit = kUnlimited;

  // Accepted tasks that may wait for a slot: a task beyond limit + queue is not
  // accepted until there is a place for it. kUnlimited: Go never blocks, and a
  // waiting task costs no thread.
  int queue = 0;

  // Whether the first error cancels the group. Only of a group with a context;
  // in one without, errors cancel nothing.
  bool cancel_on_error = true;

  // Go's behaviour: cancellation is only a message to tasks. Every task that is
  // submitted runs, whether the context is done or not, and a blocked Go waits
  // for its slot. (The destructor skips what the limit 0 keeps from starting:
  // nobody can raise it any more.)
  bool run_after_cancel = false;

  // errors() holds the first kMaxErrors errors rather than the first one.
  bool keep_all_errors = false;

  Exceptions exceptions = Exceptions::kCapture;

  // Where tasks run; null means DefaultExecutor(). Must outlive the group's
  // last task, and may not be destroyed by one.
  Executor* executor = nullptr;

  // For error messages.
  std::string name = "";
};

// Runs tasks at the same time, waits for them, and returns the first error.
// Not copyable, not movable: tasks refer to it.
//
// Blocks?         Go, while limit and queue are full. Wait, WaitUntil and the
//                 destructor, until all tasks have ended. Nothing else. All of
//                 them announce it with a BlockingScope.
// Cancellation?   The group has a context of its own, below the parent's. It is
//                 done at the first error (cancel_on_error), at Cancel, when
//                 the parent is, or when a Wait has returned. Tasks that have
//                 not started are then skipped, a blocked Go returns
//                 kCancelled, and later calls do too; running tasks go on until
//                 they look at the context. A group without parent is cancelled
//                 by Cancel alone.
// Order?          Tasks start in the order in which they were accepted; those
//                 that block in Go are accepted in the order in which they
//                 came, and TryGo does not get in front of them.
// On error?       The first error in order of completion is kept for good. What
//                 a task returns because the group was cancelled (CANCELLED,
//                 the context's status code, or a cause from outside, once the
//                 context is done) is not an error of its own, and never hides
//                 the cause. What equals an error of another task is one: ten
//                 tasks may fail with the same. An exception counts as
//                 kInternal, with its type and what(); see Exceptions. So does
//                 a task that ends its thread (pthread_exit), except with
//                 kTerminate or without exceptions: that terminates the
//                 process. The thread may be that of a Wait that helps, which
//                 then never returns, since the system offers no way to stop
//                 the end of a thread; the group is whole for all others, and
//                 Wait(kPark) always returns. Where memory runs out, or the
//                 executor's Submit throws, the call throws that, and has
//                 changed nothing; a task that only waits for its turn is
//                 started by the thread that ends another, by the next call, or
//                 by Wait.
// Thread safety   All methods, from any thread, at any time before destruction
//                 begins; also inside tasks of the group.
// Memory ordering What happened before Go is visible to the task; what a task
//                 did, the end of its captures included, to whoever returns
//                 from Wait.
// Destruction     Cancels, then waits, as Wait does: with run_after_cancel it
//                 may run queued tasks. Dies inside a task of the group, also
//                 in the destructor of one that is skipped. A task that calls
//                 exit() while the group is static is an exception: there the
//                 destructor cancels, waits for nobody, and leaves the rest to
//                 the end of the process.
//
// Bad input dies before anything changes: a null task, a negative limit or
// queue (the name for no bound is kUnlimited).
//
// From golang.org/x/sync/errgroup.Group. What differs, and why: Go says what
// became of the task; a blocked submission counts as outstanding, so Wait never
// returns before it, and it wakes on cancellation; queued tasks are skipped
// after cancellation (there: they run; see run_after_cancel); a task may submit
// to its own full group (there: a deadlock); the limit may change at any time
// (there: a panic, or a deadlock); a task is given the context rather than
// capturing it, and no group hands out a context that is dead from the start.
class Group {
 public:
  // Go's zero Group: no parent, errors cancel nothing, and it may be used again
  // after Wait. It never forgets its first error.
  Group() : Group(Options()) {}

  // The same, with options.
  explicit Group(Options options);

  // A group whose context derives from `parent`. After a Wait has returned its
  // context is done, and it takes no more tasks (with run_after_cancel: it
  // does).
  explicit Group(const Context& parent, Options options = {});

  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() = default;

  // Runs `task` in the group: see GroupTask for its forms. Blocks while limit
  // and queue are full, and then returns kAccepted or, if the group is
  // cancelled meanwhile, kCancelled. Never kFull. Inside a task of this group,
  // or of a group made inside one, it does not block: the task is then queued
  // beyond the bound, since waiting for a slot could be waiting for oneself,
  // and running the task here could need a lock that the caller holds.
  template <GroupTask F>
  Admission Go(F task) {
    return core_->Submit("Go", task_internal::MakeTask(std::move(task)),
                         group_internal::WhenFull::kBlock);
  }

  // The same with back-pressure inside a task of this group, for a task that
  // produces others: where limit and queue are full, it queues `task` and then
  // runs the oldest queued one (which may be `task`) on the calling thread, in
  // the slot of the calling task. So no more tasks run at once than else, the
  // queue does not grow beyond the bound, and nothing is waited for: however
  // many tasks produce, and whatever they wait for, this is no deadlock. But as
  // the calling thread may run any task of the group, it must hold no lock that
  // these take. There is no back-pressure where no task may start: with the
  // limit 0, and, as long as all slots are taken, inside a task of another
  // group that was made inside a task of this one, since it has no slot of its
  // own to offer. Then, as with Go, `task` is queued beyond the bound. Outside
  // such tasks it is Go. (Not in the original.)
  template <GroupTask F>
  Admission GoOrHelp(F task) {
    return core_->Submit("GoOrHelp", task_internal::MakeTask(std::move(task)),
                         group_internal::WhenFull::kHelp);
  }

  // The same, but never blocks: kFull if there is no place for the task.
  template <GroupTask F>
  [[nodiscard]] Admission TryGo(F task) {
    return core_->Submit("TryGo", task_internal::MakeTask(std::move(task)),
                         group_internal::WhenFull::kRefuse);
  }

  // Blocks until all tasks have ended and no Go is blocked. Returns OK if every
  // accepted task succeeded and none was skipped or refused as cancelled; else
  // the first error; else the cause of the cancellation. A success that was
  // recorded is not undone by a later cancellation.
  //
  // May be called any number of times, from any threads. With kHelp it runs
  // tasks of this group meanwhile, within one another if these wait as well,
  // but on a stack that is bounded: beyond some 100 KiB on that of a helper
  // thread, which runs them for the calling thread while that blocks. Inside a
  // task of this group it does not wait for the tasks that are themselves
  // waiting here, and ends nothing; such a task lends its slot while it waits,
  // so that for a moment after several of them go on, more than `limit` tasks
  // may run. (A task that waits for a group whose tasks wait for that task
  // waits for ever, as any two things do that wait for each other.) With kPark,
  // if there are tasks that the executor's Submit refuses to start and no
  // thread of the group is left to run them, it throws what Submit did; one may
  // wait again.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // The same until `t` by wall clock: DEADLINE_EXCEEDED if the group has not
  // ended then. Nothing is cancelled or abandoned, and one may wait again. Runs
  // no tasks meanwhile, since these could take longer.
  absl::Status WaitUntil(absl::Time t);

  // Cancels the group. True for the one call that did; when that returns, all
  // tasks that had not started are skipped, and callbacks on the context have
  // run. The cause must not be OK.
  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled"));

  // Changes the limit. Raising it starts queued tasks and lets blocked
  // submissions in; lowering it lets running tasks finish. Does not block. If
  // the executor's Submit throws, so does this, and the limit stays.
  void SetLimit(int limit);

  // The context that tasks are given. Lives as long as the group, so asking a
  // temporary one for it does not compile.
  const Context& context() const& { return core_->context(); }
  const Context& context() && = delete;

  // The first error with the index of its task; with keep_all_errors the first
  // kMaxErrors in order of completion. A copy: it does not change later.
  std::vector<TaskError> errors() const { return core_->errors(); }

  // The first exception that was captured, to the one caller who asks first;
  // null for all others. Only one, since sharing an exception between threads
  // is a race in what it points to.
  std::exception_ptr exception() { return core_->TakeException(); }

  Stats stats() const { return core_->stats(); }

 private:
  const group_internal::CoreOwner core_;
};

// neilotoole/errgroup's WithContextN: at most `workers` tasks at once and at
// most `queue` waiting. Values <= 0 mean the number of CPUs, as its
// documentation says. (There: a negative `workers` means one, a negative
// `queue` crashes, and `queue` 0 serialises everything.)
Options WithContextN(int workers, int queue);

// bilibili/kratos's GOMAXPROCS: `n` tasks at once, and Go never blocks. Dies if
// `n` < 1, as there. Tasks over the limit start as slots free up (there: when
// Wait is called).
Options Gomaxprocs(int n);

}  // namespace cohort::errgroup

#endif  // COHORT_ERRGROUP_GROUP_H_
