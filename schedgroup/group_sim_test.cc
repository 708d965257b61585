// schedgroup::Group on every schedule that the search comes across, in virtual
// time. The names with numbers are those of docs/immunity.md.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/group.h"
#include "cohort/schedgroup/internal/wall_clock.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::schedgroup {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;
using sync::SteadyTime;

constexpr absl::Duration kMoment = absl::Milliseconds(1);
constexpr absl::Duration kNever = absl::InfiniteDuration();

void Explore(int schedules, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = schedules}, body);
}

// With time that passes only when nothing else can happen, so that a program
// says when what it does is done.
void ExploreInStep(int schedules, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = schedules, .time = sim::Time::kQuiescent}, body);
}

// Of a group for which somebody has waited.
void ExpectAccounted(const Group& group) {
  const Stats stats = group.stats();
  EXPECT_EQ(stats.queued + stats.running + stats.parked, 0);
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.skipped);
}

// Order.

TEST(OrderSimTest, TasksStartInTheOrderOfTheirTimes) {
  ExploreInStep(500, [] {
    Group group({}, {.limit = 1});
    sync::RaceChecked<std::vector<int>> order;
    const absl::Time start = sync::Now();
    for (const int i : {3, 1, 4, 2, 0}) {
      group.Schedule(start + i * kMoment, [&, i] {
        order.Write().push_back(i);
        EXPECT_EQ(sync::Now(), start + i * kMoment);
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2, 3, 4}));
  });
}

// Whatever time passes while they are scheduled.
TEST(OrderSimTest, B56_EqualTimesRunInTheOrderOfSubmission) {
  Explore(4000, [] {
    Group group({}, {.limit = 1});
    sync::RaceChecked<std::vector<int>> order;
    const absl::Time time = sync::Now() + 5 * kMoment;
    JoiningThread clock([] {  // lets time pass in steps
      for (int i = 0; i < 3; ++i) sync::SleepFor(kMoment);
    });
    for (int i = 0; i < 3; ++i) {
      group.Schedule(time, [&order, i] { order.Write().push_back(i); });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2}));
  });
}

TEST(OrderSimTest, EqualDelaysRunInTheOrderOfSubmission) {
  Explore(3000, [] {
    Group group({}, {.limit = 1});
    sync::RaceChecked<std::vector<int>> order;
    for (int i = 0; i < 3; ++i) {
      group.Delay(kMoment, [&order, i] { order.Write().push_back(i); });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2}));
  });
}

