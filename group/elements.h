// What ForEach and Map take: ranges whose elements several threads give to a
// function, and what such a function is.

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

// How a call runs the elements of a range.
struct MapOptions {
  // How many elements run at once; at least 1. Elements that block are worth
  // more than the number of CPUs. kUnlimited: one task for each.
  int limit = group_internal::DefaultLimit();
};

namespace group_internal {

// As it is read: through its const self where its elements are made on the way,
// as those of a std::vector<bool>. Threads could not write to neighbours there.
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

// Whether the elements stay where they are and are found there by their index;
// else, whether they can be found again by their address.
template <class R>
concept InPlaceRange = std::ranges::random_access_range<ReadRange<R>> &&
                       std::ranges::sized_range<ReadRange<R>>;
template <class R>
concept AddressableRange =
    std::ranges::forward_range<R> &&
    std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>;

}  // namespace group_internal

// A range whose elements ForEach and Map give to a function: any input range.
// It is deduced as R; what the function is given is
//
//   of a container that is an lvalue, or a view: the element as the range
//   refers
//       to it. So it can be written, unless it is const. (Those of a
//       std::vector<bool> cannot be: neighbours share their memory.)
//   of a container that is an rvalue: the element as an rvalue, to be moved
//   from.
//
// With random access and a size, elements are used where they are, and what an
// iterator computes (std::views::transform) is computed in parallel. Those of
// other ranges are looked up first, on the calling thread: by address where
// they are objects that stay (std::list, std::set, std::views::filter); where
// they do not, they are copied, or moved, into a container that is an rvalue (a
// stream, a generator). So there has to be an end, and what is made on the way
// is in memory all at once.
template <class R>
concept ElementRange =
    std::ranges::input_range<R> &&
    (group_internal::InPlaceRange<R> || group_internal::AddressableRange<R> ||
     task_internal::GivesAway<R> ||
     std::constructible_from<std::ranges::range_value_t<R>,
                             std::ranges::range_reference_t<R>>);

namespace group_internal {

// The elements by index; not thread-safe but for different ones.
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

// What a function is given.
template <ElementRange R>
using ElementOf = decltype(std::declval<Elements<R>&>()[0]);

template <class F, class R>
using MappedTo = task_internal::ValueOf<const F&, ElementOf<R>>;

}  // namespace group_internal

// What ForEach does with an element T of a range R: a callable, movable, of one
// of these forms:
//
//   (T) -> void | absl::Status
//   (const Context&, T) -> void | absl::Status      is told when to stop
//
// Several threads call it at once. So it is called as const: a mutable lambda
// does not compile. One that can be called in both ways is given the context.
template <class F, class R>
concept ElementFunction =
    ElementRange<R> && std::move_constructible<F> &&
    (task_internal::TaskWithContext<const F&, group_internal::ElementOf<R>> ||
     task_internal::TaskWithoutContext<const F&, group_internal::ElementOf<R>>);

// What Map does with an element, in the same way: -> U | absl::StatusOr<U>,
// with a U as the T of ValueTask.
template <class F, class R>
concept ElementValueFunction =
    ElementRange<R> && std::move_constructible<F> &&
    (task_internal::CallableForValue<const F&, const Context&,
                                     group_internal::ElementOf<R>> ||
     task_internal::CallableForValue<const F&, group_internal::ElementOf<R>>);

}  // namespace cohort

#endif  // COHORT_GROUP_ELEMENTS_H_
