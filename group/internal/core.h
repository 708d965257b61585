// The engine under every group: admission, slots, outcomes, waiting. Internal:
// each package on top is a thin policy over it.
//
// A group keeps its own queue. For each task that may start it sends a runner
// to the executor, which takes the oldest queued task when it arrives. So a
// waiter can run tasks of its group, and only of its group, without the
// executor's help; a runner that finds nothing left goes home. A runner holds a
// reference to the core, never to the group, which may be gone by then.
//
// What happens at a task's end, in this order (each step is visible before the
// next one): the outcome is recorded; siblings are cancelled; the slot is freed
// and handed on; the task is counted out, and waiters learn of it.

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
  std::string type = "";  // whose core this is, for messages: "errgroup::Group"
  std::string name = "";  // the user's name for it; may be empty
  int limit = kUnlimited;
  int queue = 0;
  bool cancel_on_error = true;
  bool run_after_cancel = false;
  bool keep_all_errors = false;
  // Whether the end of Wait ends the context, and so the group.
  bool wait_ends_group = true;
  Exceptions exceptions = Exceptions::kCapture;
  Executor* executor = nullptr;  // DefaultExecutor()
  // Skips all tasks that are expected, once the group has been cancelled. Runs
  // on the thread of whoever cancels, or of one who waits, and perhaps again.
  std::function<void()> skip_expected = nullptr;
};

// kHelp: inside a task of the group, whose own slot it is then, the submitting
// thread runs a queued task; elsewhere it blocks.
enum class WhenFull { kBlock, kRefuse, kHelp };

// Whether `status` is what a task returns because it was told to stop: that is
// no error of its own. If what ended the context was `own_error`, an error of
// another task, a status that equals it is no echo: it may be an error as well.
bool IsEcho(const absl::Status& status, const Context& context,
            const absl::Status& own_error = absl::OkStatus());

class Core {
 public:
  struct Entry {
    Task task = nullptr;
    int64_t index = 0;  // the how many-th that was accepted, from 0
    // Of one that was Delivered, until a thread has taken it. Guarded by the
    // core's mutex.
    bool queued = false;
  };
  // In lists of their own, entries change hands without moving: a move would
  // run the user's move constructor under the lock.
  using Entries = std::list<Entry>;

  // What a thread that takes tasks out keeps on its stack while it destroys
  // them. With the destructor they are gone, and count as skipped.
  class Skipped;

  // A task that runs, on the stack of its thread. It may wait for a group, and
  // so have others within it.
  class Frame;

  // A core whose context derives from `parent`. Dies on a negative size.
  static sync::RefPtr<Core> Create(const Context& parent, Policy policy);

  void Ref() const { references_.Ref(); }
  void Unref();

  // Submits `task`; `method` is for the message if it is null. Blocks not with
  // kRefuse, and not inside a task of this group. Throws what the executor's
  // Submit does: the task has then not been accepted.
  Admission Submit(const char* method, Task task, WhenFull when_full);

  // The same for work that runs elsewhere: it holds a slot, as a task that
  // runs, from kAccepted until Leave. Only for a core without a queue: whoever
  // has a place there has a slot.
  Admission Enter(WhenFull when_full);
  void Leave();

  // Accepts a task that comes later, when it is Delivered, and returns its
  // index; none if the group is cancelled. It counts as queued meanwhile. Never
  // blocks.
  std::optional<int64_t> Expect();
  // Queues one that was expected, in the place that `entry` is, and leaves that
  // empty. `task` makes it: under the lock, and only if it is queued. False if
  // the group has been cancelled: whoever expects any has to Skip them then,
  // and to look out for the cancellation, since nothing else lets the group
  // end. After true, SendDelivered has to come, with no lock held.
  [[nodiscard]] bool Deliver(Entries& entry, absl::FunctionRef<Task()> task,
                             int64_t* runners);
  void SendDelivered(int64_t runners);
  // Takes one back that was expected, and that the caller destroys before
  // `skipped`. That does not make Wait fail.
  void Withdraw(Skipped& skipped);
  // The same for one that was Delivered, and whose entry is still there. False
  // if a thread has taken it, to run or to skip it.
  [[nodiscard]] bool WithdrawDelivered(Entries::iterator task,
                                       Skipped& skipped);
  // As Withdraw, because of a cancellation, and so a reason for Wait to fail.
  void Skip(Skipped& skipped);
  // Whether the calling thread destroys tasks that are skipped. Waiting for any
  // task could be waiting for itself then.
  bool Skips() const;

