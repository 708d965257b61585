// The engine under every pool of pools.h: one queue, threads that start and end
// on demand, and a monitor that keeps the promise of progress. Internal.

#ifndef COHORT_EXECUTOR_INTERNAL_WORKER_POOL_H_
#define COHORT_EXECUTOR_INTERNAL_WORKER_POOL_H_

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pool_stats.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort {

namespace executor_internal {

struct PoolPolicy {
  std::string name;  // of its threads
  int workers;       // threads that run tasks at once while none blocks
  int max_threads;
  bool grows;  // replaces threads that block
  bool one_task_per_thread;
  absl::Duration keep_alive;
};

class WorkerPool : public Executor {
 public:
  ~WorkerPool() override;
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Submit(Task task) final;
  void SubmitUrgent(Task task) final;

  PoolStats stats() const;

 protected:
  explicit WorkerPool(PoolPolicy policy);

  // Runs all tasks and joins all threads. Must be called by the derived
  // destructor, not this base's, because tasks still make virtual calls.
  void Finish();

 private:
  struct Worker {
    sync::Thread thread;
    std::list<Worker>::iterator self;
    std::optional<sync::ThreadProbe> probe;  // set once the thread runs
    sync::CondVar wake;
    bool woken = false;    // taken off idle_ to run a task
    bool ran = false;      // has run a task
    bool idle = false;     // is in idle_
    bool blocked = false;  // in a BlockingScope
  };
  struct Membership;

  void Enqueue(Task task, std::list<Task> WorkerPool::* queue);
  int64_t Queued() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the next task to start; there must be one.
  void TakeTask(std::list<Task>* task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void BlockingBegan() final;
  void BlockingEnded() final;

  // The main function of a worker: takes tasks until there is none, then
  // leaves.
  void RunWorker(Worker* self);
  bool NextTask(Worker* self, std::list<Task>* task);
  bool Park(Worker* self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Leave(Worker* self);
  // The worker of this pool that is the calling thread; else null.
  Worker* ThisWorker();

  // For Finish inside exit(), called by a task of the pool: leaves everything
  // as it is, for good.
  void Freeze() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // For Finish: waits until no worker is left, then takes the tasks that none
  // of them could run.
  bool TakeLeftover(std::list<Task>* task);

  // The number of threads that may run a task right now: neither idle nor
  // announced as blocked.
  int64_t Active() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many active threads there should be at most.
  int64_t Allowed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there are queued tasks for which no thread is on its way.
  bool Stuck() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the monitor must look after stuck tasks.
  bool NeedsMonitor() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AtCap() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Sends a thread for each queued task, as far as the limits allow. Call it
  // after every change that allows more.
  void Dispatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool StartWorker() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // True once, after the system has refused a thread.
  bool TakeFailureReport() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportFailure() const;

  void WakeMonitor() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunMonitor();
  // Runs as long as tasks are stuck.
  void Watch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Estimates how many of the active threads do not sleep. Releases the lock
  // meanwhile.
  int64_t CountComputing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const PoolPolicy policy_;

  std::unique_ptr<sync::Mutex> mutex_owner_ = std::make_unique<sync::Mutex>();
  sync::Mutex& mutex_ = *mutex_owner_;
  // Lists, so that a task changes hands without moving: a move would run the
  // user's move constructor under the lock.
  std::list<Task> queue_ ABSL_GUARDED_BY(mutex_);
  std::list<Task> urgent_ ABSL_GUARDED_BY(mutex_);  // started before those in
                                                    // queue_
  int urgent_in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Worker> workers_ ABSL_GUARDED_BY(mutex_);
  std::list<Worker> ended_ ABSL_GUARDED_BY(mutex_);    // for Finish to join
  std::vector<Worker*> idle_ ABSL_GUARDED_BY(mutex_);  // the most recent at the
                                                       // back
  int64_t arriving_ ABSL_GUARDED_BY(mutex_) = 0;  // sent, not yet at the queue
  int64_t blocked_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t boost_ ABSL_GUARDED_BY(mutex_) = 0;  // extra threads that the monitor
                                               // allows
  int64_t started_ ABSL_GUARDED_BY(mutex_) = 0;  // tasks started so far
  int64_t start_failures_ ABSL_GUARDED_BY(mutex_) = 0;
  bool failure_reported_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  sync::CondVar worker_ended_;  // signalled while stopping

  sync::Thread monitor_ ABSL_GUARDED_BY(mutex_);
  sync::CondVar monitor_wake_;
  bool monitor_awake_ ABSL_GUARDED_BY(mutex_) = false;  // or has been woken
  bool monitor_stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool cap_reported_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace executor_internal
}  // namespace cohort

#endif  // COHORT_EXECUTOR_INTERNAL_WORKER_POOL_H_
