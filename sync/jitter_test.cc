// Planted bugs, each between two operations that are right by themselves. Of
// 20,000 rounds they need some hundreds with delays, and all or more without.

#include "cohort/sync/jitter.h"

#include "absl/functional/function_ref.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::sync {
namespace {

using ::cohort::testing::JoiningThread;

constexpr int kRounds = 20'000;

// The number of rounds after which one shows the bug; kRounds if none does.
int RoundsUntil(absl::FunctionRef<bool()> bug) {
  int rounds = 0;
  while (rounds < kRounds && !bug()) ++rounds;
  return rounds;
}

class JitterTest : public ::testing::Test {
 protected:
  JitterTest() { StartJitter(1); }
  ~JitterTest() override { StopJitter(); }
};

// Adds in two steps.
bool LosesAnUpdate() {
  Atomic<int> value = 0;
  const auto add = [&value] { value = value + 1; };
  {
    JoiningThread first(add);
    JoiningThread second(add);
  }
  return value == 1;
}

TEST_F(JitterTest, FindsALostUpdate) {
  EXPECT_LT(RoundsUntil(&LosesAnUpdate), kRounds);
}

// Checks under the lock, and acts under the lock, which it lets go in between.
bool ExceedsALimitOfOne() {
  Mutex mutex;
  int running = 0;
  bool exceeded = false;
  const auto visit = [&] {
    bool full;
    {
      MutexLock lock(&mutex);
      full = running == 1;
    }
    if (full) return;
    {
      MutexLock lock(&mutex);
      exceeded = ++running > 1 || exceeded;
    }
    {
      MutexLock lock(&mutex);
      --running;
    }
  };
  {
    JoiningThread first(visit);
    JoiningThread second(visit);
  }
  return exceeded;
}

TEST_F(JitterTest, FindsACheckThatNoLongerHolds) {
  EXPECT_LT(RoundsUntil(&ExceedsALimitOfOne), kRounds);
}

}  // namespace
}  // namespace cohort::sync
