#include "cohort/schedgroup/group.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "gtest/gtest.h"

namespace cohort::schedgroup {
namespace {

TEST(GroupTest, RunsTasksInTheOrderOfTheirTimes) {
  Group group({}, {.limit = 1});
  std::vector<int> order;
  for (const int i : {3, 1, 2}) {
    group.Delay(absl::Milliseconds(20 * i),
                [&order, i] { order.push_back(i); });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(GroupTest, RunsEqualTimesInTheOrderOfSubmission) {
  Group group({}, {.limit = 1});
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    group.Delay(-absl::Seconds(1), [&order, i] { order.push_back(i); });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(GroupTest, RepeatsUntilCancelled) {
  Group group;
  sync::Atomic<int> runs = 0;
  TaskId id;
  id = group.Every(absl::Milliseconds(1), [&] {
    if (++runs == 5) EXPECT_EQ(group.Cancel(id), CancelResult::kRunning);
  });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(runs, 5);
}

TEST(GroupTest, CancelsATask) {
  Group group;
  const TaskId id = group.Delay(absl::Hours(1), [] { FAIL(); });
  EXPECT_EQ(group.Cancel(id), CancelResult::kCancelled);
  EXPECT_EQ(group.Cancel(id), CancelResult::kFinished);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().skipped, 1);
}

TEST(GroupTest, IsDestroyedWithTasksToCome) {
  Group group;
  group.Delay(absl::Hours(1), [] { FAIL(); });
}

}  // namespace
}  // namespace cohort::schedgroup
