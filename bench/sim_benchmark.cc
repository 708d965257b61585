// How many schedules a second the search gets through on one core, and what a
// step costs.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sim/search.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"

namespace cohort {
namespace {

void Search(benchmark::State& state, absl::FunctionRef<void()> body) {
  constexpr int64_t kSchedules = 1'000;
  int64_t schedules = 0;
  int64_t steps = 0;
  for (auto _ : state) {
    const sim::Result result = sim::Search(
        {.schedules = kSchedules, .seed = static_cast<uint64_t>(schedules)},
        body);
    ABSL_CHECK(!result.failure.has_value()) << Report(*result.failure);
    schedules += result.schedules;
    steps += result.steps;
  }
  state.counters["schedules"] = benchmark::Counter(
      static_cast<double>(schedules), benchmark::Counter::kIsRate);
  state.counters["step"] = benchmark::Counter(
      static_cast<double>(steps),
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

template <class F>
void InThreads(int64_t threads, F body) {
  std::vector<std::unique_ptr<testing::JoiningThread>> callers;
  for (int64_t i = 0; i < threads; ++i) {
    callers.push_back(std::make_unique<testing::JoiningThread>(body));
  }
}

// Threads, each with so many critical sections.
void BM_Lock(benchmark::State& state) {
  Search(state, [&] {
    sync::Mutex mutex;
    InThreads(state.range(0), [&] {
      for (int64_t i = 0; i < state.range(1); ++i) {
        sync::MutexLock lock(&mutex);
      }
    });
  });
}
BENCHMARK(BM_Lock)->Args({2, 2})->Args({3, 10});

void BM_Atomic(benchmark::State& state) {
  Search(state, [&] {
    sync::Atomic<int64_t> number = 0;
    InThreads(state.range(0), [&] {
      for (int64_t i = 0; i < state.range(1); ++i) number.fetch_add(1);
    });
  });
}
BENCHMARK(BM_Atomic)->Args({3, 10});

// A whole group of so many tasks on the default executor.
void BM_Group(benchmark::State& state) {
  Search(state, [&] {
    errgroup::Group group{Context()};
    for (int64_t i = 0; i < state.range(0); ++i) {
      group.Go([](const Context&) { return absl::OkStatus(); });
    }
    ABSL_CHECK_OK(group.Wait());
  });
}
BENCHMARK(BM_Group)->Arg(3);

}  // namespace
}  // namespace cohort