  // The innermost task that the calling thread is in the middle of; null if it
  // is in none. To be handed to Includes as long as the thread stays there.
  static const Frame* Innermost();
  // Whether that one, or one that it is within, is the `index`-th of this core.
  bool Includes(const Frame* innermost, int64_t index) const;

  // Calls `wait`, which blocks until a task has ended. A task that does so
  // counts as one that waits for the group: it lends its slot, and those who
  // Wait inside other tasks do not wait for it.
  void LendSlots(absl::FunctionRef<void()> wait);

  absl::Status Wait(WaitPolicy policy);
  // DEADLINE_EXCEEDED if the group is not done at `deadline`. Runs no tasks,
  // since these might take longer.
  absl::Status WaitUntil(sync::SteadyTime deadline);

  // Dies if the cause is OK.
  bool Cancel(absl::Status cause);
  // Throws what the executor's Submit does: the limit is then as before.
  void SetLimit(int limit);

  // What a group's destructor does: cancels, waits, and cuts the core off from
  // the tree. Dies inside a task of the group; if that is in exit(), leaves all
  // as it is instead, for good, and returns false.
  bool Close();

  const Context& context() const { return scope_.context(); }
  std::vector<TaskError> errors() const;
  // Whether something was skipped, refused or ended by the cancellation.
  bool cut_short() const;
  // Whether a Wait that ends the group has returned.
  bool ended() const;
  std::exception_ptr TakeException();
  Stats stats() const;

 private:
  struct Parked;  // a submission that blocks
  class Runner;   // what is sent to the executor

  Core(const Context& parent, Policy policy);
  ~Core() = default;

  void CheckSize(const char* what, int size) const;
  // The uppermost frame of this group, from `from` downwards; null if none is.
  Frame* OwnFrame(Frame* from) const;
  // Whether a task of this group runs below on the calling thread's stack.
  bool InsideTask() const;
  // Whether that holds, or the calling thread runs a task of a group that was
  // made inside a task of this group, and so on, and that task still runs. It
  // then holds a slot for as long as it waits for the inner group.
  bool InsideTaskTree() const;
  // Whether what is outstanding cannot end before the caller goes on: a task in
  // which it is, or which its thread destroys.
  bool HeldByCaller() const;

