// What a task of a group costs: spawn and join, a small group, nested groups, a
// limit.

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/group/types.h"

namespace cohort::errgroup {
namespace {

void Spin() {
  for (int i = 0; i < 700; ++i) benchmark::DoNotOptimize(i);
}

void BM_SpawnAndJoin(benchmark::State& state) {
  for (auto _ : state) {
    Group group;
    for (int64_t i = 0; i < state.range(0); ++i) group.Go([] {});
    benchmark::DoNotOptimize(group.Wait());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_SpawnAndJoin)->Arg(1'000'000)->UseRealTime();

void BM_GroupOfThree(benchmark::State& state) {
  for (auto _ : state) {
    Group group;
    for (int i = 0; i < 3; ++i) group.Go([] {});
    benchmark::DoNotOptimize(group.Wait());
  }
}
BENCHMARK(BM_GroupOfThree)->UseRealTime();

void BM_GroupOfThreeWithErrorAndContext(benchmark::State& state) {
  for (auto _ : state) {
    Group group{Context()};
    group.Go([] { return absl::CancelledError(); });
    for (int i = 0; i < 2; ++i) group.Go([] {});
    benchmark::DoNotOptimize(group.Wait());
  }
}
BENCHMARK(BM_GroupOfThreeWithErrorAndContext)->UseRealTime();

void BM_Nested(benchmark::State& state) {
  std::function<void(int)> nest = [&nest](int depth) {
    if (depth == 0) return;
    Group group;
    for (int i = 0; i < 4; ++i) {
      group.Go([&nest, depth] { nest(depth - 1); });
    }
    benchmark::DoNotOptimize(group.Wait());
  };
  for (auto _ : state) nest(6);
  state.SetItemsProcessed(state.iterations() * 5460);
}
BENCHMARK(BM_Nested)->UseRealTime();

void BM_LimitOfEight(benchmark::State& state) {
  for (auto _ : state) {
    Group group(Options{.limit = 8, .queue = kUnlimited});
    for (int i = 0; i < 100'000; ++i) group.Go(&Spin);
    benchmark::DoNotOptimize(group.Wait());
  }
  state.SetItemsProcessed(state.iterations() * 100'000);
}
BENCHMARK(BM_LimitOfEight)->UseRealTime();

}  // namespace
}  // namespace cohort::errgroup
