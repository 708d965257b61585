// One allocation that fails: the call throws, and the group is as before.

#include <atomic>
#include <optional>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithEachAllocationFailing;

// Too large to be kept without an allocation.
struct Large {
  char bytes[256] = {};
};

TEST(AllocationFailure, ErrSizedGroup) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    std::optional<ErrSizedGroup> group;
    if (fault.Strikes([&] { group.emplace(2); })) group.emplace(2);
    EXPECT_EQ(group->Wait(), absl::OkStatus());
  });
  for (const WhenFull when_full : {WhenFull::kQueue, WhenFull::kBlock}) {
    WithEachAllocationFailing([when_full](AllocationFault& fault) {
      ErrSizedGroup group(1, {.when_full = when_full});
      std::atomic<int> ran{0};
      const auto task = [&ran, large = Large()] { ran += 1 + large.bytes[0]; };
      if (fault.Strikes([&] { group.Go(task); })) group.Go(task);
      group.Go(task);
      EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
      EXPECT_EQ(ran, 2);
      EXPECT_EQ(group.stats().accepted, 2);
    });
  }
  WithEachAllocationFailing([](AllocationFault& fault) {
    ErrSizedGroup group(2);
    group.Go([] { return absl::InternalError("boom"); });
    Await([&group] { return group.stats().failed == 1; });
    absl::Status status;
    if (fault.Strikes([&] { status = group.Wait(); })) status = group.Wait();
    EXPECT_EQ(status.message(), "1 error(s) occurred: [0] {boom}");
  });
}

TEST(AllocationFailure, AddAndBlockAdd) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    WaitGroup group(1);
    std::atomic<int> ran{0};
    const auto function = [&ran, large = Large()] {
      ran += 1 + large.bytes[0];
    };
    if (fault.Strikes([&] { group.Add(function); })) group.Add(function);
    {
      const Slot slot = group.BlockAdd();
    }
    group.Add(function);
    group.Wait(WaitPolicy::kPark);
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(group.PendingCount(), 0);
  });
  WithEachAllocationFailing([](AllocationFault& fault) {
    WaitGroup group(1);
    absl::Notification release;
    group.Add([&release] { release.WaitForNotification(); });
    JoiningThread releaser([&] {
      Await([&] { return group.stats().parked == 1; });
      release.Notify();
    });
    Slot slot;
    if (fault.Strikes([&] { slot = group.BlockAdd(); })) {
      EXPECT_FALSE(slot);
      slot = group.BlockAdd();
    }
    releaser.Join();
    EXPECT_TRUE(slot);
    slot = Slot();
    group.Wait();
    EXPECT_EQ(group.stats().succeeded, 2);
  });
}

// A slot that comes back starts what waits for it, if it can.
TEST(AllocationFailure, ASlotThatComesBackLosesNothing) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    WaitGroup group(1);
    std::optional<Slot> slot = group.BlockAdd();
    std::atomic<bool> ran{false};
    JoiningThread adder([&] { group.Add([&ran] { ran = true; }); });
    Await([&] { return group.stats().parked == 1; });
    EXPECT_FALSE(fault.Strikes([&] { slot.reset(); }));
    adder.Join();
    group.Wait(WaitPolicy::kPark);
    EXPECT_TRUE(ran);
  });
}

}  // namespace
}  // namespace cohort::sizedgroup
