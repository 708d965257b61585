#include "cohort/context/internal/node.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/base/no_destructor.h"
#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/internal/value.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"

namespace cohort::context_internal {

struct StopSource {
#ifdef __cpp_lib_jthread
  std::stop_source source;
#endif
};

namespace {

// Two clocks cannot be read at once: if they seem to have moved apart by less
// than this, the wall clock has not been set.
constexpr absl::Duration kLeastShift = absl::Seconds(1);

sync::Mutex* MakeOneTree() { return new sync::Mutex(); }

// Held while a node is marked together with others.
sync::Mutex& OneTree() { return sync::ProcessWide<MakeOneTree>(); }

// Creates what an end needs, so that an end cannot fail because memory runs
// out.
void PrepareEnds() {
  Cancelled();
  DeadlineExceeded();
  OneTree();
}

// noexcept: no caller could catch an exception of a callback, so it terminates
// here, with the stack of the throw in the core dump.
void Call(absl::AnyInvocable<void() &&>& callback) noexcept {
  std::move(callback)();
}

}  // namespace

const absl::Status& Cancelled() {
  static const absl::NoDestructor<absl::Status> status(
      absl::CancelledError("context cancelled"));
  return *status;
}

const absl::Status& DeadlineExceeded() {
  static const absl::NoDestructor<absl::Status> status(
      absl::DeadlineExceededError("context deadline exceeded"));
  return *status;
}

void Value::Unref() {
  Value* value = this;
  while (value != nullptr && value->references_.Unref()) {
    Value* parent = value->parent_.Release();
    delete value;
    value = parent;
  }
}

Registration::Registration(sync::RefPtr<Node> node,
                           absl::AnyInvocable<void() &&> callback)
    : node_(std::move(node)), callback_(std::move(callback)) {}

void Registration::Unref() {
  if (references_.Unref()) delete this;
}

void Registration::Withdraw() {
  {
    sync::MutexLock lock(&node_->mutex_);
    if (state_ == State::kOver) return;
    if (state_ == State::kWaiting) {
      node_->callbacks_.Remove(this);
      state_ = State::kOver;
      return;
    }
    if (runner_ == sync::CurrentThreadId()) return;
  }
  BlockingScope blocking;
  sync::MutexLock lock(&node_->mutex_);
  while (state_ == State::kRunning) over_.Wait(&node_->mutex_);
}

// Nodes that one call has ended, in the order in which it ended them: the call
// must also run the consequences. Owns a reference to each node; moved to where
// the consequences run.
class Node::Ended {
 public:
  Ended() = default;
  Ended(Ended&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)),
        last_(std::exchange(other.last_, nullptr)) {}
  Ended& operator=(Ended&&) = delete;
  ~Ended() {
    while (first_ != nullptr) Pop()->Unref();
  }

  bool empty() const { return first_ == nullptr; }

  // Takes over a reference.
  void Push(Node* node) {
    node->next_ended_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_ended_) = node;
    last_ = node;
  }

  Node* Pop() {
    Node* const node = first_;
    first_ = node->next_ended_;
    if (first_ == nullptr) last_ = nullptr;
    return node;
  }

  // Records that all nodes below are done too.
  void Complete() {
    for (Node* node = first_; node != nullptr; node = node->next_ended_) {
      node->marking_.store(false, sync::kRelease);
    }
  }

  // Runs the consequences on the calling thread.
  void FinishHere();

  // Runs the consequences on the default executor, ahead of other work. If
  // nobody listens, there are none. If there is no memory for the task, the
  // process ends.
  void FinishElsewhere() noexcept;

 private:
  // How many ends the calling thread is in, each caused by a callback of the
  // previous one; and, once that is too many, the nodes that are left to the
  // innermost.
  struct Nesting {
    int depth = 0;
    Ended* left_over = nullptr;
  };

  static constexpr int kMaxNesting = 16;

  void Finish() {
    while (!empty()) {
      Node* const node = Pop();
      node->FinishEnd();
      node->Unref();
    }
  }

  Node* first_ = nullptr;
  Node* last_ = nullptr;
};

void Node::Ended::FinishHere() {
  Nesting& nesting = sync::ThreadLocal<Nesting, Ended>::Get();
  if (nesting.left_over != nullptr) {
    while (!empty()) nesting.left_over->Push(Pop());
    return;
  }
  Ended left_over;
  if (++nesting.depth == kMaxNesting) nesting.left_over = &left_over;
  Finish();
  left_over.Finish();
  if (nesting.depth-- == kMaxNesting) nesting.left_over = nullptr;
}

void Node::Ended::FinishElsewhere() noexcept {
  Ended listened_to;
  while (!empty()) {
    Node* const node = Pop();
    if (node->has_timer_) node->DisarmTimer();
    if (node->HasListeners()) {
      listened_to.Push(node);
    } else {
      node->Unref();
    }
  }
  if (listened_to.empty()) return;
  DefaultExecutor().SubmitUrgent(
      [ended = std::move(listened_to)]() mutable { ended.FinishHere(); });
}

