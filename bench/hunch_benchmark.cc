// What hunch costs, beside the same by hand with std::async.

#include <future>
#include <tuple>

#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/hunch/hunch.h"

namespace cohort::hunch {
namespace {

constexpr auto kOne = [] { return 1; };

void BM_AllOfFive(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(All(Context(), kOne, kOne, kOne, kOne, kOne));
  }
}
BENCHMARK(BM_AllOfFive)->UseRealTime();

void BM_AllOfFive_StdAsync(benchmark::State& state) {
  const auto start = [] { return std::async(std::launch::async, kOne); };
  for (auto _ : state) {
    auto a = start(), b = start(), c = start(), d = start(), e = start();
    benchmark::DoNotOptimize(
        std::make_tuple(a.get(), b.get(), c.get(), d.get(), e.get()));
  }
}
BENCHMARK(BM_AllOfFive_StdAsync)->UseRealTime();

void BM_TakeSomeOfFive(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(Take(Context(), n, kOne, kOne, kOne, kOne, kOne));
  }
}
BENCHMARK(BM_TakeSomeOfFive)->Arg(1)->Arg(5)->UseRealTime();

void BM_WaterfallOfThree(benchmark::State& state) {
  const auto next = [](int value) { return value + 1; };
  for (auto _ : state) {
    benchmark::DoNotOptimize(Waterfall(Context(), kOne, next, next));
  }
}
BENCHMARK(BM_WaterfallOfThree);

void BM_RetryThatSucceeds(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Retry(Context(), 3, kOne));
}
BENCHMARK(BM_RetryThatSucceeds);

}  // namespace
}  // namespace cohort::hunch
