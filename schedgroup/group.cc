#include "cohort/schedgroup/group.h"

#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/internal/scheduler.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::schedgroup {

using internal::Scheduled;
using internal::Scheduler;

Group::Group(const Context& context, Options options)
    : scheduler_(sync::RefPtr<Scheduler>::Adopt(
          new Scheduler(context, {.type = "schedgroup::Group",
                                  .name = std::move(options.name),
                                  .limit = options.limit,
                                  .queue = kUnlimited,
                                  .cancel_on_error = options.cancel_on_error,
                                  .exceptions = options.exceptions,
                                  .executor = options.executor}))) {}

Group::~Group() { scheduler_->Close(); }

TaskId Group::Add(const char* method, sync::SteadyTime due,
                  absl::Duration period, internal::RepeatableTask task) {
  ABSL_CHECK(task) << "schedgroup::Group::" << method << ": null task";
  ABSL_CHECK(!scheduler_->core().ended())
      << "schedgroup::Group::" << method << " after Wait has returned";
  auto scheduled = sync::RefPtr<Scheduled>::Adopt(
      new Scheduled(scheduler_, due, period, std::move(task)));
  scheduler_->Add(*scheduled);
  return TaskId(std::move(scheduled));
}

void Group::CheckPeriod(absl::Duration period) {
  ABSL_CHECK(period > absl::ZeroDuration())
      << "schedgroup::Group::Every: period is " << period;
}

Scheduled* Group::Find(const char* method, const TaskId& id) const {
  Scheduled* const task = id.task_.get();
  ABSL_CHECK(task == nullptr || &task->scheduler() == scheduler_.get())
      << "schedgroup::Group::" << method << ": the task is another group's";
  return task;
}

CancelResult Group::Cancel(const TaskId& id) {
  Scheduled* const task = Find("Cancel", id);
  return task == nullptr ? CancelResult::kFinished : scheduler_->Cancel(*task);
}

CancelResult Group::CancelAndWait(const TaskId& id) {
  return DoCancelAndWait("CancelAndWait", id,
                         sync::SteadyTime::InfiniteFuture());
}

CancelResult Group::CancelAndWaitUntil(const TaskId& id, absl::Time t) {
  return DoCancelAndWait("CancelAndWaitUntil", id, sync::SteadyTime::At(t));
}

CancelResult Group::DoCancelAndWait(const char* method, const TaskId& id,
                                    sync::SteadyTime deadline) {
  Scheduled* const task = Find(method, id);
  if (task == nullptr) return CancelResult::kFinished;
  // The group may be destroyed once the task is over.
  const auto scheduler = scheduler_;
  const CancelResult found = scheduler->Cancel(*task);
  return found == CancelResult::kRunning ? scheduler->Await(*task, deadline)
                                         : found;
}

bool Group::Cancel(absl::Status cause) {
  return scheduler_->core().Cancel(std::move(cause));
}

absl::Status Group::Wait(WaitPolicy policy) {
  return scheduler_->core().Wait(policy);
}

}  // namespace cohort::schedgroup
