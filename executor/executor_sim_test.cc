// Pools, BlockingScope and TimerQueue on every schedule that the search comes
// across, in virtual time.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/base/config.h"
#include "absl/base/log_severity.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/log/globals.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_gate.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using sync::SteadyTime;
using testing::Gate;
using testing::JoiningThread;
using testing::PassAnnounced;

constexpr absl::Duration kTick = absl::Milliseconds(1);

constexpr int64_t kSchedules = 10'000 / sim::kCost;

sim::Options Racing() { return {.schedules = kSchedules}; }

// Where something else than a wake-up makes the pool go on, time has passed.
sim::Options Quiescent() {
  return {.schedules = kSchedules, .time = sim::Time::kQuiescent};
}

// Of a body so small that there is nothing else to choose.
void Prove(sim::Strategy strategy, absl::FunctionRef<void()> body) {
  sim::Options options = sim::AllSchedules(std::move(strategy));
  options.time = sim::Time::kQuiescent;
  sim::ExploreAllOrSome(options, kSchedules, body);
}

// How often a task has run. Not for two threads at once, nor for whoever has
// not waited for it: that is a race, and reported.
class Runs {
 public:
  void Add() { ++count_.Write(); }
  int count() const { return count_.Read(); }

 private:
  sync::RaceChecked<int> count_;
};

template <size_t n>
void ExpectOneRunOfEach(const std::array<Runs, n>& runs) {
  for (const Runs& task : runs) EXPECT_EQ(task.count(), 1);
}

class AtOnce {
 public:
  void Enter() {
    const int now = ++now_;
    int seen = peak_;
    while (now > seen && !peak_.compare_exchange_weak(seen, now)) {
    }
  }
  void Exit() { --now_; }
  int peak() const { return peak_; }

 private:
  sync::Atomic<int> now_ = 0;
  sync::Atomic<int> peak_ = 0;
};

struct PoolCase {
  const char* name;
  int workers;  // tasks at once, if none blocks
  std::unique_ptr<WorkerPool> (*make)();
};

template <int workers>
std::unique_ptr<WorkerPool> MakeElastic() {
  // Idle threads stay: one that left would look at the queue, and so make up
  // for a wake-up that was lost.
  return std::make_unique<ElasticPool>(ElasticPool::Options{
      .workers = workers, .keep_alive = absl::InfiniteDuration()});
}
template <int threads>
std::unique_ptr<WorkerPool> MakeFixed() {
  return std::make_unique<FixedPool>(threads);
}
std::unique_ptr<WorkerPool> MakeThreadPerTask() {
  return std::make_unique<ThreadPerTask>();
}

std::string PoolName(const ::testing::TestParamInfo<PoolCase>& info) {
  return info.param.name;
}

class PoolSimTest : public ::testing::TestWithParam<PoolCase> {
 protected:
  std::unique_ptr<WorkerPool> Make() const { return GetParam().make(); }
};

constexpr PoolCase kAllPools[] = {{"Elastic1", 1, MakeElastic<1>},
                                  {"Elastic2", 2, MakeElastic<2>},
                                  {"Fixed1", 1, MakeFixed<1>},
                                  {"Fixed2", 2, MakeFixed<2>},
                                  {"ThreadPerTask", 99, MakeThreadPerTask}};

INSTANTIATE_TEST_SUITE_P(Pools, PoolSimTest, ::testing::ValuesIn(kAllPools),
                         PoolName);

TEST_P(PoolSimTest, RunsEachTaskOfSeveralThreadsOnce) {
  sim::Explore(Racing(), [&] {
    std::array<Runs, 4> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      JoiningThread other([&] {
        pool->Submit([&] { runs[0].Add(); });
        pool->Submit([&] { runs[1].Add(); });
      });
      pool->Submit([&] { runs[2].Add(); });
      pool->Submit([&] { runs[3].Add(); });
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST_P(PoolSimTest, WhatHappenedBeforeIsVisible) {
  sim::Explore(Racing(), [&] {
    std::array<sync::RaceChecked<int>, 3> value;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      value[0].Write() = 1;
      pool->Submit([&] {
        value[1].Write() = value[0].Read() + 1;
        pool->Submit([&] { value[2].Write() = value[1].Read() + 1; });
      });
    }
    EXPECT_EQ(value[2].Read(), 3);
  });
}

// And not with its worker, which may wait for the next one for ever.
TEST_P(PoolSimTest, ATasksFunctorIsGoneAfterIt) {
  sim::Explore(Racing(), [&] {
    const std::unique_ptr<WorkerPool> pool = Make();
    Gate gone(2);
    for (int i = 0; i < 2; ++i) {
      pool->Submit([end = std::shared_ptr<void>(
                        nullptr, [&gone](void*) { gone.Open(); })] {});
    }
    gone.Pass();
  });
}

TEST_P(PoolSimTest, DestructorRunsWhatTasksSubmitMeanwhile) {
  sim::Explore(Racing(), [&] {
    std::array<Runs, 5> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&, pool = pool.get()] {
        runs[0].Add();
        pool->Submit([&, pool] {
          runs[1].Add();
          BlockingScope blocking;
          pool->Submit([&, pool] {
            runs[2].Add();
            pool->Submit([&] { runs[3].Add(); });
          });
        });
        pool->Submit([&] { runs[4].Add(); });
      });
    }
    ExpectOneRunOfEach(runs);
  });
}

// Without blocking there is nothing for the monitor to do, and without the
// monitor nothing that exceeds the size.
TEST_P(PoolSimTest, NoMoreTasksAtOnceThanWorkers) {
  sim::Explore(Quiescent(), [&] {
    AtOnce running;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      for (int i = 0; i < 4; ++i) {
        pool->Submit([&] {
          running.Enter();
          running.Exit();
        });
      }
    }
    EXPECT_LE(running.peak(), GetParam().workers);
  });
}

