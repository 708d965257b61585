// The engine under every group: admission, slots, outcomes, waiting. Internal:
// each package on top is a thin policy over it.
//
// A group keeps its own queue. For each task that may start it sends a runner
// to the executor, which takes the oldest queued task when it arrives. So a
// waiter can run tasks of its group, and only of its group, without the
// executor's help; a runner that finds no task ends. A runner holds a reference
// to the core, never to the group, which may be gone by then.
//
// The end of a task has these steps (each is visible before the next): the
// outcome is recorded; siblings are cancelled; the slot is freed and passed on;
// the task is counted as ended, and waiters are notified.

#ifndef COHORT_GROUP_INTERNAL_CORE_H_
#define COHORT_GROUP_INTERNAL_CORE_H_

#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/group/internal/lineage.h"
#include "cohort/group/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"
#include "cohort/task/task.h"

namespace cohort::group_internal {

using task_internal::Task;

struct Policy {
  std::string type = "";  // the owner of this core, for messages:
                          // "errgroup::Group"
  std::string name = "";  // the name that the user gave it; may be empty
  int limit = kUnlimited;
  int queue = 0;
  bool cancel_on_error = true;
  bool run_after_cancel = false;
  bool keep_all_errors = false;
  // Whether the end of Wait ends the context, and so the group.
  bool wait_ends_group = true;
  Exceptions exceptions = Exceptions::kCapture;
  Executor* executor = nullptr;  // null: DefaultExecutor()
  // Skips all expected tasks once the group has been cancelled. Runs on the
  // thread that cancels, or on one that waits, and possibly more than once.
  std::function<void()> skip_expected = nullptr;
};

// kHelp: inside a task of the group, the submitting thread runs a queued task,
// in the slot of its own task; elsewhere it blocks.
enum class WhenFull { kBlock, kRefuse, kHelp };

// Whether `status` is what a task returns because it was told to stop: such an
// echo is not an error of its own. If the context was ended by `own_error`, the
// error of another task, a status that equals `own_error` is not an echo: it
// may be an error as well.
bool IsEcho(const absl::Status& status, const Context& context,
            const absl::Status& own_error = absl::OkStatus());

class Core {
 public:
  struct Entry {
    Task task = nullptr;
    int64_t index = 0;  // its position among accepted tasks, from 0
    // For a task that was Delivered: true until a thread has taken it. Guarded
    // by the core's mutex.
    bool queued = false;
  };
  // With lists of one element, entries change hands without moving: a move
  // would run the user's move constructor under the lock.
  using Entries = std::list<Entry>;

  // Holds the tasks that a thread has removed while it destroys them; lives on
  // that thread's stack. After its destructor they are destroyed, and count as
  // skipped.
  class Skipped;

  // A running task, on the stack of its thread. The task may wait for a group,
  // and so have other frames within its own.
  class Frame;

  // A core whose context derives from `parent`. Dies on a negative size.
  static sync::RefPtr<Core> Create(const Context& parent, Policy policy);

  void Ref() const { references_.Ref(); }
  void Unref();

  // Submits `task`; `method` is for the message if it is null. Does not block
  // with kRefuse, nor inside a task of this group. Throws what the executor's
  // Submit throws: the task has then not been accepted.
  Admission Submit(const char* method, Task task, WhenFull when_full);

  // Like Submit, for work that runs elsewhere: it holds a slot, like a running
  // task, from kAccepted until Leave. Only for a core without a queue: there, a
  // place is always a slot.
  Admission Enter(WhenFull when_full);
  void Leave();

  // Accepts a task that comes later, when it is Delivered, and returns its
  // index; none if the group is cancelled. The task counts as queued meanwhile.
  // Never blocks.
  std::optional<int64_t> Expect();
  // Queues a task that was expected, in the list element `entry`, and leaves
  // `entry` empty. `task` makes the task: under the lock, and only if it is
  // queued. False if the group has been cancelled: the caller must then Skip
  // its expected tasks, and must notice the cancellation by itself, since
  // otherwise the group never ends. After true, call SendDelivered, with no
  // lock held.
  [[nodiscard]] bool Deliver(Entries& entry, absl::FunctionRef<Task()> task,
                             int64_t* runners);
  void SendDelivered(int64_t runners);
  // Withdraws one expected task, which the caller must destroy before
  // `skipped`. That does not make Wait fail.
  void Withdraw(Skipped& skipped);
  // The same for a task that was Delivered and whose entry still exists. False
  // if a thread has taken it, to run or to skip it.
  [[nodiscard]] bool WithdrawDelivered(Entries::iterator task,
                                       Skipped& skipped);
  // Like Withdraw, because of a cancellation: this makes Wait fail.
  void Skip(Skipped& skipped);
  // Whether the calling thread is destroying skipped tasks. It then must not
  // wait for any task, since it could be waiting for itself.
  bool Skips() const;

