// The laws of context/blocking_laws.h, for requests.

#include "cohort/context/blocking_laws.h"

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

class Acquire {
 public:
  Acquire() { EXPECT_TRUE(semaphore_.TryAcquire(2)); }
  absl::Status Block(const Context& context) {
    return semaphore_.Acquire(context);
  }
  void Grant() { semaphore_.Release(); }

 private:
  semaphore::Weighted semaphore_{2};
};

using SemaphoreCalls = ::testing::Types<Acquire>;
INSTANTIATE_TYPED_TEST_SUITE_P(Semaphore, BlockingLaw, SemaphoreCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(Semaphore, KeptGrantLaw, SemaphoreCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(Semaphore, TakingLaw, SemaphoreCalls);

}  // namespace
}  // namespace cohort::laws
