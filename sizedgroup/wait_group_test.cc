// What WaitGroup and ErrorGroup do, and that they do not do what breaks the
// originals. The names of the latter are those of docs/immunity.md.

#include "cohort/sizedgroup/wait_group.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;

static_assert(!std::is_copy_constructible_v<Slot>);
static_assert(std::is_nothrow_move_constructible_v<Slot>);
static_assert(std::is_nothrow_move_assignable_v<Slot>);

TEST(WaitGroupTest, CountsFunctionsAndSlots) {
  WaitGroup group(2);
  std::atomic<int> count = 0;
  Slot slot = group.BlockAdd();
  EXPECT_EQ(group.PendingCount(), 1);
  EXPECT_EQ(group.Add([&] { ++count; }, [&] { ++count; }, [&] { ++count; }),
            Admission::kAccepted);
  slot = Slot();
  group.Wait();
  EXPECT_EQ(count, 3);
  EXPECT_EQ(group.PendingCount(), 0);
}

TEST(WaitGroupTest, AddOfNothingIsNothing) {
  WaitGroup group(1);
  EXPECT_EQ(group.Add(), Admission::kAccepted);
  group.Wait();
}

TEST(WaitGroupTest, AddTakesFunctionsOfEveryForm) {
  WaitGroup group(4);
  std::atomic<int> ran = 0;
  group.Add([&] { ++ran; }, std::function<void()>([&] { ++ran; }),
            [&, owned = std::make_unique<int>(1)] { ran += *owned; },
            [&](const Context& context) {
              EXPECT_FALSE(context.done());
              ++ran;
            },
            [&] {
              ++ran;
              return absl::OkStatus();
            });
  group.Wait();
  EXPECT_EQ(ran, 5);
}