  // The innermost task that the calling thread is executing; null if there is
  // none. Pass it to Includes only while the thread is still inside that task.
  static const Frame* Innermost();
  // Whether `innermost`, or a task around it, is the `index`-th task of this
  // core.
  bool Includes(const Frame* innermost, int64_t index) const;

  // Calls `wait`, which blocks until a task has ended. A task that calls this
  // counts as waiting for the group: it lends its slot, and a Wait inside
  // another task does not wait for it.
  void LendSlots(absl::FunctionRef<void()> wait);

  absl::Status Wait(WaitPolicy policy);
  // DEADLINE_EXCEEDED if the group is not done at `deadline`. Runs no tasks,
  // since these could take longer.
  absl::Status WaitUntil(sync::SteadyTime deadline);

  // Dies if the cause is OK.
  bool Cancel(absl::Status cause);
  // Throws what the executor's Submit throws: the limit is then unchanged.
  void SetLimit(int limit);

  // The destructor of a group: cancels, waits, and detaches the core from the
  // tree. Dies inside a task of the group; but inside exit(), leaves everything
  // as it is for good, and returns false.
  bool Close();

  const Context& context() const { return scope_.context(); }
  std::vector<TaskError> errors() const;
  // Whether the cancellation skipped, refused or ended a task.
  bool cut_short() const;
  // Whether a Wait that ends the group has returned.
  bool ended() const;
  std::exception_ptr TakeException();
  Stats stats() const;

 private:
  struct Parked;  // a submission that blocks
  class Runner;   // the object that is sent to the executor

  Core(const Context& parent, Policy policy);
  ~Core() = default;

  void CheckSize(const char* what, int size) const;
  // The uppermost frame of this group, from `from` downwards; null if there is
  // none.
  Frame* OwnFrame(Frame* from) const;
  // Whether a task of this group is running on the calling thread's stack.
  bool InsideTask() const;
  // Whether InsideTask() holds, or the calling thread runs a task of a group
  // that was made inside a task of this group, and so on, and that task still
  // runs: it then holds a slot for as long as it waits for the inner group.
  bool InsideTaskTree() const;
  // Whether outstanding tasks cannot end before the caller continues: it is
  // inside one of them, or its thread is destroying one.
  bool HeldByCaller() const;

