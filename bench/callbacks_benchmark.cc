// What callbacks cost, beside the same by hand with std::async and std::thread.

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <future>
#include <mutex>
#include <numeric>
#include <optional>
#include <ranges>
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

// A function of some nanoseconds for each of many elements: as a loop, in
// chunks, and as a task for each.

constexpr int kElements = 100'000;

std::vector<int> Numbers() {
  std::vector<int> numbers(kElements);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

int Cheap(int number) {
  benchmark::DoNotOptimize(number);
  return number + 1;
}

void BM_MapOfCheap_Loop(benchmark::State& state) {
  const std::vector<int> numbers = Numbers();
  for (auto _ : state) {
    std::vector<absl::StatusOr<int>> results;
    results.reserve(numbers.size());
    for (const int number : numbers) results.push_back(Cheap(number));
    benchmark::DoNotOptimize(results);
  }
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_MapOfCheap_Loop)->UseRealTime();

void BM_MapOfCheap(benchmark::State& state) {
  const std::vector<int> numbers = Numbers();
  for (auto _ : state) {
    benchmark::DoNotOptimize(Map(Context(), numbers, Cheap));
  }
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_MapOfCheap)->UseRealTime();

void BM_MapOfCheap_TaskForEach(benchmark::State& state) {
  const std::vector<int> numbers = Numbers();
  const auto functions = numbers | std::views::transform([](int number) {
                           return [number] { return Cheap(number); };
                         });
  for (auto _ : state) benchmark::DoNotOptimize(All(Context(), functions));
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_MapOfCheap_TaskForEach)->UseRealTime();

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
