// What Explore and ExploreAll tell GoogleTest.

#include "cohort/sim/sim.h"

#include <cstdint>
#include <optional>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

ABSL_DECLARE_FLAG(std::optional<int64_t>, sim_schedules);

namespace cohort::sim {
namespace {

using ::cohort::testing::JoiningThread;

void TwoThreads() {
  sync::Atomic<int> count = 0;
  JoiningThread other([&count] { ++count; });
  ++count;
}

TEST(ExploreTest, AnUnmetExpectationComesWithItsSchedule) {
  EXPECT_NONFATAL_FAILURE(Explore({}, [] { EXPECT_TRUE(false); }),
                          "--sim_replay=");
}

TEST(ExploreAllTest, ComesToItsEnd) {
  const Result result = ExploreAll(Strategy::DepthFirst(), TwoThreads);
  EXPECT_TRUE(result.complete);
  EXPECT_FALSE(result.failure.has_value());
}

TEST(ExploreAllTest, FailsIfThereAreSchedulesLeft) {
  EXPECT_NONFATAL_FAILURE(
      {
        Options options = AllSchedules();
        options.schedules = 2;
        ExploreAll(options, TwoThreads);
      },
      "not a proof: 2 schedules, and there are more");
}

TEST(ExploreAllTest, FailsIfThereIsNothingToSearch) {
  EXPECT_NONFATAL_FAILURE(ExploreAll(Strategy::DepthFirst(), [] {}),
                          "not a proof: 1 schedules, which are all");
}

TEST(ExploreAllTest, ARandomWalkIsNoProof) {
  EXPECT_NONFATAL_FAILURE(
      {
        Options options = AllSchedules(Strategy::RandomWalk());
        options.schedules = 10;
        ExploreAll(options, TwoThreads);
      },
      "not a proof: 10 schedules, and there are more");
}

TEST(ExploreAllTest, FailsLikeExplore) {
  EXPECT_NONFATAL_FAILURE(ExploreAll(Strategy::DepthFirst(),
                                     [] {
                                       TwoThreads();
                                       EXPECT_TRUE(false);
                                     }),
                          "--sim_replay=");
}

TEST(ExploreAllTest, TheFlagTakesTheProofBack) {
  const absl::FlagSaver saver;
  absl::SetFlag(&FLAGS_sim_schedules, 2);
  EXPECT_EQ(ExploreAll(Strategy::DepthFirst(), TwoThreads).schedules, 2);
}

}  // namespace
}  // namespace cohort::sim
