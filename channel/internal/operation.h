// What Send, Receive, Select and the stages do: one or more cases, of which
// exactly one is carried out. Internal.
//
// An operation goes from channel to channel, and holds the lock of one of them
// at a time. Where its case is ready it carries that out, and is at its end;
// elsewhere it leaves a waiter in the channel's queue, and goes on. Then it
// sleeps until it is served, until its context is done, or until one of its
// cases is due.
//
// Whoever comes later to a channel finds its waiter there and serves it. So
// from its first waiter on there may be two threads that carry out a case of
// it; the one that finds it available, under its lock, and ends that, is the
// one. If both that meet at a channel have waiters elsewhere, both have to be
// available for each other, under the locks of both, which are taken in the
// order of their threads.
//
// A waiter of what is no longer available is taken out of its queue by whoever
// finds it, and handed back (Drop). So an operation can be carried out again,
// with the waiters that are still in their queues, and looks only at those
// channels where something has happened since. That is how a stage reads many
// channels.
//
// Who is served must not have been told to stop: whoever would serve it, looks
// at its context first.

#ifndef COHORT_CHANNEL_INTERNAL_OPERATION_H_
#define COHORT_CHANNEL_INTERNAL_OPERATION_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/channel/internal/core.h"
#include "cohort/context/context.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::channel::internal {

// A case of an operation, in the queue of its channel, or handed back.
struct Waiter : sync::ListHook<Waiter> {
  Waiter(Operation* o, Case* c) : operation(o), action(c) {}

  Operation* const operation;
  Case* const action;
  bool queued = false;        // under the lock of the channel
  bool may_be_there = false;  // what the operation knows of that
};

// On the stack of a thread, which alone calls its public methods. Allocates
// only when it is made.
class Operation {
 public:
  // The cases must outlive it, and so must their channels, but for the channel
  // of a case that was carried out. All of them are armed.
  explicit Operation(absl::Span<Case> cases);
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation();

  // Carries out one of the cases that are armed and ready, at random, and
  // returns its index; that case is then no longer armed. None if there is
  // none, at one and the same moment, or if the context is done. Never blocks.
  // To be called once.
  std::optional<size_t> Try(const Context& context);

  // The same, but blocks until one is ready or the context is done. Any number
  // of times.
  std::optional<size_t> Await(const Context& context);

  // Of a case that was carried out.
  void Arm(size_t index) { armed_.push_back(index); }

 private:
  friend class Core;
  class LockBoth;

  // More cases than that cost an allocation.
  static constexpr size_t kInlined = 4;

  // From now on others may serve it, and it must claim itself. Arms what it was
  // handed back.
  void BecomeAvailable();
  // The end of that. The case that was carried out for it, if any.
  std::optional<size_t> BecomeUnavailable();
  // The same, to carry out a case itself: kOver if it has been served.
  Outcome Claim();

  // Looks at all armed cases. Those that are not ready wait in the queues of
  // their channels then, with the exception of the last one if `queue_last` is
  // false. (At the moment at which that was not ready, neither were the others,
  // unless they are served.) Where cases remain armed, it was served, or its
  // context is done.
  std::optional<size_t> Look(bool queue_last);
  Outcome LookAt(size_t index, bool queue);
  std::optional<size_t> Park();
  void Sleep(sync::SteadyTime due);
  // A waiter is in no queue.
  void Left(Waiter& waiter);

  // For whoever has found a waiter of it in the queue of a channel, and has
  // taken that out. CarryOut moves what is in the one box to the other, if
  // there are two; false if it cannot be served, and then the waiter is to be
  // dropped.
  bool CarryOut(Waiter& waiter, std::unique_ptr<Box>* box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Drop(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  size_t IndexOf(const Waiter& waiter) const {
    return static_cast<size_t>(&waiter - waiters_.data());
  }

  // Of its own thread.
  const absl::Span<Case> cases_;
  const sync::ThreadId thread_ = sync::CurrentThreadId();
  absl::InlinedVector<Waiter, kInlined> waiters_;  // one for each case
  absl::InlinedVector<size_t, kInlined> armed_;    // cases to be looked at
  size_t queued_ = 0;                              // waiters that may be
  std::optional<size_t> next_due_;
  bool claims_ = false;  // it is available, or was, until it was served

  sync::Mutex mutex_;  // below those of the channels
  sync::CondVar changed_;
  bool available_ ABSL_GUARDED_BY(mutex_) = false;
  const Context* context_ = nullptr;  // changes while it is not available
  std::optional<size_t> done_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waiter> dropped_ ABSL_GUARDED_BY(mutex_);
};

// For whoever has found a waiter of `other` in a queue: the lock of `other`,
// and that of `self` where it has to be claimed too. An operation that is
// available is the only one of its thread, so there are no two locks to be
// taken where both are of one thread: the other one is not available then.
class Operation::LockBoth {
 public:
  LockBoth(Operation& self, Operation& other) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  LockBoth(const LockBoth&) = delete;
  LockBoth& operator=(const LockBoth&) = delete;
  ~LockBoth() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  bool self_is_over() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return both_ && !self_.available_;
  }
  void ClaimSelf() const ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  Operation& self_;
  Operation& other_;
  const bool both_;
};

// One operation of these cases. None if none is ready, or the context is done.
std::optional<size_t> TryOne(const Context& context, absl::Span<Case> cases);

// The cause, if the context is done before one is ready, or was to begin with.
absl::StatusOr<size_t> AwaitOne(const Context& context, absl::Span<Case> cases);

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_OPERATION_H_
