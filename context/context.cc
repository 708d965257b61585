#include "cohort/context/context.h"

#include <memory>
#include <utility>
#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/internal/node.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort {

namespace context_internal {

#ifdef __cpp_lib_jthread
class StopRegistration {
 public:
  StopRegistration(std::stop_token token, sync::RefPtr<Node> node)
      : callback_(std::move(token), Cancel{std::move(node)}) {}

 private:
  struct Cancel {
    sync::RefPtr<Node> node;
    void operator()() const {
      node->Cancel(absl::CancelledError("context cancelled"),
                   absl::CancelledError("stop requested"));
    }
  };

  std::stop_callback<Cancel> callback_;
};
#else
class StopRegistration {};
#endif

}  // namespace context_internal

namespace {

using context_internal::Node;
using sync::RefPtr;

// What waiting for a context that is never done comes to.
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
  // Withdrawn last, and from a place of its own: the functor's destructor may
  // come back here.
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
  return node_ == nullptr ? absl::InfiniteFuture() : node_->deadline();
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

CancelScope::CancelScope(const Context& parent, absl::Time deadline,
                         absl::Status cause)
    : context_(Node::Create(parent.node_, deadline, std::move(cause)),
               parent.values_) {}

CancelScope::CancelScope(CancelScope&& other) noexcept = default;

CancelScope& CancelScope::operator=(CancelScope&& other) noexcept {
  if (this == &other) return *this;
  // Ends last, and in a place of its own: a callback may come back here.
  const CancelScope old = std::move(*this);
  stop_ = std::move(other.stop_);
  context_ = std::move(other.context_);
  return *this;
}

CancelScope::~CancelScope() {
  if (stop_ != nullptr) {
    BlockingScope blocking;  // a stop on another thread may be running
    stop_ = nullptr;
  }
  if (context_.node_ != nullptr) Cancel();
}

bool CancelScope::Cancel(absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << "CancelScope::Cancel: the cause is OK";
  ABSL_CHECK(context_.node_ != nullptr) << "CancelScope::Cancel: moved from";
  return context_.node_->Cancel(absl::CancelledError("context cancelled"),
                                std::move(cause));
}

CancelScope WithCancel(const Context& parent) {
  return CancelScope(parent, absl::InfiniteFuture(), absl::OkStatus());
}

CancelScope WithDeadline(const Context& parent, absl::Time t,
                         absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << "WithDeadline: the cause is OK";
  return CancelScope(parent, t, std::move(cause));
}

CancelScope WithTimeout(const Context& parent, absl::Duration d,
                        absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << "WithTimeout: the cause is OK";
  return WithDeadline(parent, sync::Now() + d, std::move(cause));
}

#ifdef __cpp_lib_jthread
CancelScope WithStopToken(const Context& parent, std::stop_token token) {
  CancelScope scope = WithCancel(parent);
  if (token.stop_possible()) {
    // The node rather than the scope, which moves.
    scope.stop_ = std::make_unique<context_internal::StopRegistration>(
        std::move(token), scope.context_.node_);
  }
  return scope;
}
#endif

Context WithoutCancel(const Context& parent) {
  return Context(nullptr, parent.values_);
}

}  // namespace cohort
