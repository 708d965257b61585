// The result of receiving: a value of a channel, or the reason why there is
// none.

#ifndef COHORT_CHANNEL_RESULT_H_
#define COHORT_CHANNEL_RESULT_H_

#include <memory>
#include <type_traits>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cohort::channel {

// A value, or the status that says why there is none; like absl::StatusOr<T>,
// and with its methods, for a T that can itself be made from a status: an
// absl::Status, an absl::StatusOr<U>, a std::any, a std::variant that can hold
// a status. StatusOr would take one for the other, and a loop at the end of its
// channel would seem to have received an error, or an OK. Here nothing
// converts:
//
//   Channel<absl::Status> errors(n);  // Go's chan error
//   DistinctStatusOr<absl::Status> error = errors.Receive(context);
//   if (!error.ok()) return error.status();  // nothing was received
//   if (!error->ok()) Log(*error);           // an error was
//
// Use absl::StatusOr for results that are not received from a channel.
//
// Blocks?         Never.
// On error?       value() does what absl::StatusOr's value() does; operator*
//                 and -> die if there is no value.
// Thread safety   As for any value.
template <class T>
class [[nodiscard]] DistinctStatusOr {
 public:
  using value_type = T;

  template <class... Args>
  explicit DistinctStatusOr(std::in_place_t, Args&&... args)
      : value_(std::in_place, std::in_place, std::forward<Args>(args)...) {}
  // A result without a value; `status` says why, and is not OK.
  static DistinctStatusOr NotOk(absl::Status status) {
    return DistinctStatusOr(absl::StatusOr<Only>(std::move(status)));
  }

  bool ok() const { return value_.ok(); }
  // OK if there is a value, whatever the value is.
  const absl::Status& status() const& ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return value_.status();
  }
  absl::Status status() && { return std::move(value_).status(); }

  T& value() & ABSL_ATTRIBUTE_LIFETIME_BOUND { return value_.value().value; }
  const T& value() const& ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return value_.value().value;
  }
  T&& value() && ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return std::move(std::move(value_).value().value);
  }

  T& operator*() & ABSL_ATTRIBUTE_LIFETIME_BOUND { return (*value_).value; }
  const T& operator*() const& ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return (*value_).value;
  }
  T&& operator*() && ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return std::move((*std::move(value_)).value);
  }

  T* operator->() ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return std::addressof(**this);
  }
  const T* operator->() const ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return std::addressof(**this);
  }

  template <class U>
  T value_or(U&& otherwise) const& {
    return ok() ? **this : static_cast<T>(std::forward<U>(otherwise));
  }
  template <class U>
  T value_or(U&& otherwise) && {
    return ok() ? *std::move(*this)
                : static_cast<T>(std::forward<U>(otherwise));
  }

  void IgnoreError() const { value_.IgnoreError(); }

  // Otherwise a T that can be made from anything would be made from this
  // object. All four forms, so that none is a worse match than StatusOr's
  // constructor.
  operator absl::StatusOr<T>() & = delete;
  operator absl::StatusOr<T>() const& = delete;
  operator absl::StatusOr<T>() && = delete;
  operator absl::StatusOr<T>() const&& = delete;

 private:
  struct Only {
    template <class... Args>
    explicit Only(std::in_place_t, Args&&... args)
        : value(std::forward<Args>(args)...) {}
    T value;
  };

  explicit DistinctStatusOr(absl::StatusOr<Only> value)
      : value_(std::move(value)) {}

  absl::StatusOr<Only> value_;
};

// The return type of Receive and its relatives: absl::StatusOr<T>, or a
// DistinctStatusOr<T> only if StatusOr could not tell its value from its
// status. Code for any T says Result<T>.
template <class T>
using Result = std::conditional_t<std::is_constructible_v<T, absl::Status>,
                                  DistinctStatusOr<T>, absl::StatusOr<T>>;

namespace internal {

template <class T>
Result<T> Value(T&& value) {
  return Result<T>(std::in_place, std::move(value));
}

template <class T>
Result<T> NoValue(absl::Status status) {
  if constexpr (std::is_same_v<Result<T>, absl::StatusOr<T>>) {
    return status;
  } else {
    return Result<T>::NotOk(std::move(status));
  }
}

}  // namespace internal
}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_RESULT_H_
