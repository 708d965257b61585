// What pieterclaerhout/go-waitgroup's own tests say, of ours. Each case has the
// name of the one that it follows.

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sizedgroup/wait_group.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::JoiningThread;

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 500}, body);
}

TEST(GoWaitgroup, TestWaitGroup) {
  Simulate([] {
    WaitGroup group(1);
    EXPECT_EQ(group.PendingCount(), 0);
    Slot slot = group.BlockAdd();
    EXPECT_EQ(group.PendingCount(), 1);
    // Done is the end of the slot: it can be called neither too often nor by
    // whoever has none (there, that blocks for ever; see B-42).
    JoiningThread done([&slot] { slot = Slot(); });
    group.Wait();
    EXPECT_EQ(group.PendingCount(), 0);
  });
}

TEST(GoWaitgroup, TestWaitGroupAdd) {
  Simulate([] {
    WaitGroup group(1);
    EXPECT_EQ(group.Add([] {}), Admission::kAccepted);
    group.Wait();
    EXPECT_EQ(group.stats().succeeded, 1);
  });
}

TEST(GoWaitgroup, TestErrorGroupAdd) {
  Simulate([] {
    ErrorGroup group(Context(), 1);
    group.Add([] { return absl::OkStatus(); });
    group.Add([] { return absl::InternalError("An error occurred"); });
    EXPECT_EQ(group.Wait(), absl::InternalError("An error occurred"));
  });
}

}  // namespace
}  // namespace cohort::sizedgroup
