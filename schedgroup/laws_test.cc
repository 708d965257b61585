// The laws of group/laws.h, for tasks whose time has come.

#include "cohort/group/laws.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/group.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

template <bool kTerminates>
class Timed {
 public:
  static constexpr WhenFull kWhenFull = WhenFull::kQueue;
  static constexpr bool kEndsWithWait = true;
  static constexpr bool kEndsWithError = kTerminates;
  static constexpr bool kSaysAdmission = false;

  explicit Timed(const Setup& setup)
      : group_(setup.parent, {.limit = setup.limit,
                              .cancel_on_error = kTerminates,
                              .executor = setup.executor}) {}

  template <class F>
  Admission Go(F task) {
    group_.Delay(absl::ZeroDuration(), std::move(task));
    return group_.context().done() ? Admission::kCancelled
                                   : Admission::kAccepted;
  }
  absl::Status Wait(WaitPolicy policy) { return group_.Wait(policy); }
  Stats stats() const { return group_.stats(); }
  const Context& context() const { return group_.context(); }
  bool Cancel(absl::Status cause) { return group_.Cancel(std::move(cause)); }

 private:
  schedgroup::Group group_;
};

using All = ::testing::Types<Timed<false>, Timed<true>>;
using CancelledByErrors = ::testing::Types<Timed<true>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, AccountedLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, StructuredLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, OrderAtEndLaw, CancelledByErrors);
INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, FirstErrorLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, CancellationLaw, All);
INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, NestingLaw, All);
#ifndef COHORT_SYNC_SIMULATED
INSTANTIATE_TYPED_TEST_SUITE_P(Schedgroup, MisuseLaw, All);
#endif

}  // namespace
}  // namespace cohort::laws
