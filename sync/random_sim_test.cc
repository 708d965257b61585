#include <set>

#include "cohort/sim/sim.h"
#include "cohort/sync/random.h"
#include "gtest/gtest.h"

namespace cohort::sync {
namespace {

TEST(RandomSimTest, IsAChoiceOfTheSchedule) {
  std::set<double> seen;
  const sim::Result result =
      sim::Explore({.strategy = sim::Strategy::DepthFirst()}, [&seen] {
        const double fraction = RandomFraction();
        EXPECT_GE(fraction, 0);
        EXPECT_LT(fraction, 1);
        seen.insert(fraction);
      });
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(seen.size(), 3);
  EXPECT_EQ(*seen.begin(), 0);
}

TEST(RandomSimTest, OutsideARunItIsZero) { EXPECT_EQ(RandomFraction(), 0); }

}  // namespace
}  // namespace cohort::sync
