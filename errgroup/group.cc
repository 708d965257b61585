#include "cohort/errgroup/group.h"

#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/thread.h"

namespace cohort::errgroup {
namespace {

group_internal::Policy MakePolicy(Options options, bool has_parent) {
  return {.type = "errgroup::Group",
          .name = std::move(options.name),
          .limit = options.limit,
          .queue = options.queue,
          .cancel_on_error = has_parent && options.cancel_on_error,
          .run_after_cancel = options.run_after_cancel,
          .keep_all_errors = options.keep_all_errors,
          .wait_ends_group = has_parent,
          .exceptions = options.exceptions,
          .executor = options.executor};
}

}  // namespace

Group::Group(Options options)
    : core_(Context(), MakePolicy(std::move(options), /*has_parent=*/false)) {}

Group::Group(const Context& parent, Options options)
    : core_(parent, MakePolicy(std::move(options), /*has_parent=*/true)) {}

absl::Status Group::Wait(WaitPolicy policy) { return core_->Wait(policy); }

absl::Status Group::WaitUntil(absl::Time t) {
  return core_->WaitUntil(sync::SteadyTime::At(t));
}

bool Group::Cancel(absl::Status cause) {
  return core_->Cancel(std::move(cause));
}

void Group::SetLimit(int limit) { core_->SetLimit(limit); }

Options WithContextN(int workers, int queue) {
  const int cpus = sync::HardwareConcurrency();
  return {.limit = workers <= 0 ? cpus : workers,
          .queue = queue <= 0 ? cpus : queue};
}

Options Gomaxprocs(int n) {
  ABSL_CHECK_GE(n, 1) << "errgroup::Gomaxprocs: n";
  return {.limit = n, .queue = kUnlimited};
}

}  // namespace cohort::errgroup
