// Thread pools: cohort's executors. executor.h says how to choose one;
// docs/progress.md says what the promise of progress is worth and how it is
// kept.

#ifndef COHORT_EXECUTOR_POOLS_H_
#define COHORT_EXECUTOR_POOLS_H_

#include "absl/time/time.h"
#include "cohort/executor/internal/worker_pool.h"

namespace cohort {

// For all pools below:
//
// Blocks?         Submit does not. The destructor does.
// Cancellation?   None; groups add it.
// Order?          Tasks start in the order of Submit.
// On error?       An exception that leaves a task terminates the process. A
//                 task that ends its thread (pthread_exit) ends nothing else.
//                 If the system refuses a thread, tasks wait for the existing
//                 threads, and the pool tries again to start one; stats()
//                 counts the failures. If there is no thread at all, a group's
//                 Wait runs that group's tasks, and the destructor runs the
//                 rest.
// Thread safety   All methods, from any thread.
// Memory ordering What happened before Submit is visible to the task; what a
//                 task did, and what the destructors of its thread-local
//                 objects did, is visible after the pool's destructor.
// Destruction     Runs every task that was submitted, also those that tasks
//                 submit meanwhile, then joins the threads. Dies when called
//                 from one of its own tasks; but where such a task calls exit()
//                 and the pool is static, leaves all as it is, and waits for
//                 nobody.
// Fork            A child that does not exec has none of the threads: it must
//                 not use a pool that its parent has used.

// Runs every task that was submitted, including those that tasks submit
// meanwhile, then joins the threads. Dies when called from one of its own
// tasks; but if such a task calls exit() and the pool is static, leaves
// everything as it is and waits for nobody.
class ElasticPool final : public executor_internal::WorkerPool {
 public:
  struct Options {
    // A child process that does not exec has none of the threads: it must not
    // use a pool that its parent has used.
    int workers = 0;

    // A pool in which every submitted task starts in bounded time, whatever the
    // running tasks block on. `workers` threads run tasks. When one of them
    // announces that it blocks (with a BlockingScope, as every wait of cohort
    // does), another takes its place at once. When threads block unannounced, a
    // monitor notices within milliseconds and adds threads for as long as tasks
    // are queued.
    int max_threads = 4096;

    // How many tasks run at once as long as none blocks. Values <= 0 mean the
    // number of CPUs.
    absl::Duration keep_alive = absl::Seconds(2);
  };

  ElasticPool() : ElasticPool(Options()) {}
  explicit ElasticPool(Options options);
  ~ElasticPool() override;
};

// The maximum number of threads: at this cap the promise of progress ends, and
// stats().at_cap says so. At least 1.
class FixedPool final : public executor_internal::WorkerPool {
 public:
  // How long a thread stays idle before it ends.
  explicit FixedPool(int threads);
  ~FixedPool() override;
};

// At most `threads` threads, started as tasks arrive and kept until the end.
// Makes no promise of progress: use it to bound a subsystem's share of the
// machine, with tasks that do not wait for one another. (Waiting for a group
// inside a task is safe here too: Wait runs the group's own queued tasks.)
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
   // system refuses another thread does a task wait until another task ends,
   // and run on its thread.

#endif  // The process-wide ElasticPool that everything uses unless told
        // otherwise. Created on first use and never destroyed: the process may
        // exit while tasks run, and these must then not touch what exit
        // destroys.
