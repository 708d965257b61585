// Storms of tasks on each pool, pools that end in the middle of one, and timers
// that fire while they are taken back.

#include <list>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using stress::InParallel;
using stress::Random;
using testing::PoolCase;

// A task that submits others, and may say that it blocks.
class Storm {
 public:
  explicit Storm(Executor& executor) : executor_(executor) {}

  void Submit(Random random, int depth) {
    ++submitted_;
    executor_.Submit([this, random, depth, once = Once(this)]() mutable {
      EXPECT_EQ(Executor::Current(), &executor_);
      once.Run();
      std::optional<BlockingScope> blocking;
      if (random.OneIn(4)) blocking.emplace();
      if (blocking.has_value()) {
        sync::SleepFor(absl::Microseconds(random.Below(50)));
      }
      if (depth == 0) return;
      for (int i = random.Below(3); i > 0; --i) {
        Submit(Random(random.Next()), depth - 1);
      }
    });
  }

  // Once nobody submits from outside: whether all tasks have ended.
  bool over() const { return alive_ == 0; }

  void ExpectAllRan() {
    EXPECT_TRUE(over());
    EXPECT_EQ(ran_, submitted_);
  }

 private:
  // Runs once at most, and is counted for as long as it lives.
  class Once {
   public:
    explicit Once(Storm* storm) : storm_(storm) { ++storm_->alive_; }
    Once(Once&& other) noexcept : Once(other.storm_) {
      EXPECT_FALSE(other.ran_);
    }
    Once& operator=(Once&&) = delete;
    ~Once() { --storm_->alive_; }

    void Run() {
      EXPECT_FALSE(ran_);
      ran_ = true;
      ++storm_->ran_;
    }

   private:
    Storm* const storm_;
    bool ran_ = false;
  };

  Executor& executor_;
  sync::Atomic<int> submitted_ = 0;
  sync::Atomic<int> ran_ = 0;
  sync::Atomic<int> alive_ = 0;
};

class PoolStressTest : public stress::StressTest,
                       public ::testing::WithParamInterface<PoolCase> {};

INSTANTIATE_TEST_SUITE_P(Pools, PoolStressTest,
                         ::testing::ValuesIn(testing::PoolsOfOnesOwn()),
                         testing::PoolName);

// The destructor runs every task, those too that tasks submit meanwhile.
TEST_P(PoolStressTest, NoTaskIsLostWhenThePoolEnds) {
  Repeat(30, [](Random& round) {
    std::shared_ptr<WorkerPool> pool = GetParam().make();
    Storm storm(*pool);
    InParallel(round, 3, [&](int, Random& random) {
      for (int i = 0; i < 8; ++i) storm.Submit(Random(random.Next()), 2);
    });
    pool.reset();
    storm.ExpectAllRan();
  });
}

// As they go idle and come back.
TEST_P(PoolStressTest, EveryTaskStartsWithoutHelp) {
  const std::shared_ptr<WorkerPool> pool = GetParam().make();
  Repeat(30, [&pool](Random& round) {
    Storm storm(*pool);
    InParallel(round, 3, [&](int, Random& random) {
      for (int i = 0; i < 4; ++i) storm.Submit(Random(random.Next()), 2);
      const PoolStats stats = pool->stats();
      EXPECT_LE(stats.idle + stats.blocked, stats.threads);
    });
    testing::Await([&storm] { return storm.over(); });
    storm.ExpectAllRan();
  });
}

// What a group does: each task of one pool waits for one of another.
TEST_P(PoolStressTest, TasksWaitForThoseOfAnotherPool) {
  Repeat(30, [](Random& round) {
    sync::Atomic<int> answers = 0;
    ThreadPerTask other;
    const std::shared_ptr<WorkerPool> pool = GetParam().make();
    InParallel(round, 3, [&](int, Random&) {
      for (int i = 0; i < 4; ++i) {
        pool->Submit([&] {
          sync::Mutex mutex;
          sync::CondVar changed;
          bool answered = false;
          other.Submit([&] {
            sync::MutexLock lock(&mutex);
            answered = true;
            changed.Signal();
          });
          {
            BlockingScope blocking;
            sync::MutexLock lock(&mutex);
            while (!answered) changed.Wait(&mutex);
          }
          ++answers;
        });
      }
    });
    testing::Await([&answers] { return answers == 12; });
  });
}

