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
#include "cohort/context/wake_on_done.h"
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
  // Under the lock, so that the waiter cannot destroy what is signalled.
  if (count_ == 0) changed_.SignalAll();
}

void WaitGroup::Error(absl::Status error) {
  ABSL_CHECK(!error.ok()) << "errgroup::WaitGroup::Error: the status is OK";
  sync::MutexLock lock(&mutex_);
  errors_.push_back(std::move(error));
}

absl::Status WaitGroup::Wait(const Context& context) {
  const DoneCallback wake = WakeOnDone(context, mutex_, changed_);
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  while (count_ != 0) {
    if (context.done()) return context.cause();
    changed_.Wait(&mutex_);
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
