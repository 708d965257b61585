#include "cohort/executor/executor.h"

#include "cohort/sync/thread.h"

namespace cohort {
namespace {

struct Worker {
  Executor* executor = nullptr;
  int blocking_depth = 0;
};

struct WorkerTag;

Worker& ThisWorker() { return sync::ThreadLocal<Worker, WorkerTag>::Get(); }

}  // namespace

Executor* Executor::Current() { return ThisWorker().executor; }

Executor::WorkerScope::WorkerScope(Executor* executor)
    : outer_(ThisWorker().executor), outer_depth_(ThisWorker().blocking_depth) {
  ThisWorker() = {.executor = executor, .blocking_depth = 0};
}

Executor::WorkerScope::~WorkerScope() {
  ThisWorker() = {.executor = outer_, .blocking_depth = outer_depth_};
}

// Only the outermost scope counts: the thread blocks once, however many layers
// announce it.
BlockingScope::BlockingScope() : executor_(ThisWorker().executor) {
  if (executor_ == nullptr) return;
  if (ThisWorker().blocking_depth++ == 0) executor_->BlockingBegan();
}

BlockingScope::~BlockingScope() {
  if (executor_ == nullptr) return;
  if (--ThisWorker().blocking_depth == 0) executor_->BlockingEnded();
}

}  // namespace cohort
