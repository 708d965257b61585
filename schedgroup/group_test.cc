// What each method and option of Group does on real threads, and that it does
// not do what breaks the original. Where time matters, see group_sim_test.cc.

#include "cohort/schedgroup/group.h"

#include <atomic>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::schedgroup {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;

constexpr absl::Duration kNever = absl::Hours(1);

static_assert(!std::is_copy_constructible_v<Group>);
static_assert(!std::is_move_constructible_v<Group>);
static_assert(std::is_copy_constructible_v<TaskId>);

TEST(GroupTest, AnEmptyGroupEndsWell) {
  Group group;
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_TRUE(group.context().done());
}

TEST(GroupTest, TakesEveryFormOfTask) {
  struct Functor {
    absl::Status operator()() && { return absl::OkStatus(); }
    std::unique_ptr<int> move_only = std::make_unique<int>(1);
  };
  std::atomic<int> ran = 0;
  Group group;
  group.Delay(absl::ZeroDuration(), [&] { ++ran; });
  group.Delay(absl::ZeroDuration(), [&]() -> absl::Status {
    ++ran;
    return absl::OkStatus();
  });
  group.Delay(absl::ZeroDuration(), [&](const Context&) { ++ran; });
  group.Schedule(absl::Now(), Functor());
  group.Schedule(absl::Now(), +[] {});
  group.Schedule(absl::Now(), absl::AnyInvocable<absl::Status() &&>(
                                  [p = std::make_unique<int>(0), &ran] {
                                    ++ran;
                                    return absl::OkStatus();
                                  }));
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 4);
  EXPECT_EQ(group.stats().succeeded, 6);
}

TEST(GroupTest, ATimeThatHasPassedIsAtOnce) {
  Group group;
  std::atomic<int> ran = 0;
  for (const absl::Duration delay :
       {absl::ZeroDuration(), -absl::Hours(1), -absl::InfiniteDuration()}) {
    group.Delay(delay, [&] { ++ran; });
  }
  for (const absl::Time time :
       {absl::Now(), absl::UnixEpoch(), absl::InfinitePast()}) {
    group.Schedule(time, [&] { ++ran; });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 6);
}

