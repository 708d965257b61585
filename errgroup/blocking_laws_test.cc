// The laws of context/blocking_laws.h, for WaitGroup.

#include "cohort/context/blocking_laws.h"

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/sync/atomic.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

// One grant is for all.
class Wait {
 public:
  Wait() { group_.Add(1); }
  ~Wait() { Grant(); }
  absl::Status Block(const Context& context) { return group_.Wait(context); }
  void Grant() {
    if (!granted_.exchange(true)) group_.Done();
  }

 private:
  errgroup::WaitGroup group_;
  sync::Atomic<bool> granted_ = false;
};

// To have waited takes nothing from others.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TakingLaw);
using WaitGroupCalls = ::testing::Types<Wait>;
INSTANTIATE_TYPED_TEST_SUITE_P(WaitGroup, BlockingLaw, WaitGroupCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(WaitGroup, KeptGrantLaw, WaitGroupCalls);

}  // namespace
}  // namespace cohort::laws
