#include "cohort/executor/internal/worker_pool.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/log/absl_check.h"
#include "absl/log/absl_log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::executor_internal {
namespace {

// How often the monitor looks while tasks are stuck, and after how long without
// a start it adds a thread although the processors are busy.
constexpr absl::Duration kTick = absl::Milliseconds(1);
constexpr absl::Duration kPatience = absl::Milliseconds(10);
constexpr int64_t kMaxGrowthPerTick = 64;
constexpr size_t kSampleSize = 16;

// Below this share of the processors the workers cannot all be computing.
constexpr double kBusyShare = 0.7;

}  // namespace

WorkerPool::WorkerPool(PoolPolicy policy) : policy_(std::move(policy)) {}

WorkerPool::~WorkerPool() {
  ABSL_CHECK(Current() != this)
      << "Executor '" << policy_.name << "' destroyed by one of its own tasks";
  std::list<Task> leftover;
  sync::Thread monitor;
  mutex_.Lock();
  stopping_ = true;
  for (Worker* worker : idle_) worker->wake.Signal();
  Dispatch();
  while (!workers_.empty() || !queue_.empty()) {
    if (workers_.empty()) {
      // The system has no thread for us; this one has to do.
      leftover.splice(leftover.begin(), queue_, queue_.begin());
      mutex_.Unlock();
      std::move(leftover.front())();
      leftover.clear();
      mutex_.Lock();
    } else {
      // A worker of a pool that stops leaves its entry to be joined here.
      sync::Thread thread = std::move(workers_.front().thread);
      mutex_.Unlock();
      thread.Join();
      mutex_.Lock();
      workers_.pop_front();
    }
  }
  monitor_stop_ = true;
  monitor_wake_.Signal();
  monitor = std::move(monitor_);
  mutex_.Unlock();
  if (monitor.joinable()) monitor.Join();
}

void WorkerPool::Submit(Task task) {
  ABSL_CHECK(task) << "Executor::Submit: null task";
  std::list<Task> entry;
  entry.push_back(std::move(task));
  sync::MutexLock lock(&mutex_);
  queue_.splice(queue_.end(), entry);
  Dispatch();
}

PoolStats WorkerPool::stats() const {
  sync::MutexLock lock(&mutex_);
  return {.threads = static_cast<int>(workers_.size()),
          .idle = static_cast<int>(idle_.size()),
          .blocked = static_cast<int>(blocked_),
          .queued = static_cast<int64_t>(queue_.size()),
          .start_failures = start_failures_,
          .at_cap = Stuck() && workers_.size() >=
                                   static_cast<size_t>(policy_.max_threads)};
}

void WorkerPool::BlockingBegan() {
  sync::MutexLock lock(&mutex_);
  ++blocked_;
  Dispatch();
}

void WorkerPool::BlockingEnded() {
  sync::MutexLock lock(&mutex_);
  --blocked_;
}

int64_t WorkerPool::Active() const {
  const int64_t awake = static_cast<int64_t>(workers_.size() - idle_.size());
  return policy_.grows ? awake - blocked_ : awake;
}

int64_t WorkerPool::Allowed() const { return policy_.workers + boost_; }

bool WorkerPool::Stuck() const {
  return static_cast<int64_t>(queue_.size()) > arriving_;
}

void WorkerPool::Dispatch() {
  while (Stuck() && Active() < Allowed()) {
    if (!idle_.empty()) {
      Worker* worker = idle_.back();
      idle_.pop_back();
      worker->woken = true;
      ++arriving_;
      worker->wake.Signal();
    } else if (!StartWorker()) {
      break;
    }
  }
  if (Stuck() && policy_.grows) WakeMonitor();
}

bool WorkerPool::StartWorker() {
  if (workers_.size() >= static_cast<size_t>(policy_.max_threads)) return false;
  workers_.emplace_back();
  Worker* worker = &workers_.back();
  worker->self = std::prev(workers_.end());
  absl::StatusOr<sync::Thread> thread = sync::Thread::Start(
      {.name = policy_.name}, [this, worker] { RunWorker(worker); });
  if (!thread.ok()) {
    workers_.pop_back();
    ++start_failures_;
    return false;
  }
  worker->thread = *std::move(thread);
  ++arriving_;
  return true;
}

void WorkerPool::RunWorker(Worker* self) {
  WorkerScope scope(this);
  // A cleanup, since a task may also end its thread (pthread_exit).
  absl::Cleanup leave = [this, self] { Leave(self); };
  std::list<Task> task;
  while (NextTask(self, &task)) {
    std::move(task.front())();
    task.clear();
  }
}

bool WorkerPool::NextTask(Worker* self, std::list<Task>* task) {
  sync::MutexLock lock(&mutex_);
  if (!self->probe.has_value()) {
    self->probe = sync::ThreadProbe::OfCurrentThread();
    --arriving_;
  }
  while (true) {
    const bool used_up = policy_.one_task_per_thread && self->ran;
    // A used-up thread goes on only where it is the last hope of a task.
    if (!queue_.empty() && (!used_up || Stuck()) &&
        (stopping_ || Active() <= Allowed())) {
      task->splice(task->begin(), queue_, queue_.begin());
      ++started_;
      self->ran = true;
      return true;
    }
    if (used_up || (stopping_ && queue_.empty())) return false;
    if (!Park(self)) return false;
  }
}

