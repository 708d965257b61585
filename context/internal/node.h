// The tree of cancellation under Context: one node for each CancelScope.
// Internal.
//
// A child keeps its parent alive; the parent knows its children by raw pointers
// and takes a reference only while it ends them. That suffices because a scope
// ends its node before it releases it, and a node that ends leaves its parent's
// list. Status and cause are written once, before done_, and never change. No
// two nodes are ever locked at once.
//
// A node ends in two steps. First the node and all nodes below are marked:
// done_ is set, and waiters are woken. That needs no other thread, runs no user
// code, and is complete when Cancel returns. Then the consequences follow,
// which are user code: callbacks and stop tokens, on the thread that cancels,
// or on the executor if a deadline ended the node.

#ifndef COHORT_CONTEXT_INTERNAL_NODE_H_
#define COHORT_CONTEXT_INTERNAL_NODE_H_

#include <memory>
#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"

namespace cohort::context_internal {

class Node;
struct StopSource;  // opaque, like Attachment in context.h

// The status and cause of an end for which no others were given.
const absl::Status& Cancelled();
const absl::Status& DeadlineExceeded();

// A time at which a node ends: on the clock that measures it, and as the wall
// clock showed it when it was set.
struct Deadline {
  sync::SteadyTime due = sync::SteadyTime::InfiniteFuture();
  absl::Time wall = absl::InfiniteFuture();

  friend bool operator<(const Deadline& a, const Deadline& b) {
    return a.due != b.due ? a.due < b.due : a.wall < b.wall;
  }

  static Deadline At(absl::Time t) {
    return {.due = sync::SteadyTime::At(t), .wall = t};
  }
  static Deadline In(absl::Duration d) {
    return {.due = sync::SteadyTime::Now() + d, .wall = sync::Now() + d};
  }
};

// Is woken as soon as a node is done, whatever ended it. A base class for an
// object on the stack or in its owner: it costs no allocation.
class Waker : public sync::ListHook<Waker> {
 public:
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

 protected:
  Waker() = default;
  ~Waker() = default;

 private:
  friend class Node;

  // Called once, while the node is locked. May take a lock only if no context
  // is touched under that lock. Must not block for longer than that, and must
  // not run user code.
  virtual void Wake() = 0;

  bool listed_ = false;  // guarded by the node's mutex
};

// A callback that waits for its node to be done. Guarded by the node's mutex.
class Registration final : public sync::ListHook<Registration> {
 public:
  Registration(sync::RefPtr<Node> node, absl::AnyInvocable<void() &&> callback);

  void Ref() const { references_.Ref(); }
  void Unref();

  // Called by DoneCallback's destructor.
  void Withdraw();

 private:
  friend class Node;

  enum class State { kWaiting, kRunning, kOver };

  ~Registration() = default;

  sync::RefCount references_;
  const sync::RefPtr<Node> node_;
  absl::AnyInvocable<void() &&> callback_;  // used by the thread that changed
                                            // state_
  State state_ = State::kWaiting;
  sync::ThreadId runner_;  // while kRunning
  sync::CondVar over_;
};

class Node final : private TimerQueue::Timer, public sync::ListHook<Node> {
 public:
  // A child of `parent`, which may be null. It ends at `deadline`, or at its
  // parent's deadline if that is earlier.
  static sync::RefPtr<Node> Create(sync::RefPtr<Node> parent, Deadline deadline,
                                   absl::Status deadline_cause);

  // A child of `parent`. When it ends, `target` ends too.
  static sync::RefPtr<Node> CreateRelay(sync::RefPtr<Node> parent,
                                        sync::RefPtr<Node> target);

  void Ref() const { references_.Ref(); }
  // Does not recurse, however deep the tree is.
  void Unref();

  bool done() const noexcept { return done_.load(sync::kAcquire); }
  absl::Status status() const { return done() ? status_ : absl::OkStatus(); }
  absl::Status cause() const { return done() ? cause_ : absl::OkStatus(); }
  const Deadline& deadline() const { return deadline_; }
  const absl::Status& deadline_cause() const { return deadline_cause_; }

  // Ends this node and all nodes below. True if this call ended this node. When
  // it returns, all of them are done.
  bool Cancel(absl::Status status, absl::Status cause);

  // Ends the node if its deadline has passed, and with it the ancestor that set
  // that deadline. Every waiter calls this, so that it needs no other thread.
  void EndIfDue();

  void AwaitDone();
  bool AwaitDoneUntil(sync::SteadyTime deadline);

  // Between Watch and Unwatch, `waker` is woken if the node ends; Watch wakes
  // it at once if the node has ended. After Unwatch it is not woken any more.
  void Watch(Waker& waker);
  void Unwatch(Waker& waker);

  // Null if the node was done already: the callback has then run.
  sync::RefPtr<Registration> OnDone(absl::AnyInvocable<void() &&> callback);

#ifdef __cpp_lib_jthread
  std::stop_token stop_token();
#endif

 private:
  friend class Registration;
  class Ended;

  Node(sync::RefPtr<Node> parent, sync::RefPtr<Node> target, Deadline deadline,
       bool has_timer, absl::Status deadline_cause);
  ~Node();

  void OnDue() override {}
  void HandOver(Executor& executor) override;
  void EndByDeadline();
  void DisarmTimer();

  void JoinParent();
  void LeaveParent();

  // Marks this node and all nodes below, and adds those that it has marked to
  // `ended`. False if another call ended this node; all are done when it
  // returns all the same.
  bool MarkTree(const absl::Status& status, const absl::Status& cause,
                Ended& ended);
  // False if the node was done before. Moves its children to `below`, with a
  // reference to each.
  bool Mark(const absl::Status& status, const absl::Status& cause, Ended& ended,
            sync::LinkedList<Node>& below);
  void MarkLocked(const absl::Status& status, const absl::Status& cause,
                  Ended& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsLeaf() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Called after marking, outside all locks: runs the consequences of the end
  // of the node.
  void FinishEnd();
  // Whether the consequences include user code.
  bool HasListeners();
  void RunCallbacks();

  sync::RefCount references_;
  sync::RefPtr<Node> parent_;
  sync::RefPtr<Node> target_;  // for a relay
  const Deadline deadline_;
  const bool has_timer_;
  const absl::Status deadline_cause_;  // the cause given by the context that
                                       // set deadline_

  bool listed_ = false;  // in parent_->children_; guarded by parent_->mutex_

  sync::Atomic<bool> done_ = false;  // changes under mutex_
  absl::Status status_;              // written before done_, then constant
  absl::Status cause_;
  // True from before done_ is set until all nodes below are done.
  sync::Atomic<bool> marking_ = false;
  Node* next_ended_ = nullptr;  // link in the Ended that holds this node

  sync::Mutex mutex_;
  sync::CondVar done_changed_;
  sync::LinkedList<Node> children_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waker> wakers_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Registration> callbacks_ ABSL_GUARDED_BY(mutex_);
  // For stop_token(); created on first use.
  std::unique_ptr<StopSource> stop_source_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::context_internal

#endif  // COHORT_CONTEXT_INTERNAL_NODE_H_
