// What holds when one allocation of a call fails.

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::semaphore {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithEachAllocationFailing;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

void ExpectUsable(Weighted& semaphore) {
  EXPECT_EQ(semaphore.in_use(), 0);
  EXPECT_EQ(semaphore.waiters(), 0);
  EXPECT_TRUE(semaphore.TryAcquire(semaphore.size()));
  semaphore.Release(semaphore.size());
}

TEST(WeightedAllocationFailure, AnAcquireThatIsServed) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    JoiningThread releaser([&semaphore] {
      sync::SleepFor(kMoment);
      semaphore.Release();
    });
    absl::Status status;
    std::optional<CancelScope> scope;
    const bool threw = fault.Strikes([&] {
      scope = WithCancel(Context());
      status = semaphore.Acquire(scope->context());
    });
    EXPECT_EQ(status, absl::OkStatus());
    releaser.Join();
    if (!threw) semaphore.Release();
    ExpectUsable(semaphore);
  });
}

TEST(WeightedAllocationFailure, AnAcquireThatIsCancelled) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Weighted semaphore(1);
    ASSERT_TRUE(semaphore.TryAcquire());
    const CancelScope scope = WithTimeout(Context(), kMoment);
    absl::Status status;
    std::optional<CancelScope> own;
    const bool threw = fault.Strikes([&] {
      own = WithCancel(scope.context());
      const absl::StatusOr<Permit> permit =
          semaphore.AcquirePermit(own->context());
      status = permit.status();
    });
    EXPECT_EQ(status.ok(), threw);
    semaphore.Release();
    ExpectUsable(semaphore);
  });
}

TEST(WeightedAllocationFailure, NothingElseAllocates) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Weighted semaphore(2);
    EXPECT_FALSE(fault.Strikes([&] {
      EXPECT_TRUE(semaphore.Acquire(Context()).ok());
      std::optional<Permit> permit = semaphore.TryAcquirePermit();
      semaphore.Resize(3);
      permit.reset();
      semaphore.Release();
    }));
    std::optional<CancelScope> scope;  // so that there is one
    (void)fault.Strikes([&] { scope = WithCancel(Context()); });
    ExpectUsable(semaphore);
  });
}

}  // namespace
}  // namespace cohort::semaphore
