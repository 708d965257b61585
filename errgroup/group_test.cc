#include "cohort/errgroup/group.h"

#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {
TEST(GroupTest, Smoke) {
  Group group;
  int n = 0;
  group.Go([&n] { ++n; });
  EXPECT_TRUE(group.Wait().ok());
  EXPECT_EQ(n, 1);
  for (int i = 0; i < 1000; ++i) {
    Group g(Context{}, {.limit = 2, .queue = 3});
    sync::Atomic<int> count{0};
    for (int j = 0; j < 100; ++j) {
      g.Go([&]() -> absl::Status { ++count; return j == 50 ? absl::InternalError("x") : absl::OkStatus(); });
    }
    g.Wait().IgnoreError();
  }
}
}  // namespace
}  // namespace cohort::errgroup
