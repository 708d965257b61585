#include "cohort/executor/timer_queue.h"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using sync::SteadyTime;
using testing::Await;
using testing::Countdown;
using testing::Gate;
using testing::JoiningThread;
using testing::Scaled;

class Timer final : public TimerQueue::Timer {
 public:
  explicit Timer(std::function<void()> on_due) : on_due_(std::move(on_due)) {}

 private:
  // A copy, since the timer may end within it: many a test does as soon as the
  // call has opened its gate.
  void OnDue() override {
    const std::function<void()> on_due = on_due_;
    on_due();
  }

  const std::function<void()> on_due_;
};

// One thread, so that timers run in the order in which the executor gets them.
class TimerQueueTest : public ::testing::Test {
 protected:
  FixedPool pool_{1};
  TimerQueue queue_{pool_};
};

TEST_F(TimerQueueTest, RunsInTheOrderOfDueTimes) {
  std::vector<int> order;
  Countdown done(5);
  std::vector<std::unique_ptr<Timer>> timers;
  const SteadyTime start = SteadyTime::Now() + absl::Milliseconds(20);
  for (const int i : {3, 0, 4, 1, 2}) {
    timers.push_back(std::make_unique<Timer>([&, i] {
      order.push_back(i);
      done.Done();
    }));
    queue_.Arm(*timers.back(), start + i * absl::Microseconds(10));
  }
  done.Wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST_F(TimerQueueTest, EqualTimesRunInTheOrderOfArm) {
  constexpr int kCount = 1'000;
  std::vector<int> order;
  Countdown done(kCount);
  std::vector<std::unique_ptr<Timer>> timers;
  const SteadyTime due = SteadyTime::Now() + absl::Milliseconds(5);
  for (int i = 0; i < kCount; ++i) {
    timers.push_back(std::make_unique<Timer>([&, i] {
      order.push_back(i);
      done.Done();
    }));
  }
  for (const auto& timer : timers) queue_.Arm(*timer, due);
  done.Wait();
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST_F(TimerQueueTest, TenThousandRunOnceAndNoneTooEarly) {
  const int count = Scaled(10'000);
  std::atomic<int> early = 0;
  std::vector<int> runs(static_cast<size_t>(count));
  Countdown done(count);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < count; ++i) {
    const SteadyTime due =
        SteadyTime::Now() + absl::Microseconds(i * 7'919 % 50'000);
    timers.push_back(std::make_unique<Timer>([&, i, due] {
      if (SteadyTime::Now() < due) ++early;
      ++runs[static_cast<size_t>(i)];
      done.Done();
    }));
    queue_.Arm(*timers.back(), due);
  }
  done.Wait();
  EXPECT_EQ(early, 0);
  for (const int ran : runs) EXPECT_EQ(ran, 1);
}

TEST_F(TimerQueueTest, ATimeThatHasPassedIsAtOnce) {
  for (const SteadyTime due :
       {SteadyTime(), SteadyTime::Now() + -absl::Seconds(1),
        SteadyTime::Now()}) {
    Gate ran;
    Timer timer([&] { ran.Open(); });
    queue_.Arm(timer, due);
    ran.Pass();
  }
}

TEST_F(TimerQueueTest, AnEarlierTimerWakesTheThread) {
  Timer late([] { FAIL() << "an hour has passed"; });
  queue_.Arm(late, SteadyTime::Now() + absl::Hours(1));
  for (int i = 0; i < 100; ++i) {
    Gate ran;
    Timer timer([&] { ran.Open(); });
    queue_.Arm(timer, SteadyTime::Now() + absl::Microseconds(500));
    ran.Pass();
  }
  Timer never([] { FAIL(); });
  queue_.Arm(never, SteadyTime::InfiniteFuture());
  EXPECT_TRUE(queue_.Disarm(never));
  EXPECT_TRUE(queue_.Disarm(late));
}

TEST_F(TimerQueueTest, DisarmedInTimeItDoesNotRun) {
  Timer timer([] { FAIL() << "disarmed, and ran"; });
  EXPECT_FALSE(queue_.Disarm(timer)) << "it was never armed";
  for (int i = 0; i < 3; ++i) {
    queue_.Arm(timer, SteadyTime::Now() + absl::Hours(1));
    EXPECT_TRUE(queue_.Disarm(timer));
    EXPECT_FALSE(queue_.Disarm(timer));
  }
  // The thread has gone past where it was.
  Gate ran;
  Timer after([&] { ran.Open(); });
  queue_.Arm(after, SteadyTime::Now());
  ran.Pass();
}

TEST_F(TimerQueueTest, DisarmedTooLateItRuns) {
  Gate started;
  Gate busy;
  pool_.Submit([&] {
    started.Open();
    busy.Pass();
  });
  started.Pass();
  Gate ran;
  Timer timer([&] {
    EXPECT_FALSE(queue_.Disarm(timer)) << "it runs";
    ran.Open();
  });
  queue_.Arm(timer, SteadyTime::Now());
  // Handed to the executor, which is busy.
  Await([&] { return pool_.stats().queued == 1; });
  EXPECT_FALSE(queue_.Disarm(timer)) << "on its way to run";
  busy.Open();
  ran.Pass();
  EXPECT_FALSE(queue_.Disarm(timer)) << "it has run";
}

// Each timer either runs or was disarmed, never both and never neither.
TEST_F(TimerQueueTest, DisarmSaysWhetherItCameInTime) {
  const int count = Scaled(5'000);
  int disarmed = 0;
  std::atomic<int> ran = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < count; ++i) {
    timers.push_back(std::make_unique<Timer>([&] { ++ran; }));
    queue_.Arm(*timers.back(), SteadyTime::Now() + absl::Microseconds(i % 200));
    if (i >= 20) {
      disarmed += queue_.Disarm(*timers[static_cast<size_t>(i - 20)]) ? 1 : 0;
    }
  }
  for (const auto& timer : timers) disarmed += queue_.Disarm(*timer) ? 1 : 0;
  Await([&] { return ran + disarmed >= count; });
  // Whatever is still on its way would be one too many.
  Gate idle;
  pool_.Submit([&] { idle.Open(); });
  idle.Pass();
  EXPECT_EQ(ran + disarmed, count);
}

TEST_F(TimerQueueTest, MayBeArmedAgainWhenItRuns) {
  int runs = 0;
  Gate done;
  Timer timer([&] {
    if (++runs < 100) {
      queue_.Arm(timer, SteadyTime::Now() + absl::Microseconds(10));
    } else {
      done.Open();
    }
  });
  queue_.Arm(timer, SteadyTime::Now());
  done.Pass();
  EXPECT_EQ(runs, 100);
}

TEST_F(TimerQueueTest, MayEndWhenItRuns) {
  Gate done;
  class OneShot final : public TimerQueue::Timer {
   public:
    explicit OneShot(Gate& gate) : gate_(gate) {}

   private:
    void OnDue() override {
      Gate& gate = gate_;
      delete this;
      gate.Open();
    }

    Gate& gate_;
  };
  queue_.Arm(*new OneShot(done), SteadyTime::Now());
  done.Pass();
}

TEST_F(TimerQueueTest, ASlowOneDelaysNoOther) {
  Gate gate;
  Gate ran;
  ElasticPool pool({.workers = 2});
  TimerQueue queue(pool);
  Timer slow([&] { gate.Pass(); });
  Timer other([&] { ran.Open(); });
  queue.Arm(slow, SteadyTime::Now());
  queue.Arm(other, SteadyTime::Now() + absl::Milliseconds(1));
  ran.Pass();
  gate.Open();
}

TEST_F(TimerQueueTest, RunsOnItsExecutor) {
  Gate ran;
  Timer timer([&] {
    EXPECT_EQ(Executor::Current(), &pool_);
    ran.Open();
  });
  queue_.Arm(timer, SteadyTime::Now());
  ran.Pass();
}

TEST_F(TimerQueueTest, IsUsedFromManyThreads) {
  constexpr int kThreads = 4;
  const int each = Scaled(1'000);
  ElasticPool pool;
  TimerQueue queue(pool);
  std::atomic<int> ran = 0;
  std::atomic<int> disarmed = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < kThreads * each; ++i) {
    timers.push_back(std::make_unique<Timer>([&] { ++ran; }));
  }
  {
    std::vector<std::unique_ptr<JoiningThread>> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.push_back(std::make_unique<JoiningThread>([&, t] {
        for (int i = 0; i < each; ++i) {
          Timer& timer = *timers[static_cast<size_t>(t * each + i)];
          queue.Arm(timer, SteadyTime::Now() + absl::Microseconds(i % 100));
          if (i % 3 == 0) disarmed += queue.Disarm(timer) ? 1 : 0;
        }
      }));
    }
  }
  Await([&] { return ran + disarmed == kThreads * each; });
  EXPECT_EQ(pool.stats().queued, 0);
}

TEST_F(TimerQueueTest, TheProcesssQueueRunsOnTheDefaultExecutor) {
  EXPECT_EQ(&TimerQueue::Default(), &TimerQueue::Default());
  Gate ran;
  Timer timer([&] {
    EXPECT_EQ(Executor::Current(), &DefaultExecutor());
    ran.Open();
  });
  TimerQueue::Default().Arm(timer, SteadyTime::Now());
  ran.Pass();
}

TEST_F(TimerQueueTest, HasNoThreadUntilThereIsATimer) {
  for (int i = 0; i < 10; ++i) TimerQueue unused(pool_);
}

class TimerQueueDeathTest : public TimerQueueTest {};

TEST_F(TimerQueueDeathTest, MisuseDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const SteadyTime late = SteadyTime::Now() + absl::Hours(1);
  EXPECT_DEATH(
      {
        Timer timer([] {});
        queue_.Arm(timer, late);
      },
      "TimerQueue::Timer destroyed while armed");
  EXPECT_DEATH(
      {
        Timer timer([] {});
        queue_.Arm(timer, late);
        queue_.Arm(timer, late);
      },
      "TimerQueue::Arm: already armed");
  EXPECT_DEATH(
      {
        Timer first([] {});
        Timer second([] {});
        TimerQueue queue(pool_);
        queue.Arm(first, late);
        queue.Arm(second, late);
      },
      "TimerQueue destroyed with 2 armed timers");
}

}  // namespace
}  // namespace cohort
