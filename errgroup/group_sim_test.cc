// Laws of errgroup::Group on every schedule that the search comes across.

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/shared.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

TEST(GroupSimTest, WaitReturnsTheFirstErrorAfterAllTasks) {
  sim::Explore({.schedules = 2000}, [] {
    sync::Atomic<int> ran = 0;
    Group group(Context{});
    for (int i = 0; i < 3; ++i) {
      group.Go([&ran, i](const Context&) {
        ++ran;
        return i == 1 ? absl::NotFoundError("1") : absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(), absl::NotFoundError("1"));
    const int seen = ran;
    EXPECT_GE(seen, 1);
    EXPECT_LE(seen, 3);
  });
}

}  // namespace
}  // namespace cohort::errgroup
