// cohort's executors. executor.h says how to choose one; docs/progress.md says
// what the promise of progress is worth and how it is kept.

#ifndef COHORT_EXECUTOR_POOLS_H_
#define COHORT_EXECUTOR_POOLS_H_

#include "absl/time/time.h"
#include "cohort/executor/internal/worker_pool.h"

namespace cohort {

// For all pools below:
//
// Blocks?         Submit does not. The destructor does.
// Cancellation?   None; groups put it on top.
// Order?          Tasks start in the order of Submit.
// On error?       An exception that leaves a task terminates the process. A
//                 task that ends its thread (pthread_exit) ends nothing else.
//                 If the system has no thread to give, tasks wait for the
//                 threads there are, and starting one is tried again; stats()
//                 counts it. Where there is not even one thread, a group's Wait
//                 runs that group's tasks, and the destructor runs what is
//                 left.
// Thread safety   All methods, from any thread.
// Memory ordering What happened before Submit is visible to the task; what a
//                 task did, and the destructors of its thread-local objects, is
//                 visible after the pool's destructor.
// Destruction     Runs every task that was submitted, also those that tasks
//                 submit meanwhile, then joins the threads. Dies when called
//                 from one of its own tasks; but where such a task calls exit()
//                 and the pool is static, leaves all as it is, and waits for
//                 nobody.
// Fork            A child that does not exec has none of the threads: it must
//                 not use a pool that its parent has used.

// A pool in which every submitted task starts in bounded time, whatever the
// running tasks block on. `workers` threads run tasks; when one of them
// announces that it blocks (BlockingScope, and so every wait of cohort),
// another takes its place at once; when they block unannounced, a monitor
// notices within milliseconds and adds threads for as long as tasks are queued.
class ElasticPool final : public executor_internal::WorkerPool {
 public:
  struct Options {
    // Tasks that run at once as long as none blocks. Values <= 0 mean the
    // number of CPUs.
    int workers = 0;

    // No more threads than this: at the cap the promise of progress ends, and
    // stats().at_cap says so. At least 1.
    int max_threads = 4096;

    // How long a thread stays without work before it goes away.
    absl::Duration keep_alive = absl::Seconds(2);
  };

  ElasticPool() : ElasticPool(Options()) {}
  explicit ElasticPool(Options options);
  ~ElasticPool() override;
};

// At most `threads` threads, started as tasks come and kept until the end.
// Makes no promise of progress: use it to bound what a subsystem takes of the
// machine, with tasks that do not wait for one another. (Waiting for a group
// inside a task is safe here too: Wait runs the group's own queued tasks.)
class FixedPool final : public executor_internal::WorkerPool {
 public:
  // Dies if `threads` < 1.
  explicit FixedPool(int threads);
  ~FixedPool() override;
};

// A fresh thread for each task, as many as there are tasks. Only if the system
// has no more threads to give does a task wait for the end of another and run
// on its thread.
class ThreadPerTask final : public executor_internal::WorkerPool {
 public:
  ThreadPerTask();
  ~ThreadPerTask() override;
};

// The process-wide ElasticPool that everything uses unless told otherwise, made
// on first use and never destroyed: the process may exit while tasks run, and
// these must then not touch what exit destroys.
ElasticPool& DefaultExecutor();

}  // namespace cohort

#endif  // COHORT_EXECUTOR_POOLS_H_
