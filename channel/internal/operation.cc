#include "cohort/channel/internal/operation.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/channel/internal/core.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/random.h"
#include "cohort/sync/thread.h"

namespace cohort::channel::internal {
namespace {

// Draws a random number only if there is a choice.
size_t Random(size_t count) {
  if (count == 1) return 0;
  return std::min(count - 1, static_cast<size_t>(sync::RandomFraction() *
                                                 static_cast<double>(count)));
}

}  // namespace

Operation::LockBoth::LockBoth(Operation& self, Operation& other)
    : self_(self),
      other_(other),
      both_(self.claims_ && self.thread_ != other.thread_) {
  if (both_ && self.thread_ < other.thread_) self_.mutex_.Lock();
  other_.mutex_.Lock();
  if (both_ && other.thread_ < self.thread_) self_.mutex_.Lock();
}

Operation::LockBoth::~LockBoth() {
  if (both_) self_.mutex_.Unlock();
  other_.mutex_.Unlock();
}

void Operation::LockBoth::ClaimSelf() const {
  if (!both_) return;
  self_.available_ = false;
  self_.claims_ = false;
}

Operation::Operation(absl::Span<Case> cases) : cases_(cases) {
  // Allocates everything now: waiters must not move, and nothing may fail
  // later.
  waiters_.reserve(cases.size());
  armed_.reserve(cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    waiters_.emplace_back(this, &cases[i]);
    if (cases[i].channel != nullptr ||
        cases[i].due != sync::SteadyTime::InfiniteFuture()) {
      Arm(i);
    }
  }
}

Operation::~Operation() {
  for (size_t i = 0; queued_ > 0; ++i) {
    Waiter& waiter = waiters_[i];
    // For other waiters the channel may be gone.
    if (!waiter.may_be_there) continue;
    Left(waiter);
    Core& channel = *cases_[i].channel;
    sync::MutexLock lock(&channel.mutex_);
    if (waiter.queued) {
      channel.Queue(cases_[i].direction).Remove(&waiter);
    }
  }
}

std::optional<size_t> Operation::Try(const Context& context) {
  context_ = &context;
  const std::optional<size_t> done = Look(/*queue_last=*/false);
  return done.has_value() || !claims_ ? done : BecomeUnavailable();
}

std::optional<size_t> Operation::Await(const Context& context) {
  context_ = &context;
  if (queued_ > 0) BecomeAvailable();
  const std::optional<size_t> done = Look(/*queue_last=*/true);
  if (done.has_value()) return done;
  return armed_.empty() ? Park() : BecomeUnavailable();
}

void Operation::BecomeAvailable() {
  sync::MutexLock lock(&mutex_);
  available_ = true;
  claims_ = true;
  while (!dropped_.empty()) {
    Waiter* const waiter = dropped_.PopFront();
    Left(*waiter);
    Arm(IndexOf(*waiter));
  }
}

std::optional<size_t> Operation::BecomeUnavailable() {
  sync::MutexLock lock(&mutex_);
  available_ = false;
  claims_ = false;
  if (done_.has_value()) Left(waiters_[*done_]);
  return std::exchange(done_, std::nullopt);
}

void Operation::Left(Waiter& waiter) {
  if (!waiter.may_be_there) return;
  waiter.may_be_there = false;
  --queued_;
}

Outcome Operation::Claim() {
  if (!claims_) return Outcome::kDone;
  sync::MutexLock lock(&mutex_);
  if (!available_) return Outcome::kOver;
  available_ = false;
  claims_ = false;
  return Outcome::kDone;
}

std::optional<size_t> Operation::Look(bool queue_last) {
  // In a uniformly random order; otherwise a case that is not ready would pass
  // its share on to its successor. Whether a case is ready shows only when it
  // is tried.
  while (!armed_.empty()) {
    std::swap(armed_[Random(armed_.size())], armed_.back());
    const size_t index = armed_.back();
    switch (LookAt(index, queue_last || armed_.size() > 1)) {
      case Outcome::kOver:
        return std::nullopt;
      case Outcome::kDone:
        armed_.pop_back();
        return index;
      case Outcome::kNotReady:
        armed_.pop_back();
    }
  }
  return std::nullopt;
}

Outcome Operation::LookAt(size_t index, bool queue) {
  Case& action = cases_[index];
  if (action.channel == nullptr) {
    if (sync::SteadyTime::Now() >= action.due) return Claim();
    if (!next_due_.has_value() || action.due < cases_[*next_due_].due) {
      next_due_ = index;
    }
    return Outcome::kNotReady;
  }
  Core& channel = *action.channel;
  sync::MutexLock lock(&channel.mutex_);
  // Checked here, after whatever has made the case ready.
  if (context_->done()) return Outcome::kOver;
  const Outcome outcome = channel.Try(action, *this);
  if (outcome != Outcome::kNotReady || !queue) return outcome;
  if (!claims_) BecomeAvailable();
  Waiter& waiter = waiters_[index];
  waiter.queued = true;
  waiter.may_be_there = true;
  ++queued_;
  channel.Queue(action.direction).PushBack(&waiter);
  return Outcome::kNotReady;
}

std::optional<size_t> Operation::Park() {
  if (!claims_) BecomeAvailable();  // only for a time, or for the context
  const sync::SteadyTime due = next_due_.has_value()
                                   ? cases_[*next_due_].due
                                   : sync::SteadyTime::InfiniteFuture();
  sync::SchedulePoint("channel.park");
  Sleep(due);
  return BecomeUnavailable();
}

void Operation::Sleep(sync::SteadyTime due) {
  ContextWait wait(*context_, mutex_, changed_);
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  while (available_ && !context_->done()) {
    if (!wait.BlockUntil(due)) continue;
    if (available_ && !context_->done()) done_ = next_due_;
    break;
  }
}

bool Operation::CarryOut(Waiter& waiter, std::unique_ptr<Box>* box) {
  if (!available_ || context_->done()) return false;
  available_ = false;
  done_ = IndexOf(waiter);
  Case& action = *waiter.action;
  if (box != nullptr) {
    if (action.direction == Direction::kSend) {
      *box = std::move(*action.box);
    } else {
      *action.box = std::move(*box);
      action.Count();
    }
  }
  // Under the lock, so that the operation does not end before this.
  changed_.Signal();
  return true;
}

void Operation::Drop(Waiter& waiter) { dropped_.PushBack(&waiter); }

std::optional<size_t> TryOne(const Context& context, absl::Span<Case> cases) {
  return Operation(cases).Try(context);
}

absl::StatusOr<size_t> AwaitOne(const Context& context,
                                absl::Span<Case> cases) {
  const std::optional<size_t> done = Operation(cases).Await(context);
  if (!done.has_value()) return context.cause();
  return *done;
}

}  // namespace cohort::channel::internal
