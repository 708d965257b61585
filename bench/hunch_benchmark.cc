// What hunch costs, beside the same by hand with std::async.

#include <future>
#include <ranges>
#include <tuple>
#include <vector>

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

// Many elements: as a loop, in chunks, and as a task for each; of some
// nanoseconds, and of a microsecond.

constexpr int kElements = 100'000;

void Cheap(int& number) {
  ++number;
  benchmark::DoNotOptimize(number);
}

void Microsecond(int& number) {
  for (int i = 0; i < 1000; ++i) Cheap(number);
}

template <void (*kFunction)(int&)>
void BM_ForEach_Loop(benchmark::State& state) {
  std::vector<int> numbers(kElements);
  for (auto _ : state) {
    for (int& number : numbers) kFunction(number);
  }
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_ForEach_Loop<Cheap>)->UseRealTime();
BENCHMARK(BM_ForEach_Loop<Microsecond>)->UseRealTime();

template <void (*kFunction)(int&)>
void BM_ForEach(benchmark::State& state) {
  std::vector<int> numbers(kElements);
  for (auto _ : state) {
    ForEach(Context(), numbers, kFunction).IgnoreError();
  }
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_ForEach<Cheap>)->UseRealTime();
BENCHMARK(BM_ForEach<Microsecond>)->UseRealTime();

void BM_ForEach_TaskForEach(benchmark::State& state) {
  std::vector<int> numbers(kElements);
  const auto functions = numbers | std::views::transform([](int& number) {
                           return [&number] {
                             Cheap(number);
                             return true;
                           };
                         });
  for (auto _ : state) benchmark::DoNotOptimize(All(Context(), functions));
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_ForEach_TaskForEach)->UseRealTime();

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
