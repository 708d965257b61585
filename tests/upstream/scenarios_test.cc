// The programs of the tutorials on Go's groups, in virtual time. Those on
// gollback are in gollback_test.cc; the one on water molecules is examples/h2o.

#include <array>
#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/errgroup/group.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::JoiningThread;

void Simulate(int schedules, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = schedules,
                .time = sim::Time::kQuiescent,
                .stale_loads = false,
                .max_steps = 10'000'000},
               body);
}

// Announced, so that others may use the processor.
void Pause(absl::Duration duration) {
  Context().SleepFor(duration).IgnoreError();
}

const absl::Status kFailed = absl::InternalError("failed to exec #2");

TEST(Scenario, ThreeTasksOfWhichOneFails) {
  Simulate(100, [] {
    errgroup::Group group;
    const sync::SteadyTime start = sync::SteadyTime::Now();
    std::array<int, 3> order = {};
    sync::Atomic<int> ended = 0;
    group.Go([&] {
      Pause(absl::Seconds(3));
      order[static_cast<size_t>(ended++)] = 1;
    });
    group.Go([&] {
      Pause(absl::Seconds(1));
      order[static_cast<size_t>(ended++)] = 2;
      return kFailed;
    });
    group.Go([&] {
      Pause(absl::Seconds(2));
      order[static_cast<size_t>(ended++)] = 3;
    });
    EXPECT_EQ(group.Wait(), kFailed);
    EXPECT_EQ(order, (std::array<int, 3>{2, 3, 1}));
    EXPECT_EQ(sync::SteadyTime::Now() - start, absl::Seconds(3));
  });
}

TEST(Scenario, EachTaskStoresItsResult) {
  Simulate(100, [] {
    errgroup::Group group;
    std::array<absl::Status, 3> results;
    const int seconds[] = {3, 1, 2};
    for (size_t i = 0; i < 3; ++i) {
      group.Go([&results, &seconds, i] {
        Pause(absl::Seconds(seconds[i]));
        if (i == 1) results[i] = kFailed;
        return results[i];
      });
    }
    EXPECT_EQ(group.Wait(), kFailed);
    EXPECT_EQ(results, (std::array<absl::Status, 3>{absl::OkStatus(), kFailed,
                                                    absl::OkStatus()}));
  });
}

