// What a round costs, against the standard library's barrier, in which nobody
// can give up, and against a mutex with a condition variable.

#include <barrier>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"

namespace cohort::cyclicbarrier {
namespace {

class Cohort {
 public:
  explicit Cohort(int parties) : barrier_(parties) {}
  void Await() { barrier_.Await(context_).IgnoreError(); }

 private:
  const Context context_;
  CyclicBarrier barrier_;
};

class CohortWithContext {
 public:
  explicit CohortWithContext(int parties) : barrier_(parties) {}
  void Await() { barrier_.Await(scope_.context()).IgnoreError(); }

 private:
  const CancelScope scope_ = WithCancel(Context());
  CyclicBarrier barrier_;
};

class Standard {
 public:
  explicit Standard(int parties) : barrier_(parties) {}
  void Await() { barrier_.arrive_and_wait(); }

 private:
  std::barrier<> barrier_;
};

class MutexAndCondition {
 public:
  explicit MutexAndCondition(int parties) : parties_(parties) {}
  void Await() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (++arrived_ == parties_) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [this, round = round_] { return round_ != round; });
    }
  }

 private:
  const int parties_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  int64_t round_ = 0;
};

// One for all threads of a run, all of which do as many rounds.
template <class Barrier, int kParties>
void BM_Round(benchmark::State& state) {
  static Barrier barrier(kParties);
  for (auto _ : state) barrier.Await();
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(BM_Round<Cohort, 1>)->Threads(1)->UseRealTime();
BENCHMARK(BM_Round<CohortWithContext, 1>)->Threads(1)->UseRealTime();
BENCHMARK(BM_Round<Standard, 1>)->Threads(1)->UseRealTime();
BENCHMARK(BM_Round<MutexAndCondition, 1>)->Threads(1)->UseRealTime();
BENCHMARK(BM_Round<Cohort, 2>)->Threads(2)->UseRealTime();
BENCHMARK(BM_Round<CohortWithContext, 2>)->Threads(2)->UseRealTime();
BENCHMARK(BM_Round<Standard, 2>)->Threads(2)->UseRealTime();
BENCHMARK(BM_Round<MutexAndCondition, 2>)->Threads(2)->UseRealTime();
BENCHMARK(BM_Round<Cohort, 8>)->Threads(8)->UseRealTime();
BENCHMARK(BM_Round<CohortWithContext, 8>)->Threads(8)->UseRealTime();
BENCHMARK(BM_Round<Standard, 8>)->Threads(8)->UseRealTime();
BENCHMARK(BM_Round<MutexAndCondition, 8>)->Threads(8)->UseRealTime();

}  // namespace
}  // namespace cohort::cyclicbarrier
