#include "cohort/context/context.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>
#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/context/internal/node.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort {

namespace context_internal {

class Attachment {
 public:
  Attachment() = default;
  virtual ~Attachment() = default;
};

namespace {

#ifdef __cpp_lib_jthread
class StopRegistration final : public Attachment {
 public:
  StopRegistration(std::stop_token token, sync::RefPtr<Node> node)
      : callback_(std::move(token), Cancel{std::move(node)}) {}

 private:
  struct Cancel {
    sync::RefPtr<Node> node;
    void operator()() const {
      node->Cancel(Cancelled(), absl::CancelledError("stop requested"));
    }
  };

  std::stop_callback<Cancel> callback_;
};
#endif

// A node below each of several contexts, with which another node ends.
class Relays final : public Attachment {
 public:
  Relays() = default;
  ~Relays() override {
    for (const sync::RefPtr<Node>& node : nodes_) {
      node->Cancel(Cancelled(), Cancelled());
    }
  }

  void Reserve(size_t count) { nodes_.reserve(count); }
  void Add(sync::RefPtr<Node> parent, sync::RefPtr<Node> target) {
    nodes_.push_back(Node::CreateRelay(std::move(parent), std::move(target)));
  }

 private:
  std::vector<sync::RefPtr<Node>> nodes_;
};

}  // namespace
}  // namespace context_internal

namespace {

using context_internal::Deadline;
using context_internal::Node;
using sync::RefPtr;

// Waits on a context that is never done.
void AwaitNothingUntil(sync::SteadyTime deadline) {
  BlockingScope blocking;
  sync::Mutex mutex;
  sync::CondVar never;
  sync::MutexLock lock(&mutex);
  while (sync::SteadyTime::Now() < deadline) never.WaitUntil(&mutex, deadline);
}

}  // namespace

DoneCallback& DoneCallback::operator=(DoneCallback&& other) noexcept {
  if (this == &other) return *this;
  // Withdrawn last, and from a variable of its own: the functor's destructor
  // may call back into this object.
  const DoneCallback old = std::move(*this);
  registration_ = std::move(other.registration_);
  return *this;
}

DoneCallback::~DoneCallback() {
  if (registration_ != nullptr) registration_->Withdraw();
}

absl::Status Context::status() const {
  return node_ == nullptr ? absl::OkStatus() : node_->status();
}

absl::Status Context::cause() const {
  return node_ == nullptr ? absl::OkStatus() : node_->cause();
}

absl::Time Context::deadline() const {
  return node_ == nullptr ? absl::InfiniteFuture() : node_->deadline().wall;
}

absl::Duration Context::time_left() const {
  if (node_ == nullptr) return absl::InfiniteDuration();
  const absl::Duration left = node_->deadline().due - sync::SteadyTime::Now();
  return std::max(left, absl::ZeroDuration());
}

void Context::AwaitDone() const {
  if (node_ == nullptr) {
    AwaitNothingUntil(sync::SteadyTime::InfiniteFuture());
  } else {
    node_->AwaitDone();
  }
}

bool Context::AwaitDoneUntil(absl::Time t) const {
  const sync::SteadyTime deadline = sync::SteadyTime::At(t);
  if (node_ != nullptr) return node_->AwaitDoneUntil(deadline);
  AwaitNothingUntil(deadline);
  return false;
}

absl::Status Context::SleepFor(absl::Duration d) const {
  if (done()) return status();
  if (d <= absl::ZeroDuration()) return absl::OkStatus();
  const sync::SteadyTime deadline = sync::SteadyTime::Now() + d;
  if (node_ == nullptr) {
    AwaitNothingUntil(deadline);
    return absl::OkStatus();
  }
  return node_->AwaitDoneUntil(deadline) ? status() : absl::OkStatus();
}

DoneCallback Context::OnDone(absl::AnyInvocable<void() &&> f) const {
  ABSL_CHECK(f) << "Context::OnDone: null callback";
  if (node_ == nullptr) return DoneCallback();
  return DoneCallback(node_->OnDone(std::move(f)));
}

#ifdef __cpp_lib_jthread
std::stop_token Context::stop_token() const {
  return node_ == nullptr ? std::stop_token() : node_->stop_token();
}
#endif

CancelScope::CancelScope(const Context& parent, Deadline deadline,
                         absl::Status cause)
    : context_(Node::Create(parent.node_, deadline, std::move(cause)),
               parent.values_) {}

CancelScope::CancelScope(CancelScope&& other) noexcept = default;

CancelScope& CancelScope::operator=(CancelScope&& other) noexcept {
  if (this == &other) return *this;
  // Ends last, and in a variable of its own: a callback may call back into this
  // object.
  const CancelScope old = std::move(*this);
  attachment_ = std::move(other.attachment_);
  context_ = std::move(other.context_);
  return *this;
}

CancelScope::~CancelScope() {
  if (attachment_ != nullptr) {
    BlockingScope blocking;  // a stop request may be running on another thread
    attachment_ = nullptr;
  }
  if (context_.node_ != nullptr) {
    context_.node_->Cancel(context_internal::Cancelled(),
                           context_internal::Cancelled());
  }
}

bool CancelScope::Cancel(absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << "CancelScope::Cancel: the cause is OK";
  ABSL_CHECK(context_.node_ != nullptr) << "CancelScope::Cancel: moved from";
  return context_.node_->Cancel(context_internal::Cancelled(),
                                std::move(cause));
}

CancelScope WithCancel(const Context& parent) {
  return CancelScope(parent, Deadline(), absl::OkStatus());
}

CancelScope WithDeadline(const Context& parent, absl::Time t,
                         absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << "WithDeadline: the cause is OK";
  return CancelScope(parent, Deadline::At(t), std::move(cause));
}

CancelScope WithTimeout(const Context& parent, absl::Duration d,
                        absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << "WithTimeout: the cause is OK";
  return CancelScope(parent, Deadline::In(d), std::move(cause));
}

CancelScope WithAnyOf(absl::Span<const Context> contexts) {
  if (contexts.empty()) return WithCancel(Context());
  const Context& first = contexts.front();
  Deadline deadline;
  absl::Status cause;
  for (const Context& other : contexts.subspan(1)) {
    if (other.node_ == nullptr) continue;
    if (other.node_->deadline().due >= deadline.due) continue;
    deadline = other.node_->deadline();
    cause = other.node_->deadline_cause();
  }
  CancelScope scope(first, deadline, std::move(cause));
  auto relays = std::make_unique<context_internal::Relays>();
  relays->Reserve(contexts.size());
  for (const Context& other : contexts.subspan(1)) {
    if (other.node_ == nullptr) continue;
    relays->Add(other.node_, scope.context_.node_);
  }
  scope.attachment_ = std::move(relays);
  return scope;
}

#ifdef __cpp_lib_jthread
CancelScope WithStopToken(const Context& parent, std::stop_token token) {
  CancelScope scope = WithCancel(parent);
  if (token.stop_possible()) {
    // Holds the node rather than the scope, since scopes move.
    scope.attachment_ = std::make_unique<context_internal::StopRegistration>(
        std::move(token), scope.context_.node_);
  }
  return scope;
}
#endif

Context WithoutCancel(const Context& parent) {
  return Context(nullptr, parent.values_);
}

}  // namespace cohort
