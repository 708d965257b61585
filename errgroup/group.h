// An error group: tasks that run concurrently; with a parent context, the first
// error cancels the rest.
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
  // The maximum number of tasks that run at once. 0 lets none start until
  // SetLimit raises it.
  int limit = kUnlimited;

  // How many accepted tasks may wait for a slot: for a task beyond limit +
  // queue, Go blocks until there is a place. kUnlimited: Go never blocks, and a
  // waiting task costs no thread.
  int queue = 0;

  // Whether the first error cancels the group. Only for a group with a parent
  // context; in a group without one, errors cancel nothing.
  bool cancel_on_error = true;

  // Go's behaviour: cancellation is only a message to tasks. Every task that is
  // submitted runs, whether or not the context is done, and a blocked Go waits
  // for its slot. (If the limit is 0, the destructor skips the queued tasks: no
  // caller can raise the limit any more.)
  bool run_after_cancel = false;

  // errors() holds the first kMaxErrors errors rather than the first one.
  bool keep_all_errors = false;

  Exceptions exceptions = Exceptions::kCapture;

  // Where tasks run; null means DefaultExecutor(). The executor must outlive
  // the group's last task, and no task of the group may destroy it.
  Executor* executor = nullptr;

  // The group's name in error messages.
  std::string name = "";
};

// Runs tasks concurrently, waits for them, and returns the first error. Not
// copyable, not movable: tasks refer to it.
//
// Blocks?         Go does, while limit and queue are full. Wait, WaitUntil and
//                 the destructor do, until all tasks have ended. No other
//                 method does. All of them announce it with a BlockingScope.
// Cancellation?   The group has a context of its own, derived from the parent.
//                 It is done at the first error (cancel_on_error), at Cancel,
//                 when the parent is done, or when a Wait has returned. Tasks
//                 that have not started are then skipped; a blocked Go and all
//                 later calls return kCancelled; running tasks go on until they
//                 look at the context. A group without a parent is cancelled by
//                 Cancel alone.
// Order?          Tasks start in the order in which they were accepted. Callers
//                 that block in Go are served in the order in which they
//                 called, and TryGo does not overtake them.
// On error?       The group keeps the first error by order of completion, for
//                 good. What a task returns because the group was cancelled
//                 (CANCELLED, the context's status code, or a cause from
//                 outside, once the context is done) is not an error of its
//                 own, and never hides the cause. An error that equals another
//                 task's error is an error: ten tasks may fail with the same
//                 one. Exceptions: see Exceptions in group/types.h. If memory
//                 runs out, or the executor's Submit throws, the call throws
//                 the same and has changed nothing; a task that only waits for
//                 its turn is then started by a thread on which another task
//                 ends, by the next call, or by Wait.
// Thread safety   All methods, from any thread, at any time before destruction
//                 begins; also inside tasks of the group.
// Memory ordering What happened before Go is visible to the task; what a task
//                 did, including the destruction of its captures, is visible to
//                 a thread that returns from Wait.
// Destruction     Cancels, then waits as Wait does; with run_after_cancel it
//                 may run queued tasks. Dies if called inside a task of the
//                 group, or in the destructor of a task that is skipped; but if
//                 a task calls exit() and the group is static, the destructor
//                 cancels, waits for nobody, and leaves the rest to the end of
//                 the process.
//
// Bad input dies before anything changes: a null task, or a negative limit or
// queue (for no bound, pass kUnlimited).
//
// From golang.org/x/sync/errgroup.Group. What differs, and why: the result of
// Go says what became of the task; a blocked submission counts as outstanding,
// so Wait never returns before it, and it wakes on cancellation; queued tasks
// are skipped after cancellation (there: they run; see run_after_cancel); a
// task may submit to its own full group (there: a deadlock); the limit may
// change at any time (there: a panic, or a deadlock); a task is given the
// context rather than capturing it, and no group hands out a context that is
// done from the start.
class Group {
 public:
  // Go's zero Group: no parent, errors cancel nothing, and the group may be
  // used again after Wait. It never forgets its first error.
  Group() : Group(Options()) {}

  // The same, with options.
  explicit Group(Options options);

  // A group whose context derives from `parent`. After a Wait has returned, the
  // context is done and the group takes no more tasks (with run_after_cancel it
  // still does).
  explicit Group(const Context& parent, Options options = {});

  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() = default;

