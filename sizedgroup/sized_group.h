// Sized groups: they run a bounded number of tasks at once, and collect all
// errors.
//
//   cohort::sizedgroup::ErrSizedGroup group(8);
//   for (const Url& url : urls) {
//     group.Go([&url](const cohort::Context& context) -> absl::Status {
//       return Fetch(context, url);
//     });
//   }
//   absl::Status all = group.Wait();  // every error, not only the first
//
// Use errgroup::Group instead where the first error is the result, and
// sizedgroup::WaitGroup where some of the work cannot be a task.

#ifndef COHORT_SIZEDGROUP_SIZED_GROUP_H_
#define COHORT_SIZEDGROUP_SIZED_GROUP_H_

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/task/task.h"

namespace cohort::sizedgroup {

// What Go does while the group is full.
enum class WhenFull {
  kQueue,   // the task waits in the group's queue, and costs no thread there
  kBlock,   // Go blocks until there is a free slot; Preemptive in go-pkgz/syncs
  kRefuse,  // Go refuses the task: kFull; Discard there
};

struct Options {
  WhenFull when_full = WhenFull::kQueue;

  // Whether the first error cancels the group.
  bool term_on_error = false;

  // The group's context derives from this one, and is given to the tasks.
  Context context = {};

  Exceptions exceptions = Exceptions::kCapture;

  // Where tasks run; null means DefaultExecutor(). The executor must outlive
  // the group's last task, and no task of the group may destroy it.
  Executor* executor = nullptr;

  // For error messages.
  std::string name = "";
};

// Runs tasks, and collects all their errors.
//
// Blocks?         Go does with kBlock, while the group is full; Wait and the
//                 destructor do. All of them announce it with a BlockingScope.
// Cancellation?   The group is cancelled when options.context ends, by Cancel,
//                 and with `term_on_error` by the first error. Tasks that have
//                 not started are skipped, a blocked Go wakes, and later
//                 submissions are refused. Running tasks learn of it through
//                 the context that they are given.
// Order?          Tasks start in the order in which they were submitted;
//                 blocked submissions are served in turn.
// On error?       Errors are collected in the order in which tasks end; see
//                 Wait. What a task returns because it was told to stop
//                 (CANCELLED, the context's status code, or a cause from
//                 outside) is not an error; an error that merely equals another
//                 task's error is collected too. Exceptions: see Exceptions in
//                 group/types.h. If memory runs out, or the executor's Submit
//                 throws, the call throws the same and has changed nothing.
// Thread safety   All methods, from any thread; but not the destructor inside
//                 one of the group's tasks.
// Memory ordering What happened before Go is visible to the task, and what the
//                 task did is visible to a thread that returns from a Wait that
//                 saw it end.
// Destruction     Cancels, then waits for running tasks. Dies if called inside
//                 one of them; but if a task calls exit() and the group is
//                 static, it waits for nobody.
//
// A size below 1 means 1. A null task is a contract violation, and dies.
//
// From go-pkgz/syncs.ErrSizedGroup. What differs: tasks are given the context;
// cancellation reaches tasks that wait for a slot, and a blocked Go; Wait
// reports a cancellation that kept a task from running even if no Go came after
// it; the result of Wait does not change afterwards; the result of Go says what
// it did.
class ErrSizedGroup {
 public:
  explicit ErrSizedGroup(int size, Options options = {})
      : ErrSizedGroup("sizedgroup::ErrSizedGroup", size, std::move(options)) {}

  // Runs `task` in the group: see GroupTask for its forms. Blocks only with
  // kBlock, and not inside a task of this group, or of a group made
  // inside one: it then queues `task` beyond the bound, since the caller could
  // be waiting for its own slot. Returns kFull only with kRefuse.
  template <GroupTask F>
  Admission Go(F task) {
    return core_->Submit("Go", task_internal::MakeTask(std::move(task)),
                         when_full_);
  }

  // Like Go, but with back-pressure inside a task of this group. If the group
  // is full under kBlock, it queues `task` and then runs the oldest
  // queued task on the calling thread, in the slot of the calling task, which
  // must hold no lock that these tasks take. It never waits there, and so
  // cannot deadlock. Elsewhere, and where the caller has no slot to offer (see
  // errgroup::Group::GoOrHelp), it is the same as Go.
  template <GroupTask F>
  Admission GoOrHelp(F task) {
    return core_->Submit("GoOrHelp", task_internal::MakeTask(std::move(task)),
                         when_full_ == group_internal::WhenFull::kBlock
                             ? group_internal::WhenFull::kHelp
                             : when_full_);
  }

  // Blocks until all tasks have ended and no Go is blocked; with kHelp it runs
  // tasks of the group meanwhile. OK if all succeeded and none was skipped or
  // refused as cancelled; else all errors so far as one, with the code of the
  // first and the text
  //
  //   2 error(s) occurred: [0] {e0}, [1] {e1}
  //
  // in the order in which they were recorded. If a cancellation that was not a
  // task's error kept tasks from running, its cause is the last of them. Tasks
  // refused with kRefuse are not errors.
  //
  // May be called any number of times, from any threads and inside tasks, and
  // the group may be used again: it keeps its errors.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // Cancels the group. True for the one call that did so. The cause must not be
  // OK.
  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled"));

  // The context that tasks are given. Lives as long as the group, so calling
  // this on a temporary group does not compile.
  const Context& context() const& { return core_->context(); }
  const Context& context() && = delete;

  // The first kMaxErrors errors with the indices of their tasks, in order of
  // completion. A copy.
  std::vector<TaskError> errors() const { return core_->errors(); }

  // The first exception that was captured, for the first caller that asks; null
  // for all others.
  std::exception_ptr exception() { return core_->TakeException(); }

  Stats stats() const { return core_->stats(); }

 private:
  friend class SizedGroup;
  ErrSizedGroup(const char* type, int size, Options options);

  const group_internal::WhenFull when_full_;
  const group_internal::CoreOwner core_;
};

// Like ErrSizedGroup, for tasks whose errors are of no interest. An error or
// exception that occurs all the same is in errors(), and Wait logs the first.
//
// From go-pkgz/syncs.SizedGroup; the differences are those of ErrSizedGroup.
// (There, a task that is refused or dropped with its slot is lost silently.)
class SizedGroup {
 public:
  explicit SizedGroup(int size, Options options = {})
      : group_("sizedgroup::SizedGroup", size, std::move(options)) {}

  template <GroupTask F>
  Admission Go(F task) {
    return group_.Go(std::move(task));
  }

  template <GroupTask F>
  Admission GoOrHelp(F task) {
    return group_.GoOrHelp(std::move(task));
  }

  // Blocks until all tasks have ended and no Go is blocked.
  void Wait(WaitPolicy policy = WaitPolicy::kHelp);

  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled")) {
    return group_.Cancel(std::move(cause));
  }
  const Context& context() const& { return group_.context(); }
  const Context& context() && = delete;
  std::vector<TaskError> errors() const { return group_.errors(); }
  std::exception_ptr exception() { return group_.exception(); }
  Stats stats() const { return group_.stats(); }

 private:
  ErrSizedGroup group_;
};

}  // namespace cohort::sizedgroup

#endif  // COHORT_SIZEDGROUP_SIZED_GROUP_H_
