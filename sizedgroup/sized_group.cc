#include "cohort/sizedgroup/sized_group.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/internal/errors.h"
#include "cohort/group/types.h"

namespace cohort::sizedgroup {
namespace {

group_internal::Policy MakePolicy(const char* type, int size, Options options) {
  return {.type = type,
          .name = std::move(options.name),
          .limit = std::max(size, 1),
          .queue = options.when_full == WhenFull::kQueue ? kUnlimited : 0,
          .cancel_on_error = options.term_on_error,
          .keep_all_errors = true,
          .wait_ends_group = false,
          .exceptions = options.exceptions,
          .executor = options.executor};
}

}  // namespace

ErrSizedGroup::ErrSizedGroup(const char* type, int size, Options options)
    : when_full_(options.when_full == WhenFull::kRefuse
                     ? group_internal::WhenFull::kRefuse
                     : group_internal::WhenFull::kBlock),
      core_(options.context, MakePolicy(type, size, options)) {}

absl::Status ErrSizedGroup::Wait(WaitPolicy policy) {
  core_->Wait(policy).IgnoreError();
  std::vector<TaskError> errors = core_->errors();
  const int64_t more = core_->stats().errors_dropped;
  if (core_->cut_short()) {
    const absl::Status cause = context().cause();
    if (errors.empty() || cause != errors.front().status) {
      errors.push_back({.status = cause});
    }
  }
  // The text numbers the errors in their order, like the original.
  int64_t place = 0;
  for (TaskError& error : errors) error.index = place++;
  return group_internal::JoinErrors("", errors, more);
}

bool ErrSizedGroup::Cancel(absl::Status cause) {
  return core_->Cancel(std::move(cause));
}

void SizedGroup::Wait(WaitPolicy policy) {
  group_.Wait(policy).IgnoreError();
  group_internal::LogFirst("sizedgroup::SizedGroup", group_.errors());
}

}  // namespace cohort::sizedgroup
