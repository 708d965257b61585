// For what waits on a condition variable and for a context at once.

#ifndef COHORT_CONTEXT_CONTEXT_WAIT_H_
#define COHORT_CONTEXT_CONTEXT_WAIT_H_

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "cohort/context/context.h"
#include "cohort/context/internal/node.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"

namespace cohort {

// Calls a function once when a context is done, at once, wherever that came
// from: as soon as it is marked, and before any callback. Allocates nothing of
// its own. The function may take a lock under which nobody touches a context,
// and must run no code of a user's.
class [[nodiscard]] ContextWatch final : private context_internal::Waker {
 public:
  // If `context`, which must outlive this, is done already, calls `wake` here.
  ContextWatch(const Context& context, absl::AnyInvocable<void()> wake)
      : node_(context.node_.get()), wake_(std::move(wake)) {
    if (node_ != nullptr) node_->Watch(*this);
  }
  // Waits for a call that is under way.
  ~ContextWatch() {
    if (node_ != nullptr) node_->Unwatch(*this);
  }

  // When the context is due. Whoever waits for it sees to that it ends then,
  // and needs no other thread for it.
  sync::SteadyTime due() const {
    return node_ == nullptr ? sync::SteadyTime::InfiniteFuture()
                            : node_->deadline().due;
  }
  // With no lock held that the function takes.
  void EndIfDue() {
    if (node_ != nullptr) node_->EndIfDue();
  }

 private:
  void Wake() override { wake_(); }

  context_internal::Node* const node_;
  absl::AnyInvocable<void()> wake_;
};

// A wait for something that `changed` is signalled for, which the end of
// `context` ends too:
//
//   ContextWait wait(context, mutex_, changed_);
//   BlockingScope blocking;
//   sync::MutexLock lock(&mutex_);
//   while (!ready_ && !context.done()) wait.Block();
//
// The end of the context takes the lock and signals, so that the wake-up cannot
// fall between a look at the context and the sleep. So this has to be made
// before the lock is taken, and to end after that is released. It keeps the
// context's deadline itself. Allocates nothing.
class [[nodiscard]] ContextWait {
 public:
  // All three must outlive this.
  ContextWait(const Context& context, sync::Mutex& mutex,
              sync::CondVar& changed)
      : mutex_(mutex), changed_(changed), watch_(context, [&mutex, &changed] {
          sync::MutexLock lock(&mutex);
          changed.SignalAll();
        }) {}

  // Blocks until `changed` is signalled, or the context is done; perhaps for
  // less. The lock must be held, and is released meanwhile.
  void Block() { BlockUntil(sync::SteadyTime::InfiniteFuture()); }

  // The same, until `deadline` at the latest. True if it was that which ended
  // the wait.
  bool BlockUntil(sync::SteadyTime deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (deadline < watch_.due()) return changed_.WaitUntil(&mutex_, deadline);
    if (changed_.WaitUntil(&mutex_, watch_.due())) {
      mutex_.Unlock();
      watch_.EndIfDue();
      mutex_.Lock();
    }
    return false;
  }

 private:
  sync::Mutex& mutex_;
  sync::CondVar& changed_;
  ContextWatch watch_;
};

}  // namespace cohort

#endif  // COHORT_CONTEXT_CONTEXT_WAIT_H_