  bool RefusesWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasPlace() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a task, or of work elsewhere, for which there is no entry.
  Admission Admit(Entries entry, WhenFull when_full);
  void Accept(Entries& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AcceptParked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Undoes Accept for the task with this index, unless it has been taken.
  bool TakeBack(int64_t index, Entries& entry);
  // Lends the slot of the task that the calling thread is in, if it is in one
  // of this group's, to the oldest queued task, and takes that. Returns whether
  // there is one; `*host` is the lender, or null.
  bool TakeForOneself(Entries& entry, Frame** host)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs what was taken so.
  void Help(Entries& entry, Frame* host);

  // Tasks that may start now.
  int64_t Startable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there are such tasks, and no thread that is in the group, or on its
  // way, to run them. Only where the executor does not take a runner.
  bool Abandoned() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those that are coming, each counted once.
  int64_t RunnersToRelyOn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many runners have to be sent so that each of these has one; they then
  // count as coming. Wakes helpers for them too, except for so many that the
  // caller takes itself. To be called after every change that lets more start.
  int64_t ClaimRunners(int64_t here = 0) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `self` may be null if `count` is 0. Throws what the executor's Submit does;
  // what has not been sent does not count as coming any more.
  static void SendRunners(sync::RefPtr<Core> self, int64_t count,
                          bool urgent = false);
  // The same, for whoever must not throw: returns that exception.
  static std::exception_ptr TrySendRunners(sync::RefPtr<Core> self,
                                           int64_t count, bool urgent = false);
  // Runners that were coming never will.
  void LoseRunners(int64_t count);
  // From a wait: throws only where nobody is left to start what is queued.
  void SendFromWait(int64_t runners, bool help);
  void Run();
  // For a thread that counts as coming, and should make way for other groups:
  // sends a runner instead. False if the executor takes none.
  bool HandOver();

  // Takes a slot and the oldest task, if there are both.
  bool Take(Entries& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs what was taken, in the slot of `host` if that is not null. True if the
  // caller has to look for more: it then counts as a runner that is coming.
  bool RunTaken(Entries& entry, Frame* host = nullptr);
  absl::Status Invoke(Entry& entry, std::exception_ptr& exception);
  // Returns the group's first error, which may be this one; OK if this is an
  // echo of the cancellation. Takes the exception, if it is the first.
  absl::Status RecordError(int64_t index, const absl::Status& status,
                           std::exception_ptr& exception);

  void OnCancelled();
  // The context is done: wakes those who wait, and refuses those who are
  // parked.
  void OnDone();
  // Skips all that has not started, and refuses those who are parked.
  void DropQueued();
  void RefuseParked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginDrop(Skipped& skipped, int64_t count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool DropsHere() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  int64_t Outstanding() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether a Wait is over that began in `round`, inside a task of this group
  // or outside.
  bool Finished(bool inside, int64_t round) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the group is being destroyed, and what is left of it needs a limit
  // above 0 to start: nobody is there to set one.
  bool Stranded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeIfFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status DoWait(bool help, sync::SteadyTime deadline);
  // Until the wait is over, or the deadline: runs tasks, or blocks.
  void AwaitEnd(bool inside, int64_t round, bool help,
                sync::SteadyTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Calls `f` without the lock.
  void WithoutLock(absl::FunctionRef<void()> f) ABSL_NO_THREAD_SAFETY_ANALYSIS
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Blocks until the wait is over, the deadline, or until there is something to
  // do: with `help` a task to run, else a runner to send. True after the
  // deadline. Ends also when the group is cancelled, unless that was told.
  bool Park(bool inside, int64_t round, bool help, bool told,
            sync::SteadyTime deadline);
  // Whether the context is done, or due.
  bool IsOver() const;
  absl::Status Result() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status EndedByWait() const;
  // Counts tasks of this group below on the calling thread's stack as waiting
  // for the group, so that nobody waits for them or for their slots; returns
  // how many. The opposite takes that back.
  int64_t EnterSelfWait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LeaveSelfWait(int64_t count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string Label() const;

  const Policy policy_;
  Executor& executor_;
  const sync::RefPtr<Lineage> maker_;  // the task that made this, if one did
  sync::RefCount references_;

  mutable sync::Mutex mutex_;
  sync::CondVar finished_;  // waited on by those who only wait
  sync::CondVar work_;      // by those who would also run a task

  int limit_ ABSL_GUARDED_BY(mutex_);
  Entries queue_ ABSL_GUARDED_BY(mutex_);
  std::list<Parked*> parked_ ABSL_GUARDED_BY(mutex_);
  int64_t running_ ABSL_GUARDED_BY(mutex_) = 0;     // also the slots taken
  int64_t expected_ ABSL_GUARDED_BY(mutex_) = 0;    // accepted, not Delivered
  int64_t delivering_ ABSL_GUARDED_BY(mutex_) = 0;  // not yet SendDelivered
  int64_t dropping_ ABSL_GUARDED_BY(mutex_) = 0;  // skipped, not yet destroyed
  int64_t runners_coming_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of these, runners that take over from one that is still counted as well.
  int64_t handing_over_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t helpers_ ABSL_GUARDED_BY(mutex_) = 0;  // blocked on work_
  // Tasks that wait for the group. Each lends its slot meanwhile.
  int64_t self_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  // Times at which all that was outstanding were such tasks.
  int64_t rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of those who destroy skipped tasks just now.
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
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // nothing is accepted any more
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  int64_t first_index_ ABSL_GUARDED_BY(mutex_) = 0;  // of the task it is from
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
  int64_t count_ = 0;  // also of those that have no entry
};

// What a group has of its core: closes it when the group is destroyed.
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
