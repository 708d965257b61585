// The seam beside what it stands for: both of a pair must cost the same.

#include <chrono>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"

namespace cohort::sync {
namespace {

template <class CondVarType>
void BM_Signal(benchmark::State& state) {
  CondVarType condition;
  for (auto _ : state) {
    condition.Signal();
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_Signal<absl::CondVar>);
BENCHMARK(BM_Signal<CondVar>);

// A wait that ends at once.
void BM_TimedWaitAbseil(benchmark::State& state) {
  absl::Mutex mutex;
  absl::CondVar condition;
  absl::MutexLock lock(&mutex);
  const auto deadline = std::chrono::steady_clock::now();
  for (auto _ : state) {
    benchmark::DoNotOptimize(condition.WaitWithTimeout(
        &mutex, absl::FromChrono(deadline - std::chrono::steady_clock::now())));
  }
}
BENCHMARK(BM_TimedWaitAbseil);

void BM_TimedWaitSeam(benchmark::State& state) {
  Mutex mutex;
  CondVar condition;
  MutexLock lock(&mutex);
  const SteadyTime deadline = SteadyTime::Now();
  for (auto _ : state) {
    benchmark::DoNotOptimize(condition.WaitUntil(&mutex, deadline));
  }
}
BENCHMARK(BM_TimedWaitSeam);

void BM_NowStandard(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(std::chrono::steady_clock::now());
  }
}
BENCHMARK(BM_NowStandard);

void BM_NowSeam(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(SteadyTime::Now());
}
BENCHMARK(BM_NowSeam);

}  // namespace
}  // namespace cohort::sync
