// Parallel loops over a range: the ranges and functions that ForEach and Map
// accept.

#ifndef COHORT_GROUP_ELEMENTS_H_
#define COHORT_GROUP_ELEMENTS_H_

#include <concepts>
#include <cstddef>
#include <deque>
#include <iterator>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "cohort/context/context.h"
#include "cohort/group/internal/chunks.h"
#include "cohort/task/task.h"
#include "cohort/task/value_task.h"

namespace cohort {

// How a call processes the elements of a range.
struct MapOptions {
  // How many elements run at once; at least 1. If elements block, a limit above
  // the number of CPUs pays off. kUnlimited: one task for each element.
  int limit = group_internal::DefaultLimit();
};

namespace group_internal {

// The type through which a range is read: const if the range computes its
// elements on access, as a std::vector<bool> does. Threads could not write to
// neighbouring elements of such a range.
template <class R>
struct AsRead {
  using Range = std::remove_reference_t<R>;
};
template <class R>
  requires(!std::is_reference_v<std::ranges::range_reference_t<R>> &&
           std::same_as<
               std::ranges::range_reference_t<const std::remove_reference_t<R>>,
               std::ranges::range_value_t<R>>)
struct AsRead<R> {
  using Range = const std::remove_reference_t<R>;
};
template <class R>
using ReadRange = typename AsRead<R>::Range;

// InPlaceRange: the elements stay where they are and can be found by index.
// AddressableRange: the elements can be found again by address.
template <class R>
concept InPlaceRange = std::ranges::random_access_range<ReadRange<R>> &&
                       std::ranges::sized_range<ReadRange<R>>;
template <class R>
concept AddressableRange =
    std::ranges::forward_range<R> &&
    std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>;

}  // namespace group_internal

// A range whose elements ForEach and Map pass to a function: any input range.
// It is deduced as R; the function is given
//
//   for an lvalue container, or a view: the element as the range refers to
//     it. So it can be written, unless it is const. (The elements of a
//     std::vector<bool> cannot be: neighbours share their memory.)
//   for an rvalue container: the element as an rvalue, to be moved from.
//
// With random access and a size, elements are used where they are, and what an
// iterator computes (std::views::transform) is computed in parallel. The
// elements of other ranges are first enumerated on the calling thread: by
// address if they are objects that stay (std::list, std::set,
// std::views::filter); if they are not (a stream, a generator), they are
// copied, or, out of a container that is an rvalue, moved. So the range must be
// finite, and elements that are produced on the fly are all in memory at once.
template <class R>
concept ElementRange =
    std::ranges::input_range<R> &&
    (group_internal::InPlaceRange<R> || group_internal::AddressableRange<R> ||
     task_internal::GivesAway<R> ||
     std::constructible_from<std::ranges::range_value_t<R>,
                             std::ranges::range_reference_t<R>>);

namespace group_internal {

// The elements by index. Thread-safe only for different indices.
template <class R>
class Elements {
  using Range = ReadRange<R>;
  static constexpr auto kKept = [] {
    if constexpr (InPlaceRange<R>) {
      return std::type_identity<std::ranges::iterator_t<Range>>();
    } else if constexpr (AddressableRange<R>) {
      return std::type_identity<
          std::vector<std::add_pointer_t<std::ranges::range_reference_t<R>>>>();
    } else {
      return std::type_identity<std::deque<std::ranges::range_value_t<R>>>();
    }
  }();

 public:
  explicit Elements(Range& range) {
    if constexpr (InPlaceRange<R>) {
      places_ = std::ranges::begin(range);
      size_ = static_cast<size_t>(std::ranges::size(range));
    } else {
      for (auto&& element : range) {
        if constexpr (AddressableRange<R>) {
          places_.push_back(std::addressof(element));
        } else if constexpr (task_internal::GivesAway<R>) {
          places_.push_back(std::move(element));
        } else {
          places_.emplace_back(std::forward<decltype(element)>(element));
        }
      }
      size_ = places_.size();
    }
  }

  size_t size() const { return size_; }

  decltype(auto) operator[](size_t i) {
    if constexpr (InPlaceRange<R>) {
      const auto place =
          places_ + static_cast<std::ranges::range_difference_t<Range>>(i);
      if constexpr (task_internal::GivesAway<R>) {
        return std::ranges::iter_move(place);
      } else {
        return *place;
      }
    } else if constexpr (AddressableRange<R>) {
      if constexpr (task_internal::GivesAway<R>) {
        return std::move(*places_[i]);
      } else {
        return *places_[i];
      }
    } else {
      return std::move(places_[i]);
    }
  }

 private:
  typename decltype(kKept)::type places_;
  size_t size_ = 0;
};

// The type of an element as the function receives it.
template <ElementRange R>
using ElementOf = decltype(std::declval<Elements<R>&>()[0]);

template <class F, class R>
using MappedTo = task_internal::ValueOf<const F&, ElementOf<R>>;

}  // namespace group_internal

// What ForEach does with an element T of a range R: a movable callable of one
// of these forms:
//
//   (T) -> void | absl::Status
//   (const Context&, T) -> void | absl::Status      is told when to stop
//
// Several threads call it at once. So it is called as const: a mutable lambda
// does not compile. A callable that fits both kinds of form is given the
// context.
template <class F, class R>
concept ElementFunction =
    ElementRange<R> && std::move_constructible<F> &&
    (task_internal::TaskWithContext<const F&, group_internal::ElementOf<R>> ||
     task_internal::TaskWithoutContext<const F&, group_internal::ElementOf<R>>);

// What Map does with an element: the same forms, but returning U or
// absl::StatusOr<U>, where U is like the T of ValueTask.
template <class F, class R>
concept ElementValueFunction =
    ElementRange<R> && std::move_constructible<F> &&
    (task_internal::CallableForValue<const F&, const Context&,
                                     group_internal::ElementOf<R>> ||
     task_internal::CallableForValue<const F&, group_internal::ElementOf<R>>);

}  // namespace cohort

#endif  // COHORT_GROUP_ELEMENTS_H_
