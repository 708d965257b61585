#include "h2o/factory.h"

#include <cstddef>
#include <deque>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/random.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace h2o {
namespace {

namespace sim = cohort::sim;
using cohort::Context;
using cohort::sync::RandomFraction;
using cohort::testing::JoiningThread;

// A factory, and the letters that have come out of it.
class Water {
 public:
  absl::Status Bring(char letter, const Context& context) {
    const auto emit = [&] {
      cohort::sync::MutexLock lock(&mutex_);
      letters_ += letter;
    };
    return letter == 'H' ? factory_.Hydrogen(context, emit)
                         : factory_.Oxygen(context, emit);
  }

  // Once all have come.
  void ExpectMolecules(size_t molecules) {
    cohort::sync::MutexLock lock(&mutex_);
    EXPECT_EQ(letters_.size(), 3 * molecules);
    for (size_t i = 0; i < letters_.size(); i += 3) {
      const std::string molecule = letters_.substr(i, 3);
      EXPECT_TRUE(molecule == "HHO" || molecule == "HOH" || molecule == "OHH")
          << molecule << " at " << i;
    }
  }

 private:
  Factory factory_;
  cohort::sync::Mutex mutex_;
  std::string letters_ ABSL_GUARDED_BY(mutex_);
};

void ThreadsBring(const std::string& letters) {
  Water water;
  {
    std::deque<JoiningThread> threads;
    for (const char letter : letters) {
      threads.emplace_back([&water, letter] {
        EXPECT_EQ(water.Bring(letter, Context()), absl::OkStatus());
      });
    }
  }
  water.ExpectMolecules(letters.size() / 3);
}

TEST(FactoryTest, OneMoleculeOnAllSchedules) {
  const sim::Result result =
      sim::ExploreAll(sim::Strategy::DepthFirst(), [] { ThreadsBring("HHO"); });
  EXPECT_GT(result.schedules, 100);
}

TEST(FactoryTest, TwoMolecules) {
  sim::Explore({.schedules = 5000}, [] { ThreadsBring("HHHOHO"); });
}

// As the program does it, with random delays, but with no more threads at once
// than a simulation has. They begin in the order of the letters, so that there
// is always a molecule among them.
TEST(FactoryTest, AHundredMolecules) {
  sim::Explore({.schedules = 100,
                .time = sim::Time::kQuiescent,
                .stale_loads = false,
                .max_steps = 10'000'000},
               [] {
                 constexpr int kMolecules = 100;
                 Water water;
                 cohort::errgroup::Group group(
                     Context(), {.limit = 48, .queue = cohort::kUnlimited});
                 for (int i = 0; i < 3 * kMolecules; ++i) {
                   group.Go([&water, i](const Context& context) {
                     context.SleepFor(absl::Milliseconds(10) * RandomFraction())
                         .IgnoreError();
                     return water.Bring("HHO"[i % 3], context);
                   });
                 }
                 EXPECT_EQ(group.Wait(), absl::OkStatus());
                 water.ExpectMolecules(kMolecules);
               });
}

TEST(FactoryTest, AnAtomThatIsMissingEndsTheGroup) {
  sim::Explore({.schedules = 500, .time = sim::Time::kQuiescent}, [] {
    Water water;
    cohort::CancelScope scope = cohort::WithTimeout(
        Context(), absl::Seconds(1), absl::DeadlineExceededError("no oxygen"));
    cohort::errgroup::Group group(scope.context());
    for (int i = 0; i < 3; ++i) {
      group.Go(
          [&](const Context& context) { return water.Bring('H', context); });
    }
    EXPECT_EQ(group.Wait(), absl::DeadlineExceededError("no oxygen"));
  });
}

}  // namespace
}  // namespace h2o
