#include "cohort/sizedgroup/wait_group.h"

#include <utility>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/sync/atomic.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

TEST(WaitGroupTest, CountsFunctionsAndSlots) {
  WaitGroup group(2);
  sync::Atomic<int> count = 0;
  Slot slot = group.BlockAdd();
  EXPECT_EQ(group.PendingCount(), 1);
  group.Add([&] { ++count; }, [&] { ++count; }, [&] { ++count; });
  slot = Slot();
  group.Wait();
  EXPECT_EQ(count, 3);
  EXPECT_EQ(group.PendingCount(), 0);
}

TEST(ErrorGroupTest, ReturnsTheFirstError) {
  ErrorGroup group(Context(), 1);
  sync::Atomic<int> count = 0;
  group.Add([&] { ++count; }, [] { return absl::NotFoundError("x"); },
            [&] { ++count; });
  EXPECT_EQ(group.Wait(), absl::NotFoundError("x"));
}

}  // namespace
}  // namespace cohort::sizedgroup
