#include "cohort/errgroup/wait_group.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/mutex.h"

namespace cohort::errgroup {

WaitGroup::~WaitGroup() {
  sync::MutexLock lock(&mutex_);
  if (count_ == 0) return;
  ABSL_CHECK(sync::InExit())
      << "errgroup::WaitGroup destroyed while counting " << count_;
  sync::KeepForExit(std::move(errors_));
}

void WaitGroup::Add(int delta) {
  sync::MutexLock lock(&mutex_);
  const int64_t sum = count_ + delta;
  ABSL_CHECK(sum >= 0 && sum <= std::numeric_limits<int>::max())
      << "errgroup::WaitGroup::Add(" << delta << ") on a count of " << count_;
  count_ = sum;
  if (count_ != 0) return;
  Waiter* next = nullptr;
  for (Waiter* waiter = waiters_.front(); waiter != nullptr; waiter = next) {
    next = waiters_.Next(waiter);
    if (waiter->context.done()) continue;  // about to return with its cause
    waiters_.Remove(waiter);
    waiter->released = true;
  }
  // Under the lock, so that the waiter cannot destroy the condition variable
  // before it is signalled.
  changed_.SignalAll();
}

void WaitGroup::Error(absl::Status error) {
  ABSL_CHECK(!error.ok()) << "errgroup::WaitGroup::Error: the status is OK";
  sync::MutexLock lock(&mutex_);
  errors_.push_back(std::move(error));
}

absl::Status WaitGroup::Wait(const Context& context) {
  ContextWait wait(context, mutex_, changed_);
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  if (count_ != 0) {
    Waiter waiter(context);
    waiters_.PushBack(&waiter);
    while (!waiter.released && !context.done()) wait.Block();
    if (!waiter.released) {
      waiters_.Remove(&waiter);
      return context.cause();
    }
  }
  return MultiError(errors_);
}

std::vector<absl::Status> WaitGroup::errors() const {
  sync::MutexLock lock(&mutex_);
  return errors_;
}

absl::Status MultiError(absl::Span<const absl::Status> errors) {
  absl::Status first;
  std::string text;
  int count = 0;
  for (const absl::Status& error : errors) {
    if (error.ok()) continue;
    if (++count == 1) {
      first = error;
      text = absl::StrCat("multiple errors: ", error.message());
    } else {
      absl::StrAppend(&text, " | ", error.message());
    }
  }
  return count <= 1 ? first : absl::Status(first.code(), text);
}

}  // namespace cohort::errgroup
