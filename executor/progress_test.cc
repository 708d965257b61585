// The promise of progress: every task that was submitted starts in bounded
// time, whatever the running ones do. Nothing here ends without it, so what
// fails shows as a timeout. docs/progress.md says it in prose.

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/test_util.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using testing::Await;
using testing::Countdown;
using testing::Gate;
using testing::PoolCase;
using testing::Scaled;

class ProgressTest : public ::testing::TestWithParam<PoolCase> {
 protected:
  const std::shared_ptr<WorkerPool> pool_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Pools, ProgressTest,
                         ::testing::ValuesIn(testing::PoolsWithProgress()),
                         testing::PoolName);

constexpr int kBlocked = 1'000;

TEST_P(ProgressTest, ThousandBlockUnannouncedOnALatchThatTheLastOpens) {
  Gate latch;
  Countdown done(kBlocked);
  for (int i = 1; i < kBlocked; ++i) {
    pool_->Submit([&] {
      latch.Pass();
      done.Done();
    });
  }
  pool_->Submit([&] {
    latch.Open();
    done.Done();
  });
  done.Wait();
}

TEST_P(ProgressTest, ThousandBlockAnnouncedOnALatchThatTheLastOpens) {
  Gate latch;
  Countdown done(kBlocked);
  for (int i = 1; i < kBlocked; ++i) {
    pool_->Submit([&] {
      {
        BlockingScope blocking;
        latch.Pass();
      }
      done.Done();
    });
  }
  pool_->Submit([&] {
    latch.Open();
    done.Done();
  });
  done.Wait();
}

TEST_P(ProgressTest, TasksReadFromPipesThatLaterTasksWrite) {
  constexpr int kPipes = 100;
  std::vector<std::array<int, 2>> pipes(kPipes);
  for (auto& ends : pipes) ASSERT_EQ(pipe(ends.data()), 0);
  Countdown done(2 * kPipes);
  std::atomic<int> received = 0;
  for (const auto& ends : pipes) {
    pool_->Submit([&, fd = ends[0]] {
      char byte = 0;
      if (read(fd, &byte, 1) == 1 && byte == 'x') ++received;
      done.Done();
    });
  }
  for (const auto& ends : pipes) {
    pool_->Submit([&, fd = ends[1]] {
      EXPECT_EQ(write(fd, "x", 1), 1);
      done.Done();
    });
  }
  done.Wait();
  EXPECT_EQ(received, kPipes);
  for (const auto& ends : pipes) {
    close(ends[0]);
    close(ends[1]);
  }
}

TEST_P(ProgressTest, TenThousandTasksSleepInTheKernel) {
  const int count = Scaled(10'000);
  std::atomic<int> asleep = 0;
  std::atomic<int> peak = 0;
  Countdown done(count);
  for (int i = 0; i < count; ++i) {
    pool_->Submit([&] {
      const int now = ++asleep;
      int seen = peak;
      while (now > seen && !peak.compare_exchange_weak(seen, now)) {
      }
      usleep(5'000);
      --asleep;
      done.Done();
    });
  }
  done.Wait();
  // Sleepers take no worker's place.
  EXPECT_GT(peak, GetParam().workers);
}

TEST_P(ProgressTest, AllWorkersWaitForAMutexThatATaskLetsGo) {
  std::mutex mutex;
  Gate submitted;
  const int blocked = GetParam().workers + 5;
  std::atomic<int> waiting = 0;
  Countdown done(blocked);
  mutex.lock();
  for (int i = 0; i < blocked; ++i) {
    pool_->Submit([&] {
      ++waiting;
      {
        std::lock_guard<std::mutex> lock(mutex);
      }
      done.Done();
    });
  }
  Await([&] { return waiting == blocked; });
  pool_->Submit([&] { submitted.Open(); });
  submitted.Pass();
  mutex.unlock();
  done.Wait();
}

TEST_P(ProgressTest, TasksComputeUntilALaterOneStopsThem) {
  const int computing = GetParam().workers + 2;
  std::atomic<bool> stop = false;
  Countdown done(computing + 1);
  for (int i = 0; i < computing; ++i) {
    pool_->Submit([&] {
      while (!stop) sync::Yield();
      done.Done();
    });
  }
  pool_->Submit([&] {
    stop = true;
    done.Done();
  });
  done.Wait();
}

TEST_P(ProgressTest, WorkersBlockWhileOtherThreadsTakeTheProcessors) {
  std::atomic<bool> stop = false;
  std::vector<std::unique_ptr<testing::JoiningThread>> busy;
  for (int i = 0; i < sync::HardwareConcurrency(); ++i) {
    busy.push_back(std::make_unique<testing::JoiningThread>([&] {
      while (!stop) {
      }
    }));
  }
  constexpr int kCount = 200;
  Gate latch;
  Countdown done(kCount);
  for (int i = 1; i < kCount; ++i) {
    pool_->Submit([&] {
      latch.Pass();
      done.Done();
    });
  }
  pool_->Submit([&] {
    latch.Open();
    done.Done();
  });
  done.Wait();
  stop = true;
}

TEST_P(ProgressTest, EachTaskWaitsForOneThatItSubmits) {
  for (const bool announced : {false, true}) {
    Countdown done(1);
    std::function<void(int)> descend = [&](int depth) {
      if (depth == 0) return;
      Gate inner;
      pool_->Submit([&] {
        descend(depth - 1);
        inner.Open();
      });
      if (announced) {
        BlockingScope blocking;
        inner.Pass();
      } else {
        inner.Pass();
      }
    };
    pool_->Submit([&] {
      descend(50);
      done.Done();
    });
    done.Wait();
  }
}

// A thread that was started in place of one that blocks comes when that one is
// back, and so goes to sleep. The queued task must not be forgotten over it.
TEST_P(ProgressTest, ATaskWhoseThreadCameTooLateStartsAllTheSame) {
  for (int round = 0; round < 100; ++round) {
    Gate gate;
    Countdown done(2);
    pool_->Submit([&] {
      {
        BlockingScope blocking;
        pool_->Submit([&] {
          gate.Open();
          done.Done();
        });
      }
      gate.Pass();
      done.Done();
    });
    done.Wait();
  }
}

// Looks for a wake-up that gets lost between a task's end, another one's
// blocking, and a submission: nothing follows that would make up for it.
TEST_P(ProgressTest, NoWakeUpIsLost) {
  const int rounds = Scaled(1'000);
  for (int round = 0; round < rounds; ++round) {
    const int blocked = round % 3;
    const bool announced = round % 7 != 0;
    Gate latch;
    Countdown done(blocked + 2);
    auto block = [&] {
      if (announced) {
        BlockingScope blocking;
        latch.Pass();
      } else {
        latch.Pass();
      }
      done.Done();
    };
    for (int i = 0; i < blocked; ++i) pool_->Submit(block);
    pool_->Submit([&] { done.Done(); });
    pool_->Submit([&] {
      latch.Open();
      done.Done();
    });
    done.Wait();
  }
}

}  // namespace
}  // namespace cohort
