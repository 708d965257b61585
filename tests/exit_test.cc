// The end of a process in the middle of everything: what is static is then
// destroyed by a task that is in it, or while threads wait for it. The exit
// code is that of the program, and nothing hangs.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "cohort/channel/channel.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/errgroup/group.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/group/types.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/singleflight/group.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using testing::Await;
using testing::Gate;

// Runs `body` in a process of its own, which has to end with exit(7).
template <class F>
void ExpectExitCode7(F body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        body();
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
      },
      ::testing::ExitedWithCode(7), "");
}

void Exit() { std::exit(7); }

// Not destroyed, since threads use it while the process ends.
template <class T>
T& Immortal() {
  return *new T();
}

TEST(ExitDeathTest, InATaskOfAStaticGroup) {
  ExpectExitCode7([] {
    static errgroup::Group group;
    group.Go(Exit);
  });
  ExpectExitCode7([] {
    static errgroup::Group group;
    group.Go(Exit);
    group.Wait().IgnoreError();  // perhaps on this thread
  });
  ExpectExitCode7([] {
    static auto group = std::make_unique<errgroup::Group>();
    group->Go(Exit);
  });
  ExpectExitCode7([] {
    static sizedgroup::SizedGroup group(2);
    group.Go(Exit);
  });
  ExpectExitCode7([] {
    static sizedgroup::WaitGroup group(2);
    group.Add(Exit);
  });
}

// Nothing that was queued starts any more.
TEST(ExitDeathTest, WithTasksThatAreQueuedAndTasksThatRun) {
  ExpectExitCode7([] {
    static errgroup::Group group(
        errgroup::Options{.limit = 2, .queue = kUnlimited});
    auto& gate = Immortal<Gate>();
    auto& running = Immortal<std::atomic<bool>>();
    group.Go([&] {
      running = true;
      gate.Pass();
    });
    group.Go([&] {
      Await([&] { return running.load(); });
      Exit();
    });
    for (int i = 0; i < 100; ++i) group.Go([] { std::_Exit(1); });
  });
}

TEST(ExitDeathTest, InTheDestructorOfATaskThatIsSkipped) {
  ExpectExitCode7([] {
    struct Exits {
      Exits() = default;
      Exits(Exits&& other) noexcept
          : armed(std::exchange(other.armed, false)) {}
      ~Exits() {
        if (armed) Exit();
      }
      bool armed = true;
    };
    static errgroup::Group group(
        errgroup::Options{.limit = 0, .queue = kUnlimited});
    group.Go([exits = Exits()] { (void)exits; });
    group.Cancel();
  });
}

// The static group's task waits for the one that exits.
TEST(ExitDeathTest, InATaskOfAGroupInsideOne) {
  ExpectExitCode7([] {
    static errgroup::Group group;
    group.Go([] {
      errgroup::Group inner;
      inner.Go(Exit);
      return inner.Wait(WaitPolicy::kPark);
    });
  });
}

TEST(ExitDeathTest, WhileOthersWaitForTheGroup) {
  ExpectExitCode7([] {
    static errgroup::Group group;
    auto& waiting = Immortal<std::atomic<int>>();
    group.Go([&] {
      Await([&] { return waiting == 2; });
      Exit();
    });
    for (int i = 0; i < 2; ++i) {
      std::thread([&waiting] {
        ++waiting;
        group.Wait(WaitPolicy::kPark).IgnoreError();
      }).detach();
    }
  });
}

TEST(ExitDeathTest, InATaskOfAStaticPool) {
  ExpectExitCode7([] {
    static FixedPool pool(2);
    for (int i = 0; i < 10; ++i) {
      pool.Submit([] { std::this_thread::yield(); });
    }
    pool.Submit(Exit);
    for (int i = 0; i < 10; ++i) {
      pool.Submit([] { std::this_thread::yield(); });
    }
  });
  ExpectExitCode7([] {
    static ElasticPool pool;
    auto& gate = Immortal<Gate>();
    for (int i = 0; i < 10; ++i) pool.Submit([&gate] { gate.Pass(); });
    pool.Submit(Exit);
  });
  ExpectExitCode7([] {
    static ThreadPerTask pool;
    auto& gate = Immortal<Gate>();
    for (int i = 0; i < 10; ++i) pool.Submit([&gate] { gate.Pass(); });
    pool.Submit(Exit);
  });
  ExpectExitCode7([] {
    static FixedPool pool(2);
    static errgroup::Group group(
        errgroup::Options{.limit = 2, .queue = kUnlimited, .executor = &pool});
    for (int i = 0; i < 100; ++i) group.Go([] { std::this_thread::yield(); });
    group.Go(Exit);
  });
}

TEST(ExitDeathTest, WhileStaticPrimitivesAreWaitedFor) {
  ExpectExitCode7([] {
    static semaphore::Weighted semaphore(0);
    std::thread([] { semaphore.Acquire(Context()).IgnoreError(); }).detach();
    Await([] { return semaphore.waiters() == 1; });
    Exit();
  });
  ExpectExitCode7([] {
    static channel::Channel<int> channel;
    auto& received = Immortal<std::atomic<bool>>();
    std::thread([&received] {
      (void)channel.Receive(Context());  // the first
      received = true;
      (void)channel.Receive(Context());
    }).detach();
    channel.Send(Context(), 1).IgnoreError();
    Await([&received] { return received.load(); });
    Exit();
  });
  ExpectExitCode7([] {
    static cyclicbarrier::CyclicBarrier barrier(2);
    std::thread([] { (void)barrier.Await(Context()); }).detach();
    Await([] { return barrier.waiting() == 1; });
    Exit();
  });
  ExpectExitCode7([] {
    static errgroup::WaitGroup group;
    group.Add(1);
    group.Error(absl::InternalError("boom"));
    Exit();
  });
  ExpectExitCode7([] {
    static singleflight::Group<int, int> group;
    (void)group.Do(Context(), 1, []() -> int {
      Exit();
      return 0;
    });
  });
}

// What is misuse at any other time stays that.
TEST(ExitDeathTest, OutsideOfExitMisuseDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto group = std::make_unique<errgroup::Group>();
        group->Go([&group] { group.reset(); });
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
      },
      "destroyed by one of its own tasks");
  EXPECT_DEATH(
      {
        errgroup::WaitGroup group;
        group.Add(1);
      },
      "destroyed while counting");
}

}  // namespace
}  // namespace cohort