TEST(OrderSimTest, NothingRunsEarly) {
  Explore(3000, [] {
    Group group;
    for (int i = 0; i < 3; ++i) {
      const SteadyTime due = SteadyTime::Now() + i * kMoment;
      const auto look = [due] { EXPECT_GE(SteadyTime::Now(), due); };
      group.Delay(i * kMoment, look);
      group.Schedule(sync::Now() + i * kMoment, look);
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(OrderSimTest, ASlowTaskDelaysNoOtherOne) {
  ExploreInStep(300, [] {
    Group group;
    const SteadyTime start = SteadyTime::Now();
    group.Delay(kMoment, [] { sync::SleepFor(absl::Hours(1)); });
    group.Delay(2 * kMoment,
                [&] { EXPECT_EQ(SteadyTime::Now(), start + 2 * kMoment); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(OrderSimTest, WithALimitThoseThatAreDueWaitInTheirOrder) {
  ExploreInStep(500, [] {
    Group group({}, {.limit = 1});
    sync::RaceChecked<std::vector<int>> order;
    group.Delay(absl::ZeroDuration(), [] { sync::SleepFor(9 * kMoment); });
    for (const int i : {2, 3, 1}) {
      group.Delay(i * kMoment, [&order, i] { order.Write().push_back(i); });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(order.Read(), (std::vector<int>{1, 2, 3}));
  });
}

// The wall clock.

TEST(WallClockSimTest, KeepsTheOrderOfTimesWhateverPassesBetweenReadings) {
  Explore(3000, [] {
    internal::WallClock clock;
    const absl::Time time = sync::Now() + absl::Hours(1);
    JoiningThread passes([] {
      for (int i = 0; i < 4; ++i) sync::SleepFor(kMoment);
    });
    const SteadyTime first = clock.ToSteady(time);
    const SteadyTime second = clock.ToSteady(time);
    const SteadyTime later = clock.ToSteady(time + absl::Nanoseconds(1));
    EXPECT_EQ(first, second);
    EXPECT_EQ(later - first, absl::Nanoseconds(1));
    // Not early, and no later than what passed within the first reading.
    EXPECT_GE(first - SteadyTime(), absl::Hours(1));
    EXPECT_LE(first - SteadyTime(), absl::Hours(1) + 4 * kMoment);
  });
}

TEST(WallClockSimTest, FollowsAClockThatIsSet) {
  ExploreInStep(1, [] {
    internal::WallClock clock;
    const absl::Time time = sync::Now() + absl::Hours(2);
    const SteadyTime before = clock.ToSteady(time);
    for (const absl::Duration shift :
         {absl::Hours(1), -absl::Hours(2), absl::Nanoseconds(1)}) {
      const SteadyTime due = clock.ToSteady(time);
      sync::ShiftWallClock(shift);
      EXPECT_EQ(clock.ToSteady(time), due + -shift);
    }
    EXPECT_EQ(clock.ToSteady(time) - before,
              absl::Hours(1) - absl::Nanoseconds(1));
    EXPECT_LE(clock.ToSteady(absl::InfinitePast()), SteadyTime::Now());
    EXPECT_GT(clock.ToSteady(absl::InfiniteFuture()),
              SteadyTime::Now() + absl::Hours(24 * 365 * 100));
  });
}

TEST(WallClockSimTest, SettingItNeitherLosesNorRepeatsATask) {
  for (const absl::Duration shift : {absl::Hours(5), -absl::Hours(5)}) {
    ExploreInStep(200, [shift] {
      Group group;
      const SteadyTime start = SteadyTime::Now();
      sync::Atomic<int> runs = 0;
      const auto run_at = [&](int hours) {
        return [&, hours] {
          ++runs;
          EXPECT_EQ(SteadyTime::Now(), start + absl::Hours(hours));
        };
      };
      group.Schedule(sync::Now() + absl::Hours(1), run_at(1));
      group.Delay(absl::Hours(3), run_at(3));
      int ticks = 0;
      TaskId every;
      every = group.Every(absl::Hours(1), [&] {
        EXPECT_EQ(SteadyTime::Now(), start + absl::Hours(++ticks));
        if (ticks == 5) group.Cancel(every);
      });
      sync::SleepFor(absl::Minutes(30));
      sync::ShiftWallClock(shift);
      // By the clock as it is now.
      group.Schedule(sync::Now() + absl::Minutes(90), run_at(2));
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(runs, 3);
      EXPECT_EQ(ticks, 5);
    });
  }
}

// Scheduling and waiting.

TEST(GroupSimTest, EveryTaskIsRunSkippedOrRefused) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 1});
    sync::Atomic<int> ran = 0;
    const auto schedule = [&] {
      group.Delay(absl::ZeroDuration(), [&] { ++ran; });
      group.Delay(kMoment, [&] { ++ran; });
    };
    {
      JoiningThread other(schedule);
      JoiningThread canceller([&] { scope.Cancel(Fail("outside")); });
      schedule();
    }
    const absl::Status status = group.Wait();
    ExpectAccounted(group);
    const Stats stats = group.stats();
    EXPECT_EQ(stats.accepted + stats.refused, 4);
    EXPECT_EQ(stats.succeeded, ran);
    EXPECT_EQ(status, ran == 4 ? absl::OkStatus() : Fail("outside"));
  });
}

TEST(GroupSimTest, StatsAddUpAtEveryMoment) {
  Explore(2000, [] {
    Group group({}, {.limit = 1});
    const TaskId id = group.Delay(kMoment, [] {});
    group.Delay(kMoment, [] {});
    JoiningThread reader([&] {
      Stats last;
      for (int i = 0; i < 4; ++i) {
        const Stats stats = group.stats();
        EXPECT_EQ(stats.accepted, stats.queued + stats.running +
                                      stats.succeeded + stats.failed +
                                      stats.skipped);
        EXPECT_LE(stats.running, 1);
        EXPECT_GE(stats.succeeded, last.succeeded);
        EXPECT_GE(stats.skipped, last.skipped);
        last = stats;
      }
    });
    group.Cancel(id);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(GroupSimTest, WhatHappenedBeforeIsVisible) {
  Explore(3000, [] {
    sync::RaceChecked<int> value(0);
    sync::RaceChecked<int> captures(0);
    Group group;
    value.Write() = 1;
    group.Delay(kMoment, [&, at_end = AtEnd([&] { captures.Write() = 1; })] {
      EXPECT_EQ(value.Read(), 1);
      value.Write() = 2;
      group.Delay(kMoment, [&] {
        EXPECT_EQ(value.Read(), 2);
        value.Write() = 3;
      });
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(value.Read(), 3);
    EXPECT_EQ(captures.Read(), 1);
  });
}

TEST(GroupSimTest, B52_NoTaskIsLostThatComesWhenNothingElseWaits) {
  Explore(4000, [] {
    sync::Atomic<int> ran = 0;
    CancelScope both = WithCancel(Context());
    Group group;
    const auto run = [&] {
      if (++ran == 2) both.Cancel();
    };
    JoiningThread other([&] { group.Schedule(sync::Now(), run); });
    group.Schedule(sync::Now(), run);
    both.context().AwaitDone();  // although nobody waits for the group
  });
}

TEST(GroupSimTest, B53_WaitEndsAtTheMomentOfTheLastTask) {
  Explore(4000, [] {
    Group group;
    sync::RaceChecked<int> ran(0);
    group.Delay(kMoment, [&] { ++ran.Write(); });
    JoiningThread other([&] {
      EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
      EXPECT_EQ(ran.Read(), 1);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran.Read(), 1);
  });
}

TEST(GroupSimTest, B54_WhatIsScheduledWhileWaitWaitsRuns) {
  Explore(4000, [] {
    Group group;
    sync::Atomic<int> ran = 0;
    const TaskId keeps_it_open = group.Delay(kNever, MustNotRun);
    JoiningThread other([&] {
      group.Schedule(sync::Now(), [&] { ++ran; });
      EXPECT_EQ(group.Cancel(keeps_it_open), CancelResult::kCancelled);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 1);
    EXPECT_EQ(group.stats().skipped, 1);
  });
}

TEST(GroupSimTest, B56_TasksScheduleTheirSuccessorsWhileWaitWaits) {
  Explore(3000, [] {
    Group group({}, {.limit = 1});
    sync::RaceChecked<int> ran(0);
    std::function<void()> next = [&] {
      if (++ran.Write() < 4) group.Delay(kMoment, next);
    };
    group.Delay(absl::ZeroDuration(), next);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran.Read(), 4);
  });
}

TEST(GroupSimTest, ATaskThatWaitsForItsGroup) {
  Explore(3000, [] {
    Group group({}, {.limit = 1});
    sync::RaceChecked<bool> ran(false);
    group.Delay(absl::ZeroDuration(), [&] {
      group.Delay(kMoment, [&] { ran.Write() = true; });
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_TRUE(ran.Read());
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(GroupSimTest, OnOneThreadTheWaiterHelps) {
  Explore(2000, [] {
    FixedPool pool(1);
    Group outer({}, {.executor = &pool});
    sync::Atomic<int> ran = 0;
    outer.Delay(absl::ZeroDuration(), [&] {  // takes the pool's one thread
      Group inner({}, {.executor = &pool});
      for (int i = 0; i < 2; ++i) inner.Delay(i * kMoment, [&] { ++ran; });
      EXPECT_EQ(inner.Wait(), absl::OkStatus());
    });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 2);
  });
}

// Cancellation.

TEST(CancelSimTest, OfATaskRacesWithItsTime) {
  Explore(5000, [] {
    Group group;
    sync::Atomic<int> ran = 0;
    sync::Atomic<int> destroyed = 0;
    const TaskId id = group.Delay(
        kMoment, [&, at_end = AtEnd([&] { ++destroyed; })] { ++ran; });
    JoiningThread other([&] {
      const CancelResult result = group.Cancel(id);
      if (result == CancelResult::kCancelled) {
        EXPECT_EQ(ran, 0);
        EXPECT_EQ(destroyed, 1);
      } else if (result == CancelResult::kFinished) {
        EXPECT_EQ(ran, 1);
        EXPECT_EQ(destroyed, 1);
      }
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(destroyed, 1);
    other.Join();
    EXPECT_EQ(group.stats().skipped + ran, 1);
    EXPECT_EQ(group.Cancel(id), CancelResult::kFinished);
  });
}

TEST(CancelSimTest, OneOfTwoTakesTheTaskBack) {
  Explore(3000, [] {
    Group group;
    const TaskId id = group.Delay(kNever, MustNotRun);
    sync::Atomic<int> cancelled = 0;
    const auto cancel = [&] {
      if (group.Cancel(id) == CancelResult::kCancelled) ++cancelled;
    };
    {
      JoiningThread other(cancel);
      cancel();
    }
    EXPECT_EQ(cancelled, 1);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().skipped, 1);
  });
}

TEST(CancelSimTest, OfATaskRacesWithThatOfTheGroupAndItsTime) {
  Explore(5000, [] {
    Group group;
    sync::Atomic<int> ran = 0;
    sync::Atomic<int> destroyed = 0;
    const TaskId id = group.Delay(
        kMoment, [&, at_end = AtEnd([&] { ++destroyed; })] { ++ran; });
    CancelResult result = CancelResult::kFinished;
    {
      JoiningThread other([&] { result = group.Cancel(id); });
      JoiningThread canceller([&] { group.Cancel(Fail("stop")); });
    }
    const absl::Status status = group.Wait();
    EXPECT_EQ(destroyed, 1);
    EXPECT_EQ(group.stats().skipped + ran, 1);
    const bool ok = ran == 1 || result == CancelResult::kCancelled;
    EXPECT_EQ(status, ok ? absl::OkStatus() : Fail("stop"));
  });
}

// One slot, a task that has it, and one that is due.
class OfTwo {
 public:
  explicit OfTwo(Group& group) {
    group.Delay(absl::ZeroDuration(),
                [] { sync::SchedulePoint("holds the slot"); });
    id_ = group.Delay(absl::ZeroDuration(),
                      [this, at_end = AtEnd([this] { ++destroyed_; })] {
                        EXPECT_EQ(destroyed_, 0);
                        ++ran_;
                      });
  }

  const TaskId& id() const { return id_; }
  int ran() const { return ran_; }
  int destroyed() const { return destroyed_; }

 private:
  sync::Atomic<int> ran_ = 0;
  sync::Atomic<int> destroyed_ = 0;
  TaskId id_;
};

TEST(CancelSimTest, TakesBackWhatWaitsForASlot) {
  ExploreInStep(1000, [] {
    Group group({}, {.limit = 1});
    sync::Atomic<bool> gone = false;
    group.Delay(absl::ZeroDuration(), [] { sync::SleepFor(9 * kMoment); });
    const TaskId id = group.Delay(
        kMoment, [at_end = AtEnd([&] { gone = true; })] { MustNotRun(); });
    sync::SleepFor(5 * kMoment);
    EXPECT_EQ(group.Cancel(id), CancelResult::kCancelled);
    EXPECT_TRUE(gone);
    EXPECT_EQ(group.stats().queued, 0);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().skipped, 1);
  });
}

TEST(CancelSimTest, TakesBackARunThatWaitsForASlot) {
  ExploreInStep(1000, [] {
    Group group({}, {.limit = 1});
    group.Delay(absl::ZeroDuration(), [] { sync::SleepFor(9 * kMoment); });
    const TaskId id = group.Every(2 * kMoment, MustNotRun);
    sync::SleepFor(5 * kMoment);
    EXPECT_EQ(group.Cancel(id), CancelResult::kCancelled);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().accepted, 2);
    EXPECT_EQ(group.stats().skipped, 1);
  });
}

TEST(CancelSimTest, OfATaskRacesWithASlotForIt) {
  Explore(6000, [] {
    Group group({}, {.limit = 1});
    OfTwo task(group);
    JoiningThread other([&] {
      const CancelResult result = group.Cancel(task.id());
      if (result != CancelResult::kRunning) {
        EXPECT_EQ(task.destroyed(), 1);
      }
      if (result == CancelResult::kCancelled) {
        EXPECT_EQ(task.ran(), 0);
      }
      if (result == CancelResult::kFinished) {
        EXPECT_EQ(task.ran(), 1);
      }
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(task.destroyed(), 1);
    other.Join();
    EXPECT_EQ(group.stats().skipped + task.ran(), 1);
    ExpectAccounted(group);
  });
}

TEST(CancelSimTest, OneOfTwoTakesBackWhatWaitsForASlot) {
  Explore(5000, [] {
    Group group({}, {.limit = 1});
    OfTwo task(group);
    sync::Atomic<int> cancelled = 0;
    const auto cancel = [&] {
      if (group.Cancel(task.id()) == CancelResult::kCancelled) ++cancelled;
    };
    {
      JoiningThread other(cancel);
      cancel();
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(cancelled + task.ran(), 1);
    EXPECT_EQ(group.stats().skipped, cancelled);
  });
}

TEST(CancelSimTest, OfWhatWaitsForASlotRacesWithThatOfTheGroup) {
  Explore(6000, [] {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 1});
    sync::Atomic<int> ran = 0;
    CancelResult result = CancelResult::kFinished;
    TaskId id;
    group.Delay(kMoment, [&] { ++ran; });
    id = group.Delay(kMoment, [&] { ++ran; });
    {
      JoiningThread other([&] {
        sync::SleepFor(kMoment);
        result = group.Cancel(id);
      });
      JoiningThread canceller([&] {
        sync::SleepFor(kMoment);
        scope.Cancel(Fail("stop"));
      });
    }
    const absl::Status status = group.Wait();
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().skipped + ran, 2);
    const int taken_back = result == CancelResult::kCancelled ? 1 : 0;
    EXPECT_EQ(status, taken_back == group.stats().skipped ? absl::OkStatus()
                                                          : Fail("stop"));
  });
}

// There the group has not skipped what is queued, but will.
TEST(CancelSimTest, InACallbackAboveTakesBackWhatWaitsForASlot) {
  Explore(3000, [] {
    CancelScope scope = WithCancel(Context());
    std::optional<Group> group;
    TaskId id;
    DoneCallback callback = scope.context().OnDone([&] {
      // Also where it is just being skipped by a runner.
      EXPECT_NE(group->CancelAndWait(id), CancelResult::kRunning);
    });
    group.emplace(scope.context(), Options{.limit = 1});
    group->Delay(absl::ZeroDuration(), [] {});
    id = group->Delay(absl::ZeroDuration(), [] {});
    scope.Cancel(Fail("outside"));
    group->Wait().IgnoreError();
    ExpectAccounted(*group);
  });
}

// The functor of one that goes calls back.
TEST(CancelSimTest, InTheFunctorThatGoes) {
  Explore(4000, [] {
    Group group({}, {.limit = 1});
    TaskId id;
    CancelScope known = WithCancel(Context());
    sync::Atomic<int> destroyed = 0;
    group.Delay(absl::ZeroDuration(), [&] { known.context().AwaitDone(); });
    id = group.Delay(absl::ZeroDuration(),
                     [held = AtEnd([&] {
                        ++destroyed;
                        EXPECT_EQ(group.Cancel(id), CancelResult::kRunning);
                        EXPECT_EQ(group.CancelAndWait(id),
                                  CancelResult::kRunning);
                        group.Cancel(group.Delay(kNever, MustNotRun));
                      })] {});
    known.Cancel();
    group.Cancel(id);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(destroyed, 1);
  });
}

TEST(CancelAndWaitSimTest, AfterItWhatTheTaskUsesMayGo) {
  for (const bool repeats : {false, true}) {
    Explore(4000, [repeats] {
      Group group;
      auto used = std::make_unique<sync::RaceChecked<int>>(0);
      const auto task = [&] {
        ++used->Write();
        sync::SchedulePoint("running");
        ++used->Write();
      };
      const TaskId id =
          repeats ? group.Every(kMoment, task) : group.Delay(kMoment, task);
      JoiningThread other([&] {
        EXPECT_NE(group.CancelAndWait(id), CancelResult::kRunning);
        EXPECT_EQ(used->Read() % 2, 0);
        used.reset();
      });
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      ExpectAccounted(group);
    });
  }
}

TEST(CancelAndWaitSimTest, SeesTheFunctorGone) {
  Explore(4000, [] {
    Group group;
    sync::Atomic<int> destroyed = 0;
    const TaskId id =
        group.Delay(kMoment, [at_end = AtEnd([&] { ++destroyed; })] {});
    sync::SleepFor(kMoment);
    EXPECT_NE(group.CancelAndWait(id), CancelResult::kRunning);
    EXPECT_EQ(destroyed, 1);
  });
}

TEST(CancelAndWaitSimTest, FromTwoThreads) {
  Explore(4000, [] {
    Group group;
    sync::Atomic<int> cancelled = 0;
    sync::Atomic<int> ran = 0;
    const TaskId id = group.Delay(absl::ZeroDuration(), [&] {
      ++ran;
      sync::SchedulePoint("running");
    });
    const auto cancel = [&] {
      const CancelResult result = group.CancelAndWait(id);
      EXPECT_NE(result, CancelResult::kRunning);
      if (result == CancelResult::kCancelled) ++cancelled;
    };
    {
      JoiningThread other(cancel);
      cancel();
    }
    EXPECT_EQ(ran + cancelled, 1);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(CancelAndWaitSimTest, EndsAtItsTime) {
  ExploreInStep(500, [] {
    Group group;
    const SteadyTime start = SteadyTime::Now();
    const TaskId id =
        group.Delay(absl::ZeroDuration(), [] { sync::SleepFor(9 * kMoment); });
    sync::SleepFor(kMoment);
    EXPECT_EQ(group.CancelAndWaitUntil(id, sync::Now() + 2 * kMoment),
              CancelResult::kRunning);
    EXPECT_EQ(SteadyTime::Now(), start + 3 * kMoment);
    EXPECT_EQ(group.CancelAndWaitUntil(id, sync::Now() + 99 * kMoment),
              CancelResult::kFinished);
    EXPECT_EQ(SteadyTime::Now(), start + 9 * kMoment);
  });
}

TEST(CancelAndWaitSimTest, ItsTimeRacesWithTheEndOfTheTask) {
  Explore(4000, [] {
    Group group;
    sync::Atomic<bool> ended = false;
    const TaskId id = group.Delay(absl::ZeroDuration(), [&] {
      sync::SleepFor(kMoment);
      ended = true;
    });
    const CancelResult result =
        group.CancelAndWaitUntil(id, sync::Now() + kMoment);
    if (result == CancelResult::kFinished) {
      EXPECT_TRUE(ended);
    }
    if (result == CancelResult::kCancelled) {
      EXPECT_FALSE(ended);
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

// The other one waits for whatever is not waiting itself, and needs a slot for
// what is queued.
TEST(CancelAndWaitSimTest, InsideATaskForOneThatWaitsForTheGroup) {
  Explore(5000, [] {
    Group group({}, {.limit = 1});
    TaskId waits;
    CancelScope known = WithCancel(Context());
    sync::Atomic<bool> ran = false;
    waits = group.Delay(absl::ZeroDuration(), [&] {
      known.context().AwaitDone();
      EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    });
    known.Cancel();
    group.Delay(absl::ZeroDuration(), [&] {
      group.Delay(absl::ZeroDuration(), [&] { ran = true; });
      EXPECT_NE(group.CancelAndWait(waits), CancelResult::kRunning);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran);
  });
}

TEST(CancelAndWaitSimTest, InACircleOneDoesNotWait) {
  for (const int tasks : {1, 2, 3}) {
    Explore(3000, [tasks] {
      Group group;
      std::vector<TaskId> ids(static_cast<size_t>(tasks));
      CancelScope known = WithCancel(Context());
      CancelScope all_begun = WithCancel(Context());
      sync::Atomic<int> begun = 0;
      sync::Atomic<int> refused = 0;
      for (size_t i = 0; i < ids.size(); ++i) {
        ids[i] = group.Delay(absl::ZeroDuration(), [&, i] {
          if (++begun == tasks) all_begun.Cancel();
          all_begun.context().AwaitDone();
          known.context().AwaitDone();
          if (group.CancelAndWait(ids[(i + 1) % ids.size()]) ==
              CancelResult::kRunning) {
            ++refused;
          }
        });
      }
      known.Cancel();
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(refused, 1);
    });
  }
}

TEST(CancelAndWaitSimTest, InTheMiddleOfATaskOnTheSameThread) {
  Explore(4000, [] {
    Group group({}, {.limit = 1});
    TaskId below;
    CancelScope known = WithCancel(Context());
    below = group.Delay(absl::ZeroDuration(), [&] {
      known.context().AwaitDone();
      for (int i = 0; i < 2; ++i) {
        group.Delay(absl::ZeroDuration(), [&] { group.CancelAndWait(below); });
      }
      EXPECT_EQ(group.Wait(), absl::OkStatus());
    });
    known.Cancel();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 3);
  });
}

TEST(DestructionSimTest, MayComeWhileCancelAndWaitReturns) {
  Explore(4000, [] {
    auto group = std::make_unique<Group>();
    const TaskId id =
        group->Every(kMoment, [] { sync::SchedulePoint("running"); });
    JoiningThread canceller([&id, raw = group.get()] {
      sync::SleepFor(kMoment);
      EXPECT_NE(raw->CancelAndWait(id), CancelResult::kRunning);
    });
    EXPECT_EQ(group->Wait(), absl::OkStatus());
    group.reset();
  });
}

TEST(CancelSimTest, B55_WaitReturnsAfterTheTasksThatRun) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context());
    sync::RaceChecked<int> started(0);
    sync::RaceChecked<int> ended(0);
    group.Delay(kMoment, [&] {
      ++started.Write();
      sync::SchedulePoint("running");
      ++ended.Write();
    });
    JoiningThread canceller([&] { scope.Cancel(Fail("outside")); });
    const absl::Status status = group.Wait();
    EXPECT_EQ(ended.Read(), started.Read());
    EXPECT_EQ(status, ended.Read() == 1 ? absl::OkStatus() : Fail("outside"));
  });
}

TEST(CancelSimTest, TheParentsDeadlineRacesWithTheTasks) {
  Explore(4000, [] {
    CancelScope scope = WithTimeout(Context(), 2 * kMoment, Fail("too late"));
    Group group(scope.context());
    sync::Atomic<int> ran = 0;
    for (int i = 1; i <= 3; ++i) group.Delay(i * kMoment, [&] { ++ran; });
    const absl::Status status = group.Wait();
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().succeeded, ran);
    EXPECT_EQ(status, ran == 3 ? absl::OkStatus() : Fail("too late"));
  });
}

TEST(CancelSimTest, ByAnErrorNothingElseStarts) {
  Explore(4000, [] {
    Group group({}, {.limit = 1, .cancel_on_error = true});
    for (int i = 0; i < 3; ++i) {
      group.Delay(kMoment, [i] { return Fail(std::to_string(i)); });
    }
    EXPECT_EQ(group.Wait(), Fail("0"));
    EXPECT_EQ(group.stats().failed, 1);
    EXPECT_EQ(group.stats().skipped + group.stats().refused, 2);
  });
}

TEST(CancelSimTest, InACallbackAboveMayWaitForTheGroupOrEndIt) {
  for (const auto& [waits, ends_it] :
       {std::pair(true, false), std::pair(true, true),
        std::pair(false, true)}) {
    Explore(1500, [waits, ends_it] {
      CancelScope scope = WithCancel(Context());
      std::optional<Group> group;
      // Runs before the group itself learns of the cancellation.
      DoneCallback callback = scope.context().OnDone([&] {
        if (waits) {
          group->Wait().IgnoreError();
          ExpectAccounted(*group);
        }
        if (ends_it) group.reset();
      });
      group.emplace(scope.context());
      group->Delay(kMoment, [] {});
      group->Delay(kNever, MustNotRun);
      group->Every(kNever, MustNotRun);
      scope.Cancel(Fail("outside"));
      EXPECT_NE(group.has_value(), ends_it);
    });
  }
}

TEST(CancelSimTest, NoCaptureIsDestroyedUnderALock) {
  Explore(1000, [] {
    Group group;
    sync::Atomic<int> destroyed = 0;
    // A lock that is held would be taken again.
    const auto use_group = [&] {
      group.Cancel(group.Delay(kNever, MustNotRun));
      ++destroyed;
    };
    group.Delay(kMoment, [at_end = AtEnd(use_group)] {});
    const TaskId id = group.Delay(kNever, [at_end = AtEnd(use_group)] {});
    group.Delay(kNever, [at_end = AtEnd(use_group)] {});
    EXPECT_EQ(group.Cancel(id), CancelResult::kCancelled);
    EXPECT_GE(destroyed, 1);
    group.Cancel(Fail("stop"));
    EXPECT_EQ(group.Wait(), Fail("stop"));
    EXPECT_EQ(destroyed, 3);
  });
}

// What is skipped must not hold up the timers, whatever its destructor does.
TEST(CancelSimTest, NoCaptureIsDestroyedOnTheTimersThread) {
  struct Tag;
  Explore(6000, [] {
    sync::ThreadLocal<bool, Tag>::Get() = true;
    Group group;
    group.Delay(kMoment,
                [&, at_end = AtEnd([] {
                      EXPECT_TRUE((sync::ThreadLocal<bool, Tag>::Get()) ||
                                  Executor::Current() != nullptr);
                    })] {});
    JoiningThread other([&] {
      sync::ThreadLocal<bool, Tag>::Get() = true;
      group.Cancel();
    });
    group.Wait().IgnoreError();
  });
}

// Repetition.

TEST(EverySimTest, RunsAtMultiplesOfItsPeriod) {
  ExploreInStep(300, [] {
    Group group;
    const SteadyTime start = SteadyTime::Now();
    int runs = 0;
    TaskId id;
    id = group.Every(absl::Hours(1), [&] {
      EXPECT_EQ(SteadyTime::Now(), start + ++runs * absl::Hours(1));
      sync::SleepFor(absl::Minutes(runs));  // does not add up
      if (runs == 4) group.Cancel(id);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(runs, 4);
    EXPECT_EQ(group.stats().accepted, 4);
  });
}

TEST(EverySimTest, LeavesOutWhatItHasMissed) {
  ExploreInStep(300, [] {
    Group group;
    const SteadyTime start = SteadyTime::Now();
    sync::RaceChecked<std::vector<int64_t>> hours;
    TaskId id;
    id = group.Every(absl::Hours(1), [&] {
      hours.Write().push_back((SteadyTime::Now() - start) / absl::Hours(1));
      const size_t runs = hours.Read().size();
      if (runs == 1) sync::SleepFor(absl::Minutes(150));  // until 3:30
      if (runs == 2) sync::SleepFor(absl::Hours(1));      // until 5:00
      if (runs == 3) group.Cancel(id);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(hours.Read(), (std::vector<int64_t>{1, 4, 6}));
  });
}

TEST(EverySimTest, RunsNeverOverlapAndSeeEachOther) {
  Explore(3000, [] {
    Group group;
    sync::RaceChecked<int> runs(0);
    TaskId id;
    CancelScope known = WithCancel(Context());
    id = group.Every(kMoment, [&] {
      known.context().AwaitDone();
      if (++runs.Write() == 3) group.Cancel(id);
    });
    known.Cancel();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(runs.Read(), 3);
  });
}

TEST(EverySimTest, EndsWhenTheTaskSaysSo) {
  ExploreInStep(500, [] {
    Group group;
    const SteadyTime start = SteadyTime::Now();
    sync::RaceChecked<int> runs(0);
    group.Every(kMoment, [&] {
      return ++runs.Write() == 3 ? Next::kStop : Next::kAgain;
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(SteadyTime::Now(), start + 3 * kMoment);
    EXPECT_EQ(runs.Read(), 3);
    EXPECT_EQ(group.stats().succeeded, 3);
    EXPECT_EQ(group.stats().accepted, 3);
  });
}

TEST(EverySimTest, TheEndThatItSaysRacesWithACancel) {
  Explore(4000, [] {
    Group group({}, {.limit = 1});
    sync::Atomic<int> runs = 0;
    const TaskId id = group.Every(kMoment, [&]() -> absl::StatusOr<Next> {
      return ++runs == 2 ? Next::kStop : Next::kAgain;
    });
    JoiningThread other([&] {
      sync::SleepFor(2 * kMoment);
      EXPECT_NE(group.CancelAndWait(id), CancelResult::kRunning);
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_LE(runs, 2);
    EXPECT_EQ(group.stats().succeeded, runs);
    ExpectAccounted(group);
  });
}

TEST(EverySimTest, BehindASlowTaskItsRunsDoNotPileUp) {
  ExploreInStep(500, [] {
    Group group({}, {.limit = 1});
    const SteadyTime start = SteadyTime::Now();
    sync::RaceChecked<std::vector<int64_t>> moments;
    group.Delay(kMoment / 2, [] { sync::SleepFor(5 * kMoment); });
    group.Every(kMoment, [&] {
      moments.Write().push_back((SteadyTime::Now() - start) / (kMoment / 2));
      return moments.Read().size() == 3 ? Next::kStop : Next::kAgain;
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    // The one that was due waited; the four that it missed meanwhile are left
    // out.
    EXPECT_EQ(moments.Read(), (std::vector<int64_t>{11, 12, 14}));
  });
}

TEST(EverySimTest, IsCancelledFromOutsideAtAnyMoment) {
  Explore(5000, [] {
    Group group;
    sync::Atomic<int> runs = 0;
    sync::Atomic<bool> stopped = false;
    const TaskId id = group.Every(kMoment, [&] {
      EXPECT_FALSE(stopped);
      ++runs;
    });
    JoiningThread other([&] {
      // One that runs now is the last one.
      if (group.Cancel(id) == CancelResult::kCancelled) stopped = true;
    });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().succeeded, runs);
    EXPECT_LE(group.stats().skipped, 1);
  });
}

TEST(EverySimTest, CancelledWhileItRunsItDoesNotRunAgain) {
  Explore(4000, [] {
    Group group;
    sync::Atomic<int> runs = 0;
    CancelScope started = WithCancel(Context());
    CancelScope release = WithCancel(Context());
    const TaskId id = group.Every(kMoment, [&] {
      ++runs;
      started.Cancel();
      release.context().AwaitDone();
    });
    started.context().AwaitDone();
    EXPECT_EQ(group.Cancel(id), CancelResult::kRunning);
    release.Cancel();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(runs, 1);
    EXPECT_EQ(group.stats().accepted, 1);
    EXPECT_EQ(group.stats().skipped, 0);
  });
}

TEST(EverySimTest, EndsWithTheErrorThatCancelsTheGroup) {
  Explore(4000, [] {
    Group group({}, {.cancel_on_error = true});
    sync::Atomic<int> runs = 0;
    group.Every(kMoment,
                [&] { return ++runs == 2 ? Fail("boom") : absl::OkStatus(); });
    EXPECT_EQ(group.Wait(), Fail("boom"));
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(group.stats().accepted, 2);
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(EverySimTest, EndsWithTheExceptionThatCancelsTheGroup) {
  Explore(3000, [] {
    Group group({}, {.cancel_on_error = true});
    sync::Atomic<int> runs = 0;
    group.Every(kMoment, [&] {
      ++runs;
      throw std::runtime_error("boom");
    });
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kInternal);
    EXPECT_EQ(runs, 1);
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(EverySimTest, IsSkippedWhenTheGroupIsCancelled) {
  Explore(4000, [] {
    CancelScope scope = WithTimeout(Context(), 3 * kMoment, Fail("over"));
    Group group(scope.context());
    sync::Atomic<int> runs = 0;
    group.Every(kMoment, [&] { ++runs; });
    EXPECT_EQ(group.Wait(), Fail("over"));
    ExpectAccounted(group);
    EXPECT_EQ(group.stats().succeeded, runs);
  });
}

// It waits for a slot by then, and there is none.
TEST(GroupSimTest, WhatComesDueAsTheGroupIsCancelledIsSkipped) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context(), {.limit = 0});
    group.Delay(kMoment, MustNotRun);
    JoiningThread canceller([&scope] {
      sync::SleepFor(kMoment);
      scope.Cancel(Fail("over"));
    });
    EXPECT_EQ(group.Wait(), Fail("over"));
    ExpectAccounted(group);
  });
}

TEST(GroupSimTest, ACancellationFindsWhatIsJustBeingScheduled) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    sync::Atomic<bool> gone = false;
    Group group(scope.context());
    JoiningThread canceller([&scope] { scope.Cancel(); });
    group.Delay(kNever, [at_end = AtEnd([&gone] { gone = true; })] {});
    canceller.Join();
    EXPECT_TRUE(gone);
  });
}

// Destruction.

TEST(DestructionSimTest, B06_SkipsWhatIsToCome) {
  Explore(4000, [] {
    FixedPool pool(1);
    sync::Atomic<int> alive = 3;
    {
      Group group({}, {.executor = &pool});
      for (const absl::Duration delay :
           {absl::ZeroDuration(), kMoment, kNever}) {
        group.Delay(delay, [at_end = AtEnd([&] { --alive; })] {});
      }
      group.Every(kMoment, [] {});
    }
    EXPECT_EQ(alive, 0);
  });
}

TEST(DestructionSimTest, RacesWithACancellationAbove) {
  Explore(4000, [] {
    sync::Atomic<int> alive = 2;
    CancelScope scope = WithCancel(Context());
    std::optional<JoiningThread> canceller;
    {
      Group group(scope.context());
      for (const absl::Duration delay : {kMoment, kNever}) {
        group.Delay(delay, [at_end = AtEnd([&] { --alive; })] {});
      }
      canceller.emplace([&] { scope.Cancel(); });
    }
    EXPECT_EQ(alive, 0);
  });
}

TEST(DestructionSimTest, MayComeWhileCancelReturns) {
  Explore(4000, [] {
    auto group = std::make_unique<Group>();
    const TaskId id = group->Delay(kNever, MustNotRun);
    JoiningThread canceller([&id, raw = group.get()] {
      EXPECT_EQ(raw->Cancel(id), CancelResult::kCancelled);
    });
    EXPECT_EQ(group->Wait(), absl::OkStatus());
    group.reset();
  });
}

TEST(DestructionSimTest, IsOutlivedByAnId) {
  Explore(3000, [] {
    TaskId id;
    sync::Atomic<int> alive = 1;
    {
      Group group;
      id = group.Delay(kMoment, [at_end = AtEnd([&] { --alive; })] {});
    }
    EXPECT_EQ(alive, 0);
    JoiningThread elsewhere([copy = id] {});
    id = TaskId();
  });
}

// Complete searches, up to a number of preemptions: nobody but who waits runs
// tasks.

// Runs what it is given on threads that are there for nothing else.
TEST(GroupProof, ATaskItsTimeAndACancel) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    ThreadPerTask executor;
    Group group({}, {.executor = &executor});
    sync::Atomic<int> ran = 0;
    const TaskId id = group.Delay(kMoment, [&] { ++ran; });
    const CancelResult result = group.Cancel(id);
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, result == CancelResult::kCancelled ? 0 : 1);
  });
}

TEST(GroupProof, ATaskThatWaitsForASlotAndACancel) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    ThreadPerTask executor;
    Group group({}, {.limit = 1, .executor = &executor});
    sync::Atomic<int> ran = 0;
    group.Delay(absl::ZeroDuration(), [] {});
    const TaskId id = group.Delay(absl::ZeroDuration(), [&] { ++ran; });
    const CancelResult result = group.Cancel(id);
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, result == CancelResult::kCancelled ? 0 : 1);
    EXPECT_EQ(group.stats().skipped + ran, 1);
  });
}

TEST(GroupProof, ATaskThatIsCancelledAndWaitedFor) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    ThreadPerTask executor;
    Group group({}, {.executor = &executor});
    sync::RaceChecked<int> value(0);
    const TaskId id =
        group.Delay(absl::ZeroDuration(), [&] { value.Write() = 1; });
    const CancelResult result = group.CancelAndWait(id);
    EXPECT_EQ(value.Read(), result == CancelResult::kFinished ? 1 : 0);
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
}

TEST(GroupProof, ATaskItsTimeAndTheEndOfTheGroup) {
  ExploreAll(sim::Strategy::PreemptionBounded(2), [] {
    ThreadPerTask executor;
    sync::Atomic<int> alive = 1;
    {
      Group group({}, {.executor = &executor});
      group.Delay(kMoment, [at_end = AtEnd([&] { --alive; })] {});
    }
    EXPECT_EQ(alive, 0);
  });
}

}  // namespace
}  // namespace cohort::schedgroup
