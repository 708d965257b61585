// What a task at a time costs: a million timers over two seconds, and a million
// that are cancelled. Beside them a queue as one writes it: a heap, a lock and
// a thread.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "cohort/schedgroup/group.h"

namespace cohort::schedgroup {
namespace {

absl::Duration Spread(int64_t i, int64_t count) {
  return absl::Microseconds(i * 7'919 % count * 2);
}

class HeapOfTasks {
 public:
  ~HeapOfTasks() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void Delay(absl::Duration delay, std::function<void()> task) {
    const absl::Time due = absl::Now() + delay;
    const std::lock_guard lock(mutex_);
    const bool next = tasks_.empty() || due < tasks_.top().due;
    tasks_.push({due, std::move(task)});
    if (next) changed_.notify_one();
  }

 private:
  struct Entry {
    absl::Time due;
    std::function<void()> task;
    friend bool operator<(const Entry& a, const Entry& b) {
      return b.due < a.due;
    }
  };

  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (tasks_.empty()) {
        changed_.wait(lock);
      } else if (tasks_.top().due > absl::Now()) {
        changed_.wait_until(lock, absl::ToChronoTime(tasks_.top().due));
      } else {
        const std::function<void()> task = tasks_.top().task;
        tasks_.pop();
        lock.unlock();
        task();
        lock.lock();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<Entry> tasks_;
  bool stopping_ = false;
  std::thread thread_{[this] { Run(); }};
};

void BM_Insert(benchmark::State& state) {
  const int64_t count = state.range(0);
  for (auto _ : state) {
    std::optional<Group> group(std::in_place);
    for (int64_t i = 0; i < count; ++i) {
      group->Delay(absl::Hours(1) + Spread(i, count), [] {});
    }
    state.PauseTiming();
    group.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_Insert)->Arg(100'000)->Arg(1'000'000)->UseRealTime();

void BM_InsertIntoAHeap(benchmark::State& state) {
  const int64_t count = state.range(0);
  for (auto _ : state) {
    std::optional<HeapOfTasks> heap(std::in_place);
    for (int64_t i = 0; i < count; ++i) {
      heap->Delay(absl::Hours(1) + Spread(i, count), [] {});
    }
    state.PauseTiming();
    heap.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_InsertIntoAHeap)->Arg(100'000)->Arg(1'000'000)->UseRealTime();

// All come due, spread over two seconds for a million: what it costs beyond
// that is lateness.
void BM_Run(benchmark::State& state) {
  const int64_t count = state.range(0);
  for (auto _ : state) {
    Group group;
    for (int64_t i = 0; i < count; ++i) group.Delay(Spread(i, count), [] {});
    benchmark::DoNotOptimize(group.Wait());
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_Run)->Arg(100'000)->Arg(1'000'000)->UseRealTime();

void BM_Cancel(benchmark::State& state) {
  const int64_t count = state.range(0);
  Group group;
  std::vector<TaskId> ids(static_cast<size_t>(count));
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < count; ++i) {
      ids[static_cast<size_t>(i)] =
          group.Delay(absl::Hours(1) + Spread(i, count), [] {});
    }
    state.ResumeTiming();
    for (const TaskId& id : ids) benchmark::DoNotOptimize(group.Cancel(id));
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_Cancel)->Arg(1'000'000)->UseRealTime();

// Linear in the number of tasks that are to come.
void BM_Destroy(benchmark::State& state) {
  const int64_t count = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    std::optional<Group> group(std::in_place);
    for (int64_t i = 0; i < count; ++i) {
      group->Delay(absl::Hours(1) + Spread(i, count), [] {});
    }
    state.ResumeTiming();
    group.reset();
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_Destroy)->Arg(100'000)->Arg(1'000'000)->UseRealTime();

}  // namespace
}  // namespace cohort::schedgroup
