// What holds when one allocation of a call fails.

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithEachAllocationFailing;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

TEST(WaitGroupAllocationFailure, AWait) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    WaitGroup group;
    group.Add(1);
    JoiningThread worker([&group] {
      sync::SleepFor(kMoment);
      group.Done();
    });
    std::optional<CancelScope> scope;
    (void)fault.Strikes([&] {
      scope = WithCancel(Context());
      EXPECT_EQ(group.Wait(scope->context()), absl::OkStatus());
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(WaitGroupAllocationFailure, AWaitThatIsCancelled) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    WaitGroup group;
    group.Add(1);
    const CancelScope brief = WithTimeout(Context(), kMoment);
    std::optional<CancelScope> own;
    (void)fault.Strikes([&] {
      own = WithCancel(brief.context());
      EXPECT_TRUE(absl::IsDeadlineExceeded(group.Wait(own->context())));
    });
    group.Done();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(WaitGroupAllocationFailure, Errors) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const absl::Status one = absl::AbortedError("the first error of a group");
    const absl::Status two = absl::NotFoundError("the second error of a group");
    WaitGroup group;
    size_t recorded = 0;
    (void)fault.Strikes([&] {
      group.Error(one);
      ++recorded;
      group.Error(two);
      ++recorded;
      EXPECT_EQ(group.errors().size(), 2u);
      EXPECT_TRUE(absl::IsAborted(group.Wait()));
    });
    EXPECT_EQ(group.errors().size(), recorded);
    group.Error(two);
    EXPECT_EQ(group.errors().size(), recorded + 1);
    EXPECT_FALSE(group.Wait().ok());
  });
}

}  // namespace
}  // namespace cohort::errgroup
