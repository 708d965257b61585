// Groups that run at most so many tasks at once, and take any number.
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
// sizedgroup::WaitGroup where not all of the work can be a task.

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
  kBlock,   // Go blocks until there is a free slot; the original's Preemptive
  kRefuse,  // Go refuses the task: kFull; the original's Discard
};

struct Options {
  WhenFull when_full = WhenFull::kQueue;

  // The first error cancels the group.
  bool term_on_error = false;

  // The group's context derives from this one, and is given to the tasks.
  Context context = {};

  Exceptions exceptions = Exceptions::kCapture;

  // Where tasks run; null means DefaultExecutor(). Must outlive the group's
  // last task, and may not be destroyed by one.
  Executor* executor = nullptr;

  // For error messages.
  std::string name = "";
};

// Runs tasks whose errors are all wanted.
//
// Blocks?         Go does with kBlock, while the group is full; Wait and
//                 the destructor do. All of them announce it with a
//                 BlockingScope.
// Cancellation?   Of options.context, by Cancel, or with `term_on_error` by the
//                 first error. Tasks that have not started are skipped, a
//                 blocked Go wakes, and later submissions are refused. Running
//                 tasks are told through the context that they are given.
// Order?          Tasks start in the order in which they were submitted,
//                 blocked submissions being served in turn.
// On error?       Errors are collected in the order in which tasks end; see
//                 Wait. What a task returns because it was told to stop
//                 (CANCELLED, the context's status code, or a cause from
//                 outside) is none; what equals the error of another task is
//                 one. An exception counts as kInternal, with its type and
//                 what(), and so does a task that ends its thread
//                 (pthread_exit), except with Exceptions::kTerminate or without
//                 exceptions: that terminates the process. The thread may be
//                 that of a Wait that helps, which then never returns;
//                 Wait(kPark) always does. Where memory runs out, or the
//                 executor's Submit throws, the call throws that, and has
//                 changed nothing.
// Thread safety   All methods, from any thread; the destructor not inside one
//                 of the group's tasks.
// Memory ordering What happened before Go is visible to the task, and what the
//                 task did to whoever returns from a Wait that saw it end.
// Destruction     Cancels, then waits for running tasks. Dies inside one of
//                 these, but not where a task calls exit() and the group is
//                 static: it then waits for nobody.
//
// A size below 1 means 1. A null task is a contract violation, and dies.
//
// From go-pkgz/syncs.ErrSizedGroup. What differs: tasks are given the context;
// cancellation reaches tasks that wait for a slot, and a blocked Go; Wait tells
// of a cancellation that kept a task from running even if no Go came after it;
// what Wait returned does not change afterwards; Go says what it did.
class ErrSizedGroup {
 public:
  explicit ErrSizedGroup(int size, Options options = {})
      : ErrSizedGroup("sizedgroup::ErrSizedGroup", size, std::move(options)) {}

  // Runs `task` in the group: see GroupTask for its forms. Blocks only with
  // kBlock, and not inside a task of this group, or of a group made
  // inside one: it is then queued beyond the bound, since to wait for a slot
  // could be to wait for oneself. kFull only with kRefuse.
  template <GroupTask F>
  Admission Go(F task) {
    return core_->Submit("Go", task_internal::MakeTask(std::move(task)),
                         when_full_);
  }

  // The same with back-pressure inside a task of this group. With kBlock and a
  // full group, it queues `task` and then runs the oldest queued one on the
  // calling thread, in the slot of the calling task, which must hold no lock
  // that these take. It never waits there, and so is no deadlock. Elsewhere,
  // and where it has no slot to offer (see errgroup::Group::GoOrHelp), it is
  // Go.
  template <GroupTask F>
  Admission GoOrHelp(F task) {
    return core_->Submit("GoOrHelp", task_internal::MakeTask(std::move(task)),
                         when_full_ == group_internal::WhenFull::kBlock
                             ? group_internal::WhenFull::kHelp
                             : when_full_);
  }

  // Blocks until all tasks have ended and no Go is blocked, running tasks of
  // the group meanwhile with kHelp. OK if all succeeded and none was skipped or
  // refused as cancelled; else all errors so far as one, with the code of the
  // first and the text
  //
  //   2 error(s) occurred: [0] {e0}, [1] {e1}
  //
  // in the order in which they came. If a cancellation that was no error of a
  // task kept tasks from running, its cause is the last of them. Tasks refused
  // with kRefuse are no error.
  //
  // May be called any number of times, from any threads and inside tasks, and
  // the group may be used again: errors stay.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // Cancels the group. True for the one call that did. The cause must not be
  // OK.
  bool Cancel(absl::Status cause = absl::CancelledError("group cancelled"));

  // The context that tasks are given. Lives as long as the group, so asking a
  // temporary one for it does not compile.
  const Context& context() const& { return core_->context(); }
  const Context& context() && = delete;

  // The first kMaxErrors errors with the indices of their tasks, in the order
  // of completion. A copy.
  std::vector<TaskError> errors() const { return core_->errors(); }

  // The first exception that was captured, to the one caller who asks first;
  // null for all others.
  std::exception_ptr exception() { return core_->TakeException(); }

  Stats stats() const { return core_->stats(); }

 private:
  friend class SizedGroup;
  ErrSizedGroup(const char* type, int size, Options options);

  const group_internal::WhenFull when_full_;
  const group_internal::CoreOwner core_;
};

// The same for tasks whose errors nobody wants. An error or exception that
// comes all the same is in errors(), and Wait writes the first to the log.
//
// From go-pkgz/syncs.SizedGroup; what differs is as above. (There, a task that
// is refused or dropped with its slot is lost without a word.)
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
