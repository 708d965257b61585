// What callbacks cost, beside the same by hand with std::async and std::thread.

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"

namespace cohort::callbacks {
namespace {

void BM_AllOfThree(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        All(Context(), [] { return 1; }, [] { return 2; }, [] { return 3; }));
  }
}
BENCHMARK(BM_AllOfThree)->UseRealTime();

void BM_AllOfThree_StdAsync(benchmark::State& state) {
  for (auto _ : state) {
    auto a = std::async(std::launch::async, [] { return 1; });
    auto b = std::async(std::launch::async, [] { return 2; });
    auto c = std::async(std::launch::async, [] { return 3; });
    benchmark::DoNotOptimize(std::make_tuple(a.get(), b.get(), c.get()));
  }
}
BENCHMARK(BM_AllOfThree_StdAsync)->UseRealTime();

void BM_AllOfARange(benchmark::State& state) {
  const std::vector<int (*)()> functions(static_cast<size_t>(state.range(0)),
                                         [] { return 1; });
  for (auto _ : state) benchmark::DoNotOptimize(All(Context(), functions));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_AllOfARange)->Arg(100)->Arg(10'000)->UseRealTime();

void BM_AllOfARange_StdAsync(benchmark::State& state) {
  for (auto _ : state) {
    std::vector<std::future<int>> futures;
    for (int64_t i = 0; i < state.range(0); ++i) {
      futures.push_back(std::async(std::launch::async, [] { return 1; }));
    }
    for (std::future<int>& future : futures) {
      benchmark::DoNotOptimize(future.get());
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_AllOfARange_StdAsync)->Arg(100)->UseRealTime();

// One wins at once, the other two wait to be told.
void BM_RaceOfThree(benchmark::State& state) {
  const auto wait = [](const Context& context) {
    context.AwaitDone();
    return 0;
  };
  for (auto _ : state) {
    benchmark::DoNotOptimize(Race(Context(), wait, [] { return 1; }, wait));
  }
}
BENCHMARK(BM_RaceOfThree)->UseRealTime();

void BM_RaceOfThree_StdThread(benchmark::State& state) {
  for (auto _ : state) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<int> winner;
    const auto wait = [&] {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return winner.has_value(); });
    };
    std::array<std::thread, 3> threads = {
        std::thread(wait), std::thread([&] {
          const std::lock_guard<std::mutex> lock(mutex);
          winner = 1;
          changed.notify_all();
        }),
        std::thread(wait)};
    for (std::thread& thread : threads) thread.join();
    benchmark::DoNotOptimize(winner);
  }
}
BENCHMARK(BM_RaceOfThree_StdThread)->UseRealTime();

void BM_RetryThatSucceeds(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(Retry(Context(), {}, [] { return 1; }));
  }
}
BENCHMARK(BM_RetryThatSucceeds);

void BM_RetryOfTen(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        Retry(Context(), {.attempts = 10, .backoff = absl::ZeroDuration()},
              []() -> absl::StatusOr<int> { return absl::AbortedError(""); }));
  }
  state.SetItemsProcessed(state.iterations() * 10);
}
BENCHMARK(BM_RetryOfTen);

}  // namespace
}  // namespace cohort::callbacks