// With real files and digests it is examples/md5all.
TEST(Scenario, APipelineThatIsWaitedForTwice) {
  Simulate(30, [] {
    errgroup::Group group{Context()};
    channel::Channel<std::string> names(0);
    sync::Mutex mutex;
    std::map<std::string, size_t> sizes;
    group.Go([&](const Context& context) {
      const absl::Cleanup close = [&names] { names.Close(); };
      for (size_t i = 0; i < 30; ++i) {
        const absl::Status sent = names.Send(context, std::string(i, 'x'));
        if (!sent.ok()) return sent;
      }
      return absl::OkStatus();
    });
    for (int i = 0; i < 20; ++i) {
      group.Go([&](const Context& context) {
        for (std::string& name : names.Values(context)) {
          const size_t size = name.size();
          sync::MutexLock lock(&mutex);
          sizes[std::move(name)] = size;
        }
        return context.status();
      });
    }
    JoiningThread other([&] { EXPECT_EQ(group.Wait(), absl::OkStatus()); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().succeeded, 21);
    sync::MutexLock lock(&mutex);
    EXPECT_EQ(sizes.size(), 30u);
  });
}

// The first task sleeps while many others submit, each of them one: as many at
// once as a simulation has threads for, since one whose Go blocks keeps its
// own.
void SubmitFromMany(errgroup::Group& group, int tasks) {
  sync::Atomic<int> count = 0;
  group.Go([] { Pause(absl::Seconds(1)); });
  errgroup::Group submitters({.limit = 50, .queue = kUnlimited});
  for (int i = 0; i < tasks; ++i) {
    submitters.Go([&group, &count] {
      EXPECT_EQ(group.Go([&count] { ++count; }), Admission::kAccepted);
    });
  }
  EXPECT_EQ(submitters.Wait(), absl::OkStatus());
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(count, tasks);
}

// There, it hangs in every other run (B-1).
TEST(Scenario, ManySubmitToABusyGroup) {
  Simulate(4, [] {
    errgroup::Group group(errgroup::Gomaxprocs(1));
    SubmitFromMany(group, 10'000);
  });
}

TEST(Scenario, ManySubmitToABusyGroupThatBlocks) {
  Simulate(4, [] {
    errgroup::Group group(Context(), errgroup::WithContextN(1, 1));
    SubmitFromMany(group, 1'000);
  });
}

TEST(Scenario, AnErrorAmongThreeCountedThings) {
  Simulate(200, [] {
    errgroup::WaitGroup group;
    group.Add(3);
    std::deque<JoiningThread> callers;
    for (int i = 0; i < 3; ++i) {
      callers.emplace_back([&group, i] {
        if (i == 1) group.Error(kFailed);
        group.Done();
      });
    }
    EXPECT_EQ(group.Wait(), kFailed);
  });
}

TEST(Scenario, AThousandTasksTenAtOnce) {
  for (const sizedgroup::WhenFull when_full :
       {sizedgroup::WhenFull::kQueue, sizedgroup::WhenFull::kBlock}) {
    Simulate(4, [when_full] {
      sizedgroup::SizedGroup group(10, {.when_full = when_full});
      const sync::SteadyTime start = sync::SteadyTime::Now();
      sync::Atomic<int> count = 0;
      for (int i = 0; i < 1000; ++i) {
        group.Go([&count] {
          Pause(absl::Milliseconds(5));
          ++count;
        });
      }
      group.Wait();
      EXPECT_EQ(count, 1000);
      EXPECT_EQ(sync::SteadyTime::Now() - start, 100 * absl::Milliseconds(5));
    });
  }
}

TEST(Scenario, ThreeTasksAtTimes) {
  Simulate(100, [] {
    schedgroup::Group group({}, {.limit = 1});  // they share what they use
    std::string out;
    for (int i = 1; i <= 3; ++i) {
      group.Delay(i * absl::Milliseconds(100), [&out, i] {
        if (i > 1) out += ' ';
        absl::StrAppend(&out, i);
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(out, "1 2 3");
  });
}

TEST(Scenario, ABarrierOfTenForFiveRounds) {
  Simulate(20, [] {
    int count = 0;
    cyclicbarrier::CyclicBarrier barrier(10, [&count] { ++count; });
    errgroup::Group group;
    for (int i = 0; i < 10; ++i) {
      group.Go([&barrier](const Context& context) {
        for (int round = 0; round < 5; ++round) {
          const absl::StatusOr<int> index = barrier.Await(context);
          if (!index.ok()) return index.status();
        }
        return absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(count, 5);
  });
}

// The closing exercise: a group that cancels its subtasks.
TEST(Scenario, AGroupThatCancelsItsSubtasks) {
  Simulate(100, [] {
    errgroup::Group group(Context(), {.limit = 2, .queue = kUnlimited});
    const sync::SteadyTime start = sync::SteadyTime::Now();
    bool told = false;
    group.Go([&](const Context& context) {
      told = !context.SleepFor(absl::Hours(1)).ok();
      return context.status();
    });
    group.Go([] {
      Pause(absl::Seconds(1));
      return kFailed;
    });
    for (int i = 0; i < 10; ++i) {
      group.Go([] { ADD_FAILURE() << "must not start"; });
    }
    EXPECT_EQ(group.Wait(), kFailed);
    EXPECT_TRUE(told);
    EXPECT_EQ(group.stats().skipped, 10);
    EXPECT_EQ(sync::SteadyTime::Now() - start, absl::Seconds(1));
  });
}

}  // namespace
}  // namespace cohort
