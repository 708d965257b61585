#include <memory>
#include <type_traits>

#include "absl/status/status.h"

// Fails only once the template is instantiated.
template <typename T>
T Twice(T x) {
  static_assert(std::is_arithmetic_v<T>, "T is a number");
  return x;
}

absl::Status Call(const absl::Status& s) { return Twice(s); }