TEST(GroupTest, NothingRunsEarly) {
  Group group;
  std::atomic<int> early = 0;
  for (int i = 0; i < 20; ++i) {
    const absl::Duration delay = absl::Microseconds(300 * (i % 7));
    const absl::Time due = absl::Now() + delay;
    const auto look = [&early, due] {
      if (absl::Now() < due) ++early;
    };
    group.Schedule(due, look);
    group.Delay(delay, look);
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(early, 0);
}

TEST(GroupTest, InfinityNeverComes) {
  Group group;
  const TaskId delay = group.Delay(absl::InfiniteDuration(), MustNotRun);
  const TaskId time = group.Schedule(absl::InfiniteFuture(), MustNotRun);
  const TaskId period = group.Every(absl::InfiniteDuration(), MustNotRun);
  for (const TaskId& id : {delay, time, period}) {
    EXPECT_EQ(group.Cancel(id), CancelResult::kCancelled);
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, B56_EqualTimesRunInTheOrderOfSubmission) {
  constexpr int kTasks = 500;
  Group group({}, {.limit = 1});
  std::vector<int> order;  // needs no lock: one at a time
  const absl::Time time = absl::Now() + absl::Milliseconds(20);
  for (int i = 0; i < kTasks; ++i) {
    group.Schedule(time, [&order, i] { order.push_back(i); });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  ASSERT_EQ(order.size(), static_cast<size_t>(kTasks));
  for (int i = 0; i < kTasks; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(GroupTest, EqualDelaysRunInTheOrderOfSubmission) {
  Group group({}, {.limit = 1});
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    group.Delay(absl::Milliseconds(5), [&order, i] { order.push_back(i); });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(GroupTest, ASlowTaskDelaysNoOtherOne) {
  Group group;
  absl::Notification others_ran;
  std::atomic<int> ran = 0;
  group.Delay(absl::ZeroDuration(), [&] { others_ran.WaitForNotification(); });
  for (int i = 0; i < 3; ++i) {
    group.Delay(absl::ZeroDuration(), [&] {
      if (++ran == 3) others_ran.Notify();
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, TheLimitIsNeverExceeded) {
  constexpr int kLimit = 2;
  Group group({}, {.limit = kLimit});
  std::atomic<int> running = 0;
  std::atomic<bool> too_many = false;
  absl::Notification full;
  for (int i = 0; i < 30; ++i) {
    group.Delay(absl::ZeroDuration(), [&] {
      const int now = ++running;
      if (now > kLimit) too_many = true;
      if (now == kLimit && !full.HasBeenNotified()) full.Notify();
      full.WaitForNotification();  // a smaller limit would hang here
      --running;
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_FALSE(too_many);
}

TEST(GroupTest, TasksRunAlthoughNobodyWaits) {
  absl::Notification ran;
  Group group;
  group.Delay(absl::Milliseconds(1), [&] { ran.Notify(); });
  ran.WaitForNotification();
}

TEST(GroupTest, B56_TasksMayScheduleWhileWaitWaits) {
  Group group;
  std::atomic<int> ran = 0;
  std::function<void(int)> again = [&](int left) {
    ++ran;
    if (left == 0) return;
    group.Delay(absl::Microseconds(100), [&again, left] { again(left - 1); });
  };
  group.Delay(absl::ZeroDuration(), [&] { again(20); });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 21);
}

TEST(GroupTest, ACaptureMayScheduleWhenItIsDestroyed) {
  Group group;
  std::atomic<bool> ran = false;
  group.Delay(absl::ZeroDuration(), [at_end = AtEnd([&] {
                                       group.Delay(absl::ZeroDuration(),
                                                   [&] { ran = true; });
                                     })] {});
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(ran);
}

TEST(GroupTest, WaitInsideATask) {
  Group group;
  std::atomic<bool> ran = false;
  group.Delay(absl::ZeroDuration(), [&] {
    group.Delay(absl::Milliseconds(1), [&] { ran = true; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran);
    EXPECT_FALSE(group.context().done());
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST(GroupTest, ErrorsDoNotCancelByDefault) {
  Group group({}, {.limit = 1});
  std::atomic<bool> ran = false;
  group.Delay(absl::ZeroDuration(), [] {});
  group.Delay(absl::ZeroDuration(), [] { return Fail("first"); });
  group.Delay(absl::Milliseconds(1), [&] {
    ran = true;
    return Fail("second");
  });
  EXPECT_EQ(group.Wait(), Fail("first"));
  EXPECT_TRUE(ran);
  const std::vector<TaskError> errors = group.errors();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].index, 1);
  EXPECT_EQ(group.stats().failed, 2);
}

TEST(GroupTest, CancelOnErrorSkipsAllThatIsToCome) {
  Group group({}, {.cancel_on_error = true});
  for (int i = 0; i < 10; ++i) group.Delay(kNever, MustNotRun);
  group.Every(kNever, MustNotRun);
  group.Delay(absl::ZeroDuration(), [] { return Fail("boom"); });
  EXPECT_EQ(group.Wait(), Fail("boom"));
  EXPECT_EQ(group.stats().skipped, 11);
  EXPECT_EQ(group.context().cause(), Fail("boom"));
}

TEST(GroupTest, ACancelledParentSkipsWhatHasNotStarted) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context());
  std::atomic<int> destroyed = 0;
  for (int i = 0; i < 10; ++i) {
    group.Delay(kNever,
                [at_end = AtEnd([&] { ++destroyed; })] { MustNotRun(); });
  }
  EXPECT_EQ(group.stats().queued, 10);
  scope.Cancel(Fail("outside"));
  EXPECT_EQ(destroyed, 10);  // at once
  EXPECT_EQ(group.stats().skipped, 10);
  group.Delay(absl::ZeroDuration(), MustNotRun);
  EXPECT_EQ(group.stats().refused, 1);
  EXPECT_EQ(group.Wait(), Fail("outside"));
}

TEST(GroupTest, TheParentsDeadlineEndsIt) {
  CancelScope scope =
      WithTimeout(Context(), absl::Milliseconds(2), Fail("too late"));
  Group group(scope.context());
  group.Delay(kNever, MustNotRun);
  EXPECT_EQ(group.Wait(), Fail("too late"));
  EXPECT_EQ(group.context().status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(GroupTest, RunningTasksAreToldThroughTheContext) {
  Group group;
  absl::Notification started;
  group.Delay(absl::ZeroDuration(), [&](const Context& context) {
    started.Notify();
    context.AwaitDone();
    EXPECT_EQ(context.cause(), Fail("stop"));
  });
  started.WaitForNotification();
  EXPECT_TRUE(group.Cancel(Fail("stop")));
  EXPECT_FALSE(group.Cancel(Fail("again")));
  EXPECT_EQ(group.Wait(), absl::OkStatus());  // nothing was lost
}

TEST(GroupTest, B55_WaitWaitsForRunningTasksAfterACancellation) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context());
  absl::Notification started;
  absl::Notification release;
  std::atomic<bool> ended = false;
  group.Delay(absl::ZeroDuration(), [&] {
    started.Notify();
    release.WaitForNotification();
    ended = true;
  });
  started.WaitForNotification();
  scope.Cancel(Fail("outside"));
  JoiningThread releaser([&] { release.Notify(); });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(ended);
}

TEST(GroupTest, B55_ACancellationAfterEverythingHasRunIsNoError) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context());
  group.Delay(absl::ZeroDuration(), [] {});
  Await([&] { return group.stats().succeeded == 1; });
  scope.Cancel(Fail("outside"));
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, MayBeWaitedForInACallbackOfAContextAbove) {
  CancelScope scope = WithCancel(Context());
  std::optional<Group> group;
  // Runs before the group itself learns of the cancellation.
  DoneCallback callback = scope.context().OnDone([&group] {
    EXPECT_EQ(group->Wait(), Fail("outside"));
    EXPECT_EQ(group->stats().skipped, 2);
    group.reset();
  });
  group.emplace(scope.context());
  group->Delay(kNever, MustNotRun);
  group->Every(kNever, MustNotRun);
  scope.Cancel(Fail("outside"));
  EXPECT_FALSE(group.has_value());
}

TEST(GroupTest, CancelTakesBackATask) {
  Group group;
  std::atomic<int> destroyed = 0;
  const TaskId id = group.Delay(
      kNever, [at_end = AtEnd([&] { ++destroyed; })] { MustNotRun(); });
  const TaskId copy = id;
  EXPECT_EQ(group.Cancel(copy), CancelResult::kCancelled);
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(group.Cancel(id), CancelResult::kFinished);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().skipped, 1);
  EXPECT_EQ(group.Cancel(id), CancelResult::kFinished);
}

TEST(GroupTest, CancelOfTheOneThatIsDueNextLetsTheOthersRun) {
  Group group;
  const TaskId next = group.Delay(absl::Milliseconds(50), MustNotRun);
  std::atomic<bool> ran = false;
  group.Delay(absl::Milliseconds(51), [&] { ran = true; });
  if (group.Cancel(next) == CancelResult::kCancelled) {
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran);
  }
}

// Comes back once all that is due now has been handed to its group.
void AwaitTimers() {
  absl::Notification handed;
  Group group;  // another one, but there is one queue of timers
  group.Delay(absl::ZeroDuration(), [&] { handed.Notify(); });
  handed.WaitForNotification();
}

// Holds the one slot of `group` until it is released.
class Holder {
 public:
  explicit Holder(Group& group) {
    id_ = group.Delay(-absl::Hours(1), [this] {
      started_.Notify();
      release_.WaitForNotification();
    });
    started_.WaitForNotification();
  }

  const TaskId& id() const { return id_; }
  void Release() { release_.Notify(); }

 private:
  TaskId id_;
  absl::Notification started_;
  absl::Notification release_;
};

TEST(GroupTest, CancelTakesBackATaskThatWaitsForASlot) {
  Group group({}, {.limit = 1});
  Holder holder(group);
  std::atomic<int> destroyed = 0;
  std::vector<int> order;
  std::vector<TaskId> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(group.Delay(
        -absl::Seconds(1),
        [&, i, at_end = AtEnd([&] { ++destroyed; })] { order.push_back(i); }));
  }
  AwaitTimers();
  EXPECT_EQ(group.stats().queued, 4);
  for (const size_t i : {0u, 2u}) {
    EXPECT_EQ(group.Cancel(ids[i]), CancelResult::kCancelled);
    EXPECT_EQ(group.Cancel(ids[i]), CancelResult::kFinished);
  }
  EXPECT_EQ(destroyed, 2);
  EXPECT_EQ(group.stats().queued, 2);
  EXPECT_EQ(group.stats().skipped, 2);
  EXPECT_EQ(group.Cancel(holder.id()), CancelResult::kRunning);
  holder.Release();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(order, (std::vector<int>{1, 3}));
  EXPECT_EQ(group.Cancel(holder.id()), CancelResult::kFinished);
  EXPECT_EQ(group.Cancel(ids[1]), CancelResult::kFinished);
}

TEST(GroupTest, CancelTakesBackARunThatWaitsForASlot) {
  Group group({}, {.limit = 1});
  std::atomic<int> runs = 0;
  const TaskId every = group.Every(absl::Microseconds(10), [&] { ++runs; });
  Await([&] { return runs > 0; });
  Holder holder(group);
  // The next run is due at the latest by now, and waits for the slot.
  sync::SleepFor(absl::Microseconds(10));
  AwaitTimers();
  const int before = runs;
  EXPECT_EQ(group.Cancel(every), CancelResult::kCancelled);
  holder.Release();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(runs, before);
  EXPECT_EQ(group.stats().skipped, 1);
}

TEST(GroupTest, WithoutASlotCancelLetsWaitEnd) {
  Group group({}, {.limit = 0});
  const TaskId id = group.Delay(absl::ZeroDuration(), MustNotRun);
  JoiningThread canceller([&] {
    AwaitTimers();
    EXPECT_EQ(group.CancelAndWait(id), CancelResult::kCancelled);
  });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, CancelInsideTheTaskItself) {
  Group group;
  TaskId id;
  absl::Notification known;
  id = group.Delay(absl::ZeroDuration(), [&] {
    known.WaitForNotification();
    EXPECT_EQ(group.Cancel(id), CancelResult::kRunning);
  });
  known.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().succeeded, 1);
}

TEST(GroupTest, ADefaultIdNamesNoTask) {
  Group group;
  EXPECT_EQ(group.Cancel(TaskId()), CancelResult::kFinished);
  EXPECT_EQ(group.CancelAndWait(TaskId()), CancelResult::kFinished);
}

TEST(GroupTest, CancelAndWaitTakesBackWhatHasNotBegun) {
  Group group({}, {.limit = 1});
  Holder holder(group);
  const TaskId due = group.Delay(-absl::Seconds(1), MustNotRun);
  const TaskId waits = group.Delay(kNever, MustNotRun);
  AwaitTimers();
  EXPECT_EQ(group.CancelAndWait(due), CancelResult::kCancelled);
  EXPECT_EQ(group.CancelAndWait(waits), CancelResult::kCancelled);
  EXPECT_EQ(group.CancelAndWait(waits), CancelResult::kFinished);
  holder.Release();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, CancelAndWaitWaitsForWhatHasBegun) {
  Group group;
  // Gone when the task is over, and no sooner.
  auto used = std::make_unique<int>(0);
  absl::Notification started;
  const TaskId id = group.Every(absl::Microseconds(10), [&] {
    if (!started.HasBeenNotified()) started.Notify();
    for (int i = 0; i < 1000; ++i) ++*used;
  });
  started.WaitForNotification();
  EXPECT_NE(group.CancelAndWait(id), CancelResult::kRunning);
  used.reset();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, CancelAndWaitUntilATime) {
  Group group;
  Holder holder(group);
  for (const absl::Time time :
       {absl::InfinitePast(), absl::Now() + absl::Milliseconds(1)}) {
    EXPECT_EQ(group.CancelAndWaitUntil(holder.id(), time),
              CancelResult::kRunning);
  }
  JoiningThread releaser([&] { holder.Release(); });
  EXPECT_EQ(group.CancelAndWaitUntil(holder.id(), absl::InfiniteFuture()),
            CancelResult::kFinished);
  EXPECT_EQ(group.CancelAndWaitUntil(holder.id(), absl::InfinitePast()),
            CancelResult::kFinished);
}

TEST(GroupTest, CancelAndWaitInsideTheTaskItselfDoesNotWait) {
  Group group;
  TaskId id;
  absl::Notification known;
  const auto would_wait = [&] {
    known.WaitForNotification();
    EXPECT_EQ(group.CancelAndWait(id), CancelResult::kRunning);
  };
  // When it runs, and when it is at its end.
  id = group.Delay(absl::ZeroDuration(),
                   [would_wait, at_end = AtEnd(would_wait)] { would_wait(); });
  known.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, CancelAndWaitWithinATaskThatItsThreadIsInTheMiddleOf) {
  FixedPool pool(1);
  Group group({}, {.executor = &pool});
  TaskId outer;
  absl::Notification known;
  outer = group.Delay(absl::ZeroDuration(), [&] {
    known.WaitForNotification();
    group.Delay(-absl::Seconds(1), [&] {
      // The task below helps with this one: there is no other thread.
      EXPECT_EQ(group.CancelAndWait(outer), CancelResult::kRunning);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
  known.Notify();
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST(GroupTest, CancelAndWaitWithinAFunctorThatGoesDoesNotWait) {
  Group group({}, {.limit = 1});
  Holder holder(group);
  constexpr absl::Duration kDelays[] = {-absl::Seconds(1),
                                        -absl::Seconds(1),
                                        -absl::Seconds(1),
                                        kNever,
                                        kNever,
                                        kNever};
  std::vector<TaskId> ids(std::size(kDelays));
  std::atomic<int> destroyed = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto look = [&, i] {
      ++destroyed;
      EXPECT_EQ(group.CancelAndWait(holder.id()), CancelResult::kRunning);
      EXPECT_EQ(group.CancelAndWait(ids[i]), CancelResult::kRunning);
      // This thread may be about to skip the others.
      for (const TaskId& id : ids) group.CancelAndWait(id);
    };
    ids[i] = group.Delay(kDelays[i], [held = AtEnd(look)] { MustNotRun(); });
  }
  AwaitTimers();
  // The last one is the first that goes, and takes those with it that wait.
  EXPECT_EQ(group.Cancel(ids[5]), CancelResult::kCancelled);
  EXPECT_EQ(destroyed, 6);
  holder.Release();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, CancelAndWaitWithinAFunctorThatIsSkippedDoesNotWait) {
  Group group({}, {.limit = 1});
  Holder holder(group);
  constexpr absl::Duration kDelays[] = {-absl::Seconds(1), -absl::Seconds(1),
                                        kNever, kNever};
  std::vector<TaskId> ids(std::size(kDelays));
  std::atomic<int> destroyed = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto look = [&, i] {
      ++destroyed;
      EXPECT_EQ(group.CancelAndWait(holder.id()), CancelResult::kRunning);
      EXPECT_EQ(group.CancelAndWait(ids[i]), CancelResult::kRunning);
      // This thread skips the others too.
      for (const TaskId& id : ids) group.CancelAndWait(id);
    };
    ids[i] = group.Delay(kDelays[i], [held = AtEnd(look)] { MustNotRun(); });
  }
  AwaitTimers();
  group.Cancel(Fail("stop"));
  EXPECT_EQ(destroyed, 4);
  holder.Release();
  EXPECT_EQ(group.Wait(), Fail("stop"));
}

TEST(GroupTest, CancelAndWaitInsideATaskLendsItsSlot) {
  Group group({}, {.limit = 1});
  TaskId waits;
  absl::Notification known;
  absl::Notification ready;
  // It waits for all that is not waiting itself, and lends its slot.
  waits = group.Delay(-absl::Seconds(1), [&] {
    known.WaitForNotification();
    ready.Notify();
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
  known.Notify();
  group.Delay(absl::ZeroDuration(), [&] {
    ready.WaitForNotification();
    EXPECT_EQ(group.CancelAndWait(waits), CancelResult::kFinished);
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST(GroupTest, CancelAndWaitInsideATaskOfAnotherGroup) {
  Group group;
  Holder holder(group);
  Group other;
  absl::Notification waits;
  // Each is the first task of its group.
  other.Delay(absl::ZeroDuration(), [&] {
    waits.Notify();
    EXPECT_EQ(group.CancelAndWait(holder.id()), CancelResult::kFinished);
  });
  waits.WaitForNotification();
  holder.Release();
  EXPECT_EQ(other.Wait(), absl::OkStatus());
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(GroupTest, TasksThatWaitForEachOtherFindOut) {
  constexpr size_t kTasks = 3;
  for (int round = 0; round < 100; ++round) {
    Group group;
    std::vector<TaskId> ids(kTasks);
    absl::Notification known;
    std::atomic<int> begun = 0;
    std::atomic<int> refused = 0;
    for (size_t i = 0; i < kTasks; ++i) {
      ids[i] = group.Delay(absl::ZeroDuration(), [&, i] {
        known.WaitForNotification();
        ++begun;
        Await([&] { return begun == static_cast<int>(kTasks); });
        if (group.CancelAndWait(ids[(i + 1) % kTasks]) ==
            CancelResult::kRunning) {
          ++refused;
        }
      });
    }
    known.Notify();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(refused, 1);
  }
}

TEST(GroupTest, AnIdMayOutliveItsGroup) {
  TaskId waited;
  TaskId ran;
  std::atomic<int> destroyed = 0;
  {
    Group group;
    const auto task = [at_end = AtEnd([&] { ++destroyed; })] {};
    waited = group.Delay(kNever, task);
    ran = group.Delay(absl::ZeroDuration(), task);
    Await([&] { return group.stats().succeeded == 1; });
  }
  EXPECT_EQ(destroyed, 1);  // with the last copy: an id keeps nothing alive
  const TaskId copy = waited;
  ran = copy;
}

TEST(GroupTest, EveryRunsUntilItIsCancelled) {
  Group group;
  std::atomic<int> runs = 0;
  std::atomic<bool> running = false;
  TaskId id;
  absl::Notification known;
  id = group.Every(absl::Microseconds(100), [&, count = 0]() mutable {
    known.WaitForNotification();
    EXPECT_FALSE(running.exchange(true)) << "runs overlap";
    runs = ++count;  // the same functor each time
    if (runs == 20) {
      EXPECT_EQ(group.Cancel(id), CancelResult::kRunning);
    }
    running = false;
  });
  known.Notify();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(runs, 20);
  EXPECT_EQ(group.stats().succeeded, 20);
  EXPECT_EQ(group.stats().accepted, 20);
}

TEST(GroupTest, TakesEveryFormOfPeriodicTask) {
  struct Functor {
    Next operator()() & { return Next::kStop; }
    std::unique_ptr<int> move_only = std::make_unique<int>(1);
  };
  const absl::Duration period = absl::Microseconds(100);
  Group group;
  std::atomic<int> runs = 0;
  const auto next = [&] {
    return ++runs % 2 == 0 ? Next::kStop : Next::kAgain;
  };
  group.Every(period, [&] { return next(); });
  group.Every(period, [&]() -> absl::StatusOr<Next> { return next(); });
  group.Every(period, [&](const Context&) { return next(); });
  group.Every(period, [&](const Context& context) -> absl::StatusOr<Next> {
    EXPECT_FALSE(context.done());
    return next();
  });
  group.Every(period, Functor());
  group.Every(period, +[] { return Next::kStop; });
  group.Every(period, absl::AnyInvocable<absl::StatusOr<Next>()>(
                          [] { return Next::kStop; }));
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_GE(runs, 8);
  EXPECT_EQ(group.stats().failed + group.stats().skipped, 0);
}

TEST(GroupTest, EveryEndsWhenTheTaskSaysSo) {
  Group group;
  std::atomic<int> destroyed = 0;
  const TaskId id =
      group.Every(absl::Microseconds(100),
                  [runs = 0, at_end = AtEnd([&] { ++destroyed; })]() mutable {
                    return ++runs == 5 ? Next::kStop : Next::kAgain;
                  });
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(group.stats().accepted, 5);
  EXPECT_EQ(group.stats().succeeded, 5);
  EXPECT_EQ(group.Cancel(id), CancelResult::kFinished);
}

TEST(GroupTest, AnErrorInPlaceOfWhatIsNextIsAnError) {
  for (const bool cancels : {false, true}) {
    Group group({}, {.limit = 1, .cancel_on_error = cancels});
    std::atomic<int> runs = 0;
    group.Every(absl::Microseconds(100), [&]() -> absl::StatusOr<Next> {
      if (++runs == 2) return Next::kStop;
      return Fail("boom");
    });
    EXPECT_EQ(group.Wait(), Fail("boom"));
    EXPECT_EQ(runs, cancels ? 1 : 2);
    EXPECT_EQ(group.stats().failed, 1);
  }
}

TEST(GroupTest, EveryGoesOnAfterAnError) {
  // One at a time, so that no run begins before the last one is recorded.
  Group group({}, {.limit = 1});
  std::atomic<int> runs = 0;
  group.Every(absl::Microseconds(100), [&] {
    if (++runs == 5) group.Cancel(Fail("enough"));
    return Fail("boom");
  });
  EXPECT_EQ(group.Wait(), Fail("boom"));
  EXPECT_EQ(runs, 5);
  EXPECT_EQ(group.errors().at(0).index, 0);
}

TEST(GroupTest, EveryEndsWithTheErrorThatCancelsTheGroup) {
  Group group({}, {.cancel_on_error = true});
  std::atomic<int> runs = 0;
  group.Every(absl::Microseconds(100),
              [&] { return ++runs == 3 ? Fail("boom") : absl::OkStatus(); });
  EXPECT_EQ(group.Wait(), Fail("boom"));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(group.stats().accepted, 3);
}

TEST(GroupTest, RunsOnTheExecutorItIsGiven) {
  FixedPool pool(1);
  Group group({}, {.executor = &pool});
  Executor* seen = nullptr;
  group.Delay(absl::ZeroDuration(), [&] { seen = Executor::Current(); });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(seen, &pool);
}

TEST(GroupTest, NoUserCodeUnderALock) {
  Group group;
  std::atomic<int> destroyed = 0;
  TaskId other = group.Delay(kNever, [] {});
  const auto use_group = [&] {
    // Any lock held here would be taken again.
    group.stats();
    group.Cancel(other);
    group.Cancel(group.Delay(kNever, [] {}));
    ++destroyed;
  };
  const TaskId id =
      group.Delay(kNever, [at_end = AtEnd(use_group)] { MustNotRun(); });
  EXPECT_EQ(group.Cancel(id), CancelResult::kCancelled);
  group.Delay(absl::ZeroDuration(), [at_end = AtEnd(use_group)] {});
  group.Delay(kNever, [at_end = AtEnd(use_group)] { MustNotRun(); });
  Await([&] { return destroyed == 2; });
  group.Cancel(Fail("stop"));
  EXPECT_EQ(destroyed, 3);
  EXPECT_EQ(group.Wait(), Fail("stop"));
}

TEST(GroupTest, B06_B56_AGroupThatNobodyWaitsForLeavesNothing) {
  std::atomic<int> alive = 0;
  for (int round = 0; round < 50; ++round) {
    Group group;
    for (const absl::Duration delay :
         {absl::ZeroDuration(), absl::Microseconds(50), kNever}) {
      ++alive;
      group.Delay(delay, [at_end = AtEnd([&] { --alive; })] {});
    }
    group.Every(absl::Microseconds(10), [] {});
  }
  EXPECT_EQ(alive, 0);
}

TEST(GroupTest, B52_NoTaskIsLostThatComesWhenNothingElseWaits) {
  for (int round = 0; round < 300; ++round) {
    absl::Notification ran;
    Group group;
    group.Schedule(absl::Now(), [&] { ran.Notify(); });
    ran.WaitForNotification();
  }
}

TEST(GroupTest, B53_WaitEndsAtTheMomentOfTheLastTask) {
  for (int round = 0; round < 300; ++round) {
    Group group;
    group.Delay(absl::Microseconds(50), [] {});
    ASSERT_EQ(group.Wait(), absl::OkStatus());
  }
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(ExceptionTest, AnExceptionIsAnError) {
  Group group({}, {.name = "blinker"});
  group.Delay(absl::ZeroDuration(), [] { throw std::out_of_range("page 7"); });
  const absl::Status status = group.Wait();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(absl::StrContains(
      status.message(),
      "schedgroup::Group 'blinker': task 0 threw std::out_of_range: page 7"))
      << status;
  EXPECT_THROW(std::rethrow_exception(group.exception()), std::out_of_range);
  EXPECT_EQ(group.exception(), nullptr);
}

TEST(ExceptionTest, EveryGoesOnAfterAnException) {
  Group group;
  std::atomic<int> runs = 0;
  group.Every(absl::Microseconds(100), [&] {
    if (++runs == 3) group.Cancel(Fail("enough"));
    throw std::runtime_error("boom");
  });
  EXPECT_EQ(group.Wait().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runs, 3);
}

TEST(ExceptionTest, EveryEndsWithTheExceptionThatCancelsTheGroup) {
  Group group({}, {.cancel_on_error = true});
  std::atomic<int> runs = 0;
  group.Every(absl::Microseconds(100), [&] {
    ++runs;
    throw std::runtime_error("boom");
  });
  EXPECT_EQ(group.Wait().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runs, 1);
}

TEST(GroupDeathTest, TerminatePolicyLeavesAnExceptionUncaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    Group group({}, {.exceptions = Exceptions::kTerminate});
    group.Delay(absl::ZeroDuration(), [] { throw std::runtime_error("boom"); });
    group.Wait().IgnoreError();
    _exit(0);
  };
  EXPECT_DEATH(run(), "boom");
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(GroupDeathTest, B13_BadInputDiesAndNamesTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Group().Delay(kNever, std::function<void()>()),
               "schedgroup::Group::Delay: null task");
  EXPECT_DEATH(Group().Schedule(absl::Now(), static_cast<void (*)()>(nullptr)),
               "schedgroup::Group::Schedule: null task");
  EXPECT_DEATH(Group().Every(kNever, std::function<void()>()),
               "schedgroup::Group::Every: null task");
  EXPECT_DEATH(Group().Every(absl::ZeroDuration(), [] {}),
               "schedgroup::Group::Every: period is 0");
  EXPECT_DEATH(Group().Every(-absl::Seconds(1), [] {}), "Every: period is -1s");
  EXPECT_DEATH(Group().Every(kNever, absl::AnyInvocable<Next()>()),
               "schedgroup::Group::Every: null task");
  EXPECT_DEATH(Group({}, {.limit = -1}), "schedgroup::Group: limit is -1");
  EXPECT_DEATH(Group().Cancel(absl::OkStatus()),
               "schedgroup::Group::Cancel: the cause is OK");
}

TEST(GroupDeathTest, SchedulingAfterWaitDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Group group;
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_DEATH(group.Delay(kNever, [] {}),
               "schedgroup::Group::Delay after Wait has returned");
  EXPECT_DEATH(group.Schedule(absl::Now(), [] {}), "Schedule after Wait");
  EXPECT_DEATH(group.Every(kNever, [] {}), "Every after Wait");
}

TEST(GroupDeathTest, AnotherGroupsIdDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Group group;
  Group other;
  const TaskId id = other.Delay(kNever, [] {});
  EXPECT_DEATH(group.Cancel(id),
               "schedgroup::Group::Cancel: the task is another group's");
  EXPECT_DEATH(group.CancelAndWait(id), "CancelAndWait: the task is another");
  EXPECT_DEATH(group.CancelAndWaitUntil(id, absl::Now()),
               "CancelAndWaitUntil: the task is another group's");
}

TEST(GroupDeathTest, WaitingInAFunctorThatIsSkippedDiesWhoeverElseSkips) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Group group;
        absl::Notification skipping;
        absl::Notification skipped;
        const TaskId waits =
            group.Delay(kNever, [held = AtEnd([&] {
                                   skipping.Notify();
                                   skipped.WaitForNotification();
                                   group.Wait().IgnoreError();
                                 })] {});
        const TaskId other = group.Delay(kNever, [] {});
        JoiningThread caller([&] {
          skipping.WaitForNotification();
          group.Cancel(other);
          skipped.Notify();
        });
        group.Cancel(waits);
      },
      "by the destructor of a task that is being skipped");
}

}  // namespace
}  // namespace cohort::schedgroup
