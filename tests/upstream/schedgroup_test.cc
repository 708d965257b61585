// What mdlayher/schedgroup's own tests say, of ours, in virtual time. Each case
// has the name of the one that it follows. Test_tasksHeap tests a heap that is
// not exported; what can be seen of it is the order in which tasks start.

#include <deque>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/schedgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::schedgroup {
namespace {

using ::cohort::testing::JoiningThread;
using ::cohort::testing::MustNotRun;

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 200, .time = sim::Time::kQuiescent}, body);
}

// There, give or take 100 ms.
TEST(Schedgroup, TestGroupScheduling) {
  Simulate([] {
    constexpr absl::Duration kSpread = absl::Milliseconds(100);
    Group group;
    const sync::SteadyTime start = sync::SteadyTime::Now();
    std::vector<absl::Duration> times(5);
    for (int i = 0; i < 5; ++i) {
      group.Delay((i + 1) * kSpread, [&times, start, i] {
        times[static_cast<size_t>(i)] = sync::SteadyTime::Now() - start;
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(times[static_cast<size_t>(i)], (i + 1) * kSpread);
    }
  });
}

TEST(Schedgroup, TestGroupContextCancelImmediate) {
  Simulate([] {
    CancelScope scope = WithCancel(Context());
    scope.Cancel();
    Group group(scope.context());
    for (int i = 0; i < 5; ++i) {
      group.Schedule(sync::Now(), MustNotRun);
      sync::SleepFor(absl::Milliseconds(2));
    }
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(group.stats().refused, 5);
  });
}

TEST(Schedgroup, TestGroupSchedulePast) {
  Simulate([] {
    Group group;
    sync::Atomic<int> ran = 0;
    group.Delay(-absl::Seconds(1), [&] { ++ran; });
    group.Schedule(sync::Now() - absl::Seconds(1), [&] { ++ran; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 2);
  });
}

TEST(Schedgroup, TestGroupScheduledTasksContextCancel) {
  Simulate([] {
    CancelScope scope = WithCancel(Context());
    Group group(scope.context());
    sync::Atomic<int> ran = 0;
    for (int i = 0; i < 10; ++i) {
      const int before = ran;
      group.Delay(absl::Milliseconds(1), [&] { ++ran; });
      if (i > 5) continue;
      cohort::testing::Await([&] { return ran > before; });
      if (i == 5) scope.Cancel();
    }
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(ran, 6);
  });
}

TEST(Schedgroup, TestGroupWaitContextDeadlineExceeded) {
  Simulate([] {
    CancelScope scope = WithTimeout(Context(), absl::Milliseconds(10));
    Group group(scope.context());
    sync::Atomic<int> ran = 0;
    group.Schedule(sync::Now(), [&] { ++ran; });
    group.Delay(absl::Seconds(1), MustNotRun);
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(ran, 1);
  });
}

TEST(Schedgroup, TestGroupWaitNoContext) {
  Simulate([] {
    Group group;
    sync::Atomic<int> ran = 0;
    group.Schedule(sync::Now(), [&] { ++ran; });
    group.Delay(absl::Milliseconds(50), [&] { ++ran; });
    cohort::testing::Await([&] { return ran == 2; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

// TestGroupScheduleAfterWaitPanic is SchedulingAfterWaitDies in
// schedgroup/group_test.cc: who dies needs threads that are none of the
// simulator's. There, "after" begins when Wait is called; here:
TEST(Schedgroup, TestGroupScheduleAfterWaitPanic_WhileItWaits) {
  Simulate([] {
    Group group;
    bool ran = false;
    group.Delay(absl::Seconds(1),
                [&] { group.Delay(absl::Seconds(1), [&] { ran = true; }); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran);
  });
}

// Which is no misuse here: by law Wait may be called any number of times.
TEST(Schedgroup, TestGroupDoubleWaitPanic) {
  Simulate([] {
    Group group;
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(Schedgroup, TestGroupScheduleNoTasks) {
  Simulate([] {
    std::deque<JoiningThread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([] {
        for (int j = 0; j < 4; ++j) {
          Group group;
          EXPECT_EQ(group.Wait(), absl::OkStatus());
        }
      });
    }
  });
}

TEST(Schedgroup, TestGroupWaitAfterScheduled) {
  Simulate([] {
    Group group;
    sync::Atomic<bool> ran = false;
    group.Schedule(sync::Now(), [&] { ran = true; });
    cohort::testing::Await([&] { return ran.load(); });
    sync::SleepFor(absl::Milliseconds(100));
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(Schedgroup, Test_tasksHeap) {
  for (const std::vector<int>& in :
       std::vector<std::vector<int>>{{1, 2, 3}, {3, 1, 2}}) {
    Simulate([&in] {
      Group group({}, {.limit = 1});
      std::vector<int> out;
      const absl::Time start = sync::Now();
      for (const int i : in) {
        group.Schedule(start + absl::Seconds(i),
                       [&out, i] { out.push_back(i); });
      }
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(out, (std::vector<int>{1, 2, 3}));
    });
  }
}

TEST(Schedgroup, ExampleGroup_wait) {
  Simulate([] {
    Group group({}, {.limit = 1});  // tasks share what they use
    std::string out;
    for (int i = 1; i <= 3; ++i) {
      group.Delay(i * absl::Milliseconds(100),
                  [&out, i] { out += std::to_string(i); });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(out, "123");
  });
}

TEST(Schedgroup, ExampleGroup_cancelation) {
  Simulate([] {
    CancelScope scope = WithTimeout(Context(), absl::Milliseconds(500));
    Group group(scope.context(), {.limit = 1});
    std::string out;
    const absl::Time start = sync::Now();
    group.Schedule(start + absl::Seconds(1), MustNotRun);
    group.Schedule(start + absl::Milliseconds(200), [&] { out += "world"; });
    group.Schedule(start + absl::Milliseconds(100), [&] { out += "hello "; });
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(out, "hello world");
  });
}

}  // namespace
}  // namespace cohort::schedgroup
