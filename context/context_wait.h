// Waiting on a condition variable and on a context at once.

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

// Calls a function once, as soon as a context is done: when it is marked as
// done, before any callback, whatever ended it. Allocates nothing of its own.
// The function may take a lock only if no context is touched under that lock,
// and must run no user code.
class [[nodiscard]] ContextWatch final : private context_internal::Waker {
 public:
  // `context` must outlive this object. If it is done already, calls `wake` in
  // this constructor.
  ContextWatch(const Context& context, absl::AnyInvocable<void()> wake)
      : node_(context.node_.get()), wake_(std::move(wake)) {
    if (node_ != nullptr) node_->Watch(*this);
  }
  // Waits for a call of the function that is in progress.
  ~ContextWatch() {
    if (node_ != nullptr) node_->Unwatch(*this);
  }

  // The context's deadline. A thread that waits for the context calls EndIfDue
  // then, so that it needs no other thread to end the context.
  sync::SteadyTime due() const {
    return node_ == nullptr ? sync::SteadyTime::InfiniteFuture()
                            : node_->deadline().due;
  }
  // Ends the context if it is due. Call it without any lock that the function
  // takes.
  void EndIfDue() {
    if (node_ != nullptr) node_->EndIfDue();
  }

 private:
  void Wake() override { wake_(); }

  context_internal::Node* const node_;
  absl::AnyInvocable<void()> wake_;
};

// Waits until `changed` is signalled, or until `context` ends:
//
//   ContextWait wait(context, mutex_, changed_);
//   BlockingScope blocking;
//   sync::MutexLock lock(&mutex_);
//   while (!ready_ && !context.done()) wait.Block();
//
// The end of the context takes the lock and signals, so that the wake-up cannot
// fall between a look at the context and the sleep. So construct this object
// before taking the lock, and destroy it after releasing the lock. It keeps the
// context's deadline itself. Allocates nothing.
class [[nodiscard]] ContextWait {
 public:
  // All three arguments must outlive this object.
  ContextWait(const Context& context, sync::Mutex& mutex,
              sync::CondVar& changed)
      : mutex_(mutex), changed_(changed), watch_(context, [&mutex, &changed] {
          sync::MutexLock lock(&mutex);
          changed.SignalAll();
        }) {}

  // Blocks until `changed` is signalled or the context is done; may also wake
  // spuriously. The lock must be held, and is released meanwhile.
  void Block() { BlockUntil(sync::SteadyTime::InfiniteFuture()); }

  // The same, but until `deadline` at the latest. True if `deadline` ended the
  // wait.
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
