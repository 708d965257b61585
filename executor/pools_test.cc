#include "cohort/executor/pools.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/test_util.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

#ifdef __linux__
#include <dirent.h>
#endif

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using testing::Await;
using testing::Countdown;
using testing::Gate;
using testing::JoiningThread;
using testing::PoolCase;
using testing::Scaled;

// What every pool promises.

class PoolTest : public ::testing::TestWithParam<PoolCase> {
 protected:
  std::shared_ptr<WorkerPool> Make() const { return GetParam().make(); }
};

INSTANTIATE_TEST_SUITE_P(Pools, PoolTest,
                         ::testing::ValuesIn(testing::PoolsOfOnesOwn()),
                         testing::PoolName);

TEST_P(PoolTest, RunsEachTaskOfManyThreadsOnce) {
  constexpr int kSubmitters = 8;
  const bool thread_each = GetParam().name == "ThreadPerTask";
  const int each = Scaled(thread_each ? 1'250 : 12'500);
  std::vector<std::atomic<int>> runs(static_cast<size_t>(kSubmitters * each));
  {
    const std::shared_ptr<WorkerPool> pool = Make();
    std::vector<std::unique_ptr<JoiningThread>> submitters;
    for (int i = 0; i < kSubmitters; ++i) {
      submitters.push_back(std::make_unique<JoiningThread>([&, i] {
        for (int j = 0; j < each; ++j) {
          const auto index = static_cast<size_t>(i * each + j);
          pool->Submit([&runs, index] { ++runs[index]; });
        }
      }));
    }
    submitters.clear();
  }
  for (size_t i = 0; i < runs.size(); ++i) ASSERT_EQ(runs[i], 1) << i;
}

