// Workers that count themselves out of an errgroup::WaitGroup while others wait
// for it, give up waiting, and destroy it.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/sync/atomic.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::errgroup {
namespace {

using stress::InParallel;
using stress::Random;

using WaitGroupStressTest = stress::StressTest;

TEST_F(WaitGroupStressTest, WaitSeesAllThatWasDone) {
  Repeat(400, [](Random& round) {
    constexpr int kWorkers = 3;
    WaitGroup group;
    std::vector<int> done(kWorkers);  // ordered by the group alone
    sync::Atomic<int> errors = 0;
    group.Add(kWorkers);
    InParallel(round, 2 * kWorkers, [&](int thread, Random& random) {
      if (thread < kWorkers) {
        // More work may come while there is some.
        if (random.OneIn(2)) {
          group.Add(2);
          group.Add(-1);
          group.Done();
        }
        done[static_cast<size_t>(thread)] = 1;
        for (int i = random.Below(3); i > 0; --i) {
          group.Error(absl::UnknownError(absl::StrCat("error ", ++errors)));
        }
        group.Done();
        return;
      }
      const absl::Status status = group.Wait();
      EXPECT_EQ(done, std::vector<int>(kWorkers, 1));
      EXPECT_EQ(status.ok(), errors == 0);
      EXPECT_EQ(status, MultiError(group.errors()));
    });
    EXPECT_EQ(group.errors().size(), static_cast<size_t>(errors));
  });
}

// The one who waits may destroy it at once, while the last Done returns.
TEST_F(WaitGroupStressTest, TheWaiterDestroysIt) {
  Repeat(400, [](Random& round) {
    constexpr int kWorkers = 3;
    auto group = std::make_unique<WaitGroup>();
    WaitGroup* const shared = group.get();
    shared->Add(kWorkers);
    InParallel(round, kWorkers + 1, [&](int thread, Random& random) {
      if (thread < kWorkers) {
        if (random.OneIn(2)) shared->Error(absl::UnknownError("an error"));
        shared->Done();
        return;
      }
      const absl::Status status = group->Wait();
      EXPECT_EQ(status, MultiError(group->errors()));
      group.reset();
    });
  });
}

// A wait that is cancelled takes nothing from the others.
TEST_F(WaitGroupStressTest, SomeGiveUp) {
  const absl::Status cause = absl::AbortedError("no time");
  Repeat(400, [&cause](Random& round) {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    InParallel(round, 5, [&](int thread, Random&) {
      switch (thread) {
        case 0:
          group.Done();
          break;
        case 1:
          scope.Cancel(cause);
          break;
        case 2:
          EXPECT_EQ(group.Wait(), absl::OkStatus());
          break;
        default:
          const absl::Status status = group.Wait(scope.context());
          EXPECT_TRUE(status.ok() || status == cause) << status;
          EXPECT_EQ(group.Wait(), absl::OkStatus());
      }
    });
  });
}

// Nothing but the cancellation wakes those who wait here.
TEST_F(WaitGroupStressTest, ACancellationIsEnough) {
  const absl::Status cause = absl::AbortedError("no time");
  Repeat(1'000, [&cause](Random& round) {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    InParallel(round, 3, [&](int thread, Random&) {
      if (thread == 0) {
        scope.Cancel(cause);
      } else {
        EXPECT_EQ(group.Wait(scope.context()), cause);
      }
    });
    group.Done();
  });
}

}  // namespace
}  // namespace cohort::errgroup
