// An operation, the core of Send, Receive, Select and the stages: one or more
// cases, of which exactly one is carried out. Internal.
//
// An operation goes from channel to channel, and holds the lock of one channel
// at a time. If its case for that channel is ready, it carries the case out and
// ends; otherwise it leaves a waiter in the channel's queue, and goes on. Then
// it sleeps until another operation serves it, its context is done, or one of
// its cases is due.
//
// A later operation at a channel finds that waiter there and serves it. So from
// its first waiter on, two threads may try to carry out a case of an operation;
// the one that finds the operation available, under the operation's lock, and
// makes it unavailable, carries out its case. If both operations that meet at a
// channel have waiters elsewhere, both must be available to each other, under
// the locks of both, which are taken in the order of their threads.
//
// If an operation is no longer available, whoever finds its waiter takes that
// out of the queue and hands it back (Drop). So an operation can be carried out
// again, with the waiters that are still in their queues, and looks only at
// those channels where something has happened since. That is how a stage reads
// many channels.
//
// An operation must not be served after its context has ended: the serving
// operation checks that context first.

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
  bool queued = false;        // guarded by the lock of the channel
  bool may_be_there = false;  // whether it may be queued, as far as the
                              // operation knows
};

// Lives on the stack of a thread, which alone calls its public methods.
// Allocates only in its constructor.
class Operation {
 public:
  // The cases must outlive the operation, and so must their channels, except
  // the channel of a case that was carried out. All cases are armed.
  explicit Operation(absl::Span<Case> cases);
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation();

  // Carries out one of the armed cases that are ready, at random, and returns
  // its index; that case is then no longer armed. None if at one moment no case
  // was ready, or if the context is done. Never blocks. Call it once.
  std::optional<size_t> Try(const Context& context);

  // Like Try, but blocks until a case is ready or the context is done. May be
  // called any number of times.
  std::optional<size_t> Await(const Context& context);

  // Arms a case that was carried out.
  void Arm(size_t index) { armed_.push_back(index); }

 private:
  friend class Core;
  class LockBoth;

  // More cases than this cost an allocation.
  static constexpr size_t kInlined = 4;

  // From now on other operations may serve this one, and it must Claim itself.
  // Arms the cases whose waiters were handed back.
  void BecomeAvailable();
  // Ends that. Returns the case that another operation carried out for this
  // one, if any.
  std::optional<size_t> BecomeUnavailable();
  // The same, in order to carry out a case itself: kOver if it has been served.
  Outcome Claim();

  // Looks at all armed cases. Cases that are not ready then wait in the queues
  // of their channels, except the last one if `queue_last` is false. (At the
  // moment at which the last one was not ready, neither were the others, unless
  // they are served.) If cases remain armed, the operation was served, or its
  // context is done.
  std::optional<size_t> Look(bool queue_last);
  Outcome LookAt(size_t index, bool queue);
  std::optional<size_t> Park();
  void Sleep(sync::SteadyTime due);
  // Records that a waiter is in no queue.
  void Left(Waiter& waiter);

  // Called by an operation that has taken a waiter of this one out of a
  // channel's queue. CarryOut moves the content of one box to the other, if
  // there are two; false if this operation cannot be served: then Drop the
  // waiter.
  bool CarryOut(Waiter& waiter, std::unique_ptr<Box>* box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Drop(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  size_t IndexOf(const Waiter& waiter) const {
    return static_cast<size_t>(&waiter - waiters_.data());
  }

  // Used only by the operation's own thread.
  const absl::Span<Case> cases_;
  const sync::ThreadId thread_ = sync::CurrentThreadId();
  absl::InlinedVector<Waiter, kInlined> waiters_;  // one for each case
  absl::InlinedVector<size_t, kInlined> armed_;    // cases to be looked at
  size_t queued_ = 0;                              // waiters that may be queued
  std::optional<size_t> next_due_;
  bool claims_ = false;  // it became available and has not claimed itself since

  sync::Mutex mutex_;  // acquired after the mutexes of channels
  sync::CondVar changed_;
  bool available_ ABSL_GUARDED_BY(mutex_) = false;
  const Context* context_ = nullptr;  // changes only while unavailable
  std::optional<size_t> done_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waiter> dropped_ ABSL_GUARDED_BY(mutex_);
};

// The locks for serving a waiter of `other` that was found in a queue: the lock
// of `other`, and that of `self` if it must be claimed too. An available
// operation is the only one of its thread, so if both operations belong to one
// thread, two locks are not needed: `other` is not available then.
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

// Runs one operation with these cases. None if no case is ready, or if the
// context is done.
std::optional<size_t> TryOne(const Context& context, absl::Span<Case> cases);

// Like TryOne, but blocks; the cause if the context is done before a case is
// ready, or from the start.
absl::StatusOr<size_t> AwaitOne(const Context& context, absl::Span<Case> cases);

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_OPERATION_H_
