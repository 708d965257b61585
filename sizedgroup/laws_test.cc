// The laws of group/laws.h, for every group of this package.

#include "cohort/group/laws.h"

#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

using sizedgroup::ErrorGroup;
using sizedgroup::ErrSizedGroup;
using sizedgroup::SizedGroup;
using sizedgroup::WaitGroup;

// SizedGroup or ErrSizedGroup.
template <class Group, WhenFull kFull, bool kTerminates = false>
class Sized {
 public:
  static constexpr WhenFull kWhenFull = kFull;
  static constexpr bool kEndsWithWait = false;
  static constexpr bool kEndsWithError = kTerminates;
  static constexpr bool kSaysAdmission = true;

  explicit Sized(const Setup& setup)
      : group_(setup.limit, {.when_full = kMode,
                             .term_on_error = kTerminates,
                             .context = setup.parent,
                             .executor = setup.executor}) {}

  template <class F>
  Admission Go(F task) {
    return group_.Go(std::move(task));
  }
  absl::Status Wait(WaitPolicy policy) {
    if constexpr (std::is_void_v<decltype(group_.Wait(policy))>) {
      group_.Wait(policy);
      return absl::OkStatus();
    } else {
      return group_.Wait(policy);
    }
  }
  Stats stats() const { return group_.stats(); }
  const Context& context() const { return group_.context(); }
  bool Cancel(absl::Status cause) { return group_.Cancel(std::move(cause)); }

 private:
  static constexpr sizedgroup::WhenFull kMode =
      kFull == WhenFull::kBlock   ? sizedgroup::WhenFull::kBlock
      : kFull == WhenFull::kQueue ? sizedgroup::WhenFull::kQueue
                                  : sizedgroup::WhenFull::kRefuse;
  Group group_;
};

class WaitGroups {
 public:
  static constexpr WhenFull kWhenFull = WhenFull::kBlock;
  static constexpr bool kEndsWithWait = false;
  static constexpr bool kEndsWithError = false;
  static constexpr bool kSaysAdmission = true;

  explicit WaitGroups(const Setup& setup) : group_(setup.limit) {}

  template <class F>
  Admission Go(F task) {
    return group_.Add(std::move(task));
  }
  absl::Status Wait(WaitPolicy policy) {
    group_.Wait(policy);
    return absl::OkStatus();
  }
  Stats stats() const { return group_.stats(); }

 private:
  WaitGroup group_;
};

class ErrorGroups {
 public:
  static constexpr WhenFull kWhenFull = WhenFull::kBlock;
  static constexpr bool kEndsWithWait = true;
  static constexpr bool kEndsWithError = true;
  static constexpr bool kSaysAdmission = true;

  explicit ErrorGroups(const Setup& setup)
      : scope_(WithCancel(setup.parent)),
        group_(scope_.context(), setup.limit) {}

  template <class F>
  Admission Go(F task) {
    return group_.Add(std::move(task));
  }
  absl::Status Wait(WaitPolicy policy) { return group_.Wait(policy); }
  Stats stats() const { return group_.stats(); }
  const Context& context() const { return group_.context(); }
  // It has no Cancel of its own.
  bool Cancel(absl::Status cause) { return scope_.Cancel(std::move(cause)); }

 private:
  CancelScope scope_;
  ErrorGroup group_;
};

using All = ::testing::Types<
    Sized<SizedGroup, WhenFull::kQueue>, Sized<SizedGroup, WhenFull::kBlock>,
    Sized<SizedGroup, WhenFull::kRefuse>,
    Sized<ErrSizedGroup, WhenFull::kQueue, true>,
    Sized<ErrSizedGroup, WhenFull::kBlock, true>,
    Sized<ErrSizedGroup, WhenFull::kRefuse, true>, WaitGroups, ErrorGroups>;
using WithContext =
    ::testing::Types<Sized<SizedGroup, WhenFull::kQueue>,
                     Sized<SizedGroup, WhenFull::kBlock>,
                     Sized<ErrSizedGroup, WhenFull::kRefuse>, ErrorGroups>;
using CancelledByErrors =
    ::testing::Types<Sized<ErrSizedGroup, WhenFull::kQueue, true>,
                     Sized<ErrSizedGroup, WhenFull::kBlock, true>,
                     Sized<ErrSizedGroup, WhenFull::kRefuse, true>,
                     ErrorGroups>;
// ErrSizedGroup returns all errors.
using ReturnsTheFirst = ::testing::Types<ErrorGroups>;

INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, AccountedLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, StructuredLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, OrderAtEndLaw, CancelledByErrors);
INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, FirstErrorLaw, ReturnsTheFirst);
INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, CancellationLaw, WithContext);
INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, NestingLaw, All);
#ifndef COHORT_SYNC_SIMULATED
INSTANTIATE_TYPED_TEST_SUITE_P(Sizedgroup, MisuseLaw, All);
#endif

}  // namespace
}  // namespace cohort::laws