  // Runs `task` in the group: see GroupTask for its forms. Blocks while limit
  // and queue are full, then returns kAccepted or, if the group is cancelled
  // meanwhile, kCancelled. Never returns kFull. Inside a task of this group, or
  // of a group made inside one, it does not block but queues `task` beyond the
  // bound: the caller could be waiting for its own slot, and running `task`
  // here could need a lock that the caller holds.
  template <GroupTask F>
  Admission Go(F task) {
    return core_->Submit("Go", task_internal::MakeTask(std::move(task)),
                         group_internal::WhenFull::kBlock);
  }

  // Like Go, but with back-pressure inside a task of this group, for tasks that
  // produce others: if limit and queue are full, it queues `task` and then runs
  // the oldest queued task (which may be `task`) on the calling thread, in the
  // slot of the calling task. So no more tasks run at once than otherwise, the
  // queue does not grow beyond the bound, and nothing is waited for: however
  // many tasks produce, and whatever they wait for, they do not deadlock here.
  // But as the calling thread may run any task of the group, it must hold no
  // lock that these tasks take. There is no back-pressure where no task may
  // start: with the limit 0, or, while all slots are taken, inside a task of
  // another group that was made inside a task of this one, since that task has
  // no slot of this group to offer. Then `task` is queued beyond the bound, as
  // with Go. Outside such tasks it is the same as Go. (Not in the original.)
  template <GroupTask F>
  Admission GoOrHelp(F task) {
    return core_->Submit("GoOrHelp", task_internal::MakeTask(std::move(task)),
                         group_internal::WhenFull::kHelp);
  }

  // Like Go, but never blocks: kFull if there is no place for the task.
  template <GroupTask F>
  [[nodiscard]] Admission TryGo(F task) {
    return core_->Submit("TryGo", task_internal::MakeTask(std::move(task)),
                         group_internal::WhenFull::kRefuse);
  }

  // Blocks until all tasks have ended and no Go is blocked. Returns OK if every
  // accepted task succeeded and none was skipped or refused as cancelled; else
  // the first error; else the cause of the cancellation. A later cancellation
  // does not undo a success that was recorded.
  //
  // May be called any number of times, from any threads. With kHelp it runs
  // tasks of this group meanwhile, nested if these wait as well, but on a
  // bounded stack: beyond some 100 KiB, a helper thread runs them while the
  // calling thread blocks. Inside a task of this group, Wait does not wait for
  // tasks that are themselves waiting here, and does not end the group; such a
  // task lends its slot while it waits, so that more than `limit` tasks may run
  // for a moment after several of them go on. (If a task waits for a group
  // whose tasks wait for it, both block forever.) With kPark, if the executor's
  // Submit refuses to start tasks and no thread of the group is left to run
  // them, it throws what Submit threw; the caller may wait again.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // Like Wait, until `t` by the wall clock: DEADLINE_EXCEEDED if the group has
  // not ended by then. Nothing is cancelled or abandoned, and the caller may
  // wait again. Runs no tasks meanwhile, since these could take longer.
  absl::Status WaitUntil(absl::Time t);

  // Cancels the group. True for the one call that did so; when that call
  // returns, all tasks that had not started are skipped, and callbacks on the
  // context have run. The cause must not be OK.
  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled"));

  // Changes the limit. Raising it starts queued tasks and admits blocked
  // submissions; lowering it lets running tasks finish. Does not block. If the
  // executor's Submit throws, so does this, and the limit is unchanged.
  void SetLimit(int limit);

  // The context that tasks are given. Lives as long as the group, so calling
  // this on a temporary group does not compile.
  const Context& context() const& { return core_->context(); }
  const Context& context() && = delete;

  // The first error with the index of its task; with keep_all_errors, the first
  // kMaxErrors errors in order of completion. A copy: it does not change later.
  std::vector<TaskError> errors() const { return core_->errors(); }

  // The first exception that was captured, for the first caller that asks; null
  // for all others. Only one caller gets it, since sharing an exception between
  // threads is a race on what it points to.
  std::exception_ptr exception() { return core_->TakeException(); }

  Stats stats() const { return core_->stats(); }

 private:
  const group_internal::CoreOwner core_;
};

// neilotoole/errgroup's WithContextN: at most `workers` tasks run at once and
// at most `queue` wait. Values <= 0 mean the number of CPUs, as its
// documentation says. (There: a negative `workers` means one, a negative
// `queue` crashes, and `queue` 0 serialises everything.)
Options WithContextN(int workers, int queue);

// bilibili/kratos's GOMAXPROCS: `n` tasks run at once, and Go never blocks.
// Dies if `n` < 1, as there. Tasks over the limit start as slots free up
// (there: when Wait is called).
Options Gomaxprocs(int n);

}  // namespace cohort::errgroup

#endif  // COHORT_ERRGROUP_GROUP_H_
