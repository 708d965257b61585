#include "cohort/schedgroup/internal/scheduler.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/task/value_task.h"

namespace cohort::schedgroup::internal {

// One run of a task, as the group's core holds it. Whatever the core does with
// it, its destructor runs before it is counted as ended.
class Scheduled::Turn {
 public:
  explicit Turn(Scheduled& task)
      : task_(sync::RefPtr<Scheduled>::Share(&task)) {}
  Turn(Turn&& other) noexcept = default;
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (task_ != nullptr) task_->scheduler_->EndTurn(*task_, again_);
  }

  absl::Status operator()(const Context& context) {
    // A failure from now on may cancel the group, but not before the
    // destructor.
    again_ = !task_->scheduler_->cancel_on_error_;
    task_internal::Slot<Next> next;
    absl::Status status = task_->task_(context, next);
    if (status.ok()) again_ = next != Next::kStop;
    return status;
  }

 private:
  sync::RefPtr<Scheduled> task_;
  bool again_ = false;
};

// A thread that waits for a task; lives on that thread's stack.
class Scheduler::Waiter : public sync::ListHook<Waiter> {
 public:
  explicit Waiter(const Scheduled& awaited)
      : task(awaited), within(group_internal::Core::Innermost()) {}

  const Scheduled& task;
  const group_internal::Core::Frame* const within;  // the tasks that cannot end
                                                    // before this wait
  sync::CondVar over;
};

Scheduled::Scheduled(sync::RefPtr<Scheduler> scheduler, sync::SteadyTime due,
                     absl::Duration period, RepeatableTask task)
    : scheduler_(std::move(scheduler)),
      period_(period),
      due_(due),
      task_(std::move(task)) {}

void Scheduled::HandOver(Executor&) {
  const auto timers_reference = sync::RefPtr<Scheduled>::Adopt(this);
  group_internal::Core& core = *scheduler_->core_;
  // Before anything changes: if there is no memory for it, nothing has changed.
  group_internal::Core::Entries entry;
  entry.emplace_back();
  int64_t runners = 0;
  {
    sync::MutexLock lock(&scheduler_->mutex_);
    if (state_ != State::kWaiting) return;
    entry_ = entry.begin();
    entry_->index = index_;
    // If the group has been cancelled, the task is left to OnCancelled:
    // skipping it destroys it, which is user code.
    if (!core.Deliver(entry, [this] { return Turn(*this); }, &runners)) return;
    state_ = State::kDue;
    scheduler_->waiting_.Remove(this);
  }
  Unref();  // held by the list
  core.SendDelivered(runners);
}

Scheduler::Scheduler(const Context& parent, group_internal::Policy policy)
    : cancel_on_error_(policy.cancel_on_error),
      core_(MakeCore(parent, std::move(policy))) {}

sync::RefPtr<group_internal::Core> Scheduler::MakeCore(
    const Context& parent, group_internal::Policy policy) {
  policy.skip_expected = [this] { OnCancelled(); };
  return group_internal::Core::Create(parent, std::move(policy));
}

sync::SteadyTime Scheduler::At(absl::Time time) {
  sync::MutexLock lock(&mutex_);
  return wall_clock_.ToSteady(time);
}

void Scheduler::Add(Scheduled& task) {
  if (!LetWait(task)) Finish(task);
}

bool Scheduler::LetWait(Scheduled& task) {
  auto timers_reference = sync::RefPtr<Scheduled>::Share(&task);
  auto lists_reference = timers_reference;
  // All of it under the lock, so that OnCancelled finds every task that the
  // core still expects after its cancellation, and a task that is found waiting
  // is armed.
  sync::MutexLock lock(&mutex_);
  if (task.stopped_) return false;
  // First: if there is no memory for it, nothing has changed.
  TimerQueue::Default().Arm(task, task.due_);
  timers_reference.Release();
  const std::optional<int64_t> index = core_->Expect();
  if (!index.has_value()) {
    Disarm(task);
    return false;
  }
  task.index_ = *index;
  task.state_ = Scheduled::State::kWaiting;
  waiting_.PushBack(lists_reference.Release());
  return true;
}

