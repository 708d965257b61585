// The common part of stress tests: random programs on real threads with random
// delays, all from one seed.
//
//   TEST_F(StressTest, NothingIsLost) {
//     Repeat(1'000, [](Random& round) {
//       Queue queue(1 + round.Below(4));
//       InParallel(round, 4, [&](int thread, Random& random) { … });
//       EXPECT_EQ(queue.taken(), …);
//     });
//   }
//
// The seed is that of --gtest_random_seed, and increases by one with each round
// of --gtest_repeat. By default it is always the same: a test that passes on
// one machine today should not fail on another tomorrow because of its random
// seed; to try other seeds, use tools/soak.sh. Nothing depends on timing.

#ifndef COHORT_TESTS_STRESS_STRESS_H_
#define COHORT_TESTS_STRESS_STRESS_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "cohort/sim/random_numbers.h"  // IWYU pragma: export
#include "gtest/gtest.h"

namespace cohort::stress {

using sim::Random;

// Prints the seed before a test, since a crash leaves no time for it, and after
// a test that failed. If //sync is jittered, threads are delayed during the
// test.
class StressTest : public ::testing::Test {
 protected:
  StressTest();
  ~StressTest() override;

  // Runs `round` `rounds` times, or until one has failed. The random numbers
  // that a round is given depend on the seed and on its number.
  void Repeat(int rounds, absl::FunctionRef<void(Random&)> round);

 private:
  const uint64_t seed_;
};

// Runs `body` on `threads` threads, each with its number and with random
// numbers of its own, and joins them. They start together, not one after
// another as they are created.
void InParallel(Random& random, int threads,
                absl::FunctionRef<void(int thread, Random& random)> body);

}  // namespace cohort::stress

#endif  // COHORT_TESTS_STRESS_STRESS_H_
