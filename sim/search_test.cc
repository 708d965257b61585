#include "cohort/sim/search.h"

#include <optional>

#include "absl/time/time.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/shared.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::sim {
namespace {

using testing::Caller;

void TwoLocksInEitherOrder() {
  sync::Mutex a;
  sync::Mutex b;
  Caller other([&] {
    sync::MutexLock lock_b(&b);
    sync::MutexLock lock_a(&a);
  });
  sync::MutexLock lock_a(&a);
  sync::MutexLock lock_b(&b);
}

TEST(SearchTest, FindsADeadlock) {
  const Result result = Search({}, TwoLocksInEitherOrder);
  ASSERT_TRUE(result.failure.has_value());
  EXPECT_EQ(result.failure->verdict, Verdict::kDeadlock) << Report(*result.failure);
  puts(Report(*result.failure).c_str());
}

}  // namespace
}  // namespace cohort::sim
