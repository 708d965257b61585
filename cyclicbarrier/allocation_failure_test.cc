// What holds when one allocation of a call fails.

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::cyclicbarrier {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithEachAllocationFailing;

// A round of two passes.
void ExpectUsable(CyclicBarrier& barrier) {
  EXPECT_EQ(barrier.waiting(), 0);
  EXPECT_FALSE(barrier.broken());
  JoiningThread other([&] { EXPECT_TRUE(barrier.Await(Context()).ok()); });
  EXPECT_TRUE(barrier.Await(Context()).ok());
}

TEST(CyclicBarrierAllocationFailure, AnAwaitThatIsLetThrough) {
  for (const bool comes_first : {true, false}) {
    WithEachAllocationFailing([comes_first](AllocationFault& fault) {
      int rounds = 0;
      CyclicBarrier barrier(2, [&rounds] { ++rounds; });
      CancelScope alone = WithCancel(Context());
      JoiningThread other([&] {
        if (comes_first) {
          Await(
              [&] { return barrier.waiting() == 1 || alone.context().done(); });
        }
        (void)barrier.Await(alone.context()).ok();
      });
      if (!comes_first) Await([&] { return barrier.waiting() == 1; });
      absl::StatusOr<int> index = 7;
      std::optional<CancelScope> scope;
      const bool threw = fault.Strikes([&] {
        scope = WithCancel(Context());
        index = barrier.Await(scope->context());
      });
      EXPECT_EQ(rounds, threw ? 0 : 1);
      alone.Cancel();
      other.Join();
      if (threw) {
        barrier.Reset();  // the other one has left it
      } else {
        EXPECT_EQ(*index, comes_first ? 0 : 1);
      }
      ExpectUsable(barrier);
    });
  }
}

// The round is broken whatever the caller can be told.
TEST(CyclicBarrierAllocationFailure, AnAwaitThatGivesUp) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CyclicBarrier barrier(2);
    CancelScope scope = WithCancel(Context());
    CancelScope returned = WithCancel(Context());
    JoiningThread canceller([&] {
      Await(
          [&] { return barrier.waiting() == 1 || returned.context().done(); });
      scope.Cancel();
    });
    std::optional<CancelScope> own;
    const bool threw = fault.Strikes([&] {
      own = WithCancel(scope.context());
      EXPECT_FALSE(barrier.Await(own->context()).ok());
    });
    returned.Cancel();
    canceller.Join();
    EXPECT_EQ(barrier.waiting(), 0);
    EXPECT_TRUE(threw || barrier.broken());
    barrier.Reset();
    ExpectUsable(barrier);
  });
}

TEST(CyclicBarrierAllocationFailure, AnAwaitOnABrokenBarrier) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CyclicBarrier barrier(2);
    // A context that has ended before the arrival breaks nothing.
    while (!barrier.broken()) {
      const CancelScope brief = WithTimeout(Context(), absl::Milliseconds(1));
      EXPECT_FALSE(barrier.Await(brief.context()).ok());
    }
    (void)fault.Strikes([&barrier] {
      EXPECT_TRUE(absl::IsAborted(barrier.Await(Context()).status()));
    });
    EXPECT_TRUE(barrier.broken());
    EXPECT_FALSE(fault.Strikes([&barrier] { barrier.Reset(); }));
    ExpectUsable(barrier);
  });
}

TEST(CyclicBarrierAllocationFailure, AnActionThatFails) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    bool fails = true;
    CyclicBarrier barrier(2, [&fails] {
      return fails ? absl::DataLossError("the action failed, for the test")
                   : absl::OkStatus();
    });
    JoiningThread other([&] { EXPECT_FALSE(barrier.Await(Context()).ok()); });
    Await([&] { return barrier.waiting() == 1; });
    (void)fault.Strikes(
        [&barrier] { EXPECT_FALSE(barrier.Await(Context()).ok()); });
    other.Join();
    EXPECT_TRUE(barrier.broken());
    barrier.Reset();
    fails = false;
    ExpectUsable(barrier);
  });
}

TEST(CyclicBarrierAllocationFailure, AConstructor) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    std::optional<CyclicBarrier> barrier;
    char much[200] = {};
    (void)fault.Strikes([&] { barrier.emplace(2, [much] { (void)much; }); });
    if (barrier.has_value()) ExpectUsable(*barrier);
  });
}

}  // namespace
}  // namespace cohort::cyclicbarrier
