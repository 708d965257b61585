// schedgroup::Group with several callers: each task runs once, or was taken
// back, or was skipped with its group.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/group.h"
#include "cohort/sync/atomic.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::schedgroup {
namespace {

using stress::InParallel;
using stress::Random;

absl::Status Cause() { return absl::AbortedError("cancelled by the test"); }

class SchedGroupStressTest : public stress::StressTest {};

TEST_F(SchedGroupStressTest, EveryTaskIsAccountedFor) {
  Repeat(200, [](Random& round) {
    const bool cancels = round.OneIn(3);
    CancelScope parent = WithCancel(Context());
    sync::Atomic<int64_t> scheduled = 0, ran = 0, taken_back = 0;
    Group group(parent.context(), {.limit = round.OneIn(2) ? kUnlimited : 2});
    InParallel(round, 3, [&](int thread, Random& random) {
      std::vector<TaskId> ids;
      for (int i = 0; i < 8; ++i) {
        if (cancels && thread == 0 && i == 5) parent.Cancel(Cause());
        ++scheduled;
        const bool nests = random.OneIn(4);
        ids.push_back(
            group.Delay(absl::Microseconds(random.Below(60)), [&, nests] {
              ++ran;
              if (!nests) return;
              ++scheduled;
              group.Delay(absl::Microseconds(5), [&ran] { ++ran; });
            }));
        if (!random.OneIn(3)) continue;
        const TaskId id = ids[static_cast<size_t>(
            random.Below(static_cast<int>(ids.size())))];
        if (group.Cancel(id) == CancelResult::kCancelled) ++taken_back;
      }
    });
    const absl::Status status = group.Wait();
    const Stats stats = group.stats();
    EXPECT_EQ(stats.queued + stats.running, 0);
    EXPECT_EQ(stats.succeeded, ran);
    EXPECT_EQ(stats.accepted, stats.succeeded + stats.skipped);
    EXPECT_EQ(stats.accepted + stats.refused, scheduled);
    EXPECT_GE(stats.skipped, taken_back);
    if (status.ok()) {
      EXPECT_EQ(stats.skipped, taken_back);
      EXPECT_EQ(stats.refused, 0);
    } else {
      EXPECT_TRUE(cancels);
      EXPECT_EQ(status, Cause());
    }
  });
}

TEST_F(SchedGroupStressTest, RepeatedTasksNeverOverlapAndEnd) {
  Repeat(100, [](Random& round) {
    const bool destroyed = round.OneIn(2);
    sync::Atomic<int> inside = 0, runs = 0;
    {
      Group group;
      const TaskId id = group.Every(absl::Microseconds(20), [&] {
        EXPECT_EQ(++inside, 1);
        ++runs;
        --inside;
      });
      InParallel(round, 2, [&](int thread, Random& random) {
        for (int i = 0; i < 4; ++i) {
          group.Delay(absl::Microseconds(random.Below(40)), [] {});
        }
        if (thread == 0 && !destroyed) group.Cancel(id);
      });
      if (!destroyed) {
        EXPECT_TRUE(group.Wait().ok());
        EXPECT_LE(runs, group.stats().succeeded);
      }
    }
    EXPECT_EQ(inside, 0);
  });
}

}  // namespace
}  // namespace cohort::schedgroup
