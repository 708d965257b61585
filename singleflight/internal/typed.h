// The typed part of a call: key, value, and how work is invoked. Internal.

#ifndef COHORT_SINGLEFLIGHT_INTERNAL_TYPED_H_
#define COHORT_SINGLEFLIGHT_INTERNAL_TYPED_H_

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/container/hash_container_defaults.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/context/context.h"
#include "cohort/singleflight/internal/flight.h"
#include "cohort/task/task.h"

namespace cohort::singleflight::internal {

template <class T>
inline constexpr bool kIsStatusOr = false;
template <class T>
inline constexpr bool kIsStatusOr<absl::StatusOr<T>> = true;

// Whether an error could be mistaken for a value.
template <class V>
concept MadeFromAStatus =
    kIsStatusOr<std::remove_cv_t<V>> || std::convertible_to<absl::Status, V>;

// A StatusOr of another type yields its value, rather than itself.
template <class R, class V>
concept Yields =
    std::convertible_to<R, absl::StatusOr<V>> &&
    !std::same_as<std::remove_cvref_t<R>, absl::Status> &&
    !(kIsStatusOr<std::remove_cvref_t<R>> && std::convertible_to<R, V>);

template <class F, class V>
concept WorkWithContext = std::invocable<F, const Context&> &&
                          Yields<std::invoke_result_t<F, const Context&>, V>;

template <class F, class V>
concept WorkWithoutContext =
    std::invocable<F> && Yields<std::invoke_result_t<F>, V>;

template <class F>
void CheckNotNull(const F& work, const char* caller) {
  ABSL_CHECK(!task_internal::IsNull(work)) << caller << ": null work";
}

// A Flight with storage for the value.
template <class V>
class ValueFlight : public Flight {
 public:
  using Flight::Flight;
  std::optional<V> value;

 private:
  void DropValue() final { value.reset(); }
};

template <class V, class K>
class KeyedFlight final : public ValueFlight<V> {
 public:
  template <class Q>
  KeyedFlight(const Q& key, size_t hash, Flight::Runner runner,
              std::string group)
      : ValueFlight<V>(hash, runner, std::move(group)), key_(key) {}
  const K& key() const { return key_; }

 private:
  std::string KeyText() const override {
    if constexpr (std::convertible_to<const K&, absl::string_view>) {
      return absl::StrCat("\"", absl::string_view(key_), "\"");
    } else if constexpr (requires { absl::AlphaNum(key_); }) {
      return absl::StrCat(key_);
    } else {
      return "(it has no text)";
    }
  }

  const K key_;
};

// Wraps `work` so that it stores its value in `flight`; call it once.
template <class V, class F>
auto IntoFlight(Flight& flight, F& work) {
  return [&flight, &work](const Context& context) {
    F once = std::move(work);  // destroyed when this returns
    absl::StatusOr<V> result = task_internal::InvokeWith<WorkWithContext<F, V>>(
        context, std::move(once));
    if (result.ok()) {
      static_cast<ValueFlight<V>&>(flight).value.emplace(*std::move(result));
    }
    return std::move(result).status();
  };
}

// Lookup as in Abseil's containers.
template <class K>
struct Keys {
  using Hasher = absl::DefaultHashContainerHash<K>;
  using Equal = absl::DefaultHashContainerEq<K>;

  template <class Q>
  static size_t Hash(const Q& key) {
    return Hasher()(key);
  }

  // Whether a call is the call of `key`.
  template <class V, class Q>
  static auto Same(const Q& key) {
    return [&key](const Flight& flight) {
      return Equal()(static_cast<const KeyedFlight<V, K>&>(flight).key(), key);
    };
  }
};

// What may be passed as a key: any type if lookup is heterogeneous.
template <class K>
struct KeyArgs {
  template <class Q>
  using Arg = K;
};
template <class K>
  requires requires {
    typename Keys<K>::Hasher::is_transparent;
    typename Keys<K>::Equal::is_transparent;
  }
struct KeyArgs<K> {
  template <class Q>
  using Arg = Q;
};

}  // namespace cohort::singleflight::internal

#endif  // COHORT_SINGLEFLIGHT_INTERNAL_TYPED_H_