using ExecutorStressTest = stress::StressTest;

TEST_F(ExecutorStressTest, IdleThreadsGoAsTasksCome) {
  ElasticPool pool({.workers = 3, .keep_alive = absl::Microseconds(50)});
  Repeat(200, [&pool](Random& round) {
    Storm storm(pool);
    InParallel(round, 2, [&](int, Random& random) {
      for (int i = 0; i < 3; ++i) {
        storm.Submit(Random(random.Next()), 1);
        sync::SleepFor(absl::Microseconds(random.Below(100)));
      }
    });
    testing::Await([&storm] { return storm.over(); });
    storm.ExpectAllRan();
  });
}

class CountingTimer final : public TimerQueue::Timer {
 public:
  int fired() const { return fired_; }

 private:
  void OnDue() override { ++fired_; }

  sync::Atomic<int> fired_ = 0;
};

TEST_F(ExecutorStressTest, ATimerFiresOrIsTakenBack) {
  Repeat(150, [](Random& round) {
    FixedPool pool(2);
    TimerQueue queue(pool);
    InParallel(round, 4, [&](int, Random& random) {
      for (int i = 0; i < 8; ++i) {
        CountingTimer timer;
        int armed = 0;
        int taken_back = 0;
        for (int shots = 1 + random.Below(3); shots > 0; --shots) {
          queue.Arm(timer, sync::SteadyTime::Now() +
                               absl::Microseconds(random.Below(60)));
          ++armed;
          if (random.OneIn(2)) {
            sync::SleepFor(absl::Microseconds(random.Below(60)));
          }
          if (queue.Disarm(timer)) ++taken_back;
          testing::Await([&] { return timer.fired() + taken_back == armed; });
          EXPECT_FALSE(queue.Disarm(timer));
        }
        EXPECT_EQ(timer.fired() + taken_back, armed);
      }
    });
  });
}

// Tells when its turn came.
class OrderedTimer final : public TimerQueue::Timer {
 public:
  explicit OrderedTimer(sync::Atomic<int>& turns) : turns_(turns) {}
  int turn() const { return turn_; }

 private:
  void OnDue() override { turn_ = turns_++; }

  sync::Atomic<int>& turns_;
  sync::Atomic<int> turn_ = -1;
};

TEST_F(ExecutorStressTest, TimersOfOneTimeFireInTheOrderOfArm) {
  Repeat(150, [](Random& round) {
    constexpr int kTimers = 8;
    sync::Atomic<int> turns = 0;
    std::list<OrderedTimer> timers;
    {
      FixedPool pool(1);
      TimerQueue queue(pool);
      const sync::SteadyTime due =
          sync::SteadyTime::Now() + absl::Microseconds(round.Below(300));
      InParallel(round, 2, [&](int thread, Random& random) {
        if (thread == 1) {
          // Wakes the queue's thread again and again.
          for (int i = 0; i < 8; ++i) {
            CountingTimer other;
            queue.Arm(other, due + absl::Microseconds(random.Below(100)));
            if (queue.Disarm(other)) continue;
            testing::Await([&other] { return other.fired() == 1; });
          }
          return;
        }
        for (int i = 0; i < kTimers; ++i) {
          queue.Arm(timers.emplace_back(turns), due);
        }
      });
      testing::Await([&turns] { return turns == kTimers; });
    }
    int expected = 0;
    for (const OrderedTimer& timer : timers) {
      EXPECT_EQ(timer.turn(), expected++);
    }
  });
}

}  // namespace
}  // namespace cohort
