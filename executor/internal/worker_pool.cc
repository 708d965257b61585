#include "cohort/executor/internal/worker_pool.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <list>
#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/log/absl_log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/executor/catch.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::executor_internal {
namespace {

// kTick: how often the monitor looks while tasks are stuck. kPatience: if no
// task starts for that long, it adds a thread although the processors are busy.
constexpr absl::Duration kTick = absl::Milliseconds(1);
constexpr absl::Duration kPatience = absl::Milliseconds(10);
constexpr int64_t kMaxGrowthPerTick = 64;
constexpr int64_t kSampleSize = 16;

// After this many urgent tasks in a row, one of the others starts.
constexpr int kMaxUrgentInARow = 16;

// If the processors are less busy than this, not all workers can be computing.
constexpr double kBusyShare = 0.7;

}  // namespace

// The state of a worker's thread, whose destructor leaves the pool when the
// thread ends. So the worker leaves even if a task ended the thread
// (pthread_exit). Since this object is older than any thread-local object of a
// task, it is destroyed after them: their destructors have run before the
// pool's destructor returns.
struct WorkerPool::Membership {
  ~Membership() {
    if (pool != nullptr) pool->Leave(worker);
  }

  static Membership& OfThisThread() {
    return sync::ThreadLocal<Membership, Membership>::Get();
  }

  WorkerPool* pool = nullptr;
  Worker* worker = nullptr;
};

WorkerPool::WorkerPool(PoolPolicy policy) : policy_(std::move(policy)) {}

WorkerPool::~WorkerPool() {
  if (mutex_owner_ == nullptr) return;  // has left
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(stopping_ && workers_.empty())
      << "Executor '" << policy_.name << "' has not been finished";
}

// Holds the lock from here on: any thread that comes to the pool blocks there,
// and touches nothing that has been destroyed.
void WorkerPool::Freeze() {
  mutex_.Lock();
  sync::KeepForExit(std::move(mutex_owner_));
  sync::KeepForExit(std::move(queue_));
  sync::KeepForExit(std::move(urgent_));
  sync::KeepForExit(std::move(workers_));
  sync::KeepForExit(std::move(ended_));
  sync::KeepForExit(std::move(monitor_));
}

void WorkerPool::Finish() {
  if (Current() == this && sync::InExit()) {
    Freeze();
    return;
  }
  ABSL_CHECK(Current() != this)
      << "Executor '" << policy_.name << "' destroyed by one of its own tasks";
  {
    sync::MutexLock lock(&mutex_);
    stopping_ = true;
    for (Worker* worker : idle_) worker->wake.Signal();
  }
  std::list<Task> leftover;
  while (TakeLeftover(&leftover)) {
    // The system has no thread for the pool; the calling one must do.
    WorkerScope scope(this);
    std::move(leftover.front())();
    leftover.clear();
  }
  std::list<Worker> ended;
  sync::Thread monitor;
  {
    sync::MutexLock lock(&mutex_);
    ended.swap(ended_);
    monitor_stop_ = true;
    monitor_wake_.Signal();
    monitor = std::move(monitor_);
  }
  BlockingScope blocking;
  for (Worker& worker : ended) worker.thread.Join();
  if (monitor.joinable()) monitor.Join();
}

bool WorkerPool::TakeLeftover(std::list<Task>* task) {
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  Dispatch();
  while (!workers_.empty()) worker_ended_.Wait(&mutex_);
  if (Queued() == 0) return false;
  TakeTask(task);
  return true;
}

void WorkerPool::Submit(Task task) {
  Enqueue(std::move(task), &WorkerPool::queue_);
}

void WorkerPool::SubmitUrgent(Task task) {
  Enqueue(std::move(task), &WorkerPool::urgent_);
}

void WorkerPool::Enqueue(Task task, std::list<Task> WorkerPool::* queue) {
  ABSL_CHECK(task) << "Executor::Submit: null task";
  std::list<Task> entry;
  entry.push_back(std::move(task));
  bool report = false;
  {
    sync::MutexLock lock(&mutex_);
    (this->*queue).splice((this->*queue).end(), entry);
    Dispatch();
    report = TakeFailureReport();
  }
  if (report) ReportFailure();
}

PoolStats WorkerPool::stats() const {
  sync::MutexLock lock(&mutex_);
  return {.threads = static_cast<int>(workers_.size()),
          .idle = static_cast<int>(idle_.size()),
          .blocked = static_cast<int>(blocked_),
          .queued = Queued(),
          .start_failures = start_failures_,
          .at_cap = Stuck() && AtCap()};
}

WorkerPool::Worker* WorkerPool::ThisWorker() {
  const Membership& membership = Membership::OfThisThread();
  return membership.pool == this ? membership.worker : nullptr;
}

