// Value types that are easily mistaken for a failure, or are constructible from
// one.

#ifndef COHORT_GROUP_TEST_UTIL_H_
#define COHORT_GROUP_TEST_UTIL_H_

#include <any>
#include <memory>
#include <optional>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace cohort::testing {

// Constructible from anything; knows whether that was a number.
struct FromAnything {
  template <class T>
  FromAnything(T&&) : number(false) {}  // NOLINT
  FromAnything(int) : number(true) {}   // NOLINT
  FromAnything(const FromAnything&) = default;
  FromAnything(FromAnything&&) = default;
  FromAnything& operator=(const FromAnything&) = default;
  FromAnything& operator=(FromAnything&&) = default;
  bool number;
};

struct FromStatus {
  FromStatus(absl::Status) : number(false) {}         // NOLINT
  FromStatus(absl::StatusOr<int>) : number(false) {}  // NOLINT
  explicit FromStatus(int) : number(true) {}
  bool number;
};

// Converts to a failure where one is expected.
struct ToStatus {
  operator absl::Status() const {  // NOLINT
    return absl::InternalError("converted");
  }
  operator bool() const { return false; }  // NOLINT
  int number;
};

// Has no usable address, and cannot be copied.
struct NoAddress {
  explicit NoAddress(int n) : number(std::make_unique<int>(n)) {}
  NoAddress* operator&() const = delete;
  std::unique_ptr<int> number;
};

template <class T>
struct ValueCase;

template <>
struct ValueCase<FromAnything> {
  static FromAnything Make() { return 7; }
  static bool Is(const FromAnything& value) { return value.number; }
};
template <>
struct ValueCase<FromStatus> {
  static FromStatus Make() { return FromStatus(7); }
  static bool Is(const FromStatus& value) { return value.number; }
};
template <>
struct ValueCase<ToStatus> {
  static ToStatus Make() { return {.number = 7}; }
  static bool Is(const ToStatus& value) { return value.number == 7; }
};
template <>
struct ValueCase<NoAddress> {
  static NoAddress Make() { return NoAddress(7); }
  static bool Is(const NoAddress& value) { return *value.number == 7; }
};
// Values that are failures themselves, in three ways.
template <>
struct ValueCase<std::any> {
  static std::any Make() { return absl::AbortedError("a value"); }
  static bool Is(const std::any& value) {
    return std::any_cast<absl::Status>(value) == absl::AbortedError("a value");
  }
};
template <>
struct ValueCase<std::variant<absl::Status, int>> {
  static std::variant<absl::Status, int> Make() {
    return absl::AbortedError("a value");
  }
  static bool Is(const std::variant<absl::Status, int>& value) {
    return std::get<0>(value) == absl::AbortedError("a value");
  }
};
template <>
struct ValueCase<absl::StatusOr<int>> {
  static absl::StatusOr<int> Make() { return absl::AbortedError("a value"); }
  static bool Is(const absl::StatusOr<int>& value) {
    return value.status() == absl::AbortedError("a value");
  }
};
template <>
struct ValueCase<bool> {
  static bool Make() { return false; }
  static bool Is(bool value) { return !value; }
};
template <>
struct ValueCase<std::optional<bool>> {
  static std::optional<bool> Make() { return std::nullopt; }
  static bool Is(const std::optional<bool>& value) {
    return !value.has_value();
  }
};

using ValueCases =
    ::testing::Types<FromAnything, FromStatus, ToStatus, NoAddress, std::any,
                     std::variant<absl::Status, int>, absl::StatusOr<int>, bool,
                     std::optional<bool>>;

// Functions that return such a value, or fail.
template <class T>
absl::StatusOr<T> Succeed() {
  return absl::StatusOr<T>(std::in_place, ValueCase<T>::Make());
}
inline absl::Status Failed() { return absl::NotFoundError("no value"); }
template <class T>
absl::StatusOr<T> Fail() {
  return absl::StatusOr<T>(Failed());
}
// The same, returned as const, which nobody should write.
template <class T>
const absl::StatusOr<T> FailAsConst() {  // NOLINT
  return absl::StatusOr<T>(Failed());
}

}  // namespace cohort::testing

#endif  // COHORT_GROUP_TEST_UTIL_H_