// False if the thread has been without work for long enough to leave.
bool WorkerPool::Park(Worker* self) {
  self->woken = false;
  idle_.push_back(self);
  if (Active() <= policy_.workers) boost_ = 0;
  Dispatch();  // this thread's parking may be what allows another one to run
  const sync::SteadyTime deadline =
      sync::SteadyTime::Now() + policy_.keep_alive;
  bool expired = false;
  while (!self->woken && !stopping_ && !expired) {
    expired =
        self->wake.WaitUntil(&mutex_, deadline, sync::WaitKind::kDaemon);
  }
  if (self->woken) {
    --arriving_;
    return true;
  }
  idle_.erase(std::find(idle_.begin(), idle_.end(), self));
  return stopping_;
}

void WorkerPool::Leave(Worker* self) {
  sync::Thread thread;
  {
    sync::MutexLock lock(&mutex_);
    if (stopping_) return;  // the destructor joins
    thread = std::move(self->thread);
    workers_.erase(self->self);
    Dispatch();
  }
  thread.Detach();
}

void WorkerPool::WakeMonitor() {
  if (monitor_.joinable()) {
    monitor_wake_.Signal();
    return;
  }
  absl::StatusOr<sync::Thread> thread = sync::Thread::Start(
      {.name = policy_.name + "-mon"}, [this] { RunMonitor(); });
  if (thread.ok()) {
    monitor_ = *std::move(thread);
  } else {
    ++start_failures_;  // tried again by the next Submit
  }
}

std::vector<sync::ThreadProbe> WorkerPool::SampleWorkers() const {
  std::vector<sync::ThreadProbe> sample;
  const size_t stride = std::max<size_t>(1, workers_.size() / kSampleSize);
  size_t position = 0;
  for (const Worker& worker : workers_) {
    if (position++ % stride == 0 && worker.probe.has_value()) {
      sample.push_back(*worker.probe);
    }
  }
  return sample;
}

void WorkerPool::RunMonitor() {
  bool reported_cap = false;
  int64_t reported_failures = 0;
  mutex_.Lock();
  while (!monitor_stop_) {
    if (!Stuck()) {
      monitor_wake_.Wait(&mutex_, sync::WaitKind::kDaemon);
      continue;
    }
    const int64_t started_before = started_;
    sync::SteadyTime last_start = sync::SteadyTime::Now();
    int64_t seen = started_before;
    sync::SteadyTime tick_began = last_start;
    absl::Duration cpu_before = sync::ProcessCpuTime();
    while (Stuck() && !monitor_stop_) {
      const sync::SteadyTime next_tick = sync::SteadyTime::Now() + kTick;
      while (!monitor_stop_ &&
             !monitor_wake_.WaitUntil(&mutex_, next_tick,
                                      sync::WaitKind::kDaemon)) {
      }
      if (!Stuck() || monitor_stop_) break;

      const sync::SteadyTime now = sync::SteadyTime::Now();
      const absl::Duration cpu = sync::ProcessCpuTime();
      const bool processors_busy =
          absl::FDivDuration(cpu - cpu_before, now - tick_began) >
          kBusyShare * std::min(policy_.workers, sync::HardwareConcurrency());
      cpu_before = cpu;
      tick_began = now;
      if (started_ != seen) {
        seen = started_;
        last_start = now;
      }

      const bool at_cap =
          workers_.size() >= static_cast<size_t>(policy_.max_threads);
      const int64_t failures = start_failures_;
      const std::vector<sync::ThreadProbe> sample =
          processors_busy ? std::vector<sync::ThreadProbe>() : SampleWorkers();
      mutex_.Unlock();
      size_t asleep = 0;
      for (const sync::ThreadProbe& probe : sample) {
        asleep += probe.LooksBlocked() ? 1 : 0;
      }
      if (at_cap && !reported_cap) {
        reported_cap = true;
        ABSL_LOG(WARNING) << "executor '" << policy_.name << "': tasks wait, "
                          << "and all of its " << policy_.max_threads
                          << " threads are taken";
      }
      if (failures > 0 && reported_failures == 0) {
        reported_failures = failures;
        ABSL_LOG(WARNING) << "executor '" << policy_.name
                          << "': the system refuses to start threads; tasks "
                             "wait for the ones there are";
      }
      mutex_.Lock();

      // Threads of ours that look idle although they run tasks: blocked
      // without having said so. (The sample also says that where another
      // process has taken the processors, which the time used cannot.)
      const double awake =
          static_cast<double>(workers_.size()) - static_cast<double>(idle_.size());
      const double computing =
          sample.empty() ? awake
                         : awake * static_cast<double>(sample.size() - asleep) /
                               static_cast<double>(sample.size());
      int64_t growth = 0;
      if (computing < policy_.workers) {
        growth = std::clamp<int64_t>(Active(), 1, kMaxGrowthPerTick);
      } else if (now - last_start >= kPatience) {
        growth = 1;
        last_start = now;
      }
      if (growth > 0) {
        boost_ = std::max(boost_, Active() - policy_.workers) + growth;
      }
      Dispatch();
    }
  }
  mutex_.Unlock();
}

}  // namespace cohort::executor_internal
