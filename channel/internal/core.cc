#include "cohort/channel/internal/core.h"

#include <cstddef>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/log/absl_check.h"
#include "cohort/channel/internal/operation.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"

namespace cohort::channel::internal {

Core::Core(int capacity) : capacity_(static_cast<size_t>(capacity)) {
  ABSL_CHECK_GE(capacity, 0) << "channel::Channel: capacity is " << capacity;
}

Core::~Core() {
  {
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK((senders_.empty() && receivers_.empty()) || sync::InExit())
        << "channel::Channel destroyed while somebody waits for it";
  }
  while (!buffer_.empty()) delete buffer_.PopFront();
}

bool Core::Close() {
  sync::MutexLock lock(&mutex_);
  if (closed_) return false;
  closed_ = true;
  for (sync::LinkedList<Waiter>* queue : {&senders_, &receivers_}) {
    while (!queue->empty()) {
      Waiter* const waiter = queue->PopFront();
      waiter->queued = false;
      Operation& operation = *waiter->operation;
      sync::MutexLock its_lock(&operation.mutex_);
      if (!operation.CarryOut(*waiter, nullptr)) operation.Drop(*waiter);
    }
  }
  return true;
}

bool Core::closed() const {
  sync::MutexLock lock(&mutex_);
  return closed_;
}

int Core::size() const {
  sync::MutexLock lock(&mutex_);
  return static_cast<int>(size_);
}

void Core::BeginReading(const char* stage) {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(reader_ == nullptr) << "channel::" << stage << " reads what "
                                 << "channel::" << reader_ << " reads";
  reader_ = stage;
}

void Core::BeginWriting(const char* stage) {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(writer_ == nullptr) << "channel::" << stage << " writes where "
                                 << "channel::" << writer_ << " writes";
  writer_ = stage;
}

sync::LinkedList<Waiter>& Core::Queue(Direction direction) {
  return direction == Direction::kSend ? senders_ : receivers_;
}

Outcome Core::Try(Case& action, Operation& self) {
  if (action.direction == Direction::kSend) {
    return TrySend(self, *action.box);
  }
  const Outcome outcome = TryReceive(self, *action.box);
  if (outcome == Outcome::kDone) action.Count();
  return outcome;
}

Outcome Core::TrySend(Operation& self, std::unique_ptr<Box>& box) {
  if (closed_) return self.Claim();
  const Outcome met = Meet(receivers_, self, box);
  if (met != Outcome::kNotReady) return met;
  if (size_ == capacity_) return Outcome::kNotReady;
  if (self.Claim() == Outcome::kOver) return Outcome::kOver;
  buffer_.PushBack(box.release());
  ++size_;
  return Outcome::kDone;
}

Outcome Core::TryReceive(Operation& self, std::unique_ptr<Box>& box) {
  if (size_ == 0) {
    const Outcome met = Meet(senders_, self, box);
    if (met != Outcome::kNotReady || !closed_) return met;
    return self.Claim();
  }
  if (self.Claim() == Outcome::kOver) return Outcome::kOver;
  box.reset(buffer_.PopFront());
  std::unique_ptr<Box> next;
  if (Meet(senders_, self, next) == Outcome::kDone) {
    buffer_.PushBack(next.release());
  } else {
    --size_;
  }
  return Outcome::kDone;
}

// No static analysis: which pair of locks LockBoth takes is known only here.
Outcome Core::Meet(sync::LinkedList<Waiter>& queue, Operation& self,
                   std::unique_ptr<Box>& box) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Waiter* next = nullptr;
  for (Waiter* waiter = queue.front(); waiter != nullptr; waiter = next) {
    next = queue.Next(waiter);
    Operation& other = *waiter->operation;
    if (&other == &self) continue;  // it does not meet itself
    const Operation::LockBoth lock(self, other);
    if (lock.self_is_over()) return Outcome::kOver;
    queue.Remove(waiter);
    waiter->queued = false;
    if (other.CarryOut(*waiter, &box)) {
      lock.ClaimSelf();
      return Outcome::kDone;
    }
    other.Drop(*waiter);
  }
  return Outcome::kNotReady;
}

}  // namespace cohort::channel::internal
