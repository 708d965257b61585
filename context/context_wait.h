// For whatever waits on a condition variable and for a context at once.

#ifndef COHORT_CONTEXT_CONTEXT_WAIT_H_
#define COHORT_CONTEXT_CONTEXT_WAIT_H_

#include "absl/base/thread_annotations.h"
#include "cohort/context/context.h"
#include "cohort/context/internal/node.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"

namespace cohort {

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
// context's deadline itself, and needs no other thread for that. Allocates
// nothing.
class [[nodiscard]] ContextWait final : private context_internal::Waker {
 public:
  // All three must outlive this.
  ContextWait(const Context& context, sync::Mutex& mutex,
              sync::CondVar& changed)
      : node_(context.node_.get()), mutex_(mutex), changed_(changed) {
    if (node_ != nullptr) node_->Watch(*this);
  }
  ~ContextWait() {
    if (node_ != nullptr) node_->Unwatch(*this);
  }

  // Blocks until `changed` is signalled, or the context is done; perhaps for
  // less. The lock must be held, and is released meanwhile.
  void Block() { BlockUntil(sync::SteadyTime::InfiniteFuture()); }

  // The same, until `deadline` at the latest. True if it was that which ended
  // the wait.
  bool BlockUntil(sync::SteadyTime deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (node_ == nullptr || deadline < node_->deadline().due) {
      return changed_.WaitUntil(&mutex_, deadline);
    }
    if (changed_.WaitUntil(&mutex_, node_->deadline().due)) {
      // That takes locks under which this one may be taken.
      mutex_.Unlock();
      node_->EndIfDue();
      mutex_.Lock();
    }
    return false;
  }

 private:
  void Wake() override {
    sync::MutexLock lock(&mutex_);
    changed_.SignalAll();
  }

  context_internal::Node* const node_;
  sync::Mutex& mutex_;
  sync::CondVar& changed_;
};

}  // namespace cohort

#endif  // COHORT_CONTEXT_CONTEXT_WAIT_H_
