#include "cohort/channel/internal/stage.h"

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cohort/channel/internal/core.h"
#include "cohort/channel/internal/crew.h"
#include "cohort/channel/internal/operation.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/mutex.h"
#include "cohort/task/capture.h"

namespace cohort::channel::internal {

Stage::Stage(const char* name, const Context& context, StageOptions options)
    : name_(name), outer_(context), options_(options) {
  ABSL_CHECK_GE(options.workers, 1) << "channel::" << name << ": workers";
  if (options.workers > 1) scope_.emplace(WithCancel(context));
}

absl::Status Stage::status() const {
  sync::MutexLock lock(&mutex_);
  return status_;
}

bool Stage::over() const {
  sync::MutexLock lock(&mutex_);
  return over_;
}

void Stage::Fail(absl::Status error) {
  {
    sync::MutexLock lock(&mutex_);
    if (over_) return;
    over_ = true;
    status_ = std::move(error);
  }
  if (scope_.has_value()) scope_->Cancel();
}

bool Stage::Await(Case& action) {
  absl::Status status =
      AwaitOne(context(), absl::Span<Case>(&action, 1)).status();
  if (!status.ok()) Fail(status);
  return status.ok();
}

std::optional<size_t> Stage::Await(Operation& operation) {
  std::optional<size_t> index;
  if (!context().done()) index = operation.Await(context());
  if (!index.has_value()) Fail(context().cause());
  return index;
}

void Stage::SeeClosed() {
  absl::Status cause = outer_.cause();
  if (!cause.ok()) Fail(std::move(cause));
}

void Stage::Run(absl::FunctionRef<void()> work) {
  Executor& executor = options_.executor != nullptr
                           ? *options_.executor
                           : static_cast<Executor&>(DefaultExecutor());
  WorkTogether(
      executor, workers() - 1, [&] { RunCapturing(work); }, [&] { End(); });
  sync::MutexLock lock(&mutex_);
  if (exception_ != nullptr) std::rethrow_exception(exception_);
}

void Stage::RunCapturing(absl::FunctionRef<void()> work) {
  // If the thread ends inside `work`, that ends the stage.
  struct Ending {
    ~Ending() {
      if (!returned) {
        stage->Fail(absl::InternalError(absl::StrCat(
            "channel::", stage->name(), ": a worker's thread ended")));
      }
    }
    Stage* stage;
    bool returned = false;
  } ending{this};
  std::exception_ptr exception;
  absl::Status status = task_internal::InvokeCapturing(
      [&] {
        work();
        return absl::OkStatus();
      },
      [&] { return absl::StrCat("channel::", name()); }, &exception);
  ending.returned = true;
  if (status.ok()) return;
  {
    sync::MutexLock lock(&mutex_);
    if (!over_) exception_ = std::move(exception);
  }
  Fail(std::move(status));
}

}  // namespace cohort::channel::internal
