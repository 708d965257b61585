// The tree under Context: one node for each CancelScope.
//
// A child keeps its parent alive; the parent knows its children by raw pointers
// and takes a reference only while it ends them. That suffices because its
// scope ends a node before it lets go of it, and a node that ends leaves its
// parent's list. Status and cause are written once, before done_, and never
// change. No two nodes are ever locked at once.

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
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"

namespace cohort::context_internal {

class Node;
struct StopSource;  // opaque, as StopRegistration in context.h

// A callback that waits for its node to be done. Guarded by the node's mutex.
class Registration final : public sync::ListHook<Registration> {
 public:
  Registration(sync::RefPtr<Node> node, absl::AnyInvocable<void() &&> callback);

  void Ref() const { references_.Ref(); }
  void Unref();

  // What DoneCallback's destructor does.
  void Withdraw();

 private:
  friend class Node;

  enum class State { kWaiting, kRunning, kOver };

  ~Registration() = default;

  sync::RefCount references_;
  const sync::RefPtr<Node> node_;
  absl::AnyInvocable<void() &&> callback_;  // touched by whoever changed state_
  State state_ = State::kWaiting;
  sync::ThreadId runner_;  // while kRunning
  sync::CondVar over_;
};

class Node final : private TimerQueue::Timer, public sync::ListHook<Node> {
 public:
  // A child of `parent`, which may be null. It ends at `deadline`, or at its
  // parent's where that is earlier.
  static sync::RefPtr<Node> Create(sync::RefPtr<Node> parent,
                                   absl::Time deadline,
                                   absl::Status deadline_cause);

  void Ref() const { references_.Ref(); }
  // Does not recurse, however deep the tree is.
  void Unref();

  bool done() const noexcept { return done_.load(sync::kAcquire); }
  absl::Status status() const { return done() ? status_ : absl::OkStatus(); }
  absl::Status cause() const { return done() ? cause_ : absl::OkStatus(); }
  absl::Time deadline() const { return deadline_; }

  // Ends this node and all below. True if it was this call that did.
  bool Cancel(absl::Status status, absl::Status cause);

  void AwaitDone();
  bool AwaitDoneUntil(sync::SteadyTime deadline);

  // Null if the node was done already: the callback has then run.
  sync::RefPtr<Registration> OnDone(absl::AnyInvocable<void() &&> callback);

#ifdef __cpp_lib_jthread
  std::stop_token stop_token();
#endif

 private:
  friend class Registration;

  Node(sync::RefPtr<Node> parent, absl::Time deadline, bool has_timer,
       absl::Status deadline_cause);
  ~Node();

  void OnDue() override;
  void EndByDeadline();
  void DisarmTimer();

  void JoinParent();
  void LeaveParent();

  // Marks the node done and moves its children to `below`, with a reference
  // each. False if it was done before.
  bool MarkDone(const absl::Status& status, const absl::Status& cause,
                sync::LinkedList<Node>* below);
  // After MarkDone, outside all locks: what the end of the node entails.
  void FinishEnd();
  void RunCallbacks();

  sync::RefCount references_;
  sync::RefPtr<Node> parent_;
  const absl::Time deadline_;
  const bool has_timer_;
  const absl::Status deadline_cause_;  // of whose deadline_ it is

  bool listed_ = false;  // in parent_->children_; guarded by parent_->mutex_

  sync::Atomic<bool> done_ = false;  // changes under mutex_
  absl::Status status_;              // written before done_, then constant
  absl::Status cause_;

  sync::Mutex mutex_;
  sync::CondVar done_changed_;
  sync::LinkedList<Node> children_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Registration> callbacks_ ABSL_GUARDED_BY(mutex_);
  // For stop_token(); made on first use.
  std::unique_ptr<StopSource> stop_source_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::context_internal

#endif  // COHORT_CONTEXT_INTERNAL_NODE_H_
