// A barrier with several callers: each round has one outcome, whatever is
// cancelled, reset and thrown meanwhile.

#include <array>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::cyclicbarrier {
namespace {

using stress::InParallel;
using stress::Random;

class CyclicBarrierStressTest : public stress::StressTest {};

TEST_F(CyclicBarrierStressTest, RoundAfterRound) {
  Repeat(100, [](Random& round) {
    constexpr int kParties = 3;
    constexpr int kRounds = 15;
    std::array<int, kParties> parts = {};  // guarded by the barrier
    int sum = 0;
    CyclicBarrier barrier(kParties, [&] {
      sum = 0;
      for (const int part : parts) sum += part;
    });
    InParallel(round, kParties, [&](int thread, Random& random) {
      for (int i = 1; i <= kRounds; ++i) {
        parts[static_cast<size_t>(thread)] = i;
        if (random.OneIn(3)) sync::Yield();
        ASSERT_TRUE(barrier.Await(Context()).ok());
        EXPECT_EQ(sum, i * kParties);
      }
    });
  });
}

// Until the last of so many rounds, which may be cut short by that.
TEST_F(CyclicBarrierStressTest, MoreThreadsThanParties) {
  Repeat(100, [](Random& round) {
    constexpr int kRounds = 12;
    CancelScope scope = WithCancel(Context());
    int rounds = 0;
    CyclicBarrier barrier(2, [&] {
      if (++rounds == kRounds) scope.Cancel(absl::UnknownError("enough"));
    });
    std::array<sync::Atomic<int>, 2> left = {};
    InParallel(round, 6, [&](int, Random&) {
      for (;;) {
        const absl::StatusOr<int> index = barrier.Await(scope.context());
        if (!index.ok()) break;
        ++left[static_cast<size_t>(*index)];
      }
    });
    EXPECT_EQ(rounds, kRounds);
    EXPECT_EQ(left[0], left[1]);
    EXPECT_GE(left[0], kRounds - 1);
  });
}

TEST_F(CyclicBarrierStressTest, EachRoundHasOneOutcome) {
  Repeat(300, [](Random& round) {
    constexpr int kParties = 2;
    std::array<sync::Atomic<int>, kParties> left = {};
    const bool fails = round.OneIn(2);
    int rounds = 0;
    CyclicBarrier barrier(kParties, [&] {
      return fails && ++rounds % 3 == 0 ? absl::DataLossError("action")
                                        : absl::OkStatus();
    });
    InParallel(round, 4, [&](int thread, Random& random) {
      for (int i = 0; i < 8; ++i) {
        if (thread == 0 && random.OneIn(2)) {
          barrier.Reset();
          continue;
        }
        CancelScope scope =
            WithTimeout(Context(), absl::Microseconds(random.Below(200)),
                        absl::UnknownError("late"));
        const absl::StatusOr<int> index = barrier.Await(scope.context());
        if (index.ok()) {
          ++left[static_cast<size_t>(*index)];
        } else {
          EXPECT_TRUE(absl::IsAborted(index.status()) ||
                      absl::IsDataLoss(index.status()) ||
                      index.status() == absl::UnknownError("late"))
              << index.status();
          if (random.OneIn(2)) barrier.Reset();
        }
      }
    });
    EXPECT_EQ(left[0], left[1]);
  });
}

}  // namespace
}  // namespace cohort::cyclicbarrier
