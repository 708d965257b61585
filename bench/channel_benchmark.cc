// What it costs to hand values on: against a queue of bounded length under a
// mutex with two condition variables, which is what is written otherwise, and
// which has neither contexts nor turns nor a Select.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/pipeline.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/sync/mutex.h"

namespace cohort::channel {
namespace {

class Queue {
 public:
  explicit Queue(int capacity) : capacity_(static_cast<size_t>(capacity)) {}

  void Send(int64_t value) {
    sync::MutexLock lock(&mutex_);
    while (values_.size() == capacity_) not_full_.Wait(&mutex_);
    values_.push_back(value);
    not_empty_.Signal();
  }
  bool Receive(int64_t* value) {
    sync::MutexLock lock(&mutex_);
    while (values_.empty() && !closed_) not_empty_.Wait(&mutex_);
    if (values_.empty()) return false;
    *value = values_.front();
    values_.pop_front();
    not_full_.Signal();
    return true;
  }
  void Close() {
    sync::MutexLock lock(&mutex_);
    closed_ = true;
    not_empty_.SignalAll();
  }

 private:
  const size_t capacity_;
  sync::Mutex mutex_;
  sync::CondVar not_full_;
  sync::CondVar not_empty_;
  std::deque<int64_t> values_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

class Cohort {
 public:
  explicit Cohort(int capacity) : channel_(capacity) {}

  void Send(int64_t value) { channel_.Send(context_, value).IgnoreError(); }
  bool Receive(int64_t* value) {
    const absl::StatusOr<int64_t> received = channel_.Receive(context_);
    if (received.ok()) *value = *received;
    return received.ok();
  }
  void Close() { channel_.Close(); }

 private:
  const Context context_;
  Channel<int64_t> channel_;
};

class CohortWithContext {
 public:
  explicit CohortWithContext(int capacity) : channel_(capacity) {}

  void Send(int64_t value) {
    channel_.Send(scope_.context(), value).IgnoreError();
  }
  bool Receive(int64_t* value) {
    const absl::StatusOr<int64_t> received = channel_.Receive(scope_.context());
    if (received.ok()) *value = *received;
    return received.ok();
  }
  void Close() { channel_.Close(); }

 private:
  const CancelScope scope_ = WithCancel(Context());
  Channel<int64_t> channel_;
};

// Nobody waits.
template <class T>
void BM_SendReceive(benchmark::State& state) {
  T channel(1);
  int64_t value = 0;
  for (auto _ : state) {
    channel.Send(value);
    channel.Receive(&value);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_SendReceive<Cohort>);
BENCHMARK(BM_SendReceive<CohortWithContext>);
BENCHMARK(BM_SendReceive<Queue>);

// Four producers, twenty consumers, a hundred and twenty-eight places.
template <class T>
void BM_ManyThreads(benchmark::State& state) {
  constexpr int kProducers = 4;
  constexpr int kConsumers = 20;
  constexpr int64_t kValues = 100'000;
  for (auto _ : state) {
    T channel(128);
    std::vector<std::thread> consumers;
    for (int i = 0; i < kConsumers; ++i) {
      consumers.emplace_back([&channel] {
        int64_t value = 0;
        while (channel.Receive(&value)) benchmark::DoNotOptimize(value);
      });
    }
    std::vector<std::thread> producers;
    for (int i = 0; i < kProducers; ++i) {
      producers.emplace_back([&channel] {
        for (int64_t n = 0; n < kValues / kProducers; ++n) channel.Send(n);
      });
    }
    for (std::thread& producer : producers) producer.join();
    channel.Close();
    for (std::thread& consumer : consumers) consumer.join();
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK(BM_ManyThreads<Cohort>)->UseRealTime();
BENCHMARK(BM_ManyThreads<CohortWithContext>)->UseRealTime();
BENCHMARK(BM_ManyThreads<Queue>)->UseRealTime();

// What a Select costs over a Receive, by its cases, all but one of them not
// ready.
void BM_Select(benchmark::State& state) {
  std::deque<Channel<int64_t>> channels;
  std::vector<Channel<int64_t>*> all;
  for (int64_t i = 0; i < state.range(0); ++i) {
    all.push_back(&channels.emplace_back(1));
  }
  const Context context;
  for (auto _ : state) {
    all.back()->TrySend(1).IgnoreError();
    benchmark::DoNotOptimize(ReceiveFromAny<int64_t>(context, all));
  }
}
BENCHMARK(BM_Select)->Arg(1)->Arg(2)->Arg(4)->Arg(16)->Arg(2048);

// The same one after another: FanIn looks only at those channels that something
// has happened to.
void BM_FanIn(benchmark::State& state) {
  std::deque<Channel<int64_t>> channels;
  std::vector<Channel<int64_t>*> all;
  for (int64_t i = 0; i < state.range(0); ++i) {
    all.push_back(&channels.emplace_back(1));
  }
  Channel<int64_t> out(1);
  const Context context;
  std::thread stage([&] { FanIn<int64_t>(context, all, out).IgnoreError(); });
  size_t next = 0;
  for (auto _ : state) {
    all[next]->Send(context, 1).IgnoreError();
    next = (next + 1) % all.size();
    benchmark::DoNotOptimize(out.Receive(context));
  }
  for (Channel<int64_t>* channel : all) channel->Close();
  stage.join();
}
BENCHMARK(BM_FanIn)->Arg(1)->Arg(16)->Arg(2048)->UseRealTime();

}  // namespace
}  // namespace cohort::channel
