// How late each kind of timer comes, in microseconds: half of them come within
// p50_us, and 99 of 100 within p99_us. Once while the default executor has
// nothing else to do, and once beside a batch that fills it. Between them plain
// timers come due, of the kind that one writes oneself: a heap, a lock and a
// thread that runs what is due (plain_p50_us, plain_p99_us). They show what the
// machine itself adds.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/schedgroup/group.h"

namespace cohort {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kTimers = 400;
constexpr auto kGap = std::chrono::microseconds(2'500);
constexpr auto kTask = std::chrono::microseconds(250);

class PlainTimers {
 public:
  ~PlainTimers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void Arm(Clock::time_point due, std::function<void()> callback) {
    const std::lock_guard lock(mutex_);
    const bool next = timers_.empty() || due < timers_.top().due;
    timers_.push({due, std::move(callback)});
    if (next) changed_.notify_one();
  }

 private:
  struct Entry {
    Clock::time_point due;
    std::function<void()> callback;
    friend bool operator<(const Entry& a, const Entry& b) {
      return b.due < a.due;
    }
  };

  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (timers_.empty()) {
        changed_.wait(lock);
      } else if (timers_.top().due > Clock::now()) {
        const Clock::time_point due = timers_.top().due;
        changed_.wait_until(lock, due);
      } else {
        const std::function<void()> callback = timers_.top().callback;
        timers_.pop();
        lock.unlock();
        callback();
        lock.lock();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<Entry> timers_;
  bool stopping_ = false;
  std::thread thread_{[this] { Run(); }};
};

// While it lives, that many tasks are queued on the default executor: each that
// ends is followed by a new one.
class Batch {
 public:
  explicit Batch(int64_t queued) : left_(static_cast<int>(queued)) {
    for (int64_t i = 0; i < queued; ++i) Add();
  }
  ~Batch() {
    stopping_ = true;
    left_.Wait();
  }

 private:
  void Add() {
    DefaultExecutor().Submit([this] { Run(); });
  }
  void Run() {
    if (stopping_) {
      left_.DecrementCount();
      return;
    }
    const Clock::time_point end = Clock::now() + kTask;
    while (Clock::now() < end) continue;
    Add();
  }

  std::atomic<bool> stopping_ = false;
  absl::BlockingCounter left_;
};

// How late each timer of one kind was.
class Lateness {
 public:
  // To be called once for each of the timers, when it has come.
  void Came(size_t timer, Clock::time_point due) {
    const std::chrono::duration<double, std::micro> late = Clock::now() - due;
    late_us_[timer] = late.count();
    left_.DecrementCount();
  }

  // Waits for all of them.
  void Report(benchmark::State& state, const std::string& prefix) {
    left_.Wait();
    std::sort(late_us_.begin(), late_us_.end());
    state.counters[prefix + "p50_us"] = late_us_[kTimers / 2];
    state.counters[prefix + "p99_us"] = late_us_[kTimers * 99 / 100];
  }

 private:
  std::vector<double> late_us_ = std::vector<double>(kTimers);
  absl::BlockingCounter left_{static_cast<int>(kTimers)};
};

// Where a benchmark puts what it measures.
struct Results {
  Lateness ours;
  Lateness plain;
};

// One timer after the other; the calling thread notices each of them itself, as
// the arguments say.
void OneByOne(Results& results, void (*await)(const Context&),
              void (*await_plain)(const absl::Notification&)) {
  PlainTimers timers;
  for (size_t i = 0; i < kTimers; ++i) {
    Clock::time_point due = Clock::now() + kGap;
    const CancelScope scope = WithTimeout(Context(), absl::FromChrono(kGap));
    await(scope.context());
    results.ours.Came(i, due);

    absl::Notification notified;
    due = Clock::now() + kGap;
    timers.Arm(due, [&notified] { notified.Notify(); });
    await_plain(notified);
    results.plain.Came(i, due);
  }
}

void PollOneByOne(Results& results) {
  OneByOne(
      results,
      [](const Context& context) {
        while (!context.done()) continue;
      },
      [](const absl::Notification& notified) {
        while (!notified.HasBeenNotified()) continue;
      });
}

// All timers at once, one due after the other; `arm` is given a timer's number,
// when it is due, and how long it is until then.
template <class Arm>
void AllAtOnce(PlainTimers& timers, Results& results, Arm arm) {
  Clock::time_point due = Clock::now() + 20 * kGap;
  for (size_t i = 0; i < kTimers; ++i) {
    due += kGap;
    arm(i, due, absl::FromChrono(due - Clock::now()));
    due += kGap;
    timers.Arm(due, [&results, i, due] { results.plain.Came(i, due); });
  }
}

// A thread that waits for its context.
void BM_Waiter(benchmark::State& state) {
  for (auto _ : state) {
    const Batch batch(state.range(0));
    Results results;
    OneByOne(
        results, [](const Context& context) { context.AwaitDone(); },
        [](const absl::Notification& notified) {
          notified.WaitForNotification();
        });
    results.ours.Report(state, "");
    results.plain.Report(state, "plain_");
  }
}

// A thread that looks at done() all the time.
void BM_PollingThread(benchmark::State& state) {
  for (auto _ : state) {
    const Batch batch(state.range(0));
    Results results;
    PollOneByOne(results);
    results.ours.Report(state, "");
    results.plain.Report(state, "plain_");
  }
}

// The same in a task on the executor, which the deadline is to stop.
void BM_TaskToStop(benchmark::State& state) {
  for (auto _ : state) {
    Results results;
    absl::Notification begun;
    absl::Notification ended;
    DefaultExecutor().Submit([&] {
      begun.Notify();
      PollOneByOne(results);
      ended.Notify();
    });
    begun.WaitForNotification();
    const Batch batch(state.range(0));
    ended.WaitForNotification();
    results.ours.Report(state, "");
    results.plain.Report(state, "plain_");
  }
}

void BM_Callback(benchmark::State& state) {
  for (auto _ : state) {
    const Batch batch(state.range(0));
    Results results;
    PlainTimers timers;
    std::vector<CancelScope> scopes;
    std::vector<DoneCallback> callbacks;
    AllAtOnce(timers, results,
              [&](size_t i, Clock::time_point due, absl::Duration left) {
                scopes.push_back(WithTimeout(Context(), left));
                callbacks.push_back(scopes.back().context().OnDone(
                    [&results, i, due] { results.ours.Came(i, due); }));
              });
    results.ours.Report(state, "");
    results.plain.Report(state, "plain_");
  }
}

void BM_TimedTask(benchmark::State& state) {
  for (auto _ : state) {
    const Batch batch(state.range(0));
    Results results;
    PlainTimers timers;
    schedgroup::Group group;
    AllAtOnce(timers, results,
              [&](size_t i, Clock::time_point due, absl::Duration left) {
                group.Delay(left,
                            [&results, i, due] { results.ours.Came(i, due); });
              });
    // Not by group.Wait(), which would run what is due itself.
    results.ours.Report(state, "");
    results.plain.Report(state, "plain_");
  }
}

void Settings(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("batch")
      ->Arg(0)
      ->Arg(20'000)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}
BENCHMARK(BM_Waiter)->Apply(Settings);
BENCHMARK(BM_PollingThread)->Apply(Settings);
BENCHMARK(BM_TaskToStop)->Apply(Settings);
BENCHMARK(BM_Callback)->Apply(Settings);
BENCHMARK(BM_TimedTask)->Apply(Settings);

}  // namespace
}  // namespace cohort
