// What facebookarchive/errgroup's own tests say, of ours. Each case has the
// name of the one that it follows.

#include <deque>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::JoiningThread;

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 100}, body);
}

const absl::Status kOk = absl::OkStatus();
const absl::Status kA = absl::NotFoundError("err a");
const absl::Status kB = absl::AbortedError("err b");

TEST(FacebookgoErrgroup, TestNada) {
  Simulate([] {
    WaitGroup group;
    EXPECT_EQ(group.Wait(), kOk);
  });
}

TEST(FacebookgoErrgroup, TestOneError) {
  Simulate([] {
    WaitGroup group;
    group.Error(kA);
    EXPECT_EQ(group.Wait(), kA);
  });
}

TEST(FacebookgoErrgroup, TestTwoErrors) {
  Simulate([] {
    WaitGroup group;
    group.Error(absl::NotFoundError("e1"));
    group.Error(absl::AbortedError("e2"));
    EXPECT_EQ(group.Wait(), absl::NotFoundError("multiple errors: e1 | e2"));
  });
}

TEST(FacebookgoErrgroupDeathTest, TestInvalidNilError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(WaitGroup().Error(kOk), "WaitGroup::Error");
}

// Here MultiError is a function, and nothing can be made of too few errors.
TEST(FacebookgoErrgroup, TestInvalidZeroLengthMultiError) {
  EXPECT_EQ(MultiError({}), kOk);
}

TEST(FacebookgoErrgroup, TestInvalidOneLengthMultiError) {
  EXPECT_EQ(MultiError({kA}), kA);
}

TEST(FacebookgoErrgroup, TestAddDone) {
  Simulate([] {
    constexpr int kCount = 10;
    WaitGroup group;
    std::deque<JoiningThread> callers;
    group.Add(kCount);
    for (int i = 0; i < kCount; ++i) {
      callers.emplace_back([&group] { group.Done(); });
    }
    EXPECT_EQ(group.Wait(), kOk);
  });
}

TEST(FacebookgoErrgroup, TestNewMultiError) {
  EXPECT_EQ(MultiError({}), kOk);
  EXPECT_EQ(MultiError({kOk}), kOk);
  EXPECT_EQ(MultiError({kOk, kOk}), kOk);
  EXPECT_EQ(MultiError({kA, kOk}), kA);
  EXPECT_EQ(MultiError({kOk, kB}), kB);
  const absl::Status both =
      absl::NotFoundError("multiple errors: err a | err b");
  EXPECT_EQ(MultiError({kA, kB}), both);
  EXPECT_EQ(MultiError({kOk, kA, kB}), both);
  EXPECT_EQ(MultiError({kA, kOk, kB}), both);
  EXPECT_EQ(MultiError({kA, kB, kOk}), both);
}

}  // namespace
}  // namespace cohort::errgroup
