// The search finds what is known to be there, and nothing else.

#include <string>

#include "cohort/fuzz/specimens/measure.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/search.h"
#include "gtest/gtest.h"

namespace cohort::specimens {
namespace {

class SpecimenTest : public ::testing::TestWithParam<Specimen> {};

TEST_P(SpecimenTest, IsFoundWithEverySeed) {
  EXPECT_EQ(SearchBad(GetParam()).complaint, "");
}

// What says that it has seen all schedules must not have missed this one.
TEST_P(SpecimenTest, IsFoundDepthFirst) {
  if (!GetParam().enumerable) return;  // further down than one can go
  EXPECT_EQ(EnumerateBad(GetParam()).complaint, "");
}

TEST_P(SpecimenTest, ItsTwinIsClean) {
  EXPECT_EQ(SearchMended(GetParam()).complaint, "");
}

TEST_P(SpecimenTest, ItsTwinIsCleanOnAllSchedules) {
  EXPECT_EQ(EnumerateMended(GetParam()).complaint, "");
}

// Each feature earns its keep: without it, nothing is found.
TEST_P(SpecimenTest, IsMissedWithoutTheFeatureItNeeds) {
  sim::Options options = {.schedules = 10 * kLimit};
  switch (GetParam().needs) {
    case Feature::kNone:
      return;
    case Feature::kSpuriousWakeUps:
      options.spurious_wake_ups = 0;
      break;
    case Feature::kStaleLoads:
      options.stale_loads = false;
      break;
    case Feature::kRacingTime:
      options.time = sim::Time::kQuiescent;
      break;
    case Feature::kMix:
      options.strategy = sim::Strategy::RandomWalk();
      break;
  }
  const sim::Result result = sim::Search(options, GetParam().bad);
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

std::string NameOf(const ::testing::TestParamInfo<Specimen>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(, SpecimenTest,
                         ::testing::ValuesIn(All().begin(), All().end()),
                         NameOf);

TEST(SpecimensTest, EveryFeatureHasOneThatNeedsIt) {
  for (const Feature feature : {Feature::kSpuriousWakeUps, Feature::kStaleLoads,
                                Feature::kRacingTime, Feature::kMix}) {
    int count = 0;
    for (const Specimen& specimen : All()) count += specimen.needs == feature;
    EXPECT_GE(count, 1);
  }
  EXPECT_GE(All().size(), 25);
}

}  // namespace
}  // namespace cohort::specimens
