#include "cohort/context/internal/node.h"

#include <memory>
#include <optional>
#include <utility>
#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/internal/value.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/clock.h"
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

// A callback has nobody to throw to: this makes it the exception's end, with
// the stack of the throw in the core dump.
void Call(absl::AnyInvocable<void() &&>& callback) noexcept {
  std::move(callback)();
}

}  // namespace

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

sync::RefPtr<Node> Node::Create(sync::RefPtr<Node> parent, absl::Time deadline,
                                absl::Status deadline_cause) {
  const absl::Time inherited =
      parent == nullptr ? absl::InfiniteFuture() : parent->deadline();
  const bool has_timer = deadline < inherited;
  if (!has_timer && parent != nullptr) deadline_cause = parent->deadline_cause_;
  auto node = sync::RefPtr<Node>::Adopt(
      new Node(std::move(parent), has_timer ? deadline : inherited, has_timer,
               std::move(deadline_cause)));
  if (node->parent_ != nullptr) node->JoinParent();
  if (node->done() || deadline == absl::InfiniteFuture()) return node;
  const sync::SteadyTime due = sync::SteadyTime::At(deadline);
  if (due <= sync::SteadyTime::Now()) {
    // Also where an ancestor's deadline has passed before: its timer may take
    // a while yet.
    node->EndByDeadline();
  } else if (has_timer) {
    node->Ref();  // the timer's
    TimerQueue::Default().Arm(*node, due);
    // Whoever ended the node meanwhile found no timer to take back.
    if (node->done()) node->DisarmTimer();
  }
  return node;
}

Node::Node(sync::RefPtr<Node> parent, absl::Time deadline, bool has_timer,
           absl::Status deadline_cause)
    : parent_(std::move(parent)),
      deadline_(deadline),
      has_timer_(has_timer),
      deadline_cause_(std::move(deadline_cause)) {}

Node::~Node() = default;

void Node::Unref() {
  Node* node = this;
  while (node != nullptr && node->references_.Unref()) {
    Node* parent = node->parent_.Release();
    delete node;
    node = parent;
  }
}

void Node::EndByDeadline() {
  Cancel(absl::DeadlineExceededError("context deadline exceeded"),
         deadline_cause_);
}

void Node::OnDue() {
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
  sync::LinkedList<Node> none;
  MarkDone(parent_->status(), parent_->cause(), &none);
}

void Node::LeaveParent() {
  if (parent_ == nullptr) return;
  sync::MutexLock lock(&parent_->mutex_);
  if (!listed_) return;
  parent_->children_.Remove(this);
  listed_ = false;
}

bool Node::Cancel(absl::Status status, absl::Status cause) {
  if (done()) return false;
  // First all nodes are marked, parents before their children, then the
  // callbacks run. The list's references keep the nodes until then.
  sync::LinkedList<Node> below;
  if (!MarkDone(status, cause, &below)) return false;
  Node* next = nullptr;
  for (Node* node = below.front(); node != nullptr; node = next) {
    const bool marked = node->MarkDone(status, cause, &below);
    next = sync::LinkedList<Node>::Next(node);
    if (marked) continue;
    // Its callbacks are for whoever was faster: two threads would mix up their
    // order.
    below.Remove(node);
    node->Unref();
  }
  LeaveParent();
  // A callback may drop the reference that the caller has.
  const auto self = sync::RefPtr<Node>::Share(this);
  FinishEnd();
  while (!below.empty()) {
    Node* node = below.PopFront();
    node->FinishEnd();
    node->Unref();
  }
  return true;
}

bool Node::MarkDone(const absl::Status& status, const absl::Status& cause,
                    sync::LinkedList<Node>* below) {
  sync::MutexLock lock(&mutex_);
  if (done()) return false;
  status_ = status;
  cause_ = cause;
  done_.store(true, sync::kRelease);
  done_changed_.SignalAll();
  Node* next = nullptr;
  for (Node* child = children_.front(); child != nullptr; child = next) {
    next = sync::LinkedList<Node>::Next(child);
    child->Ref();
    children_.Remove(child);
    child->listed_ = false;
    below->PushBack(child);
  }
  return true;
}

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

void Node::AwaitDone() {
  if (done()) return;
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  while (!done()) done_changed_.Wait(&mutex_);
}

bool Node::AwaitDoneUntil(sync::SteadyTime deadline) {
  if (done()) return true;
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  while (!done()) {
    if (done_changed_.WaitUntil(&mutex_, deadline)) break;
  }
  return done();
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
    // Nobody else has seen the registration.
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
  // Where the node is done already, FinishEnd may have come too early to see
  // the source.
  if (done()) source->request_stop();
  return source->get_token();
}
#endif

}  // namespace cohort::context_internal
