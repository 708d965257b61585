// Executors: the interface of a thread pool, on which tasks run.
//
// An Executor takes tasks and runs each of them once. Executors differ in what
// they promise about *when* a task runs; docs/progress.md compares them:
//
//   DefaultExecutor()  every task starts in bounded time, whatever the running
//                      ones block on. Use this unless you have a reason.
//   ElasticPool        the same promise, in a pool of your own.
//   ThreadPerTask      the same promise, with a fresh thread for each task.
//   FixedPool          at most n threads, and no such promise: n tasks that
//                      wait for a queued one block forever.
//
// All of them are in pools.h. Groups need no more of an executor than this
// header, so an existing pool needs only an adapter with one method.

#ifndef COHORT_EXECUTOR_EXECUTOR_H_
#define COHORT_EXECUTOR_EXECUTOR_H_

#include <utility>

#include "absl/functional/any_invocable.h"

namespace cohort {

// Blocks?         No method does.
// Cancellation?   None: an accepted task runs. Groups add cancellation.
// Order?          The implementation decides; cohort's executors start tasks in
//                 the order of Submit, and urgent ones before the others.
// On error?       A task cannot return an error: an exception that leaves it
//                 terminates the process. (Groups catch it before that.) Submit
//                 may throw instead of taking a task: see there.
// Thread safety   All methods may be called from any thread at any time.
// Memory ordering What happened before Submit is visible to the task.
// Destruction     The implementation decides. cohort's executors run every task
//                 that they took.
class Executor {
 public:
  using Task = absl::AnyInvocable<void() &&>;

  virtual ~Executor() = default;

  // Takes `task`, to run it once on a thread of the executor: never within this
  // call, since the caller may hold locks that the task needs. Does not block.
  // A null task is a contract violation.
  //
  // May throw, as cohort's executors do when memory runs out: the task is then
  // destroyed without having run, and nothing else has changed. A call of a
  // group that submits a task throws the same, and has not accepted the task.
  // If Submit throws when a group needs a thread for tasks that it has already
  // accepted, the group makes do with the threads that are in it, as its header
  // says.
  virtual void Submit(Task task) = 0;

  // Like Submit, for work that has become due: callbacks on a deadline, timed
  // tasks. An executor that can do so starts it before the tasks that wait for
  // a thread, but must not starve those. By default the same as Submit.
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

  // The task that runs on the calling thread, a worker of this executor, is
  // about to wait for something, or has stopped waiting. An executor that
  // promises progress replaces the thread meanwhile. Must not throw.
  virtual void BlockingBegan() {}
  virtual void BlockingEnded() {}
};

// Announces that the calling thread is about to block, for as long as the scope
// lives: in a system call, on a lock that is held for long, or in a library
// that waits. If tasks are queued and no thread is free to run them, the
// executor starts a thread at once instead of noticing some milliseconds later.
//
//   cohort::BlockingScope blocking;
//   read(fd, buffer, size);
//
// cohort's own waits announce themselves. Never blocks; may nest; costs nothing
// on a thread that belongs to no executor.
class [[nodiscard]] BlockingScope {
 public:
  BlockingScope();
  ~BlockingScope();
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

 private:
  Executor* const executor_;  // null if there is nothing to announce
};

}  // namespace cohort

#endif  // COHORT_EXECUTOR_EXECUTOR_H_
