#include "cohort/sync/random.h"

#include <set>
#include <vector>

#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sync {
namespace {

TEST(RandomTest, IsFromZeroUpToOne) {
  // That one of the halves stays empty has a probability of 2^-999.
  bool small = false;
  bool large = false;
  for (int i = 0; i < 1000; ++i) {
    const double fraction = RandomFraction();
    ASSERT_GE(fraction, 0);
    ASSERT_LT(fraction, 1);
    (fraction < 0.5 ? small : large) = true;
  }
  EXPECT_TRUE(small);
  EXPECT_TRUE(large);
}

TEST(RandomTest, ThreadsDoNotAllDoTheSame) {
  std::vector<double> first(4);
  {
    testing::JoiningThread a([&] { first[0] = RandomFraction(); });
    testing::JoiningThread b([&] { first[1] = RandomFraction(); });
    testing::JoiningThread c([&] { first[2] = RandomFraction(); });
    first[3] = RandomFraction();
  }
  EXPECT_GT(std::set<double>(first.begin(), first.end()).size(), 1u);
}

}  // namespace
}  // namespace cohort::sync
