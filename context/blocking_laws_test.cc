// The laws of context/blocking_laws.h, for ContextWait, on which the waits of
// all packages stand.

#include "cohort/context/blocking_laws.h"

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/mutex.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

class Flag {
 public:
  absl::Status Block(const Context& context) {
    ContextWait wait(context, mutex_, changed_);
    const BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    while (!set_ && !context.done()) wait.Block();
    return context.done() ? context.cause() : absl::OkStatus();
  }
  void Grant() {
    sync::MutexLock lock(&mutex_);
    set_ = true;
    changed_.SignalAll();
  }

 private:
  sync::Mutex mutex_;
  sync::CondVar changed_;
  bool set_ = false;
};

using ContextWaitCalls = ::testing::Types<Flag>;
INSTANTIATE_TYPED_TEST_SUITE_P(ContextWait, BlockingLaw, ContextWaitCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextWait, KeptGrantLaw, ContextWaitCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(ContextWait, TakingLaw, ContextWaitCalls);

}  // namespace
}  // namespace cohort::laws