TEST_P(PoolTest, DestructorRunsEveryTask) {
  const int count = Scaled(1'000);
  std::atomic<int> ran = 0;
  {
    const std::shared_ptr<WorkerPool> pool = Make();
    for (int i = 0; i < count; ++i) pool->Submit([&] { ++ran; });
  }
  EXPECT_EQ(ran, count);
}

TEST_P(PoolTest, DestructorRunsWhatTasksSubmitMeanwhile) {
  const int length = Scaled(1'000);
  std::atomic<int> ran = 0;
  Gate destroying;
  // Each task submits the next one, and is a full citizen all the while.
  std::function<void()> next = [&] {
    Executor* const executor = Executor::Current();
    BlockingScope blocking;
    if (++ran < length) executor->Submit([&] { next(); });
  };
  {
    const std::shared_ptr<WorkerPool> pool = Make();
    pool->Submit([&] {
      destroying.Pass();
      next();
    });
    destroying.Open();
  }
  EXPECT_EQ(ran, length);
}

TEST_P(PoolTest, SubmitNeverRunsTheTaskItself) {
  const std::shared_ptr<WorkerPool> pool = Make();
  // Held by whoever submits, and wanted by the task.
  std::mutex mutex;
  Countdown done(2);
  auto want = [&] {
    {
      std::lock_guard<std::mutex> lock(mutex);
    }
    done.Done();
  };
  pool->Submit([&] {
    std::lock_guard<std::mutex> lock(mutex);
    pool->Submit(want);
  });
  {
    std::lock_guard<std::mutex> lock(mutex);
    pool->Submit(want);
  }
  done.Wait();
}

TEST_P(PoolTest, CurrentIsTheExecutorOfTheRunningTask) {
  EXPECT_EQ(Executor::Current(), nullptr);
  const std::shared_ptr<WorkerPool> pool = Make();
  Countdown done(1);
  pool->Submit([&, pool = pool.get()] {
    EXPECT_EQ(Executor::Current(), pool);
    done.Done();
  });
  done.Wait();
  EXPECT_EQ(Executor::Current(), nullptr);
}

TEST_P(PoolTest, WhatATaskOwnsIsGoneWithIt) {
  const auto token = std::make_shared<int>(7);
  const std::shared_ptr<WorkerPool> pool = Make();
  // Move-only, and too large for any small buffer.
  pool->Submit([owned = std::make_unique<std::shared_ptr<int>>(token),
                padding = std::array<char, 500>()] {
    EXPECT_EQ(**owned, 7 + padding[0]);
  });
  Await([&] { return token.use_count() == 1; });
}

TEST_P(PoolTest, ThreadLocalObjectsOfTasksAreGoneWithThePool) {
  static std::atomic<int> alive;
  alive = 0;
  struct Local {
    Local() { ++alive; }
    ~Local() {
      // Makes it likely that a destructor that does not wait is caught.
      sync::SleepFor(absl::Milliseconds(10));
      --alive;
    }
  };
  {
    const std::shared_ptr<WorkerPool> pool = Make();
    Countdown done(8);
    for (int i = 0; i < 8; ++i) {
      pool->Submit([&] {
        static thread_local Local local;
        static_cast<void>(local);
        done.Done();
      });
    }
    done.Wait();
  }
  EXPECT_EQ(alive, 0);
}

TEST_P(PoolTest, ThreadLocalObjectsMaySubmitOnTheirWayOut) {
  static std::atomic<int> ran;
  ran = 0;
  static WorkerPool* target;
  struct Local {
    ~Local() {
      target->Submit([] { ++ran; });
    }
  };
  {
    const std::shared_ptr<WorkerPool> pool = Make();
    target = pool.get();
    Countdown done(1);
    pool->Submit([&] {
      static thread_local Local local;
      static_cast<void>(local);
      done.Done();
    });
    done.Wait();
  }
  EXPECT_EQ(ran, 1);
}

TEST_P(PoolTest, ATaskMayEndItsThread) {
  const auto token = std::make_shared<int>(0);
  {
    const std::shared_ptr<WorkerPool> pool = Make();
    Countdown done(50);
    for (int i = 0; i < 50; ++i) {
      pool->Submit([&, token] {
        done.Done();
        pthread_exit(nullptr);
      });
    }
    done.Wait();
    // No ghost of a thread takes the place of a new one.
    Await([&] { return pool->stats().threads == 0; });
    Countdown meeting(GetParam().workers);
    Countdown met(GetParam().workers);
    for (int i = 0; i < GetParam().workers; ++i) {
      pool->Submit([&] {
        meeting.Done();
        meeting.Wait();
        met.Done();
      });
    }
    met.Wait();
    EXPECT_EQ(pool->stats().blocked, 0);
  }
#ifdef ABSL_HAVE_EXCEPTIONS
  // Ending a thread unwinds it, which destroys the task.
  EXPECT_EQ(token.use_count(), 1);
#endif
}

TEST_P(PoolTest, ATaskMayEndItsThreadWhileItBlocks) {
  const std::shared_ptr<WorkerPool> pool = Make();
  pool->Submit([] {
    BlockingScope blocking;
    pthread_exit(nullptr);
  });
  Await([&] { return pool->stats().threads == 0 && !pool->stats().queued; });
  EXPECT_EQ(pool->stats().blocked, 0);
  // Where nothing is unwound, as without exceptions.
  pool->Submit([] {
    alignas(BlockingScope) static std::byte place[sizeof(BlockingScope)];
    ::new (&place) BlockingScope;
    pthread_exit(nullptr);
  });
  Await([&] { return pool->stats().threads == 0 && !pool->stats().queued; });
  EXPECT_EQ(pool->stats().blocked, 0);
}

TEST_P(PoolTest, StatsCountWhatBlocksAndWhatIsQueued) {
  const std::shared_ptr<WorkerPool> pool = Make();
  Gate gate;
  std::atomic<int> running = 0;
  const int workers = GetParam().workers;
  for (int i = 0; i < workers; ++i) {
    pool->Submit([&] {
      BlockingScope blocking;
      ++running;
      gate.Pass();
    });
  }
  Await([&] { return running == workers; });
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.blocked, workers);
  EXPECT_GE(stats.threads, workers);
  EXPECT_EQ(stats.queued, 0);
  EXPECT_EQ(stats.start_failures, 0);
  EXPECT_FALSE(stats.at_cap);
  gate.Open();
  Await([&] { return pool->stats().blocked == 0; });
}

using PoolDeathTest = PoolTest;

INSTANTIATE_TEST_SUITE_P(Pools, PoolDeathTest,
                         ::testing::ValuesIn(testing::PoolsOfOnesOwn()),
                         testing::PoolName);

TEST_P(PoolDeathTest, NullTaskDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Make()->Submit(nullptr), "Executor::Submit: null task");
}

