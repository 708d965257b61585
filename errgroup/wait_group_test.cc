#include "cohort/errgroup/wait_group.h"

#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

const absl::Status kOne = absl::NotFoundError("one");
const absl::Status kTwo = absl::AbortedError("two");

TEST(WaitGroupTest, NoErrorIsOk) {
  WaitGroup group;
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  group.Add(2);
  group.Done();
  group.Done();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(WaitGroupTest, OneErrorIsThatErrorItself) {
  WaitGroup group;
  group.Add(3);
  JoiningThread worker([&group] {
    group.Error(kOne);
    group.Done();
    group.Add(-2);
  });
  EXPECT_EQ(group.Wait(), kOne);
}

TEST(WaitGroupTest, SeveralErrorsAreAllThereInOrder) {
  WaitGroup group;
  group.Error(kOne);
  group.Error(kTwo);
  EXPECT_EQ(group.Wait(), absl::NotFoundError("multiple errors: one | two"));
  EXPECT_EQ(group.errors(), (std::vector<absl::Status>{kOne, kTwo}));
}

TEST(WaitGroupTest, ErrorsAreNeverReset) {
  WaitGroup group;
  group.Error(kOne);
  EXPECT_EQ(group.Wait(), kOne);
  group.Error(kTwo);
  EXPECT_EQ(group.Wait(), absl::NotFoundError("multiple errors: one | two"));
}

TEST(WaitGroupTest, ErrorsAreReadWhileTheyComeIn) {
  WaitGroup group;
  const auto fail = [&group] {
    for (int i = 0; i < 100; ++i) group.Error(kOne);
  };
  JoiningThread first(fail);
  JoiningThread second(fail);
  Await([&group] { return group.errors().size() == 200; });
  EXPECT_EQ(group.errors(), std::vector<absl::Status>(200, kOne));
}

TEST(WaitGroupTest, EveryWaiterReturns) {
  WaitGroup group;
  group.Add(1);
  JoiningThread first([&group] { EXPECT_EQ(group.Wait(), kOne); });
  JoiningThread second([&group] { EXPECT_EQ(group.Wait(), kOne); });
  group.Error(kOne);
  group.Done();
}

TEST(WaitGroupTest, WaitWakesWhenItsContextIsDone) {
  WaitGroup group;
  group.Add(1);
  CancelScope scope = WithCancel(Context());
  absl::Notification waiting;
  JoiningThread waiter([&] {
    waiting.Notify();
    EXPECT_EQ(group.Wait(scope.context()), kTwo);
  });
  waiting.WaitForNotification();
  scope.Cancel(kTwo);
  waiter.Join();
  CancelScope late = WithTimeout(Context(), absl::Milliseconds(1));
  EXPECT_EQ(group.Wait(late.context()).code(),
            absl::StatusCode::kDeadlineExceeded);
  group.Done();
  // Nothing is outstanding: the context no longer matters.
  EXPECT_EQ(group.Wait(scope.context()), absl::OkStatus());
}

TEST(WaitGroupTest, MayBeDestroyedAsSoonAsWaitReturns) {
  for (int i = 0; i < 1000; ++i) {
    auto* group = new WaitGroup();
    group->Add(1);
    JoiningThread worker([group] { group->Done(); });
    EXPECT_EQ(group->Wait(), absl::OkStatus());
    delete group;
  }
}

TEST(WaitGroupDeathTest, MisuseDiesBeforeAnythingChanges) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(WaitGroup().Done(), "Add\\(-1\\) on a count of 0");
  EXPECT_DEATH(WaitGroup().Error(absl::OkStatus()), "Error: the status is OK");
  EXPECT_DEATH(
      {
        WaitGroup group;
        group.Add(std::numeric_limits<int>::max());
        group.Add(1);
      },
      "on a count of 2147483647");
  EXPECT_DEATH(
      {
        WaitGroup group;
        group.Add(1);
      },
      "destroyed while counting");
}

TEST(MultiErrorTest, LeavesOutWhatIsOk) {
  EXPECT_EQ(MultiError({}), absl::OkStatus());
  EXPECT_EQ(MultiError({absl::OkStatus()}), absl::OkStatus());
  EXPECT_EQ(MultiError({absl::OkStatus(), kTwo}), kTwo);
  EXPECT_EQ(MultiError({kTwo, absl::OkStatus(), kOne}),
            absl::AbortedError("multiple errors: two | one"));
}

}  // namespace
}  // namespace cohort::errgroup