  bool RefusesWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasPlace() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Admits a task; or, if `entry` is empty, work elsewhere.
  Admission Admit(Entries entry, WhenFull when_full);
  void Accept(Entries& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AcceptParked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Undoes Accept for the task with this index, unless a thread has taken it.
  bool TakeBack(int64_t index, Entries& entry);
  // If the calling thread is in a task of this group, lends that task's slot to
  // the oldest queued task. Takes the oldest queued task. Returns whether there
  // is one; `*host` is the lender, or null.
  bool TakeForOneself(Entries& entry, Frame** host)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs a task that TakeForOneself took.
  void Help(Entries& entry, Frame* host);

  // The number of tasks that may start now.
  int64_t Startable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there are such tasks, and no thread in the group, or on its way, to
  // run them. Only if the executor does not take runners.
  bool Abandoned() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The runners that are coming, each counted once.
  int64_t RunnersToRelyOn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many runners must be sent so that each startable task has one; they
  // then count as coming. Also wakes helpers for those tasks, except for the
  // `here` that the caller runs itself. Call it after every change that lets
  // more tasks start.
  int64_t ClaimRunners(int64_t here = 0) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `self` may be null if `count` is 0. Throws what the executor's Submit
  // throws; runners that were not sent no longer count as coming.
  static void SendRunners(sync::RefPtr<Core> self, int64_t count,
                          bool urgent = false);
  // The same, for callers that must not throw: returns that exception.
  static std::exception_ptr TrySendRunners(sync::RefPtr<Core> self,
                                           int64_t count, bool urgent = false);
  // `count` runners that counted as coming never will come.
  void LoseRunners(int64_t count);
  // Called by a wait: throws only if no thread is left to start what is queued.
  void SendFromWait(int64_t runners, bool help);
  void Run();
  // For a thread that counts as coming, and should make way for other groups:
  // sends a runner in its place. False if the executor takes none.
  bool HandOver();

  // Takes a slot and the oldest task, if there are both.
  bool Take(Entries& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs a task that was taken, in the slot of `host` if that is not null. True
  // if the caller must look for more tasks: it then counts as a runner that is
  // coming.
  bool RunTaken(Entries& entry, Frame* host = nullptr);
  absl::Status Invoke(Entry& entry, std::exception_ptr& exception);
  // Returns the group's first error, which may be this one; OK if this is an
  // echo of the cancellation. Takes the exception if it is the first.
  absl::Status RecordError(int64_t index, const absl::Status& status,
                           std::exception_ptr& exception);

  void OnCancelled();
  // Called when the context is done: wakes waiters, and refuses parked
  // submissions.
  void OnDone();
  // Skips all tasks that have not started, and refuses parked submissions.
  void DropQueued();
  void RefuseParked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginDrop(Skipped& skipped, int64_t count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool DropsHere() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  int64_t Outstanding() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether a Wait that began in `round` is over; `inside`: inside a task of
  // this group.
  bool Finished(bool inside, int64_t round) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the group is being destroyed, and its remaining tasks need a limit
  // above 0 to start: nobody is left to set one.
  bool Stranded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeIfFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status DoWait(bool help, sync::SteadyTime deadline);
  // Runs tasks or blocks until the wait is over, or the deadline.
  void AwaitEnd(bool inside, int64_t round, bool help,
                sync::SteadyTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Calls `f` without the lock.
  void WithoutLock(absl::FunctionRef<void()> f) ABSL_NO_THREAD_SAFETY_ANALYSIS
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Blocks until the wait is over, until the deadline, or until there is work
  // for the caller: with `help` a task to run, else a runner to send. True
  // after the deadline. Also ends when the group is cancelled, unless `told`.
  bool Park(bool inside, int64_t round, bool help, bool told,
            sync::SteadyTime deadline);
  // Whether the context is done, or due.
  bool IsOver() const;
  absl::Status Result() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status EndedByWait() const;
  // Counts the tasks of this group on the calling thread's stack as waiting for
  // the group, so that no wait waits for them or for their slots. Returns how
  // many it counted; LeaveSelfWait undoes it.
  int64_t EnterSelfWait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LeaveSelfWait(int64_t count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string Label() const;

  const Policy policy_;
  Executor& executor_;
  const sync::RefPtr<Lineage> maker_;  // the task that made this, if one did
  sync::RefCount references_;

  mutable sync::Mutex mutex_;
  sync::CondVar finished_;  // for waiters that only wait
  sync::CondVar work_;      // for waiters that also run tasks

  int limit_ ABSL_GUARDED_BY(mutex_);
  Entries queue_ ABSL_GUARDED_BY(mutex_);
  std::list<Parked*> parked_ ABSL_GUARDED_BY(mutex_);
  int64_t running_ ABSL_GUARDED_BY(mutex_) = 0;     // also the number of slots
                                                    // taken
  int64_t expected_ ABSL_GUARDED_BY(mutex_) = 0;    // accepted, not Delivered
  int64_t delivering_ ABSL_GUARDED_BY(mutex_) = 0;  // not yet SendDelivered
  int64_t dropping_ ABSL_GUARDED_BY(mutex_) = 0;  // skipped, not yet destroyed
  int64_t runners_coming_ ABSL_GUARDED_BY(mutex_) = 0;
  // How many of runners_coming_ replace a runner that is still counted as well.
  int64_t handing_over_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t helpers_ ABSL_GUARDED_BY(mutex_) = 0;  // blocked on work_
  // Tasks that wait for the group, and each lend their slot meanwhile.
  int64_t self_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  // How many times all outstanding tasks were tasks that wait for the group.
  int64_t rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  // Threads that are destroying skipped tasks.
  sync::LinkedList<Skipped> drops_ ABSL_GUARDED_BY(mutex_);

  int64_t next_index_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t accepted_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t succeeded_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t skipped_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t errors_dropped_ ABSL_GUARDED_BY(mutex_) = 0;

  bool cut_short_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // accepts nothing any more
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  int64_t first_index_ ABSL_GUARDED_BY(mutex_) = 0;  // of the task that
                                                     // returned it
  std::vector<TaskError> more_errors_ ABSL_GUARDED_BY(mutex_);
  bool had_exception_ ABSL_GUARDED_BY(mutex_) = false;
  std::exception_ptr exception_ ABSL_GUARDED_BY(mutex_);  // until it is taken

  // Last, and in this order: the callback uses all of the above.
  CancelScope scope_;
  DoneCallback on_cancelled_;
  ContextWatch watch_;
};

class Core::Skipped : public sync::ListHook<Skipped> {
 public:
  explicit Skipped(Core& core) : core_(core) {}
  ~Skipped();
  Skipped(const Skipped&) = delete;
  Skipped& operator=(const Skipped&) = delete;

 private:
  friend class Core;

  Core& core_;
  const sync::ThreadId thread_ = sync::CurrentThreadId();
  Entries tasks_;
  int64_t count_ = 0;  // including tasks without an entry
};

// Owns a Core, and closes it when the group is destroyed.
class CoreOwner {
 public:
  CoreOwner(const Context& parent, Policy policy)
      : core_(Core::Create(parent, std::move(policy))) {}
  ~CoreOwner() { core_->Close(); }
  CoreOwner(const CoreOwner&) = delete;
  CoreOwner& operator=(const CoreOwner&) = delete;

  Core* get() const { return core_.get(); }
  Core* operator->() const { return core_.get(); }
  Core& operator*() const { return *core_; }

 private:
  const sync::RefPtr<Core> core_;
};

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_CORE_H_
