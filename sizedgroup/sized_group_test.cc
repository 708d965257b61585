#include "cohort/sizedgroup/sized_group.h"

#include "absl/status/status.h"
#include "cohort/group/types.h"
#include "cohort/sync/atomic.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

TEST(SizedGroupTest, RunsEveryTask) {
  for (const bool preemptive : {false, true}) {
    SizedGroup group(10, {.preemptive = preemptive});
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 1000; ++i) {
      EXPECT_EQ(group.Go([&] { ++count; }), Admission::kAccepted);
    }
    group.Wait();
    EXPECT_EQ(count, 1000);
  }
}

TEST(ErrSizedGroupTest, CollectsAllErrors) {
  ErrSizedGroup group(1);
  group.Go([] { return absl::NotFoundError("a"); });
  group.Go([] { return absl::OkStatus(); });
  group.Go([] { return absl::InternalError("b"); });
  EXPECT_EQ(group.Wait(),
            absl::NotFoundError("2 error(s) occurred: [0] {a}, [1] {b}"));
  ASSERT_EQ(group.errors().size(), 2u);
  EXPECT_EQ(group.errors()[1].index, 2);
}

}  // namespace
}  // namespace cohort::sizedgroup