TEST(WaitGroupTest, AddStartsItsFunctionsInTurn) {
  WaitGroup group(1);
  std::vector<int> order;  // needs no lock: one at a time
  group.Add([&] { order.push_back(0); }, [&] { order.push_back(1); },
            [&] { order.push_back(2); });
  group.Wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(WaitGroupTest, AddBlocksTheFunctionsAfterTheOneThatIsBlocked) {
  absl::Notification release;
  WaitGroup group(1);
  group.Add([&] { release.WaitForNotification(); });
  std::atomic<int> ran = 0;
  {
    JoiningThread adder([&] { group.Add([&] { ++ran; }, [&] { ++ran; }); });
    Await([&] { return group.stats().parked == 1; });
    EXPECT_EQ(group.stats().accepted, 1);
    release.Notify();
  }
  group.Wait();
  EXPECT_EQ(ran, 2);
}

TEST(WaitGroupTest, ASlotIsASlotOfTheGroup) {
  WaitGroup group(1);
  std::optional<Slot> slot = group.BlockAdd();
  std::atomic<bool> ran = false;
  JoiningThread adder([&] { group.Add([&] { ran = true; }); });
  JoiningThread blocked([&] { EXPECT_TRUE(group.BlockAdd()); });
  Await([&] { return group.stats().parked == 2; });
  EXPECT_EQ(group.PendingCount(), 1);
  EXPECT_FALSE(ran);
  slot.reset();
  adder.Join();
  blocked.Join();
  group.Wait();
  EXPECT_TRUE(ran);
}

TEST(WaitGroupTest, B41_ASlotIsMovedAndGivenBackOnce) {
  WaitGroup group(3);
  Slot first = group.BlockAdd();
  Slot second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(second);
  EXPECT_EQ(group.PendingCount(), 1);
  first = group.BlockAdd();
  EXPECT_EQ(group.PendingCount(), 2);
  second = std::move(first);  // gives back its own
  EXPECT_EQ(group.PendingCount(), 1);
  Slot& same = second;
  second = std::move(same);
  EXPECT_FALSE(second);
  EXPECT_EQ(group.PendingCount(), 0);
  second = group.BlockAdd();
  std::swap(first, second);
  EXPECT_TRUE(first);
  EXPECT_EQ(group.PendingCount(), 1);
  first = Slot();
  group.Wait();
}

TEST(WaitGroupTest, WaitWaitsForASlotThatAnotherThreadHolds) {
  WaitGroup group(1);
  std::atomic<bool> worked = false;
  JoiningThread elsewhere([&, slot = group.BlockAdd()]() mutable {
    worked = true;
    const Slot ends_here = std::move(slot);
  });
  group.Wait();
  EXPECT_TRUE(worked);
}

TEST(WaitGroupTest, AFunctionMayKeepASlot) {
  WaitGroup group(2);
  Slot kept;
  group.Add([&] { kept = group.BlockAdd(); });
  Await([&] { return group.stats().succeeded == 1; });
  EXPECT_EQ(group.PendingCount(), 1);
  JoiningThread giver([&] { kept = Slot(); });
  group.Wait();
}

TEST(WaitGroupTest, InsideAFunctionASlotMayBeBeyondTheBound) {
  WaitGroup group(1);
  int pending = 0;
  group.Add([&] {
    const Slot first = group.BlockAdd();
    const Slot second = group.BlockAdd();
    EXPECT_TRUE(second);
    pending = group.PendingCount();
  });
  group.Wait();
  EXPECT_EQ(pending, 3);
  // Now the bound holds again.
  Slot held = group.BlockAdd();
  std::atomic<bool> ran = false;
  JoiningThread adder([&] { group.Add([&] { ran = true; }); });
  Await([&] { return group.stats().parked == 1; });
  EXPECT_FALSE(ran);
  held = Slot();
  adder.Join();
  group.Wait();
  EXPECT_TRUE(ran);
}

TEST(WaitGroupTest, ASizeOfZeroOrLessIsNoBound) {
  for (const int size : {0, -1}) {
    WaitGroup group(size);
    std::atomic<int> here = 0;
    absl::Notification all_here;
    for (int i = 0; i < 20; ++i) {
      group.Add([&] {
        if (++here == 20) all_here.Notify();
        all_here.WaitForNotification();
      });
    }
    group.Wait();
  }
}

TEST(WaitGroupTest, WaitForNobody) {
  WaitGroup group(1);
  group.Wait();
  group.Wait(WaitPolicy::kPark);
  EXPECT_EQ(group.PendingCount(), 0);
}

TEST(WaitGroupTest, TheDestructorWaitsForSlots) {
  std::atomic<bool> worked = false;
  std::optional<JoiningThread> elsewhere;
  {
    WaitGroup group(1);
    elsewhere.emplace([&, slot = group.BlockAdd()]() mutable {
      worked = true;
      slot = Slot();
    });
  }
  EXPECT_TRUE(worked);
}

TEST(WaitGroupTest, TheDestructorAnswersWhoIsBlocked) {
  auto group = std::make_unique<WaitGroup>(1);
  absl::Notification release;
  group->Add([&] { release.WaitForNotification(); });
  JoiningThread adder([&release, raw = group.get()] {
    EXPECT_EQ(raw->Add(MustNotRun), Admission::kCancelled);
    release.Notify();
  });
  JoiningThread blocked([raw = group.get()] { EXPECT_FALSE(raw->BlockAdd()); });
  Await([&group] { return group->stats().parked == 2; });
  group.reset();
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(ErrorGroupTest, AnExceptionIsAnError) {
  ErrorGroup group(Context(), 1);
  group.Add([] { throw std::runtime_error("A"); });
  EXPECT_TRUE(absl::StrContains(group.Wait().message(), "runtime_error: A"));
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(WaitGroupImmunity, B42_PendingCountIsExactWithAndWithoutABound) {
  for (const int size : {2, 0}) {
    WaitGroup group(size);
    absl::Notification release;
    group.Add([&] { release.WaitForNotification(); },
              [&] { release.WaitForNotification(); });
    EXPECT_EQ(group.PendingCount(), 2);
    release.Notify();
    group.Wait();
    EXPECT_EQ(group.PendingCount(), 0);
  }
}

TEST(ErrorGroupTest, ReturnsTheFirstErrorByCompletion) {
  ErrorGroup group(Context(), 1);
  std::atomic<int> ran = 0;
  EXPECT_EQ(group.Add([&] { ++ran; }, [] { return absl::NotFoundError("x"); }),
            Admission::kAccepted);
  EXPECT_EQ(group.Wait(), absl::NotFoundError("x"));
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(group.Wait(), absl::NotFoundError("x"));
}

TEST(ErrorGroupTest, SuccessEndsTheContextToo) {
  CancelScope scope = WithCancel(Context());
  ErrorGroup group(scope.context(), 2);
  EXPECT_FALSE(group.context().done());
  group.Add([] {}, [] { return absl::OkStatus(); });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(group.context().done());
  EXPECT_FALSE(scope.context().done());
  EXPECT_EQ(group.Add(MustNotRun), Admission::kCancelled);
}

TEST(ErrorGroupTest, ASizeOfZeroOrLessIsNoBound) {
  ErrorGroup group(Context(), 0);
  std::atomic<int> here = 0;
  absl::Notification all_here;
  for (int i = 0; i < 20; ++i) {
    group.Add([&] {
      if (++here == 20) all_here.Notify();
      all_here.WaitForNotification();
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(ErrorGroupImmunity, B19_WhatIsLeftAfterAnErrorIsSkipped) {
  ErrorGroup group(Context(), 1);
  absl::Notification blocked;
  group.Add([&] {
    blocked.WaitForNotification();
    return Fail("a");
  });
  JoiningThread adder([&] {
    EXPECT_EQ(group.Add(MustNotRun, MustNotRun), Admission::kCancelled);
  });
  Await([&] { return group.stats().parked == 1; });
  blocked.Notify();
  adder.Join();
  EXPECT_EQ(group.Wait(), Fail("a"));
  EXPECT_EQ(group.context().cause(), Fail("a"));
  EXPECT_EQ(group.stats().refused, 2);
}

}  // namespace
}  // namespace cohort::sizedgroup