sync::RefPtr<Node> Node::Create(sync::RefPtr<Node> parent, Deadline deadline,
                                absl::Status deadline_cause) {
  PrepareEnds();
  const Deadline inherited = parent == nullptr ? Deadline() : parent->deadline_;
  const bool has_timer = deadline < inherited;
  if (!has_timer) {
    deadline = inherited;
    if (parent != nullptr) deadline_cause = parent->deadline_cause_;
  } else {
    // How far the wall clock was set between the two.
    const absl::Duration shift =
        (deadline.wall - inherited.wall) - (deadline.due - inherited.due);
    if (absl::AbsDuration(shift) < kLeastShift) {
      deadline.wall = std::min(deadline.wall, inherited.wall);
    }
  }
  if (has_timer) TimerQueue::Default();  // like PrepareEnds
  auto node =
      sync::RefPtr<Node>::Adopt(new Node(std::move(parent), nullptr, deadline,
                                         has_timer, std::move(deadline_cause)));
  if (node->parent_ != nullptr) node->JoinParent();
  if (node->done() || deadline.due == sync::SteadyTime::InfiniteFuture()) {
    return node;
  }
  if (deadline.due <= sync::SteadyTime::Now()) {
    // Even if an ancestor's deadline has passed before: its timer may take a
    // while yet.
    node->EndIfDue();
  } else if (has_timer) {
    node->Ref();  // held by the timer
    TimerQueue::Default().Arm(*node, deadline.due);
    // If another thread ended the node meanwhile, it found no timer to disarm.
    if (node->done()) node->DisarmTimer();
  }
  return node;
}

sync::RefPtr<Node> Node::CreateRelay(sync::RefPtr<Node> parent,
                                     sync::RefPtr<Node> target) {
  auto node = sync::RefPtr<Node>::Adopt(
      new Node(std::move(parent), std::move(target), Deadline(),
               /*has_timer=*/false, absl::OkStatus()));
  node->JoinParent();
  if (node->done()) node->target_->Cancel(node->status(), node->cause());
  return node;
}

Node::Node(sync::RefPtr<Node> parent, sync::RefPtr<Node> target,
           Deadline deadline, bool has_timer, absl::Status deadline_cause)
    : parent_(std::move(parent)),
      target_(std::move(target)),
      deadline_(deadline),
      has_timer_(has_timer),
      deadline_cause_(std::move(deadline_cause)) {}

Node::~Node() = default;

void Node::Unref() {
  if (!references_.Unref()) return;
  sync::LinkedList<Node> over;
  over.PushBack(this);
  while (!over.empty()) {
    Node* const node = over.PopFront();
    for (Node* next : {node->parent_.Release(), node->target_.Release()}) {
      if (next != nullptr && next->references_.Unref()) over.PushBack(next);
    }
    delete node;
  }
}

void Node::EndByDeadline() {
  Ended ended;
  MarkTree(DeadlineExceeded(), deadline_cause_, ended);
  ended.FinishElsewhere();
}

void Node::EndIfDue() {
  if (done() || sync::SteadyTime::Now() < deadline_.due) return;
  Node* node = this;
  while (!node->has_timer_) node = node->parent_.get();
  node->EndByDeadline();
}

void Node::HandOver(Executor&) {
  EndByDeadline();
  Unref();
}

void Node::DisarmTimer() {
  if (TimerQueue::Default().Disarm(*this)) Unref();
}

void Node::JoinParent() {
  {
    sync::MutexLock lock(&parent_->mutex_);
    if (!parent_->done()) {
      parent_->children_.PushBack(this);
      listed_ = true;
      return;
    }
  }
  // No other thread has seen this node.
  sync::MutexLock lock(&mutex_);
  status_ = parent_->status();
  cause_ = parent_->cause();
  done_.store(true, sync::kRelease);
}

void Node::LeaveParent() {
  if (parent_ == nullptr) return;
  sync::MutexLock lock(&parent_->mutex_);
  if (!listed_) return;
  parent_->children_.Remove(this);
  listed_ = false;
}

bool Node::Cancel(absl::Status status, absl::Status cause) {
  Ended ended;  // keeps this node if a callback drops the caller's reference
  const bool ours = MarkTree(status, cause, ended);
  ended.FinishHere();
  return ours;
}