// Whatever the schedule, a wake-up comes when there is something to do: nothing
// here waits for the monitor, nor for anything else that takes time.
TEST_P(PoolSimTest, TakesNoTimeWhereNobodyBlocks) {
  sim::Explore(Quiescent(), [&] {
    std::array<Runs, 4> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      Gate done(4);
      for (int round = 0; round < 2; ++round) {
        Gate first;
        pool->Submit([&, round, pool = pool.get()] {
          runs[static_cast<size_t>(2 * round)].Add();
          pool->Submit([&, round] {
            runs[static_cast<size_t>(2 * round + 1)].Add();
            done.Open();
          });
          done.Open();
          first.Open();
        });
        first.Pass();
      }
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

TEST_P(PoolSimTest, ThreadLocalObjectsOfTasksAreGoneWithThePool) {
  struct Local {
    ~Local() {
      if (runs != nullptr) runs->Add();
    }
    Runs* runs = nullptr;
  };
  sim::Explore(Racing(), [&] {
    std::array<Runs, 2> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&] {
        runs[0].Add();
        sync::ThreadLocal<Local, Local>::Get().runs = &runs[1];
      });
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST_P(PoolSimTest, ThreadLocalObjectsMaySubmitOnTheirWayOut) {
  struct Local {
    ~Local() {
      if (pool != nullptr) pool->Submit([runs = runs] { runs->Add(); });
    }
    WorkerPool* pool = nullptr;
    Runs* runs = nullptr;
  };
  sim::Explore(Racing(), [&] {
    std::array<Runs, 1> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&, pool = pool.get()] {
        Local& local = sync::ThreadLocal<Local, Local>::Get();
        local.pool = pool;
        local.runs = &runs[0];
      });
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST_P(PoolSimTest, AllSchedulesOfTwoTasks) {
  Prove(sim::Strategy::DepthFirst(), [&] {
    std::array<Runs, 2> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&] { runs[0].Add(); });
      pool->Submit([&] { runs[1].Add(); });
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

TEST_P(PoolSimTest, AllSchedulesOfATaskThatSubmits) {
  Prove(sim::Strategy::DepthFirst(), [&] {
    std::array<Runs, 2> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&, pool = pool.get()] {
        runs[0].Add();
        pool->Submit([&] { runs[1].Add(); });
      });
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

TEST(FixedPoolSimTest, OneThreadStartsTasksInTheOrderOfSubmit) {
  sim::Explore(Racing(), [] {
    sync::RaceChecked<std::vector<int>> order;
    {
      FixedPool pool(1);
      for (int i = 0; i < 4; ++i) {
        pool.Submit([&, i] { order.Write().push_back(i); });
      }
    }
    EXPECT_EQ(order.Read(), (std::vector<int>{0, 1, 2, 3}));
  });
}

TEST(FixedPoolSimTest, NeverHasMoreThreadsWhateverBlocks) {
  sim::Explore(Racing(), [] {
    AtOnce running;
    Gate gate;
    {
      FixedPool pool(2);
      for (int i = 0; i < 4; ++i) {
        pool.Submit([&] {
          running.Enter();
          PassAnnounced(gate);
          running.Exit();
        });
      }
      EXPECT_LE(pool.stats().threads, 2);
      gate.Open();
    }
    EXPECT_LE(running.peak(), 2);
  });
}

class ProgressSimTest : public PoolSimTest {};

INSTANTIATE_TEST_SUITE_P(
    Pools, ProgressSimTest,
    ::testing::Values(PoolCase{"Elastic1", 1, MakeElastic<1>},
                      PoolCase{"Elastic2", 2, MakeElastic<2>},
                      PoolCase{"ThreadPerTask", 99, MakeThreadPerTask}),
    PoolName);

// The destructor would make up for a wake-up that was lost.
enum class Destroys { kAtOnce, kWhenAllHaveRun };

// A later task opens what earlier ones wait for.
void BlockThree(std::unique_ptr<WorkerPool> pool, bool announced,
                Destroys destroys) {
  std::array<Runs, 4> runs;
  Gate latch;
  Gate done(4);
  for (size_t i = 0; i < 3; ++i) {
    pool->Submit([&, i] {
      announced ? PassAnnounced(latch) : latch.Pass();
      runs[i].Add();
      done.Open();
    });
  }
  pool->Submit([&] {
    latch.Open();
    runs[3].Add();
    done.Open();
  });
  if (destroys == Destroys::kWhenAllHaveRun) done.Pass();
  pool.reset();
  ExpectOneRunOfEach(runs);
}

TEST_P(ProgressSimTest, BlockedOnWhatALaterTaskOpens) {
  for (const bool announced : {true, false}) {
    for (const Destroys when : {Destroys::kAtOnce, Destroys::kWhenAllHaveRun}) {
      sim::Explore(Racing(), [&] { BlockThree(Make(), announced, when); });
    }
  }
}

TEST_P(ProgressSimTest, AnnouncedBlockingTakesNoTime) {
  for (const Destroys when : {Destroys::kAtOnce, Destroys::kWhenAllHaveRun}) {
    sim::Explore(Quiescent(), [&] {
      BlockThree(Make(), /*announced=*/true, when);
      EXPECT_EQ(SteadyTime::Now(), SteadyTime());
    });
  }
}

TEST_P(ProgressSimTest, TheMonitorFindsUnannouncedBlockingInMilliseconds) {
  for (const Destroys when : {Destroys::kAtOnce, Destroys::kWhenAllHaveRun}) {
    sim::Explore(Quiescent(), [&] {
      BlockThree(Make(), /*announced=*/false, when);
      EXPECT_LE(SteadyTime::Now() - SteadyTime(), 5 * kTick);
    });
  }
}

// One thread a look would take as many milliseconds as there are tasks.
TEST_P(ProgressSimTest, ManyUnannouncedBlockingTasksTakeNotManyLooks) {
  constexpr int kTasks = 20;
  sim::Options options = Quiescent();
  options.schedules = 500;
  sim::Explore(options, [&] {
    {
      Gate all(kTasks);
      const std::unique_ptr<WorkerPool> pool = Make();
      for (int i = 0; i < kTasks; ++i) {
        pool->Submit([&all] {
          all.Open();
          all.Pass();
        });
      }
    }
    EXPECT_LT(SteadyTime::Now() - SteadyTime(), kTasks / 2 * kTick);
  });
}

TEST_P(ProgressSimTest, WhatTheMonitorAllowsEndsWithTheNeed) {
  sim::Explore(Quiescent(), [&] {
    AtOnce running;
    Gate gate;
    const std::unique_ptr<WorkerPool> pool = Make();
    for (int i = 0; i < 3; ++i) pool->Submit([&gate] { gate.Pass(); });
    pool->Submit([&gate] { gate.Open(); });
    gate.Pass();
    sync::SleepFor(2 * kTick);  // until all are idle, the monitor too
    for (int i = 0; i < 3; ++i) {
      pool->Submit([&running] {
        running.Enter();
        sync::Yield();
        running.Exit();
      });
    }
    sync::SleepFor(kTick);
    EXPECT_LE(running.peak(), GetParam().workers);
  });
}

// Submits the next one and waits for it.
void Descend(WorkerPool& pool, bool announced, std::array<Runs, 3>& runs,
             size_t depth) {
  if (depth + 1 < runs.size()) {
    Gate inner;
    pool.Submit([&] {
      Descend(pool, announced, runs, depth + 1);
      inner.Open();
    });
    announced ? PassAnnounced(inner) : inner.Pass();
  }
  runs[depth].Add();
}

TEST_P(ProgressSimTest, EachTaskWaitsForOneThatItSubmits) {
  for (const bool announced : {true, false}) {
    sim::Explore(Racing(), [&] {
      std::array<Runs, 3> runs;
      {
        Gate done;
        const std::unique_ptr<WorkerPool> pool = Make();
        pool->Submit([&, pool = pool.get()] {
          Descend(*pool, announced, runs, 0);
          done.Open();
        });
        done.Pass();
      }
      ExpectOneRunOfEach(runs);
    });
  }
}

// A thread that was started in place of one that blocks comes when that one is
// back, and so goes to sleep. The queued task must not be forgotten over it.
TEST_P(ProgressSimTest, ATaskWhoseThreadCameTooLateStartsAllTheSame) {
  sim::Explore(Racing(), [&] {
    std::array<Runs, 2> runs;
    {
      Gate gate;
      Gate done(2);
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&, pool = pool.get()] {
        {
          BlockingScope blocking;
          pool->Submit([&] {
            gate.Open();
            runs[0].Add();
            done.Open();
          });
        }
        gate.Pass();
        runs[1].Add();
        done.Open();
      });
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
  });
}

// Long enough for the monitor to lose patience with them, where time races.
TEST_P(ProgressSimTest, TasksThatComputeForLong) {
  sim::Explore(Racing(), [&] {
    std::array<Runs, 3> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      for (Runs& task : runs) {
        pool->Submit([&] {
          for (int i = 0; i < 30; ++i) sync::Yield();
          task.Add();
        });
      }
    }
    ExpectOneRunOfEach(runs);
  });
}

// The end of an inner scope takes nothing back.
TEST_P(ProgressSimTest, OnlyTheOutermostScopeCounts) {
  sim::Explore(Quiescent(), [&] {
    std::array<Runs, 2> runs;
    Gate latch;
    Gate done(2);
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&, pool = pool.get()] {
        {
          BlockingScope outer;
          {
            BlockingScope inner;
          }
          EXPECT_EQ(pool->stats().blocked, 1);
          latch.Pass();
        }
        EXPECT_EQ(pool->stats().blocked, 0);
        runs[0].Add();
        done.Open();
      });
      pool->Submit([&] {
        latch.Open();
        runs[1].Add();
        done.Open();
      });
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

TEST_P(ProgressSimTest, AllSchedulesOfAnAnnouncedWaitForALaterTask) {
  Prove(sim::Strategy::DepthFirst(), [&] {
    std::array<Runs, 2> runs;
    {
      const std::unique_ptr<WorkerPool> pool = Make();
      pool->Submit([&, pool = pool.get()] {
        Gate latch;
        pool->Submit([&] {
          runs[0].Add();
          latch.Open();
        });
        PassAnnounced(latch);
        runs[1].Add();
      });
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

// Whoever has been replaced, and is back before the replacement has begun, is
// the one that goes on.
TEST(ElasticPoolSimTest, AThreadThatComesTooLateWaitsForItsTurn) {
  sim::Explore(Quiescent(), [] {
    sync::Atomic<bool> began = false;
    Gate done(2);
    ElasticPool pool({.workers = 1});
    pool.Submit([&] {
      {
        BlockingScope blocking;
        pool.Submit([&] {
          began = true;
          done.Open();
        });
      }
      const bool back_first = pool.stats().queued == 1;
      sync::Yield();
      if (back_first) {
        EXPECT_FALSE(began);
      }
      done.Open();
    });
    done.Pass();
  });
}

ElasticPool::Options OneWorkerForATick() {
  return {.workers = 1, .keep_alive = kTick};
}

// The thread's time is up while a task is sent to it, or is submitted to it on
// its way out.
TEST(RetirementSimTest, NoTaskIsLost) {
  for (const sim::Time time : {sim::Time::kRacing, sim::Time::kQuiescent}) {
    sim::Explore({.schedules = kSchedules, .time = time}, [] {
      std::array<Runs, 3> runs;
      {
        ElasticPool pool(OneWorkerForATick());
        pool.Submit([&] { runs[0].Add(); });
        for (size_t i = 1; i < 3; ++i) {
          sync::SleepFor(kTick);
          Gate done;
          pool.Submit([&, i] {
            runs[i].Add();
            done.Open();
          });
          done.Pass();
        }
      }
      ExpectOneRunOfEach(runs);
    });
  }
}

TEST(RetirementSimTest, ATaskThatMeetsALeavingThreadTakesNoTime) {
  sim::Explore(Quiescent(), [] {
    Runs runs;
    ElasticPool pool(OneWorkerForATick());
    pool.Submit([] {});
    sync::SleepFor(kTick);
    const SteadyTime submitted = SteadyTime::Now();
    Gate done;
    pool.Submit([&] {
      runs.Add();
      done.Open();
    });
    done.Pass();
    EXPECT_EQ(SteadyTime::Now(), submitted);
    EXPECT_EQ(runs.count(), 1);
  });
}

TEST(RetirementSimTest, AsThePoolIsDestroyed) {
  for (const sim::Time time : {sim::Time::kRacing, sim::Time::kQuiescent}) {
    sim::Explore({.schedules = kSchedules, .time = time}, [] {
      std::array<Runs, 2> runs;
      {
        ElasticPool pool({.workers = 2, .keep_alive = kTick});
        pool.Submit([&] { runs[0].Add(); });
        pool.Submit([&] { runs[1].Add(); });
        sync::SleepFor(kTick);
      }
      ExpectOneRunOfEach(runs);
    });
  }
}

TEST(RetirementSimTest, AtOnce) {
  sim::Explore(Racing(), [] {
    std::array<Runs, 3> runs;
    {
      ElasticPool pool({.workers = 1, .keep_alive = absl::ZeroDuration()});
      pool.Submit([&] { runs[0].Add(); });
      pool.Submit([&] {
        runs[1].Add();
        BlockingScope blocking;
        pool.Submit([&] { runs[2].Add(); });
      });
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST(RetirementSimTest, AllSchedulesOfATaskThatMeetsALeavingThread) {
  Prove(sim::Strategy::PreemptionBounded(2), [] {
    std::array<Runs, 2> runs;
    {
      ElasticPool pool(OneWorkerForATick());
      pool.Submit([&] { runs[0].Add(); });
      sync::SleepFor(kTick);
      pool.Submit([&] { runs[1].Add(); });
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST(RetirementSimTest, AllSchedulesOfADestructorThatMeetsALeavingThread) {
  Prove(sim::Strategy::DepthFirst(), [] {
    std::array<Runs, 1> runs;
    {
      ElasticPool pool(OneWorkerForATick());
      pool.Submit([&] { runs[0].Add(); });
      sync::SleepFor(kTick);
    }
    ExpectOneRunOfEach(runs);
  });
}

// It has been woken for a queued task, and is told to end at whatever point of
// its tick.
TEST(MonitorSimTest, AsThePoolIsDestroyed) {
  for (const sim::Time time : {sim::Time::kRacing, sim::Time::kQuiescent}) {
    sim::Explore({.schedules = kSchedules, .time = time}, [] {
      std::array<Runs, 3> runs;
      Gate latch;
      {
        ElasticPool pool(OneWorkerForATick());
        pool.Submit([&] {
          runs[0].Add();
          latch.Pass();
        });
        pool.Submit([&] { runs[1].Add(); });
        pool.Submit([&] { runs[2].Add(); });
        sync::SleepFor(kTick);
        latch.Open();
      }
      ExpectOneRunOfEach(runs);
    });
  }
}

// Woken a second time, after it has gone to sleep or on its way there.
TEST(MonitorSimTest, LooksAgainAtEachQueueThatIsStuck) {
  sim::Explore(Racing(), [] {
    std::array<Runs, 4> runs;
    {
      ElasticPool pool(OneWorkerForATick());
      for (size_t round = 0; round < 2; ++round) {
        Gate latch;
        Gate done(2);
        pool.Submit([&, round] {
          runs[2 * round].Add();
          latch.Pass();
          done.Open();
        });
        pool.Submit([&, round] {
          runs[2 * round + 1].Add();
          latch.Open();
          done.Open();
        });
        done.Pass();
      }
    }
    ExpectOneRunOfEach(runs);
  });
}

class RefusalSimTest : public PoolSimTest {
 protected:
  // A pool says once that it gets no thread: here, once for each schedule.
  void SetUp() override {
    absl::SetMinLogLevel(absl::LogSeverityAtLeast::kError);
  }
  void TearDown() override { absl::SetMinLogLevel(before_); }

 private:
  const absl::LogSeverityAtLeast before_ = absl::MinLogLevel();
};

INSTANTIATE_TEST_SUITE_P(Pools, RefusalSimTest, ::testing::ValuesIn(kAllPools),
                         PoolName);

// Some of the threads that a pool asks for, or all of them.
TEST_P(RefusalSimTest, NoTaskIsLost) {
  for (const int refused : {1, 2, 100}) {
    sim::Options options = Racing();
    options.refused_starts = refused;
    sim::Explore(options, [&] {
      std::array<Runs, 4> runs;
      {
        const std::unique_ptr<WorkerPool> pool = Make();
        pool->Submit([&] {
          runs[0].Add();
          pool->Submit([&] { runs[1].Add(); });
        });
        pool->Submit([&] {
          EXPECT_EQ(Executor::Current(), pool.get());
          runs[2].Add();
          BlockingScope blocking;
        });
        pool->Submit([&] { runs[3].Add(); });
      }
      ExpectOneRunOfEach(runs);
    });
  }
}

class QuietSimTest : public ::testing::Test {
 protected:
  // What a pool says once, it says once for each schedule here.
  void SetUp() override {
    absl::SetMinLogLevel(absl::LogSeverityAtLeast::kError);
  }
  void TearDown() override { absl::SetMinLogLevel(before_); }

 private:
  const absl::LogSeverityAtLeast before_ = absl::MinLogLevel();
};

class OneThreadSimTest : public QuietSimTest {};

// Whoever destroys the pool may have to run them.
TEST_F(OneThreadSimTest, ATasksFunctorIsGoneBeforeTheNextTask) {
  sim::Options options = Racing();
  options.refused_starts = 100;
  sim::Explore(options, [] {
    sync::Atomic<bool> gone = false;
    FixedPool pool(1);
    pool.Submit([end = std::shared_ptr<void>(
                     nullptr, [&gone](void*) { gone = true; })] {});
    pool.Submit([&gone] { EXPECT_TRUE(gone); });
  });
}

class CapSimTest : public QuietSimTest {};

// The monitor ticks for as long as it is at the cap, whoever else could run: in
// a race with that clock a strategy of priorities would never come to an end.
TEST_F(CapSimTest, NoMoreThreadsThanTheCap) {
  const sim::Options racing = {.strategy = sim::Strategy::RandomWalk()};
  for (const bool announced : {true, false}) {
    for (const sim::Options& options : {Quiescent(), racing}) {
      sim::Explore(options, [&] {
        std::array<Runs, 5> runs;
        AtOnce running;
        Gate latch;
        {
          ElasticPool pool(
              {.workers = 1, .max_threads = 2, .keep_alive = kTick});
          for (Runs& task : runs) {
            pool.Submit([&] {
              running.Enter();
              task.Add();
              announced ? PassAnnounced(latch) : latch.Pass();
              EXPECT_LE(pool.stats().threads, 2);
              running.Exit();
            });
          }
          EXPECT_LE(pool.stats().threads, 2);
          latch.Open();
        }
        EXPECT_LE(running.peak(), 2);
        ExpectOneRunOfEach(runs);
      });
    }
  }
}

// What the inner pool's task waits for needs the thread on which the inner
// pool's destructor waits.
TEST(NestedPoolSimTest, TheDestructorAnnouncesThatItWaits) {
  sim::Explore(Quiescent(), [] {
    std::array<Runs, 3> runs;
    Gate latch;
    {
      ElasticPool outer({.workers = 1, .keep_alive = absl::InfiniteDuration()});
      outer.Submit([&] {
        {
          FixedPool inner(1);
          inner.Submit([&] {
            latch.Pass();
            runs[0].Add();
          });
        }
        EXPECT_EQ(outer.stats().blocked, 0);
        EXPECT_EQ(Executor::Current(), &outer);
        runs[1].Add();
      });
      outer.Submit([&] {
        latch.Open();
        runs[2].Add();
      });
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), SteadyTime());
  });
}

TEST(NestedPoolSimTest, ElasticInElastic) {
  sim::Explore(Racing(), [] {
    std::array<Runs, 3> runs;
    {
      ElasticPool outer(OneWorkerForATick());
      outer.Submit([&] {
        ElasticPool inner(OneWorkerForATick());
        inner.Submit([&] {
          outer.Submit([&] { runs[0].Add(); });
          runs[1].Add();
        });
        inner.Submit([&] { runs[2].Add(); });
      });
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST(DefaultExecutorSimTest, IsOneForAllThreads) {
  sim::Explore(Racing(), [] {
    std::array<Runs, 2> runs;
    Gate done(2);
    {
      JoiningThread other([&] {
        DefaultExecutor().Submit([&] {
          runs[0].Add();
          done.Open();
        });
      });
      DefaultExecutor().Submit([&] {
        runs[1].Add();
        done.Open();
      });
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
  });
}

// Urgent tasks are ahead of those that wait for a thread, in their own order.
TEST(UrgentSimTest, GoesAheadOfQueuedTasks) {
  sim::Explore(Racing(), [] {
    sync::RaceChecked<std::vector<int>> order;
    const auto note = [&order](int name) {
      return [&order, name] { order.Write().push_back(name); };
    };
    Gate begun;
    Gate go_on;
    {
      FixedPool pool(1);
      pool.Submit([&] {
        begun.Open();
        go_on.Pass();
      });
      begun.Pass();
      pool.Submit(note(3));
      pool.SubmitUrgent(note(1));
      pool.Submit(note(4));
      pool.SubmitUrgent(note(2));
      EXPECT_EQ(pool.stats().queued, 4);
      go_on.Open();
    }
    EXPECT_EQ(order.Read(), (std::vector<int>{1, 2, 3, 4}));
  });
}

// Each of them submits the next one, and a task waits: it has its turn.
TEST(UrgentSimTest, StarvesNoTask) {
  sim::Explore(Racing(), [] {
    sync::Atomic<bool> ran = false;
    struct Again {
      void operator()() const {
        if (!*ran) pool->SubmitUrgent(*this);
      }
      Executor* pool;
      sync::Atomic<bool>* ran;
    };
    Gate prepared;
    FixedPool pool(1);
    pool.Submit([&prepared] { prepared.Pass(); });
    pool.Submit([&ran] { ran = true; });
    pool.SubmitUrgent(Again{&pool, &ran});
    prepared.Open();
  });
}

// Before the first of them are as many urgent ones as between any two.
TEST(UrgentSimTest, TheOthersHaveTheirTurnOneByOne) {
  sim::Options options = Racing();
  options.schedules = 100;
  sim::Explore(options, [] {
    constexpr int kOthers = 3;
    sync::RaceChecked<std::vector<int>> ahead;
    {
      Gate begun;
      Gate submitted;
      sync::RaceChecked<int> urgent;
      FixedPool pool(1);
      pool.Submit([&] {
        begun.Open();
        submitted.Pass();
      });
      begun.Pass();
      for (int i = 0; i < kOthers; ++i) {
        pool.Submit([&] {
          ahead.Write().push_back(urgent.Read());
          urgent.Write() = 0;
        });
      }
      for (int i = 0; i < 100; ++i) {
        pool.SubmitUrgent([&urgent] { ++urgent.Write(); });
      }
      submitted.Open();
    }
    ASSERT_EQ(ahead.Read().size(), size_t{kOthers});
    EXPECT_GT(ahead.Read().front(), 0);
    for (const int each : ahead.Read()) EXPECT_EQ(each, ahead.Read().front());
  });
}

// A pool that grows has a thread for it though all compute.
TEST(UrgentSimTest, DoesNotWaitForATaskThatComputes) {
  sim::Explore(Quiescent(), [] {
    Gate begun;
    Gate done;
    sync::Atomic<bool> urgent_ran = false;
    ElasticPool pool({.workers = 1});
    pool.Submit([&] {
      begun.Open();
      while (!urgent_ran) sync::Yield();
    });
    begun.Pass();
    const SteadyTime start = SteadyTime::Now();
    pool.SubmitUrgent([&] {
      EXPECT_EQ(SteadyTime::Now(), start);
      urgent_ran = true;
      done.Open();
    });
    done.Pass();
  });
}

// An executor that knows no urgent tasks runs them as any.
TEST(UrgentSimTest, IsASubmitByDefault) {
  sim::Explore(Racing(), [] {
    class Plain final : public Executor {
     public:
      void Submit(Task task) override { std::move(task)(); }
    } executor;
    bool ran = false;
    executor.SubmitUrgent([&ran] { ran = true; });
    EXPECT_TRUE(ran);
  });
}

class Timer final : public TimerQueue::Timer {
 public:
  explicit Timer(absl::AnyInvocable<void()> on_due)
      : on_due_(std::move(on_due)) {}

 private:
  void OnDue() override { on_due_(); }

  absl::AnyInvocable<void()> on_due_;
};

SteadyTime After(int ticks) { return SteadyTime::Now() + ticks * kTick; }

TEST(TimerQueueSimTest, GoesAheadOfQueuedTasks) {
  sim::Explore(Quiescent(), [] {
    sync::RaceChecked<std::vector<int>> order;
    Gate begun;
    Gate done(2);
    FixedPool pool(1);
    TimerQueue queue(pool);
    const auto note = [&](int name) {
      return [&, name] {
        order.Write().push_back(name);
        done.Open();
      };
    };
    pool.Submit([&begun] {
      begun.Open();
      sync::SleepFor(2 * kTick);
    });
    begun.Pass();
    pool.Submit(note(2));
    Timer timer(note(1));
    queue.Arm(timer, After(1));
    done.Pass();
    EXPECT_EQ(order.Read(), (std::vector<int>{1, 2}));
  });
}

// The time stands still while timers are armed, so that it is known what there
// is to be ordered, and exactly when.
TEST(TimerQueueSimTest, RunsInTheOrderOfDueTimesAndThenOfArm) {
  sim::Explore(Quiescent(), [] {
    sync::RaceChecked<std::vector<int>> order;
    Gate done(4);
    FixedPool pool(1);
    TimerQueue queue(pool);
    const SteadyTime soon = After(1);
    const SteadyTime just_after = soon + absl::Nanoseconds(1);
    const auto timer = [&](int name, SteadyTime due) {
      return [&, name, due] {
        EXPECT_EQ(SteadyTime::Now(), due);
        order.Write().push_back(name);
        done.Open();
      };
    };
    Timer first(timer(1, soon));
    Timer second(timer(2, just_after));
    Timer third(timer(3, just_after));
    Timer fourth(timer(4, After(2)));
    queue.Arm(second, just_after);
    queue.Arm(fourth, After(2));
    queue.Arm(third, just_after);
    queue.Arm(first, soon);
    done.Pass();
    EXPECT_EQ(order.Read(), (std::vector<int>{1, 2, 3, 4}));
  });
}

// Armed, taken back and armed again at random; the time stands still meanwhile.
TEST(TimerQueueSimTest, WhatIsLeftOfManyComesInOrder) {
  constexpr size_t kCount = 60;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    sim::Options options = Quiescent();
    options.schedules = 10;
    sim::Explore(options, [seed] {
      std::mt19937 random(seed);
      sync::RaceChecked<std::vector<size_t>> order;
      std::vector<std::unique_ptr<Timer>> timers;
      std::vector<SteadyTime> due(kCount);
      std::vector<bool> armed(kCount, false);
      const SteadyTime start = After(1);
      FixedPool pool(1);
      TimerQueue queue(pool);
      for (size_t i = 0; i < kCount; ++i) {
        timers.push_back(std::make_unique<Timer>(
            [&order, i] { order.Write().push_back(i); }));
      }
      const auto arm = [&](size_t i) {
        due[i] = start + absl::Nanoseconds(static_cast<int>(random() % 20));
        queue.Arm(*timers[i], due[i]);
        armed[i] = true;
      };
      for (size_t i = 0; i < kCount; ++i) arm(i);
      for (int round = 0; round < 300; ++round) {
        const size_t i = random() % kCount;
        EXPECT_EQ(queue.Disarm(*timers[i]), armed[i]);
        armed[i] = false;
        if (random() % 3 != 0) arm(i);
      }
      const auto left = static_cast<size_t>(absl::c_count(armed, true));
      Gate done;
      Timer last([&done] { done.Open(); });
      queue.Arm(last, After(2));
      done.Pass();
      const std::vector<size_t>& ran = order.Read();
      ASSERT_EQ(ran.size(), left);
      for (size_t i = 1; i < ran.size(); ++i) {
        EXPECT_LE(due[ran[i - 1]], due[ran[i]]);
      }
    });
  }
}

TEST(TimerQueueSimTest, EqualTimesAreInTheOrderOfArmThoughTimeRaces) {
  sim::Explore(Racing(), [] {
    sync::RaceChecked<std::vector<int>> order;
    Gate done(3);
    FixedPool pool(1);
    TimerQueue queue(pool);
    const SteadyTime due = After(1);
    const auto timer = [&](int name) {
      return [&, name] {
        EXPECT_GE(SteadyTime::Now(), due);
        order.Write().push_back(name);
        done.Open();
      };
    };
    Timer first(timer(1));
    Timer second(timer(2));
    Timer third(timer(3));
    queue.Arm(first, due);
    queue.Arm(second, due);
    queue.Arm(third, due);
    done.Pass();
    EXPECT_EQ(order.Read(), (std::vector<int>{1, 2, 3}));
  });
}

TEST(TimerQueueSimTest, WhatHappenedBeforeArmIsVisible) {
  sim::Explore(Racing(), [] {
    sync::RaceChecked<int> value;
    Gate done;
    ElasticPool pool(OneWorkerForATick());
    TimerQueue queue(pool);
    Timer timer([&] {
      ++value.Write();
      done.Open();
    });
    value.Write() = 1;
    queue.Arm(timer, After(1));
    done.Pass();
    EXPECT_EQ(value.Read(), 2);
  });
}

TEST(TimerQueueSimTest, ATimeThatHasPassedIsAtOnce) {
  sim::Explore(Quiescent(), [] {
    sync::SleepFor(kTick);
    const SteadyTime now = SteadyTime::Now();
    std::array<Runs, 2> runs;
    {
      Gate done(2);
      FixedPool pool(1);
      TimerQueue queue(pool);
      Timer past([&] {
        runs[0].Add();
        done.Open();
      });
      Timer present([&] {
        runs[1].Add();
        done.Open();
      });
      queue.Arm(past, SteadyTime());
      queue.Arm(present, now);
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
    EXPECT_EQ(SteadyTime::Now(), now);
  });
}

// It is taken back just when it is due, by one thread or by two: it runs, or
// one of these has it.
void DisarmAsItFires(bool second_thread) {
  Runs runs;
  sync::Atomic<int> disarmed = 0;
  Timer timer([&] { runs.Add(); });
  {
    FixedPool pool(1);
    TimerQueue queue(pool);
    queue.Arm(timer, After(1));
    const auto disarm = [&] {
      sync::SleepFor(kTick);
      if (queue.Disarm(timer)) ++disarmed;
    };
    std::optional<JoiningThread> other;
    if (second_thread) other.emplace(disarm);
    disarm();
  }
  EXPECT_EQ(runs.count() + disarmed, 1);
}

TEST(TimerQueueSimTest, EitherRunsOrIsDisarmed) {
  for (const sim::Time time : {sim::Time::kRacing, sim::Time::kQuiescent}) {
    sim::Explore({.schedules = kSchedules, .time = time},
                 [] { DisarmAsItFires(/*second_thread=*/true); });
  }
}

TEST(TimerQueueSimTest, EitherRunsOrIsDisarmedThoughAnotherIsDueToo) {
  sim::Explore(Racing(), [] {
    sync::Atomic<bool> ran = false;
    Gate both(2);
    Timer first([&both] { both.Open(); });
    Timer second([&] {
      ran = true;
      both.Open();
    });
    FixedPool pool(1);
    TimerQueue queue(pool);
    const SteadyTime soon = After(1);
    queue.Arm(first, soon);
    queue.Arm(second, soon);
    sync::SleepFor(kTick);
    const bool disarmed = queue.Disarm(second);
    if (disarmed) both.Open();
    both.Pass();
    EXPECT_NE(ran, disarmed);
  });
}

TEST(TimerQueueSimTest, NoLockIsHeldWhereTheExecutorIsCalled) {
  class Curious final : public Executor {
   public:
    void LookAt(TimerQueue* queue, Timer* timer) {
      queue_ = queue;
      timer_ = timer;
    }
    void Submit(Task task) override {
      queue_->Disarm(*timer_);  // a lock that is held would be taken again
      pool_.Submit(std::move(task));
    }

   private:
    TimerQueue* queue_ = nullptr;
    Timer* timer_ = nullptr;
    FixedPool pool_{1};
  };
  sim::Explore({.schedules = 500}, [] {
    Gate done;
    Timer timer([&done] { done.Open(); });
    // A pointer: g++ 12 takes the place of an empty lambda for uninitialized.
    Timer never(+[] { FAIL() << "not armed"; });
    Curious executor;
    TimerQueue queue(executor);
    executor.LookAt(&queue, &never);
    queue.Arm(timer, After(1));
    done.Pass();
  });
}

TEST(TimerQueueSimTest, AllSchedulesOfDisarmAgainstFiring) {
  Prove(sim::Strategy::DepthFirst(),
        [] { DisarmAsItFires(/*second_thread=*/false); });
}

// The queue's thread is about to wait for the later one, or waits.
TEST(TimerQueueSimTest, AnEarlierTimerIsNotOverslept) {
  sim::Explore(Quiescent(), [] {
    Gate done;
    FixedPool pool(1);
    TimerQueue queue(pool);
    Timer late([] { FAIL() << "an hour has passed"; });
    Timer early([&] {
      EXPECT_EQ(SteadyTime::Now(), SteadyTime() + kTick);
      done.Open();
    });
    JoiningThread other([&] { queue.Arm(early, SteadyTime() + kTick); });
    queue.Arm(late, SteadyTime() + absl::Hours(1));
    done.Pass();
    EXPECT_TRUE(queue.Disarm(late));
  });
}

TEST(TimerQueueSimTest, AllSchedulesOfAnEarlierTimer) {
  Prove(sim::Strategy::PreemptionBounded(2), [] {
    Gate done;
    FixedPool pool(1);
    TimerQueue queue(pool);
    Timer late([] { FAIL() << "an hour has passed"; });
    Timer early([&] { done.Open(); });
    queue.Arm(late, SteadyTime() + absl::Hours(1));
    queue.Arm(early, SteadyTime() + kTick);
    done.Pass();
    EXPECT_TRUE(queue.Disarm(late));
  });
}

// What the thread waits for is taken away, and something later comes.
TEST(TimerQueueSimTest, RunsAfterTheEarliestWasDisarmed) {
  sim::Explore(Quiescent(), [] {
    Gate done;
    FixedPool pool(1);
    TimerQueue queue(pool);
    Timer first([] { FAIL() << "disarmed"; });
    Timer second([&] {
      EXPECT_EQ(SteadyTime::Now(), SteadyTime() + 2 * kTick);
      done.Open();
    });
    queue.Arm(first, After(1));
    EXPECT_TRUE(queue.Disarm(first));
    queue.Arm(second, After(2));
    done.Pass();
  });
}

TEST(TimerQueueSimTest, MayBeArmedAgainWhenItRuns) {
  for (const sim::Time time : {sim::Time::kRacing, sim::Time::kQuiescent}) {
    sim::Explore({.schedules = kSchedules, .time = time}, [&] {
      sync::RaceChecked<int> runs;
      Gate done;
      ElasticPool pool(OneWorkerForATick());
      TimerQueue queue(pool);
      SteadyTime due = After(1);
      Timer timer([&] {
        EXPECT_GE(SteadyTime::Now(), due);
        if (time == sim::Time::kQuiescent) {
          EXPECT_EQ(SteadyTime::Now(), due);
        }
        if (++runs.Write() == 3) {
          done.Open();
        } else {
          due = due + kTick;
          queue.Arm(timer, due);
        }
      });
      queue.Arm(timer, due);
      done.Pass();
      EXPECT_EQ(runs.Read(), 3);
      EXPECT_FALSE(queue.Disarm(timer));
    });
  }
}

TEST(TimerQueueSimTest, CallbacksArmEachOther) {
  sim::Explore(Racing(), [] {
    std::array<Runs, 2> runs;
    Gate done(2);
    {
      ElasticPool pool({.workers = 2});
      TimerQueue queue(pool);
      Timer later([&] {
        runs[0].Add();
        done.Open();
      });
      Timer soon([&] {
        queue.Arm(later, SteadyTime::Now());
        runs[1].Add();
        done.Open();
      });
      queue.Arm(soon, After(1));
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST(TimerQueueSimTest, MayEndWhenItRuns) {
  sim::Explore(Racing(), [] {
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
    Gate done;
    ElasticPool pool(OneWorkerForATick());
    TimerQueue queue(pool);
    queue.Arm(*new OneShot(done), After(1));
    done.Pass();
  });
}

// A callback sleeps, and one on the same thread of the queue is not delayed.
TEST(TimerQueueSimTest, ASlowOneDelaysNoOther) {
  sim::Explore(Quiescent(), [] {
    Gate done(2);
    FixedPool pool(2);
    TimerQueue queue(pool);
    Timer slow([&] {
      sync::SleepFor(5 * kTick);
      done.Open();
    });
    Timer other([&] {
      EXPECT_EQ(SteadyTime::Now(), SteadyTime() + 2 * kTick);
      done.Open();
    });
    queue.Arm(slow, After(1));
    queue.Arm(other, After(2));
    done.Pass();
  });
}

TEST(TimerQueueSimTest, RunsWhereTheWorkersWaitForIt) {
  for (const bool announced : {true, false}) {
    sim::Explore(Racing(), [&] {
      std::array<Runs, 2> runs;
      {
        Gate done(2);
        Gate latch;
        ElasticPool pool(OneWorkerForATick());
        TimerQueue queue(pool);
        Timer timer([&] {
          runs[0].Add();
          latch.Open();
          done.Open();
        });
        pool.Submit([&] {
          queue.Arm(timer, After(1));
          announced ? PassAnnounced(latch) : latch.Pass();
          runs[1].Add();
          done.Open();
        });
        done.Pass();
      }
      ExpectOneRunOfEach(runs);
    });
  }
}

// The thread starts, goes to wait, or waits.
TEST(TimerQueueSimTest, IsDestroyedWithNothingArmed) {
  sim::Explore(Racing(), [] {
    FixedPool pool(1);
    TimerQueue queue(pool);
    Timer timer([] { FAIL() << "disarmed"; });
    queue.Arm(timer, SteadyTime::InfiniteFuture());
    EXPECT_TRUE(queue.Disarm(timer));
  });
}

TEST(TimerQueueSimTest, AllSchedulesOfItsDestruction) {
  Prove(sim::Strategy::DepthFirst(), [] {
    FixedPool pool(1);
    TimerQueue queue(pool);
    Timer timer([] { FAIL() << "disarmed"; });
    queue.Arm(timer, SteadyTime() + kTick);
    EXPECT_TRUE(queue.Disarm(timer));
  });
}

TEST(TimerQueueSimTest, IsDestroyedByTheLastOfItsTimers) {
  sim::Explore(Racing(), [] {
    std::array<Runs, 2> runs;
    {
      ElasticPool pool(OneWorkerForATick());
      auto queue = std::make_unique<TimerQueue>(pool);
      Gate others;
      Gate done;
      Timer first([&] {
        runs[0].Add();
        others.Open();
      });
      Timer last([&] {
        PassAnnounced(others);
        queue.reset();
        runs[1].Add();
        done.Open();
      });
      queue->Arm(first, After(1));
      queue->Arm(last, After(1));
      done.Pass();
    }
    ExpectOneRunOfEach(runs);
  });
}

TEST(TimerQueueSimTest, TheProcesssQueueRunsOnTheDefaultExecutor) {
  sim::Explore(Racing(), [] {
    Gate done(2);
    Timer timer([&] {
      EXPECT_EQ(Executor::Current(), &DefaultExecutor());
      done.Open();
    });
    Timer others_timer([&] { done.Open(); });
    JoiningThread other(
        [&] { TimerQueue::Default().Arm(others_timer, SteadyTime::Now()); });
    TimerQueue::Default().Arm(timer, After(1));
    done.Pass();
  });
}

}  // namespace
}  // namespace cohort
