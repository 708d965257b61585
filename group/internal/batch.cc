#include "cohort/group/internal/batch.h"

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
#include "cohort/executor/executor.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/internal/errors.h"
#include "cohort/group/types.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/task/capture.h"
#include "cohort/task/task.h"

namespace cohort::group_internal {
namespace {

// Shared by the call and its tasks, which may outlive it.
class Tally {
 public:
  Tally(const Context& parent, BatchOptions options, size_t tasks)
      : parent_(parent), options_(std::move(options)), outstanding_(tasks) {
    result_.ended.reserve(tasks);  // so that recording an end cannot fail
  }

  void Ref() const { references_.Ref(); }
  void Unref() {
    if (references_.Unref()) delete this;
  }

  std::string NameOf(int64_t index) const {
    if (options_.name != nullptr) return options_.name(index);
    return absl::StrCat(options_.caller, ": function ", index);
  }

  // The cause for the other tasks if this one succeeds and decides.
  absl::Status WasEnough(int64_t index) const {
    if (options_.quorum.successes == kUnlimited) return absl::OkStatus();
    return absl::CancelledError(absl::StrCat(NameOf(index), " was enough"));
  }

  // Records the end of a task. Returns whether that was the decision.
  bool Record(int64_t index, absl::Status status) {
    sync::MutexLock lock(&mutex_);
    --outstanding_;
    changed_.SignalAll();
    if (closed_ || decided()) return false;
    // An echo of the parent's cancellation; the batch cancels its own context
    // only with the decision. A task may also have looked at the parent instead
    // of its own context, which ends a moment later.
    if (IsEcho(status, parent_) || TooLate()) {
      result_.cause = parent_.cause();
    } else if (status.ok()) {
      if (++successes_ == options_.quorum.successes) {
        result_.decision = Decision::kSuccess;
      }
    } else if (++failures_ == options_.quorum.failures) {
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

  // Whether the call is over without a decision. Checked under the lock under
  // which a decision is made, so that no decision comes after the context has
  // ended.
  bool TooLate() const {
    return options_.on_decision == OnDecision::kDetach && parent_.done();
  }

  const Context parent_;
  const BatchOptions options_;
  sync::RefCount references_;
  sync::Mutex mutex_;
  sync::CondVar changed_;
  size_t outstanding_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int successes_ ABSL_GUARDED_BY(mutex_) = 0;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
  BatchResult result_ ABSL_GUARDED_BY(mutex_);
};

// Makes sure that a task is recorded however it ends. Allocates only if the
// task has ended its thread.
class Ending {
 public:
  Ending(Tally& tally, Core& core, int64_t index)
      : tally_(tally), core_(core), index_(index) {}
  ~Ending() {
    if (!status_.has_value()) {
      status_ = absl::InternalError(
          absl::StrCat(tally_.NameOf(index_), " ended its thread"));
    }
    if (tally_.Record(index_, *status_)) {
      core_.Cancel(status_->ok() ? std::move(enough_) : *std::move(status_));
    }
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  void Run(Task& task, const Context& context) {
    status_ = task_internal::InvokeCapturing(
        [&] {
          enough_ = tally_.WasEnough(index_);
          return std::move(task)(context);
        },
        [&] { return tally_.NameOf(index_); });
  }

 private:
  Tally& tally_;
  Core& core_;
  const int64_t index_;
  absl::Status enough_;
  std::optional<absl::Status> status_;
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
  // The last failure comes first, the others by index.
  if (!ended.empty()) std::swap(ended.front(), ended.back());
  std::sort(
      ended.begin() + (ended.empty() ? 0 : 1), ended.end(),
      [](const TaskError& a, const TaskError& b) { return a.index < b.index; });
  return JoinErrors(absl::StrCat(caller, ": "), ended);
}

BatchResult RunBatch(const Context& parent, BatchOptions options,
                     std::vector<Task> tasks) {
  const char* const caller = options.caller;
  const bool joins = options.on_decision == OnDecision::kJoin;
  ABSL_CHECK_GE(options.limit, 1) << caller << ": limit";
  int64_t index = 0;
  for (const Task& task : tasks) {
    ABSL_CHECK(task) << caller << ": function " << index << " is null";
    ++index;
  }
  if (options.quorum.successes == 0) return {.decision = Decision::kSuccess};
  // The tally judges the tasks: for the core all succeed, and a task that ends
  // its thread does not stop the others.
  const auto core = Core::Create(parent, {.type = caller,
                                          .limit = options.limit,
                                          .queue = kUnlimited,
                                          .cancel_on_error = false});
  const auto tally = sync::RefPtr<Tally>::Adopt(
      new Tally(parent, std::move(options), tasks.size()));
  // A cleanup, in case memory runs out, or a task that Wait has run here ends
  // this thread.
  absl::Cleanup stop = [&] {
    if (joins) {
      core->Close();
    } else {
      core->Cancel(absl::CancelledError(absl::StrCat(caller, " has failed")));
    }
  };
  index = 0;
  for (Task& task : tasks) {
    // A thread that runs a task holds a reference to the core.
    const Admission admission = core->Submit(
        "",
        [tally, core = core.get(), index,
         task = std::move(task)](const Context& context) mutable {
          Ending(*tally, *core, index).Run(task, context);
          return absl::OkStatus();
        },
        WhenFull::kBlock);
    if (admission != Admission::kAccepted) break;
    ++index;
  }
  if (joins) {
    core->Wait(WaitPolicy::kHelp).IgnoreError();
    core->Close();  // here, where it may throw
  } else {
    tally->AwaitDecision();
  }
  std::move(stop).Cancel();
  return tally->Close();
}

}  // namespace cohort::group_internal
