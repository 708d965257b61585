// The end of a process that has used executors: clean, whatever their tasks are
// doing. Under a sanitizer, also without a report.

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "absl/log/absl_check.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using testing::Await;
using testing::Countdown;
using testing::Gate;

// Not destroyed, since tasks use them while the process ends.
template <class T>
T& Immortal() {
  return *new T();
}

// Runs `body` and exits as from main, in a process of its own. Nothing but what
// the matcher allows may be written to standard error.
template <class F>
void ExpectCleanExit(F body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        body();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "^$");
}

TEST(ExitDeathTest, WithoutTasks) {
  ExpectCleanExit([] {
    Countdown done(10);
    for (int i = 0; i < 10; ++i) DefaultExecutor().Submit([&] { done.Done(); });
    done.Wait();
  });
}

TEST(ExitDeathTest, WithTasksThatBlock) {
  ExpectCleanExit([] {
    static std::array<int, 2> pipe_ends;
    ABSL_CHECK_EQ(pipe(pipe_ends.data()), 0);
    auto& gate = Immortal<Gate>();
    auto& running = Immortal<std::atomic<int>>();
    for (int i = 0; i < 10; ++i) {
      DefaultExecutor().Submit([&] {
        ++running;
        gate.Pass();
      });
      DefaultExecutor().Submit([&] {
        BlockingScope blocking;
        ++running;
        char byte;
        static_cast<void>(read(pipe_ends[0], &byte, 1) == 1);
      });
    }
    Await([&] { return running == 20; });
  });
}

TEST(ExitDeathTest, WithTasksThatComputeAndTasksThatAreQueued) {
  ExpectCleanExit([] {
    auto& running = Immortal<std::atomic<int>>();
    for (int i = 0; i < 100; ++i) {
      DefaultExecutor().Submit([&] {
        for (++running;;) {
        }
      });
    }
    Await([&] { return running > 0; });
  });
}

TEST(ExitDeathTest, WithTasksThatSubmitWithoutEnd) {
  ExpectCleanExit([] {
    struct Chain {
      static void Next() { DefaultExecutor().Submit(&Next); }
    };
    for (int i = 0; i < 10; ++i) Chain::Next();
  });
}

TEST(ExitDeathTest, FromATask) {
  ExpectCleanExit([] {
    DefaultExecutor().Submit([] { std::exit(0); });
    pause();
  });
}

TEST(ExitDeathTest, ExitHandlersMayUseTheDefaultExecutor) {
  ExpectCleanExit([] {
    std::atexit([] {
      Countdown done(10);
      for (int i = 0; i < 10; ++i) {
        DefaultExecutor().Submit([&] { done.Done(); });
      }
      done.Wait();
    });
  });
}

TEST(ExitDeathTest, AStaticPoolRunsItsTasksFirst) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        static std::atomic<int> ran = 0;
        std::atexit([] {
          if (ran == 100) static_cast<void>(write(2, "all ran\n", 8));
        });
        static ElasticPool pool;
        for (int i = 0; i < 100; ++i) pool.Submit([] { ++ran; });
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "^all ran");
}

TEST(ExitDeathTest, WithTimers) {
  ExpectCleanExit([] {
    class Timer final : public TimerQueue::Timer {
     public:
      Gate due;

     private:
      void OnDue() override { due.Open(); }
    };
    auto& soon = Immortal<Timer>();
    auto& late = Immortal<Timer>();
    TimerQueue::Default().Arm(late, sync::SteadyTime::Now() + absl::Hours(1));
    TimerQueue::Default().Arm(soon, sync::SteadyTime::Now());
    soon.due.Pass();
  });
}

}  // namespace
}  // namespace cohort
