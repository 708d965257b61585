#include "cohort/semaphore/weighted.h"

#include <cstdint>
#include <optional>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/mutex.h"

namespace cohort::semaphore {
namespace {

using sync::kAcquire;
using sync::kRelaxed;
using sync::kRelease;

int64_t Checked(const char* method, int64_t n) {
  ABSL_CHECK_GE(n, 0) << "semaphore::Weighted::" << method;
  return n;
}

}  // namespace

Weighted::Weighted(int64_t size)
    : free_(Checked("Weighted", size)), size_(size) {}

Weighted::~Weighted() {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(waiters_.empty() || sync::InExit())
      << "semaphore::Weighted is destroyed while somebody waits for "
      << waiters_.front()->wanted;
}

absl::Status Weighted::Acquire(const Context& context, int64_t n) {
  Checked("Acquire", n);
  if (TryTake(n, context)) return absl::OkStatus();
  if (context.done()) return context.cause();
  Waiter waiter(context, n);
  ContextWait wait(context, mutex_, waiter.changed);
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  Close();
  waiters_.PushBack(&waiter);
  Settle();
  while (!waiter.granted && !context.done()) wait.Block();
  if (waiter.granted) return absl::OkStatus();
  Close();
  waiters_.Remove(&waiter);
  Settle();
  return context.cause();
}

absl::StatusOr<Permit> Weighted::AcquirePermit(const Context& context,
                                               int64_t n) & {
  absl::Status status = Acquire(context, n);
  if (!status.ok()) return status;
  return Permit(this, n);
}

bool Weighted::TryAcquire(int64_t n) {
  Checked("TryAcquire", n);
  return TryTake(n, Context());
}

std::optional<Permit> Weighted::TryAcquirePermit(int64_t n) & {
  if (!TryAcquire(n)) return std::nullopt;
  return Permit(this, n);
}

void Weighted::Release(int64_t n) {
  Checked("Release", n);
  int64_t free = free_.load(kRelaxed);
  // A release that seems to be of too many permits may race with a Resize:
  // under the lock it is clear.
  while (free != kClosed && free <= size_.load(kRelaxed) - n) {
    if (free_.compare_exchange_weak(free, free + n, kRelease, kRelaxed)) return;
  }
  sync::MutexLock lock(&mutex_);
  Close();
  ABSL_CHECK_LE(n, size_.load(kRelaxed) - spare_)
      << "semaphore::Weighted::Release of more than is held";
  spare_ += n;
  Settle();
}

void Weighted::Resize(int64_t size) {
  Checked("Resize", size);
  sync::MutexLock lock(&mutex_);
  Close();
  const int64_t in_use = size_.load(kRelaxed) - spare_;
  size_.store(size, kRelaxed);
  spare_ = size - in_use;
  Settle();
}

int64_t Weighted::size() const { return size_.load(kRelaxed); }

int64_t Weighted::in_use() const {
  sync::MutexLock lock(&mutex_);
  const int64_t free = free_.load(kRelaxed);
  return size_.load(kRelaxed) - (free == kClosed ? spare_ : free);
}

int64_t Weighted::waiters() const {
  sync::MutexLock lock(&mutex_);
  int64_t count = 0;
  for (const Waiter* waiter = waiters_.front(); waiter != nullptr;
       waiter = waiters_.Next(waiter)) {
    ++count;
  }
  return count;
}

// Loads the permits first, then checks the context: if a context had ended
// before a permit was released, a thread that sees the permit sees that end.
bool Weighted::TryTake(int64_t n, const Context& context) {
  int64_t free = free_.load(kAcquire);
  while (free != kClosed) {
    if (n > free || context.done()) return false;
    if (free_.compare_exchange_weak(free, free - n, kAcquire, kAcquire)) {
      return true;
    }
  }
  sync::MutexLock lock(&mutex_);
  Close();
  const bool taken = n <= spare_ && !HasQueue() && !context.done();
  if (taken) spare_ -= n;
  Settle();
  return taken;
}

void Weighted::Close() {
  const int64_t free = free_.exchange(kClosed, kAcquire);
  if (free != kClosed) spare_ = free;
}

void Weighted::Settle() {
  Waiter* waiter = waiters_.front();
  while (waiter != nullptr) {
    Waiter* const next = waiters_.Next(waiter);
    if (waiter->context.done()) {
      // About to return with its cause.
    } else if (waiter->wanted <= spare_) {
      spare_ -= waiter->wanted;
      waiters_.Remove(waiter);
      waiter->granted = true;
      waiter->changed.Signal();
    } else if (waiter->wanted <= size_.load(kRelaxed)) {
      return;  // nobody overtakes this one
    }
    waiter = next;
  }
  free_.store(spare_, kRelease);
}

bool Weighted::HasQueue() const {
  for (const Waiter* waiter = waiters_.front(); waiter != nullptr;
       waiter = waiters_.Next(waiter)) {
    if (waiter->wanted <= size_.load(kRelaxed) && !waiter->context.done()) {
      return true;
    }
  }
  return false;
}

}  // namespace cohort::semaphore