TEST_P(PoolDeathTest, DestroyedByItsOwnTaskDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Gate never;
        std::shared_ptr<WorkerPool> pool = Make();
        WorkerPool* const raw = pool.get();
        raw->Submit([&] { pool.reset(); });
        never.Pass();
      },
      "destroyed by one of its own tasks");
}

#ifdef ABSL_HAVE_EXCEPTIONS
TEST_P(PoolDeathTest, AnExceptionThatLeavesATaskTerminates) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Gate never;
        const std::shared_ptr<WorkerPool> pool = Make();
        pool->Submit([] { throw std::runtime_error("left a task"); });
        never.Pass();
      },
      "left a task");
}
#endif

TEST(OptionsDeathTest, SizesThatMeanNothingDie) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(FixedPool(0), "FixedPool: threads");
  EXPECT_DEATH(FixedPool(-1), "FixedPool: threads");
  EXPECT_DEATH(ElasticPool({.max_threads = 0}), "ElasticPool: max_threads");
  EXPECT_DEATH(ElasticPool({.keep_alive = absl::Nanoseconds(-1)}),
               "ElasticPool: keep_alive");
}

// FixedPool.

TEST(FixedPoolTest, OneThreadStartsTasksInTheOrderOfSubmit) {
  std::vector<int> order;
  {
    FixedPool pool(1);
    for (int i = 0; i < 1'000; ++i) {
      pool.Submit([&order, i] { order.push_back(i); });
    }
  }
  ASSERT_EQ(order.size(), 1'000u);
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(FixedPoolTest, NeverHasMoreThreadsWhateverBlocks) {
  std::atomic<int> running = 0;
  std::atomic<int> peak = 0;
  Gate gate;
  FixedPool pool(3);
  Countdown done(30);
  for (int i = 0; i < 30; ++i) {
    pool.Submit([&] {
      BlockingScope blocking;
      const int now = ++running;
      int seen = peak;
      while (now > seen && !peak.compare_exchange_weak(seen, now)) {
      }
      gate.Pass();
      --running;
      done.Done();
    });
  }
  Await([&] { return running == 3; });
  EXPECT_EQ(pool.stats().threads, 3);
  EXPECT_EQ(pool.stats().queued, 27);
  EXPECT_TRUE(pool.stats().at_cap);
  gate.Open();
  done.Wait();
  EXPECT_EQ(peak, 3);
}

TEST(FixedPoolTest, KeepsItsThreads) {
  FixedPool pool(3);
  // As many tasks at once as there are threads, twice.
  for (int round = 0; round < 2; ++round) {
    Countdown meeting(3);
    Countdown met(3);
    for (int i = 0; i < 3; ++i) {
      pool.Submit([&] {
        meeting.Done();
        meeting.Wait();
        met.Done();
      });
    }
    met.Wait();
    Await([&] { return pool.stats().idle == 3; });
    EXPECT_EQ(pool.stats().threads, 3);
  }
}

TEST(FixedPoolTest, StartsThreadsOnlyAsTasksCome) {
  FixedPool pool(3);
  EXPECT_EQ(pool.stats().threads, 0);
  Countdown done(1);
  pool.Submit([&] { done.Done(); });
  done.Wait();
  EXPECT_EQ(pool.stats().threads, 1);
}

// A pool that is being destroyed has as many threads for its tasks as before.
void OneTaskWaitsForAnotherWhileItIsDestroyed(
    std::unique_ptr<WorkerPool> pool) {
  WorkerPool* const raw = pool.get();
  Gate second;
  Countdown both(2);
  std::atomic<bool> first = true;
  // Two threads, of which one will be idle.
  for (int i = 0; i < 2; ++i) {
    pool->Submit([&, raw] {
      both.Done();
      both.Wait();
      if (!first.exchange(false)) return;
      // The idle one leaves because the destructor has begun.
      Await([&] { return raw->stats().threads == 1; });
      raw->Submit([&] { second.Open(); });
      second.Pass();
    });
  }
  Await([&] { return raw->stats().idle == 1; });
  pool.reset();
}

TEST(FixedPoolTest, TasksMayWaitForEachOtherWhileItIsDestroyed) {
  OneTaskWaitsForAnotherWhileItIsDestroyed(std::make_unique<FixedPool>(2));
}

TEST(ElasticPoolTest, TasksMayWaitForEachOtherWhileItIsDestroyed) {
  OneTaskWaitsForAnotherWhileItIsDestroyed(
      std::make_unique<ElasticPool>(ElasticPool::Options{
          .workers = 2, .max_threads = 2, .keep_alive = absl::Hours(1)}));
}

// ThreadPerTask.

TEST(ThreadPerTaskTest, EachTaskHasAFreshThread) {
  std::atomic<int> reused = 0;
  const int count = Scaled(1'000);
  {
    ThreadPerTask pool;
    for (int i = 0; i < count; ++i) {
      pool.Submit([&] {
        static thread_local int tasks = 0;
        if (++tasks != 1) ++reused;
      });
    }
  }
  EXPECT_EQ(reused, 0);
}

TEST(ThreadPerTaskTest, StartsAThreadWithinSubmit) {
  ThreadPerTask pool;
  Gate gate;
  for (int i = 1; i <= 50; ++i) {
    pool.Submit([&] { gate.Pass(); });
    EXPECT_EQ(pool.stats().threads, i);
  }
  gate.Open();
  Await([&] { return pool.stats().threads == 0; });
}

// ElasticPool.

TEST(ElasticPoolTest, NoWorkersMeansTheNumberOfProcessors) {
  for (const int workers : {0, -1}) {
    Gate gate;
    ElasticPool pool({.workers = workers});
    for (int i = 0; i < sync::HardwareConcurrency(); ++i) {
      pool.Submit([&] { gate.Pass(); });
    }
    EXPECT_EQ(pool.stats().threads, sync::HardwareConcurrency());
    gate.Open();
  }
}

TEST(ElasticPoolTest, IdleThreadsGoAway) {
  ElasticPool pool({.workers = 2, .keep_alive = absl::Milliseconds(1)});
  for (int round = 0; round < 3; ++round) {
    constexpr int kBlocked = 40;
    Gate gate;
    Countdown done(kBlocked);
    std::atomic<int> running = 0;
    for (int i = 0; i < kBlocked; ++i) {
      pool.Submit([&] {
        ++running;
        gate.Pass();
        done.Done();
      });
    }
    Await([&] { return running == kBlocked; });
    EXPECT_GE(pool.stats().threads, kBlocked);
    gate.Open();
    done.Wait();
    Await([&] { return pool.stats().threads == 0; });
    EXPECT_EQ(pool.stats().idle, 0);
  }
}

TEST(ElasticPoolTest, IdleThreadsAreUsedAgain) {
  ElasticPool pool({.workers = 2, .keep_alive = absl::Hours(1)});
  for (int i = 0; i < 100; ++i) {
    Countdown done(1);
    pool.Submit([&] { done.Done(); });
    done.Wait();
    Await([&] { return pool.stats().idle == pool.stats().threads; });
  }
  EXPECT_LE(pool.stats().threads, 2);
}

TEST(ElasticPoolTest, ThreadsThatCameForBlockedTasksLeaveThoughWorkGoesOn) {
  constexpr int kBlocked = 30;
  Gate gate;
  std::atomic<int> running = 0;
  std::atomic<bool> stop = false;
  std::function<void()> work;
  ElasticPool pool({.workers = 1, .keep_alive = absl::Milliseconds(1)});
  // Many threads, for tasks that block unannounced …
  for (int i = 0; i < kBlocked; ++i) {
    pool.Submit([&] {
      ++running;
      gate.Pass();
    });
  }
  Await([&] { return running == kBlocked; });
  // … and behind them work without end that does not block.
  work = [&] {
    const sync::SteadyTime end =
        sync::SteadyTime::Now() + absl::Microseconds(100);
    while (sync::SteadyTime::Now() < end) {
    }
    if (!stop) pool.Submit([&] { work(); });
  };
  for (int i = 0; i < 2 * kBlocked; ++i) pool.Submit([&] { work(); });
  gate.Open();
  Await([&] { return pool.stats().threads < kBlocked / 2; });
  EXPECT_GT(pool.stats().queued, 0);
  stop = true;
}

TEST(ElasticPoolTest, AtTheCapTasksWaitAndAreNotLost) {
  ElasticPool pool({.workers = 1, .max_threads = 3});
  EXPECT_FALSE(pool.stats().at_cap);
  Gate gate;
  std::atomic<int> running = 0;
  Countdown done(10);
  for (int i = 0; i < 10; ++i) {
    pool.Submit([&] {
      ++running;
      gate.Pass();
      done.Done();
    });
  }
  Await([&] { return pool.stats().at_cap && running == 3; });
  EXPECT_EQ(pool.stats().threads, 3);
  EXPECT_EQ(pool.stats().queued, 7);
  EXPECT_EQ(pool.stats().start_failures, 0);
  gate.Open();
  done.Wait();
  EXPECT_FALSE(pool.stats().at_cap);
}

TEST(ElasticPoolTest, NoLockIsHeldWhereTheMonitorWarns) {
  class LooksAtThePool final : public absl::LogSink {
   public:
    explicit LooksAtThePool(const ElasticPool& pool) : pool_(pool) {}
    void Send(const absl::LogEntry&) override {
      pool_.stats();  // a lock that is held would be taken again
      seen = true;
    }

    std::atomic<bool> seen = false;

   private:
    const ElasticPool& pool_;
  };
  Gate gate;
  ElasticPool pool({.workers = 1, .max_threads = 1});
  LooksAtThePool sink(pool);
  absl::AddLogSink(&sink);
  for (int i = 0; i < 2; ++i) pool.Submit([&gate] { gate.Pass(); });
  Await([&sink] { return sink.seen.load(); });
  absl::RemoveLogSink(&sink);
  gate.Open();
}

TEST(ElasticPoolTest, AtTheCapAnnouncingDoesNotHelp) {
  Gate gate;
  std::atomic<int> running = 0;
  ElasticPool pool({.workers = 1, .max_threads = 2});
  for (int i = 0; i < 5; ++i) {
    pool.Submit([&] {
      ++running;
      BlockingScope blocking;
      gate.Pass();
    });
  }
  Await([&] { return pool.stats().at_cap && pool.stats().blocked == 2; });
  EXPECT_EQ(running, 2);
  EXPECT_EQ(pool.stats().threads, 2);
  gate.Open();
}

#ifdef __linux__
// How often the pool's monitor has gone to sleep; nothing if it does not exist.
std::optional<int64_t> SleepsOfMonitor(const std::string& name) {
  DIR* const tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return std::nullopt;
  std::optional<int64_t> sleeps;
  while (const dirent* task = readdir(tasks)) {
    const std::string directory =
        absl::StrCat("/proc/self/task/", task->d_name, "/");
    std::string comm;
    std::getline(std::ifstream(directory + "comm"), comm);
    if (comm != name) continue;
    std::ifstream status(directory + "status");
    for (std::string word; status >> word;) {
      if (word == "voluntary_ctxt_switches:") status >> sleeps.emplace();
    }
  }
  closedir(tasks);
  return sleeps;
}

TEST(ElasticPoolTest, TheMonitorSleepsWhereNothingIsQueued) {
  Gate gate;
  Countdown both(2);
  ElasticPool pool({.workers = 1});
  ASSERT_FALSE(SleepsOfMonitor("elastic-mon").has_value());
  // Busy all the time, which alone does not concern it.
  pool.Submit([&] { gate.Pass(); });
  for (int i = 0; i < 2; ++i) pool.Submit([&] { both.Done(); });
  both.Wait();
  ASSERT_TRUE(SleepsOfMonitor("elastic-mon").has_value());
  // It has stopped ticking if it has not woken in the time of many ticks. Asked
  // often, since on a busy machine it may not have had its turn.
  int unchanged = 0;
  int64_t before = -1;
  Await([&] {
    sync::SleepFor(absl::Milliseconds(10));
    const int64_t now = SleepsOfMonitor("elastic-mon").value();
    unchanged = now == before ? unchanged + 1 : 0;
    before = now;
    return unchanged == 15;
  });
  gate.Open();
}

TEST(ElasticPoolTest, TheMonitorIsNotWokenByEachTaskOfALongQueue) {
  Gate gate;
  ElasticPool pool({.workers = 1, .max_threads = 1});
  pool.Submit([&] { gate.Pass(); });
  pool.Submit([] {});
  Await([&] { return SleepsOfMonitor("elastic-mon").has_value(); });
  const int64_t before = SleepsOfMonitor("elastic-mon").value();
  const sync::SteadyTime began = sync::SteadyTime::Now();
  for (int i = 0; i < 1'000; ++i) {
    pool.Submit([] {});
    sync::SleepFor(absl::Microseconds(20));
  }
  const int64_t sleeps = SleepsOfMonitor("elastic-mon").value() - before;
  const absl::Duration took = sync::SteadyTime::Now() - began;
  // A rate rather than a time: it sleeps once for each tick, and at times for
  // the lock.
  EXPECT_LE(sleeps, 50 + 2 * absl::ToInt64Milliseconds(took));
  gate.Open();
}
#endif  // __linux__

// BlockingScope.

TEST(BlockingScopeTest, IsNothingOutsideOfTasks) {
  ElasticPool pool({.workers = 1});
  BlockingScope outer;
  BlockingScope inner;
  EXPECT_EQ(pool.stats().blocked, 0);
  EXPECT_EQ(pool.stats().threads, 0);
}

TEST(BlockingScopeTest, OnlyTheOutermostCounts) {
  ElasticPool pool({.workers = 1});
  Countdown done(1);
  pool.Submit([&] {
    EXPECT_EQ(pool.stats().blocked, 0);
    {
      BlockingScope outer;
      EXPECT_EQ(pool.stats().blocked, 1);
      {
        BlockingScope inner;
        EXPECT_EQ(pool.stats().blocked, 1);
      }
      EXPECT_EQ(pool.stats().blocked, 1);
    }
    EXPECT_EQ(pool.stats().blocked, 0);
    done.Done();
  });
  done.Wait();
}

TEST(BlockingScopeTest, AQueuedTaskGetsAThreadAtOnce) {
  ElasticPool pool({.workers = 1});
  Countdown done(2);
  pool.Submit([&] {
    pool.Submit([&] { done.Done(); });
    {
      BlockingScope blocking;
      // On its way before the scope's constructor has returned; whoever waits
      // for the monitor would see one thread here.
      EXPECT_EQ(pool.stats().threads, 2);
    }
    done.Done();
  });
  done.Wait();
}

TEST(BlockingScopeTest, AThreadThatIsBackTakesNoMoreThanItsShare) {
  // Two tasks at once, after one was replaced and has come back; then as many
  // as before.
  ElasticPool pool({.workers = 1});
  Gate replaced;
  Countdown done(2);
  pool.Submit([&] {
    {
      BlockingScope blocking;
      replaced.Pass();
    }
    done.Done();
  });
  pool.Submit([&] {
    replaced.Open();
    done.Done();
  });
  done.Wait();
  Await([&] { return pool.stats().idle == 2; });
  EXPECT_EQ(pool.stats().blocked, 0);
  EXPECT_EQ(pool.stats().threads, 2);
}

// Executors of users.

// Runs tasks on the thread that brings them.
class HereAndNow : public Executor {
 public:
  void Submit(Task task) override {
    WorkerScope scope(this);
    std::move(task)();
  }

  int began = 0;
  int ended = 0;

 private:
  void BlockingBegan() override { ++began; }
  void BlockingEnded() override { ++ended; }
};

TEST(BlockingScopeTest, AWorkerWithinAnotherOneBlocksByItself) {
  HereAndNow outer;
  HereAndNow inner;
  outer.Submit([&] {
    BlockingScope blocking;
    inner.Submit([&] {
      EXPECT_EQ(inner.began, 0);
      BlockingScope here_too;
      EXPECT_EQ(inner.began, 1);
    });
    EXPECT_EQ(inner.ended, 1);
    EXPECT_EQ(outer.ended, 0);
    BlockingScope still;
  });
  EXPECT_EQ(outer.began, 1);
  EXPECT_EQ(outer.ended, 1);
}

// The least that makes an executor: it knows nothing of BlockingScope.
class SmallestExecutor final : public Executor {
 public:
  void Submit(Task task) override { pool_.Submit(std::move(task)); }
  PoolStats stats() const { return pool_.stats(); }

 private:
  ElasticPool pool_{{.workers = 1}};
};

TEST(UserExecutorTest, AnAdapterOfAPoolKeepsThePoolsPromise) {
  std::atomic<int> ran = 0;
  Gate gate;
  Countdown done(2);
  {
    SmallestExecutor executor;
    executor.Submit([&] {
      {
        BlockingScope blocking;
        EXPECT_EQ(executor.stats().blocked, 1);
        gate.Pass();
      }
      ++ran;
      done.Done();
    });
    executor.Submit([&] {
      gate.Open();
      ++ran;
      done.Done();
    });
    done.Wait();
  }
  EXPECT_EQ(ran, 2);
}

// One with threads of its own, that wants to know what blocks.
class ThreadsOfItsOwn final : public Executor {
 public:
  ~ThreadsOfItsOwn() override {
    for (std::thread& thread : threads_) thread.join();
  }

  void Submit(Task task) override {
    threads_.emplace_back([this, task = std::move(task)]() mutable {
      WorkerScope scope(this);
      std::move(task)();
    });
  }

  std::atomic<int> began = 0;
  std::atomic<int> ended = 0;

 private:
  void BlockingBegan() override { ++began; }
  void BlockingEnded() override { ++ended; }

  std::vector<std::thread> threads_;
};

TEST(UserExecutorTest, LearnsOfTheOutermostBlockingScope) {
  {
    ThreadsOfItsOwn executor;
    Countdown done(1);
    executor.Submit([&] {
      EXPECT_EQ(Executor::Current(), &executor);
      {
        BlockingScope outer;
        BlockingScope inner;
        EXPECT_EQ(executor.began, 1);
        EXPECT_EQ(executor.ended, 0);
      }
      EXPECT_EQ(executor.ended, 1);
      BlockingScope again;
      EXPECT_EQ(executor.began, 2);
      done.Done();
    });
    done.Wait();
  }
  EXPECT_EQ(Executor::Current(), nullptr);
}

// Runs tasks within tasks of another executor.
class Nested final : public Executor {
 public:
  explicit Nested(Executor& outer) : outer_(outer) {}

  void Submit(Task task) override {
    outer_.Submit([this, task = std::move(task)]() mutable {
      {
        WorkerScope scope(this);
        std::move(task)();
      }
      EXPECT_EQ(Executor::Current(), &outer_);
    });
  }

  std::atomic<int> blocked = 0;

 private:
  void BlockingBegan() override { ++blocked; }
  void BlockingEnded() override { --blocked; }

  Executor& outer_;
};

TEST(UserExecutorTest, TheInnermostExecutorIsAsked) {
  auto pool = std::make_unique<ElasticPool>(ElasticPool::Options{.workers = 1});
  Nested nested(*pool);
  bool ran = false;
  nested.Submit([&, pool = pool.get()] {
    EXPECT_EQ(Executor::Current(), &nested);
    BlockingScope blocking;
    EXPECT_EQ(nested.blocked, 1);
    EXPECT_EQ(pool->stats().blocked, 0);
    ran = true;
  });
  pool.reset();
  EXPECT_TRUE(ran);
}

// DefaultExecutor.

TEST(DefaultExecutorTest, IsOneForTheProcess) {
  EXPECT_EQ(&DefaultExecutor(), &DefaultExecutor());
  Countdown done(1);
  DefaultExecutor().Submit([&] {
    EXPECT_EQ(Executor::Current(), &DefaultExecutor());
    done.Done();
  });
  done.Wait();
}

// A pool within a pool.

TEST(DestructorTest, AnnouncesThatItWaits) {
  ElasticPool outer({.workers = 1});
  Countdown done(1);
  Gate gate;
  outer.Submit([&] {
    {
      FixedPool inner(1);
      inner.Submit([&] {
        // Needs the one worker that the destructor's thread has given up.
        Await([&] { return outer.stats().blocked == 1; });
      });
    }
    EXPECT_EQ(outer.stats().blocked, 0);
    done.Done();
  });
  done.Wait();
}

}  // namespace
}  // namespace cohort
