#include "cohort/group/batch.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/capture.h"
#include "cohort/executor/executor.h"
#include "cohort/group/core.h"
#include "cohort/group/errors.h"
#include "cohort/group/task.h"
#include "cohort/group/types.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::group_internal {
namespace {

// Shared by the call and its tasks, which may outlive it.
class Tally {
 public:
  Tally(const Context& parent, const char* caller, Quorum quorum, size_t tasks)
      : parent_(parent),
        caller_(caller),
        quorum_(quorum),
        outstanding_(tasks) {}

  void Ref() const { references_.Ref(); }
  void Unref() {
    if (references_.Unref()) delete this;
  }

  std::string NameOf(int64_t index) const {
    return absl::StrCat(caller_, ": function ", index);
  }

  // Says whether that was the decision.
  bool Record(int64_t index, absl::Status status) {
    sync::MutexLock lock(&mutex_);
    --outstanding_;
    changed_.SignalAll();
    if (closed_ || decided()) return false;
    // Of the parent's end: the batch's own comes with the decision. The parent
    // is also what a task may have looked at instead of its own context, which
    // ends a moment later.
    if (IsEcho(status, parent_)) {
      result_.cause = parent_.cause();
    } else if (status.ok()) {
      if (++successes_ == quorum_.successes) {
        result_.decision = Decision::kSuccess;
      }
    } else if (++failures_ == quorum_.failures) {
      result_.decision = Decision::kFailure;
    }
    result_.ended.push_back({.index = index, .status = std::move(status)});
    return decided();
  }

  void AwaitDecision() {
    ContextWait wait(parent_, mutex_, changed_);
    BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    while (!decided() && outstanding_ != 0 && !parent_.done()) {
      wait.Block();
    }
  }

  // Later ends change nothing.
  BatchResult Close() {
    sync::MutexLock lock(&mutex_);
    closed_ = true;
    if (!decided() && outstanding_ != 0) result_.cause = parent_.cause();
    return std::move(result_);
  }

 private:
  ~Tally() = default;

  bool decided() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return result_.decision != Decision::kNone;
  }

  const Context parent_;
  const char* const caller_;
  const Quorum quorum_;
  sync::RefCount references_;
  sync::Mutex mutex_;
  sync::CondVar changed_;
  size_t outstanding_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int successes_ ABSL_GUARDED_BY(mutex_) = 0;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
  BatchResult result_ ABSL_GUARDED_BY(mutex_);
};

// Sees to it that a task is recorded however it ends.
class Ending {
 public:
  Ending(Tally& tally, Core& core, int64_t index)
      : tally_(tally), core_(core), index_(index) {}
  ~Ending() {
    if (!status.has_value()) {
      status = absl::InternalError(
          absl::StrCat(tally_.NameOf(index_), " ended its thread"));
    }
    if (tally_.Record(index_, *status)) {
      core_.Cancel(status->ok() ? absl::CancelledError(absl::StrCat(
                                      tally_.NameOf(index_), " was enough"))
                                : *std::move(status));
    }
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  std::optional<absl::Status> status;

 private:
  Tally& tally_;
  Core& core_;
  const int64_t index_;
};

}  // namespace

std::vector<absl::Status> StatusesByIndex(const BatchResult& result,
                                          size_t count) {
  std::vector<absl::Status> statuses(count, result.cause);
  for (const TaskError& end : result.ended) {
    statuses[static_cast<size_t>(end.index)] = end.status;
  }
  return statuses;
}

absl::Status AllFailures(const char* caller, std::vector<TaskError> ended) {
  std::erase_if(ended, [](const TaskError& end) { return end.status.ok(); });
  // The last one comes to the front, the others by index.
  if (!ended.empty()) std::swap(ended.front(), ended.back());
  std::sort(
      ended.begin() + (ended.empty() ? 0 : 1), ended.end(),
      [](const TaskError& a, const TaskError& b) { return a.index < b.index; });
  return JoinErrors(absl::StrCat(caller, ": "), ended);
}

BatchResult RunBatch(const Context& parent, const char* caller, Quorum quorum,
                     Losers losers, std::vector<Task> tasks) {
  int64_t index = 0;
  for (const Task& task : tasks) {
    ABSL_CHECK(task) << caller << ": function " << index << " is null";
    ++index;
  }
  if (quorum.successes == 0) return {.decision = Decision::kSuccess};
  const auto tally = sync::RefPtr<Tally>::Adopt(
      new Tally(parent, caller, quorum, tasks.size()));
  const auto core = Core::Create(parent, {.type = caller});
  // A cleanup, for a task that ends this thread when Wait has run it here.
  absl::Cleanup join = [&core] { core->Close(); };
  if (losers == Losers::kDetach) std::move(join).Cancel();
  index = 0;
  for (Task& task : tasks) {
    // Whoever runs a task holds the core.
    const Admission admission = core->Submit(
        "",
        [tally, core = core.get(), index,
         task = std::move(task)](const Context& context) mutable {
          Ending ending(*tally, *core, index);
          ending.status = executor_internal::InvokeCapturing(
              [&] { return std::move(task)(context); },
              [&] { return tally->NameOf(index); });
          return absl::OkStatus();
        },
        WhenFull::kBlock);
    if (admission != Admission::kAccepted) break;
    ++index;
  }
  if (losers == Losers::kDetach) {
    tally->AwaitDecision();
  } else {
    core->Wait(WaitPolicy::kHelp).IgnoreError();
  }
  return tally->Close();
}

}  // namespace cohort::group_internal