bool Node::MarkTree(const absl::Status& status, const absl::Status& cause,
                    Ended& ended) {
  if (done() && !marking_.load(sync::kAcquire)) return false;
  bool ours = false;
  bool complete = false;
  {
    sync::MutexLock lock(&mutex_);
    complete = done() ? !marking_.load(sync::kAcquire) : IsLeaf();
    ours = complete && !done();
    if (ours) MarkLocked(status, cause, ended);
  }
  if (!complete) {
    // One tree at a time: anything that another call has begun to mark is then
    // complete when this call continues.
    sync::MutexLock lock(&OneTree());
    sync::LinkedList<Node> below;
    ours = Mark(status, cause, ended, below);
    while (!below.empty()) {
      Node* const node = below.PopFront();
      const bool marked = node->Mark(status, cause, ended, below);
      Node* const target = node->target_.get();
      if (marked && target != nullptr &&
          target->Mark(status, cause, ended, below)) {
        target->LeaveParent();
      }
      node->Unref();
    }
    ended.Complete();
  }
  if (ours) LeaveParent();
  return ours;
}

bool Node::Mark(const absl::Status& status, const absl::Status& cause,
                Ended& ended, sync::LinkedList<Node>& below) {
  sync::MutexLock lock(&mutex_);
  if (done()) return false;
  if (!IsLeaf()) marking_.store(true, sync::kRelaxed);
  MarkLocked(status, cause, ended);
  while (!children_.empty()) {
    Node* const child = children_.PopFront();
    child->Ref();
    child->listed_ = false;
    below.PushBack(child);
  }
  return true;
}

void Node::MarkLocked(const absl::Status& status, const absl::Status& cause,
                      Ended& ended) {
  status_ = status;
  cause_ = cause;
  done_.store(true, sync::kRelease);
  done_changed_.SignalAll();
  while (!wakers_.empty()) {
    Waker* const waker = wakers_.PopFront();
    waker->listed_ = false;
    waker->Wake();
  }
  Ref();
  ended.Push(this);
}

bool Node::IsLeaf() const { return children_.empty() && target_ == nullptr; }

void Node::FinishEnd() {
  if (has_timer_) DisarmTimer();
#ifdef __cpp_lib_jthread
  std::optional<std::stop_source> stop_source;
  {
    sync::MutexLock lock(&mutex_);
    if (stop_source_ != nullptr) stop_source = stop_source_->source;
  }
  if (stop_source.has_value()) stop_source->request_stop();
#endif
  RunCallbacks();
}

bool Node::HasListeners() {
  sync::MutexLock lock(&mutex_);
  return !callbacks_.empty() || stop_source_ != nullptr;
}

void Node::RunCallbacks() {
  while (true) {
    sync::RefPtr<Registration> registration;
    {
      sync::MutexLock lock(&mutex_);
      if (callbacks_.empty()) return;
      registration = sync::RefPtr<Registration>::Share(callbacks_.PopFront());
      registration->state_ = Registration::State::kRunning;
      registration->runner_ = sync::CurrentThreadId();
    }
    Call(registration->callback_);
    registration->callback_ = nullptr;
    sync::MutexLock lock(&mutex_);
    registration->state_ = Registration::State::kOver;
    registration->over_.SignalAll();
  }
}

void Node::AwaitDone() { AwaitDoneUntil(sync::SteadyTime::InfiniteFuture()); }

bool Node::AwaitDoneUntil(sync::SteadyTime deadline) {
  if (done()) return true;
  const bool own = deadline_.due <= deadline;
  {
    BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    const sync::SteadyTime until = own ? deadline_.due : deadline;
    while (!done()) {
      if (done_changed_.WaitUntil(&mutex_, until)) break;
    }
  }
  if (own) EndIfDue();
  return done();
}

void Node::Watch(Waker& waker) {
  sync::MutexLock lock(&mutex_);
  if (done()) {
    waker.Wake();
    return;
  }
  wakers_.PushBack(&waker);
  waker.listed_ = true;
}

void Node::Unwatch(Waker& waker) {
  sync::MutexLock lock(&mutex_);
  if (waker.listed_) wakers_.Remove(&waker);
  waker.listed_ = false;
}

sync::RefPtr<Registration> Node::OnDone(
    absl::AnyInvocable<void() &&> callback) {
  if (!done()) {
    auto registration = sync::RefPtr<Registration>::Adopt(
        new Registration(sync::RefPtr<Node>::Share(this), std::move(callback)));
    {
      sync::MutexLock lock(&mutex_);
      if (!done()) {
        callbacks_.PushBack(registration.get());
        return registration;
      }
    }
    // No other thread has seen the registration.
    callback = std::move(registration->callback_);
  }
  Call(callback);
  return nullptr;
}

#ifdef __cpp_lib_jthread
std::stop_token Node::stop_token() {
  std::optional<std::stop_source> source;
  {
    sync::MutexLock lock(&mutex_);
    if (stop_source_ == nullptr) stop_source_ = std::make_unique<StopSource>();
    source = stop_source_->source;
  }
  // If the node is done already, FinishEnd may have run too early to see the
  // source.
  if (done()) source->request_stop();
  return source->get_token();
}
#endif

}  // namespace cohort::context_internal
