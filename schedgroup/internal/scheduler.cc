#include "cohort/schedgroup/internal/scheduler.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/group/core.h"
#include "cohort/group/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::schedgroup::internal {

// One run of a task, as the group's core has it. Whatever becomes of it there,
// the destructor comes before it is counted out.
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
    // What fails now may cancel the group, but not before the destructor.
    again_ = !task_->scheduler_->cancel_on_error_;
    absl::Status status = task_->task_(context);
    if (status.ok()) again_ = true;
    return status;
  }

  static group_internal::Core::Entries Entry(Scheduled& task) {
    group_internal::Core::Entries entry;
    entry.push_back({.task = Turn(task), .index = task.index_});
    return entry;
  }

 private:
  sync::RefPtr<Scheduled> task_;
  bool again_ = false;
};

Scheduled::Scheduled(sync::RefPtr<Scheduler> scheduler, sync::SteadyTime due,
                     absl::Duration period, RepeatableTask task)
    : scheduler_(std::move(scheduler)),
      period_(period),
      due_(due),
      task_(std::move(task)) {}

void Scheduled::HandOver(Executor& executor) {
  const auto timers_reference = sync::RefPtr<Scheduled>::Adopt(this);
  {
    sync::MutexLock lock(&scheduler_->mutex_);
    if (state_ != State::kWaiting) return;
    state_ = State::kDue;
    scheduler_->waiting_.Remove(this);
  }
  Unref();  // the list's
  group_internal::Core::Entries entry = Turn::Entry(*this);
  if (scheduler_->core_->Deliver(entry)) return;
  // To skip it is to destroy it, which is code of the user's.
  executor.Submit(
      [core = scheduler_->core_, entry = std::move(entry)]() mutable {
        core->Skip(std::move(entry));
      });
}

Scheduler::Scheduler(const Context& parent, group_internal::Policy policy)
    : cancel_on_error_(policy.cancel_on_error),
      core_(group_internal::Core::Create(parent, std::move(policy))) {
  on_cancelled_ = core_->context().OnDone([this] { OnCancelled(); });
}

sync::SteadyTime Scheduler::At(absl::Time time) {
  sync::MutexLock lock(&mutex_);
  return wall_clock_.ToSteady(time);
}

void Scheduler::Add(Scheduled& task) {
  if (!LetWait(task)) Finish(task);
}

bool Scheduler::LetWait(Scheduled& task) {
  sync::MutexLock lock(&mutex_);
  if (task.stopped_) return false;
  // Under the lock, so that whatever the core still expects after its
  // cancellation is there for OnCancelled.
  const std::optional<int64_t> index = core_->Expect();
  if (!index.has_value()) return false;
  task.index_ = *index;
  task.state_ = Scheduled::State::kWaiting;
  task.Ref();
  waiting_.PushBack(&task);
  // Under the lock, so that whoever finds it waiting finds it armed.
  task.Ref();
  TimerQueue::Default().Arm(task, task.due_);
  return true;
}

void Scheduler::EndTurn(Scheduled& task, bool again) {
  if (again && task.period_ > absl::ZeroDuration()) {
    absl::Duration rest;
    const int64_t missed = absl::IDivDuration(
        sync::SteadyTime::Now() - task.due_, task.period_, &rest);
    task.due_ = task.due_ + task.period_ * (missed + 1);
    // Before this run is counted out, so that no Wait ends in between.
    if (LetWait(task)) return;
  }
  Finish(task);
}

void Scheduler::Finish(Scheduled& task) {
  task.task_ = nullptr;
  sync::MutexLock lock(&mutex_);
  task.state_ = Scheduled::State::kOver;
}

bool Scheduler::Cancel(Scheduled& task, bool* over) {
  ABSL_CHECK(task.scheduler_.get() == this)
      << "schedgroup::Group::Cancel: the task is another group's";
  {
    sync::MutexLock lock(&mutex_);
    task.stopped_ = true;
    *over = task.state_ == Scheduled::State::kOver;
    if (task.state_ != Scheduled::State::kWaiting) return false;
    task.state_ = Scheduled::State::kDue;
    waiting_.Remove(&task);
  }
  const auto listed = sync::RefPtr<Scheduled>::Adopt(&task);
  Disarm(task);
  core_->Withdraw([&] { Finish(task); });
  return true;
}

void Scheduler::Disarm(Scheduled& task) {
  // If it is too late for that, the timer gives its reference back itself.
  if (TimerQueue::Default().Disarm(task)) task.Unref();
}

void Scheduler::OnCancelled() {
  // One by one, so that no timer waits for long, however many there are.
  while (true) {
    sync::RefPtr<Scheduled> task;
    {
      sync::MutexLock lock(&mutex_);
      if (waiting_.empty()) return;
      task = sync::RefPtr<Scheduled>::Adopt(waiting_.PopFront());
      task->state_ = Scheduled::State::kDue;
    }
    Disarm(*task);
    core_->Skip(Scheduled::Turn::Entry(*task));
  }
}

absl::Status Scheduler::Wait(WaitPolicy policy) {
  // As the core does for its own part: this may be a callback of a context
  // above, which runs before ours.
  if (core_->context().done()) OnCancelled();
  return core_->Wait(policy);
}

void Scheduler::Close() {
  if (core_->context().done()) OnCancelled();
  core_->Close();
  on_cancelled_ = DoneCallback();
}

}  // namespace cohort::schedgroup::internal
