// The laws of context/blocking_laws.h, for Await.

#include "cohort/context/blocking_laws.h"

#include <optional>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

// A grant is the arrival of the other party, which gives up at the end of the
// test. A cancellation breaks the barrier, for the other party too.
class Arrive {
 public:
  ~Arrive() { scope_.Cancel(); }

  absl::Status Block(const Context& context) {
    return barrier_.Await(context).status();
  }
  void Grant() {
    other_.emplace(
        [this] { barrier_.Await(scope_.context()).status().IgnoreError(); });
  }

 private:
  CancelScope scope_ = WithCancel(Context());
  cyclicbarrier::CyclicBarrier barrier_{2};
  std::optional<testing::JoiningThread> other_;
};

using CyclicBarrierCalls = ::testing::Types<Arrive>;
// What nobody waits for is not kept: it waits itself.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KeptGrantLaw);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TakingLaw);
INSTANTIATE_TYPED_TEST_SUITE_P(CyclicBarrier, BlockingLaw, CyclicBarrierCalls);

}  // namespace
}  // namespace cohort::laws
