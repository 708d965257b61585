// What singleflight costs: a caller who is alone, many of one key, many of
// their own; against a mutex, a map and a shared_future, which is what one
// writes by hand, and which nobody can leave or forget.

#include <chrono>
#include <cstdint>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/singleflight/group.h"
#include "cohort/singleflight/result.h"

namespace cohort::singleflight {
namespace {

class ByHand {
 public:
  template <class F>
  int Do(const std::string& key, F work) {
    std::optional<std::promise<int>> promise;
    std::shared_future<int> future;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto [entry, leads] = calls_.try_emplace(key);
      if (leads) {
        entry->second = promise.emplace().get_future().share();
      }
      future = entry->second;
    }
    if (promise.has_value()) {
      const int value = work();
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        calls_.erase(key);
      }
      promise->set_value(value);
    }
    return future.get();
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_future<int>> calls_;
};

// Somebody else's, who takes a while.
int Work() {
  std::this_thread::sleep_for(std::chrono::microseconds(100));
  return 1;
}

std::string KeyOf(const benchmark::State& state) {
  return "key " + std::to_string(state.thread_index());
}

void BM_OneCaller(benchmark::State& state) {
  Group<std::string, int> group;
  const std::string key = KeyOf(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(*group.Do(Context(), key, [] { return 1; }));
  }
}
BENCHMARK(BM_OneCaller);

void BM_OneCallerByHand(benchmark::State& state) {
  ByHand group;
  const std::string key = KeyOf(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(group.Do(key, [] { return 1; }));
  }
}
BENCHMARK(BM_OneCallerByHand);

// Of work that is told when to stop, by a caller who may leave.
void BM_OneCallerWithContext(benchmark::State& state) {
  Group<std::string, int> group;
  const std::string key = KeyOf(state);
  const CancelScope scope = WithCancel(Context());
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        *group.Do(scope.context(), key, [](const Context&) { return 1; }));
  }
}
BENCHMARK(BM_OneCallerWithContext);

void BM_Start(benchmark::State& state) {
  Group<std::string, int> group;
  const std::string key = KeyOf(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        *group.Start(Context(), key, [] { return 1; }).Wait());
  }
}
BENCHMARK(BM_Start)->UseRealTime();

// calls: how much of the work was done for one that was wanted.
template <class F>
void RunHotKey(benchmark::State& state, F call) {
  int64_t calls = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(call([&calls] {
      ++calls;
      return Work();
    }));
  }
  state.counters["calls"] = benchmark::Counter(
      static_cast<double>(calls), benchmark::Counter::kAvgIterations);
}

void BM_HotKey(benchmark::State& state) {
  static Group<std::string, int> group;
  RunHotKey(state, [](auto work) { return *group.Do(Context(), "key", work); });
}
BENCHMARK(BM_HotKey)->Threads(8)->UseRealTime();

void BM_HotKeyByHand(benchmark::State& state) {
  static ByHand group;
  RunHotKey(state, [](auto work) { return group.Do("key", work); });
}
BENCHMARK(BM_HotKeyByHand)->Threads(8)->UseRealTime();

// Unrelated keys.
void BM_ManyKeys(benchmark::State& state) {
  static Group<std::string, int> group;
  const std::string key = KeyOf(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(*group.Do(Context(), key, [] { return 1; }));
  }
}
BENCHMARK(BM_ManyKeys)->Threads(8)->UseRealTime();

void BM_ManyKeysByHand(benchmark::State& state) {
  static ByHand group;
  const std::string key = KeyOf(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(group.Do(key, [] { return 1; }));
  }
}
BENCHMARK(BM_ManyKeysByHand)->Threads(8)->UseRealTime();

}  // namespace
}  // namespace cohort::singleflight