void WorkerPool::BlockingBegan() {
  Worker* const self = ThisWorker();
  sync::MutexLock lock(&mutex_);
  // The thread that finishes the pool may run tasks too, but is not a worker.
  if (self != nullptr) {
    self->blocked = true;
    ++blocked_;
  }
  Dispatch();
}

void WorkerPool::BlockingEnded() {
  Worker* const self = ThisWorker();
  if (self == nullptr) return;
  sync::MutexLock lock(&mutex_);
  self->blocked = false;
  --blocked_;
}

int64_t WorkerPool::Active() const {
  const int64_t awake = static_cast<int64_t>(workers_.size() - idle_.size());
  return policy_.grows ? awake - blocked_ : awake;
}

int64_t WorkerPool::Allowed() const {
  // Urgent tasks do not wait for a task that computes for long.
  const int64_t extra = policy_.grows && !urgent_.empty() ? 1 : 0;
  return policy_.workers + boost_ + extra;
}

int64_t WorkerPool::Queued() const {
  return static_cast<int64_t>(queue_.size() + urgent_.size());
}

void WorkerPool::TakeTask(std::list<Task>* task) {
  const bool urgent = !urgent_.empty() &&
                      (queue_.empty() || urgent_in_a_row_ < kMaxUrgentInARow);
  urgent_in_a_row_ = urgent ? urgent_in_a_row_ + 1 : 0;
  std::list<Task>& queue = urgent ? urgent_ : queue_;
  task->splice(task->begin(), queue, queue.begin());
  ++started_;
}

bool WorkerPool::Stuck() const { return Queued() > arriving_; }

bool WorkerPool::NeedsMonitor() const {
  // Without any thread nobody else would try again. But Finish runs the
  // remaining tasks itself; and in a pool with a fixed number of threads, its
  // thread may already be all that are allowed.
  return policy_.grows || (workers_.empty() && !stopping_);
}

bool WorkerPool::AtCap() const {
  return workers_.size() >= static_cast<size_t>(policy_.max_threads);
}

void WorkerPool::Dispatch() {
  while (Stuck() && Active() < Allowed()) {
    if (!idle_.empty()) {
      Worker* worker = idle_.back();
      idle_.pop_back();
      worker->idle = false;
      worker->woken = true;
      ++arriving_;
      worker->wake.Signal();
    } else if (!StartWorker()) {
      break;
    }
  }
  if (Stuck() && NeedsMonitor()) WakeMonitor();
}

bool WorkerPool::StartWorker() {
  if (AtCap()) return false;
  std::list<Worker> entry;
  absl::StatusOr<sync::Thread> thread;
  // If there is no memory, there is no thread.
  const auto start = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    entry.emplace_back();
    // So that parking allocates nothing.
    const size_t threads = workers_.size() + 1;
    if (idle_.capacity() < threads) idle_.reserve(2 * threads);
    thread = sync::Thread::Start(
        {.name = policy_.name},
        [this, worker = &entry.back()] { RunWorker(worker); });
  };
  if (Catch(start) != nullptr || !thread.ok()) {
    ++start_failures_;
    return false;
  }
  workers_.splice(workers_.end(), entry);
  Worker* worker = &workers_.back();
  worker->self = std::prev(workers_.end());
  worker->thread = *std::move(thread);
  ++arriving_;
  return true;
}

void WorkerPool::RunWorker(Worker* self) {
  Membership& membership = Membership::OfThisThread();
  membership.pool = this;
  membership.worker = self;
  WorkerScope scope(this);
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
    // A used-up thread continues only if no other thread can run a task.
    if (Queued() > 0 && (!used_up || Stuck()) &&
        (stopping_ || Active() <= Allowed())) {
      TakeTask(task);
      self->ran = true;
      return true;
    }
    if (used_up || stopping_) return false;
    if (!Park(self)) return false;
  }
}

// False if the thread has been without work for long enough to leave.
bool WorkerPool::Park(Worker* self) {
  self->woken = false;
  self->idle = true;
  idle_.push_back(self);
  if (Active() <= policy_.workers) boost_ = 0;
  Dispatch();  // parking this thread may allow another one to run
  const sync::SteadyTime deadline =
      sync::SteadyTime::Now() + policy_.keep_alive;
  bool expired = false;
  while (!self->woken && !stopping_ && !expired) {
    expired = self->wake.WaitUntil(&mutex_, deadline, sync::WaitKind::kDaemon);
  }
  if (self->woken) {
    --arriving_;
    return true;
  }
  idle_.erase(std::find(idle_.begin(), idle_.end(), self));
  self->idle = false;
  return stopping_;
}

void WorkerPool::Leave(Worker* self) {
  sync::Thread thread;
  {
    sync::MutexLock lock(&mutex_);
    // Only if a task ended the thread and the stack was not unwound.
    if (self->blocked) --blocked_;
    if (stopping_) {
      ended_.splice(ended_.end(), workers_, self->self);
      worker_ended_.Signal();
    } else {
      thread = std::move(self->thread);
      workers_.erase(self->self);
    }
    Dispatch();
  }
  // The pool may have been destroyed.
  if (thread.joinable()) thread.Detach();
}