void Scheduler::EndTurn(Scheduled& task, bool again) {
  if (again && task.period_ > absl::ZeroDuration()) {
    absl::Duration rest;
    const int64_t missed = absl::IDivDuration(
        sync::SteadyTime::Now() - task.due_, task.period_, &rest);
    task.due_ = task.due_ + task.period_ * (missed + 1);
    // Before this run is counted as ended, so that no Wait ends in between.
    if (LetWait(task)) return;
  }
  Finish(task);
}

void Scheduler::Finish(Scheduled& task) {
  task.task_ = nullptr;
  sync::MutexLock lock(&mutex_);
  task.state_ = Scheduled::State::kOver;
  for (Waiter* waiter = waiters_.front(); waiter != nullptr;
       waiter = sync::LinkedList<Waiter>::Next(waiter)) {
    if (&waiter->task == &task) waiter->over.Signal();
  }
}

CancelResult Scheduler::Cancel(Scheduled& task) {
  using State = Scheduled::State;
  // The task is destroyed before it is counted, and both happen before this
  // returns.
  group_internal::Core::Skipped skipped(*core_);
  {
    sync::MutexLock lock(&mutex_);
    task.stopped_ = true;
    switch (task.state_) {
      case State::kOver:
        return CancelResult::kFinished;
      case State::kLeaving:
        return CancelResult::kRunning;
      case State::kDue:
        // The task may end meanwhile, but its entry exists until it is kOver,
        // which needs the lock.
        if (!core_->WithdrawDelivered(task.entry_, skipped)) {
          return CancelResult::kRunning;
        }
        task.state_ = State::kLeaving;
        return CancelResult::kCancelled;
      case State::kWaiting:
        task.state_ = State::kLeaving;
        waiting_.Remove(&task);
        core_->Withdraw(skipped);
        break;
    }
  }
  const auto listed = sync::RefPtr<Scheduled>::Adopt(&task);
  Disarm(task);
  Finish(task);
  return CancelResult::kCancelled;
}

bool Scheduler::WaitsForHere(const Scheduled& task) const {
  const auto* const here = group_internal::Core::Innermost();
  // Goes from a task to the task that it waits for, and so on. Each waiter has
  // made this check before, so the loop ends.
  const Scheduled* next = &task;
  while (next != nullptr) {
    if (core_->Includes(here, next->index_)) return true;
    const Waiter* waiter = waiters_.front();
    while (waiter != nullptr &&
           !core_->Includes(waiter->within, next->index_)) {
      waiter = sync::LinkedList<Waiter>::Next(waiter);
    }
    next = waiter == nullptr ? nullptr : &waiter->task;
  }
  return false;
}

CancelResult Scheduler::Await(Scheduled& task, sync::SteadyTime deadline) {
  if (core_->Skips()) return CancelResult::kRunning;
  Waiter waiter(task);
  {
    sync::MutexLock lock(&mutex_);
    if (WaitsForHere(task)) return CancelResult::kRunning;
    waiters_.PushBack(&waiter);
  }
  CancelResult result = CancelResult::kRunning;
  const absl::Cleanup leave = [&] {
    sync::MutexLock lock(&mutex_);
    waiters_.Remove(&waiter);
  };
  core_->LendSlots([&] {
    BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    bool expired = false;
    while (task.state_ != Scheduled::State::kOver && !expired) {
      expired = waiter.over.WaitUntil(&mutex_, deadline);
    }
    if (task.state_ == Scheduled::State::kOver) {
      result = CancelResult::kFinished;
    }
  });
  return result;
}

void Scheduler::Disarm(Scheduled& task) {
  // If it is too late for that, the timer drops its reference itself.
  if (TimerQueue::Default().Disarm(task)) task.Unref();
}

void Scheduler::OnCancelled() {
  // One by one, so that no timer waits for long, however many there are.
  while (true) {
    sync::RefPtr<Scheduled> task;
    std::optional<group_internal::Core::Skipped> skipped;
    {
      sync::MutexLock lock(&mutex_);
      if (waiting_.empty()) return;
      task = sync::RefPtr<Scheduled>::Adopt(waiting_.PopFront());
      task->state_ = Scheduled::State::kLeaving;
      core_->Skip(skipped.emplace(*core_));
    }
    Disarm(*task);
    Finish(*task);
  }
}

void Scheduler::Close() {
  if (core_->Close()) return;
  // In exit(), and other threads may still be in the core.
  sync::KeepForExit(sync::RefPtr<Scheduler>::Share(this));
}

}  // namespace cohort::schedgroup::internal
