#include "cohort/executor/pools.h"

#include <limits>

#include "absl/log/absl_check.h"
#include "absl/time/time.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/sync/thread.h"

namespace cohort {
namespace {

using executor_internal::PoolPolicy;

constexpr int kNoCap = std::numeric_limits<int>::max();

PoolPolicy ElasticPolicy(const ElasticPool::Options& options) {
  ABSL_CHECK_GE(options.max_threads, 1) << "ElasticPool: max_threads";
  ABSL_CHECK_GE(options.keep_alive, absl::ZeroDuration())
      << "ElasticPool: keep_alive";
  return {.name = "elastic",
          .workers = options.workers <= 0 ? sync::HardwareConcurrency()
                                          : options.workers,
          .max_threads = options.max_threads,
          .grows = true,
          .one_task_per_thread = false,
          .keep_alive = options.keep_alive};
}

PoolPolicy FixedPolicy(int threads) {
  ABSL_CHECK_GE(threads, 1) << "FixedPool: threads";
  return {.name = "fixed",
          .workers = threads,
          .max_threads = threads,
          .grows = false,
          .one_task_per_thread = false,
          .keep_alive = absl::InfiniteDuration()};
}

PoolPolicy ThreadPerTaskPolicy() {
  return {.name = "task",
          .workers = kNoCap,
          .max_threads = kNoCap,
          .grows = true,
          .one_task_per_thread = true,
          .keep_alive = absl::ZeroDuration()};
}

ElasticPool* MakeDefaultExecutor() { return new ElasticPool(); }

}  // namespace

ElasticPool::ElasticPool(Options options)
    : WorkerPool(ElasticPolicy(options)) {}

ElasticPool::~ElasticPool() { Finish(); }

FixedPool::FixedPool(int threads) : WorkerPool(FixedPolicy(threads)) {}

FixedPool::~FixedPool() { Finish(); }

ThreadPerTask::ThreadPerTask() : WorkerPool(ThreadPerTaskPolicy()) {}

ThreadPerTask::~ThreadPerTask() { Finish(); }

ElasticPool& DefaultExecutor() {
  return sync::ProcessWide<MakeDefaultExecutor>();
}

}  // namespace cohort
