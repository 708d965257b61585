// The results of singleflight::Group: a shared value or an error, and a handle
// to a call.

#ifndef COHORT_SINGLEFLIGHT_RESULT_H_
#define COHORT_SINGLEFLIGHT_RESULT_H_

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "cohort/singleflight/internal/flight.h"
#include "cohort/singleflight/internal/typed.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::singleflight {

template <class K, class V>
class Group;

// The result of a call: the value that all its callers share, or an error,
// which may be the caller's own (its context has ended). Cheap to copy. The
// value lives as long as any of its results, and may outlive the group: keep
// the Result to keep the value.
//
// Blocks?         Never.
// Thread safety   Const methods, from any thread. The value is shared:
//                 concurrent operations on it must be safe.
// Destruction     The last result that shares a value destroys it.
template <class V>
class [[nodiscard]] Result {
 public:
  bool ok() const { return its_status().ok(); }
  const absl::Status& status() const& ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return its_status();
  }
  absl::Status status() const&& { return its_status(); }

  // The value; dies if there is none. On a temporary Result it returns a copy,
  // since the value may be destroyed with the Result.
  const V& operator*() const& ABSL_ATTRIBUTE_LIFETIME_BOUND { return value(); }
  V operator*() const&&
    requires std::copy_constructible<V>
  {
    return value();
  }
  const V& operator*() const&&
    requires(!std::copy_constructible<V>)
  = delete;  // keep the Result, and take the value from it
  const V* operator->() const& ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return std::addressof(value());
  }
  const V* operator->() const&& = delete;  // keep the Result

  // Whether the call has had more than one caller, even if the others have left
  // since. False if the error is the caller's own.
  bool shared() const { return flight_ != nullptr && flight_->shared(); }

  // The exception that the error was made from, for the first of all callers
  // that asks; null for the others. Only one caller gets it, since sharing an
  // exception between threads is a race on what it points to.
  std::exception_ptr exception() const {
    return flight_ == nullptr ? nullptr : flight_->TakeException();
  }

 private:
  template <class, class>
  friend class Group;
  template <class>
  friend class Call;

  explicit Result(absl::Status status) : status_(std::move(status)) {}
  explicit Result(sync::RefPtr<internal::Flight> flight)
      : flight_(std::move(flight)) {}

  const absl::Status& its_status() const {
    return flight_ == nullptr ? status_ : flight_->status();
  }
  const V& value() const {
    ABSL_CHECK_OK(its_status()) << "singleflight::Result: no value";
    return *static_cast<const internal::ValueFlight<V>&>(*flight_).value;
  }

  sync::RefPtr<internal::Flight> flight_;
  absl::Status status_;  // if there is no call
};

// A caller of a call, made by Group::Start. Movable; a moved-from Call may only
// be destroyed or assigned to.
//
// Blocks?         Wait does, until the call has ended or the context of Start
//                 has; it announces that with a BlockingScope.
// Cancellation?   When the context of Start ends, the Call leaves the call. See
//                 Group for which of the two comes first.
// On error?       Wait inside work that this call waits for returns
//                 FAILED_PRECONDITION, and does not leave the call.
// Thread safety   Wait and Poll, from any thread.
// Destruction     Leaves the call; a call that its last caller has left is
//                 cancelled. May outlive the group.
template <class V>
class [[nodiscard]] Call {
 public:
  Call(Call&& other) noexcept = default;
  Call& operator=(Call&& other) noexcept = default;
  ~Call() = default;

  // The result of the call, or the cause if the context has ended first. May be
  // called any number of times. Dies after Abandon.
  Result<V> Wait() const {
    if (CheckedWaiter("Wait") == nullptr) return Result<V>(status_);
    absl::Status status = waiter_->Await();
    if (!status.ok()) return Result<V>(std::move(status));
    return Result<V>(waiter_->flight());
  }

  // What Wait would return without blocking; nothing if it would block.
  std::optional<Result<V>> Poll() const {
    const internal::Waiter* const waiter = CheckedWaiter("Poll");
    if (waiter != nullptr && waiter->Waits()) return std::nullopt;
    return Wait();
  }

  // Leaves the call, as the destructor does.
  void Abandon() { waiter_.reset(); }

 private:
  template <class, class>
  friend class Group;

  explicit Call(absl::Status status) : status_(std::move(status)) {}
  explicit Call(std::unique_ptr<internal::Waiter> waiter)
      : waiter_(std::move(waiter)) {}

  // Null if nothing has been started.
  const internal::Waiter* CheckedWaiter(const char* method) const {
    ABSL_CHECK(waiter_ != nullptr || !status_.ok())
        << "singleflight::Call::" << method << ": abandoned, or moved from";
    return waiter_.get();
  }

  std::unique_ptr<internal::Waiter> waiter_;
  absl::Status status_;
};

}  // namespace cohort::singleflight

#endif  // COHORT_SINGLEFLIGHT_RESULT_H_
