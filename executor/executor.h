// Where tasks run.
//
// An Executor takes tasks and runs each of them once. What it promises about
// *when* is what tells executors apart; docs/progress.md compares them:
//
//   DefaultExecutor()  every task starts in bounded time, whatever the running
//                      ones block on. Use this unless you have a reason.
//   ElasticPool        the same promise, in a pool of your own.
//   ThreadPerTask      the same promise, with a fresh thread for each task.
//   FixedPool          at most n threads, and no such promise: n tasks that
//                      wait for a queued one wait for ever.
//
// All of them are in pools.h. Groups never need more of an executor than this
// header, so a pool that you already have needs only an adapter of one method.

#ifndef COHORT_EXECUTOR_EXECUTOR_H_
#define COHORT_EXECUTOR_EXECUTOR_H_

#include <utility>

#include "absl/functional/any_invocable.h"

namespace cohort {

// Blocks?         Nothing here does.
// Cancellation?   None: an accepted task runs. Groups put cancellation on top.
// Order?          Up to the implementation; cohort's start tasks in the order
//                 of Submit, and urgent ones before the others.
// On error?       A task has nowhere to return one to: an exception that leaves
//                 it terminates the process. (Groups catch before that.) Submit
//                 may throw instead of taking a task: see there.
// Thread safety   All methods may be called from any thread at any time.
// Memory ordering What happened before Submit is visible to the task.
// Destruction     The implementation says. cohort's run every task they took.
class Executor {
 public:
  using Task = absl::AnyInvocable<void() &&>;

  virtual ~Executor() = default;

  // Takes `task` to run it once on a thread of the executor: never within this
  // call, since the caller may hold locks that the task wants. Does not block.
  // A null task is a contract violation.
  //
  // May throw, as cohort's executors do where there is no memory: the task is
  // then destroyed unrun, and nothing else has changed. A call of a group that
  // submits a task throws the same and has not accepted it; where a group wants
  // to go on with tasks that it has accepted, it makes do with the threads that
  // are in it, as its header says.
  virtual void Submit(Task task) = 0;

  // The same for what the passing of time has made due: callbacks on a
  // deadline, timed tasks. An executor that can lets it go ahead of what waits
  // for a thread, but not for ever. By default it is a Submit.
  virtual void SubmitUrgent(Task task) { Submit(std::move(task)); }

  // The executor whose task the calling thread is running, else null.
  static Executor* Current();

 protected:
  // Implementations keep one of these on the stack of each thread that runs
  // their tasks. It makes Current() and BlockingScope find the executor.
  class WorkerScope {
   public:
    explicit WorkerScope(Executor* executor);
    ~WorkerScope();
    WorkerScope(const WorkerScope&) = delete;
    WorkerScope& operator=(const WorkerScope&) = delete;

   private:
    Executor* const outer_;
    const int outer_depth_;
  };

 private:
  friend class BlockingScope;

  // The task that runs on the calling thread, which is a worker of this
  // executor, is about to wait for something, or has stopped waiting. An
  // executor that promises progress replaces the thread meanwhile. Must not
  // throw.
  virtual void BlockingBegan() {}
  virtual void BlockingEnded() {}
};

// Announces that the calling thread is about to block, for as long as the scope
// lives: in a system call, on a lock that is held for long, in a library that
// waits. If tasks are queued and no thread is free to run them, the executor
// starts one at once instead of noticing some milliseconds later.
//
//   cohort::BlockingScope blocking;
//   read(fd, buffer, size);
//
// cohort's own waits announce themselves. Never blocks, may nest, costs nothing
// on a thread that belongs to no executor.
class [[nodiscard]] BlockingScope {
 public:
  BlockingScope();
  ~BlockingScope();
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

 private:
  Executor* const executor_;  // null where there is nothing to announce
};

}  // namespace cohort

#endif  // COHORT_EXECUTOR_EXECUTOR_H_
