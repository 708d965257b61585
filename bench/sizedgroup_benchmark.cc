// What a group with a size costs: a task that waits for its turn, against a
// thread for each and a semaphore, which is what the original does with
// goroutines.

#include <cstdint>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"

namespace cohort::sizedgroup {
namespace {

constexpr int kSize = 10;

void Spin() {
  for (int i = 0; i < 700; ++i) benchmark::DoNotOptimize(i);
}

void BM_SizedGroup(benchmark::State& state) {
  for (auto _ : state) {
    SizedGroup group(
        kSize, {.when_full =
                    state.range(1) == 0 ? WhenFull::kQueue : WhenFull::kBlock});
    for (int64_t i = 0; i < state.range(0); ++i) group.Go(&Spin);
    group.Wait();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_SizedGroup)
    ->ArgNames({"tasks", "blocks"})
    ->Args({1'000, 0})
    ->Args({1'000, 1})
    ->Args({1'000'000, 0})
    ->UseRealTime();

void BM_WaitGroupAdd(benchmark::State& state) {
  for (auto _ : state) {
    WaitGroup group(kSize);
    for (int64_t i = 0; i < state.range(0); ++i) group.Add(&Spin);
    group.Wait();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_WaitGroupAdd)->Arg(1'000)->UseRealTime();

void BM_WaitGroupSlot(benchmark::State& state) {
  WaitGroup group(kSize);
  for (auto _ : state) benchmark::DoNotOptimize(group.BlockAdd());
  group.Wait();
}
BENCHMARK(BM_WaitGroupSlot);

void BM_ThreadsAndSemaphore(benchmark::State& state) {
  for (auto _ : state) {
    std::counting_semaphore<> slots(kSize);
    std::vector<std::thread> threads;
    threads.reserve(static_cast<size_t>(state.range(0)));
    for (int64_t i = 0; i < state.range(0); ++i) {
      threads.emplace_back([&slots] {
        slots.acquire();
        Spin();
        slots.release();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ThreadsAndSemaphore)->Arg(1'000)->UseRealTime();

}  // namespace
}  // namespace cohort::sizedgroup
