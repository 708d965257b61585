// The laws of group/laws.h, for every group of this package.

#include "cohort/group/laws.h"

#include <utility>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/group/types.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

using errgroup::Group;
using errgroup::Options;

template <WhenFull kFull, bool kDerives>
class Adapter {
 public:
  static constexpr WhenFull kWhenFull = kFull;
  static constexpr bool kEndsWithWait = kDerives;
  static constexpr bool kEndsWithError = kDerives;
  static constexpr bool kSaysAdmission = true;

  explicit Adapter(const Setup& setup)
      : group_(kDerives ? Group(setup.parent, OptionsOf(setup))
                        : Group(OptionsOf(setup))) {}

  template <class F>
  Admission Go(F task) {
    if constexpr (kFull == WhenFull::kRefuse) {
      return group_.TryGo(std::move(task));
    } else {
      return group_.Go(std::move(task));
    }
  }
  absl::Status Wait(WaitPolicy policy) { return group_.Wait(policy); }
  Stats stats() const { return group_.stats(); }
  const Context& context() const { return group_.context(); }
  bool Cancel(absl::Status cause) { return group_.Cancel(std::move(cause)); }

 private:
  static Options OptionsOf(const Setup& setup) {
    return {.limit = setup.limit,
            .queue = kFull == WhenFull::kQueue ? kUnlimited : 0,
            .executor = setup.executor};
  }

  Group group_;
};

// errgroup.Group as a zero value, which has no parent.
using Plain = Adapter<WhenFull::kBlock, false>;
using Blocking = Adapter<WhenFull::kBlock, true>;
using Queueing = Adapter<WhenFull::kQueue, true>;
using Trying = Adapter<WhenFull::kRefuse, true>;

using All = ::testing::Types<Plain, Blocking, Queueing, Trying>;
using Derived = ::testing::Types<Blocking, Queueing, Trying>;

INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, AccountedLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, StructuredLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, OrderAtEndLaw, Derived);
INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, FirstErrorLaw, Derived);
INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, CancellationLaw, Derived);
INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, NestingLaw, All);
#ifndef COHORT_SYNC_SIMULATED
INSTANTIATE_TYPED_TEST_SUITE_P(Errgroup, MisuseLaw, All);
#endif

}  // namespace
}  // namespace cohort::laws
