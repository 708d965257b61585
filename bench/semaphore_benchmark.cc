// What a permit costs, against the standard library's semaphore, which knows
// neither weights nor turns nor contexts, and against a mutex with a condition
// variable, which could.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <semaphore>

#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"

namespace cohort::semaphore {
namespace {

class Cohort {
 public:
  explicit Cohort(int64_t size) : semaphore_(size) {}
  void Acquire() { semaphore_.Acquire(context_).IgnoreError(); }
  void Release() { semaphore_.Release(); }

 private:
  const Context context_;
  Weighted semaphore_;
};

class CohortWithContext {
 public:
  explicit CohortWithContext(int64_t size) : semaphore_(size) {}
  void Acquire() { semaphore_.Acquire(scope_.context()).IgnoreError(); }
  void Release() { semaphore_.Release(); }

 private:
  const CancelScope scope_ = WithCancel(Context());
  Weighted semaphore_;
};

class Standard {
 public:
  explicit Standard(int64_t size) : semaphore_(size) {}
  void Acquire() { semaphore_.acquire(); }
  void Release() { semaphore_.release(); }

 private:
  std::counting_semaphore<> semaphore_;
};

class MutexAndCondition {
 public:
  explicit MutexAndCondition(int64_t size) : free_(size) {}
  void Acquire() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return free_ > 0; });
    --free_;
  }
  void Release() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ++free_;
    }
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t free_;
};

// One for all threads of a run.
template <class Semaphore, int64_t kSize>
Semaphore& Shared() {
  static Semaphore semaphore(kSize);
  return semaphore;
}

template <class Semaphore, int64_t kSize>
void BM_AcquireRelease(benchmark::State& state) {
  Semaphore& semaphore = Shared<Semaphore, kSize>();
  for (auto _ : state) {
    semaphore.Acquire();
    semaphore.Release();
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(BM_AcquireRelease<Cohort, 1>)->Threads(1)->Threads(8)->UseRealTime();
BENCHMARK(BM_AcquireRelease<CohortWithContext, 1>)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();
BENCHMARK(BM_AcquireRelease<Standard, 1>)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();
BENCHMARK(BM_AcquireRelease<MutexAndCondition, 1>)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();
BENCHMARK(BM_AcquireRelease<Cohort, 4>)->Threads(1)->Threads(8)->UseRealTime();
BENCHMARK(BM_AcquireRelease<Standard, 4>)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();
BENCHMARK(BM_AcquireRelease<MutexAndCondition, 4>)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();

}  // namespace
}  // namespace cohort::semaphore
