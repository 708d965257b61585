// What stress tests share: programs of random numbers, for real threads that
// random delays keep apart, out of one seed.
//
//   TEST_F(StressTest, NothingIsLost) {
//     Repeat(1'000, [](Random& round) {
//       Queue queue(1 + round.Below(4));
//       InParallel(round, 4, [&](int thread, Random& random) { … });
//       EXPECT_EQ(queue.taken(), …);
//     });
//   }
//
// The seed is that of --gtest_random_seed, and goes up by one with each round
// of --gtest_repeat. By itself it is always the same: a test that passes on one
// machine today should not fail on another tomorrow because of what it drew;
// tools/soak.sh is there to draw. Nothing depends on how long things take.

#ifndef COHORT_TESTS_STRESS_STRESS_H_
#define COHORT_TESTS_STRESS_STRESS_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "cohort/sim/random_numbers.h"  // IWYU pragma: export
#include "gtest/gtest.h"

namespace cohort::stress {

using sim::Random;

// Prints the seed before a test, since a crash leaves no time for it, and after
// one that failed. Where //sync is jittered, threads are delayed meanwhile.
class StressTest : public ::testing::Test {
 protected:
  StressTest();
  ~StressTest() override;

  // Runs `round` so many times, or until one has failed. The numbers that a
  // round is given depend on the seed and on which round it is.
  void Repeat(int rounds, absl::FunctionRef<void(Random&)> round);

 private:
  const uint64_t seed_;
};

// Runs `body` on so many threads, each with its number and with random numbers
// of its own, and joins them. They begin together, not one after another as
// they come into being.
void InParallel(Random& random, int threads,
                absl::FunctionRef<void(int thread, Random& random)> body);

}  // namespace cohort::stress

#endif  // COHORT_TESTS_STRESS_STRESS_H_
