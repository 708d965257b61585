#include "tests/stress/stress.h"

#include <cstdint>
#include <iostream>
#include <list>

#include "absl/functional/function_ref.h"
#include "cohort/sync/jitter.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::stress {
namespace {

// Set up anew by each round of --gtest_repeat.
class Rounds : public ::testing::Environment {
 public:
  void SetUp() override { ++count_; }
  static int64_t current() { return count_ - 1; }

 private:
  static inline int64_t count_ = 0;
};

[[maybe_unused]] const auto* const registered =
    ::testing::AddGlobalTestEnvironment(new Rounds);

}  // namespace

StressTest::StressTest()
    : seed_(static_cast<uint64_t>(GTEST_FLAG_GET(random_seed) +
                                  Rounds::current())) {
  std::cout << "[     SEED ] " << seed_ << std::endl;
  sync::StartJitter(seed_);
}

StressTest::~StressTest() {
  sync::StopJitter();
  if (HasFailure()) {
    std::cout << "[     SEED ] again with --gtest_random_seed=" << seed_
              << std::endl;
  }
}

void StressTest::Repeat(int rounds, absl::FunctionRef<void(Random&)> round) {
  Random seeds(seed_);
  for (int i = 0; i < rounds && !HasFailure(); ++i) {
    Random random(seeds.Next());
    round(random);
    if (HasFailure()) std::cout << "[     SEED ] round " << i << std::endl;
  }
}

void InParallel(Random& random, int threads,
                absl::FunctionRef<void(int thread, Random& random)> body) {
  sync::Mutex mutex;
  sync::CondVar changed;
  int missing = threads;

  std::list<testing::JoiningThread> callers;
  for (int thread = 0; thread < threads; ++thread) {
    callers.emplace_back([&, thread, random = Random(random.Next())]() mutable {
      {
        sync::MutexLock lock(&mutex);
        if (--missing == 0) changed.SignalAll();
        while (missing > 0) changed.Wait(&mutex);
      }
      body(thread, random);
    });
  }
}

}  // namespace cohort::stress