bool WorkerPool::TakeFailureReport() {
  return start_failures_ > 0 && !std::exchange(failure_reported_, true);
}

void WorkerPool::ReportFailure() const {
  ABSL_LOG(WARNING) << "executor '" << policy_.name
                    << "': the system refuses to start threads; tasks wait for "
                       "those there are";
}

void WorkerPool::WakeMonitor() {
  if (monitor_.joinable()) {
    if (!std::exchange(monitor_awake_, true)) monitor_wake_.Signal();
    return;
  }
  absl::StatusOr<sync::Thread> thread;
  const std::exception_ptr refused = Catch([&] {
    thread = sync::Thread::Start({.name = policy_.name + "-mon"},
                                 [this] { RunMonitor(); });
  });
  if (refused == nullptr && thread.ok()) {
    monitor_ = *std::move(thread);
    monitor_awake_ = true;
  } else {
    ++start_failures_;  // the next Dispatch tries again
  }
}

void WorkerPool::RunMonitor() {
  sync::MutexLock lock(&mutex_);
  while (!monitor_stop_) {
    Watch();
    monitor_awake_ = false;
    while (!monitor_awake_ && !monitor_stop_) {
      monitor_wake_.Wait(&mutex_, sync::WaitKind::kDaemon);
    }
  }
}

void WorkerPool::Watch() {
  sync::SteadyTime tick_began = sync::SteadyTime::Now();
  sync::SteadyTime last_start = tick_began;
  sync::SteadyTime last_look = tick_began;
  absl::Duration cpu_before = sync::ProcessCpuTime();
  int64_t started_before = started_;
  while (true) {
    while (!monitor_stop_ &&
           !monitor_wake_.WaitUntil(&mutex_, tick_began + kTick,
                                    sync::WaitKind::kDaemon)) {
    }
    if (!Stuck() || !NeedsMonitor()) return;

    const bool report_cap = AtCap() && !std::exchange(cap_reported_, true);
    const bool report_failure = TakeFailureReport();
    if (report_cap || report_failure) {
      mutex_.Unlock();
      if (report_cap) {
        ABSL_LOG(WARNING) << "executor '" << policy_.name << "': tasks wait, "
                          << "and all of its " << policy_.max_threads
                          << " threads are taken";
      }
      if (report_failure) ReportFailure();
      mutex_.Lock();
    }

    const sync::SteadyTime now = sync::SteadyTime::Now();
    const absl::Duration cpu = sync::ProcessCpuTime();
    const bool processors_busy =
        absl::FDivDuration(cpu - cpu_before, now - tick_began) >
        kBusyShare * std::min(policy_.workers, sync::HardwareConcurrency());
    const bool progress = started_ != started_before;
    if (progress) last_start = now;
    tick_began = now;
    cpu_before = cpu;
    started_before = started_;

    // Looking at the threads costs system calls, and as long as tasks start
    // while the processors are busy there is little to learn. The processors
    // may be busy with something else, though.
    if (Active() >= Allowed() &&
        (!processors_busy || !progress || now - last_look >= kPatience)) {
      last_look = now;
      const int64_t computing = CountComputing();
      if (computing < policy_.workers) {
        // Some threads sleep inside tasks: unannounced blocking.
        boost_ = std::max(boost_, Active() - policy_.workers) +
                 std::clamp<int64_t>(Active(), 1, kMaxGrowthPerTick);
      } else if (progress) {
        // Threads that had been blocked are back. Let them go as tasks end;
        // otherwise they would compete for as long as there is work.
        boost_ = std::min(boost_, std::max<int64_t>(0, Active() - computing));
      }
    }
    if (Active() >= Allowed() && now - last_start >= kPatience) {
      // All are computing and nothing has started for kPatience: they may be
      // spinning for a queued task.
      boost_ = std::max(boost_, Active() - policy_.workers) + 1;
      last_start = now;
    }
    // Even if more threads were allowed before: the system may have refused
    // one.
    Dispatch();
  }
}

int64_t WorkerPool::CountComputing() {
  std::vector<sync::ThreadProbe> sample;
  const int64_t active = Active();
  const int64_t stride = std::max<int64_t>(1, active / kSampleSize);
  int64_t position = 0;
  for (const Worker& worker : workers_) {
    if (worker.idle || worker.blocked || !worker.probe.has_value()) continue;
    if (position++ % stride == 0) sample.push_back(*worker.probe);
  }
  if (sample.empty()) return active;
  int64_t awake = 0;
  mutex_.Unlock();
  for (const sync::ThreadProbe& probe : sample) {
    awake += probe.LooksBlocked() ? 0 : 1;
  }
  mutex_.Lock();
  return active * awake / static_cast<int64_t>(sample.size());
}

}  // namespace cohort::executor_internal
