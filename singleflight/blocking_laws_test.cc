// The laws of context/blocking_laws.h, for callers that wait for the work of
// another.

#include "cohort/context/blocking_laws.h"

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/executor/test_gate.h"
#include "cohort/singleflight/group.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

// A thread of the adapter's own does the work until there is a grant.
class Join {
 public:
  Join()
      : leader_([this] {
          group_
              .Do(Context(), 0,
                  [this] {
                    started_.Open();
                    PassAnnounced(granted_);
                    return 1;
                  })
              .status()
              .IgnoreError();
        }) {
    started_.Pass();
  }
  ~Join() { granted_.Open(); }

  absl::Status Block(const Context& context) {
    return group_.Do(context, 0, [] { return 2; }).status();
  }
  void Grant() { granted_.Open(); }

 private:
  singleflight::Group<int, int> group_;
  testing::Gate started_;
  testing::Gate granted_;
  testing::JoiningThread leader_;
};

using SingleflightCalls = ::testing::Types<Join>;
INSTANTIATE_TYPED_TEST_SUITE_P(Singleflight, BlockingLaw, SingleflightCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(Singleflight, KeptGrantLaw, SingleflightCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(Singleflight, TakingLaw, SingleflightCalls);

}  // namespace
}  // namespace cohort::laws
