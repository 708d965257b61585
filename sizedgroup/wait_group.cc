#include "cohort/sizedgroup/wait_group.h"

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/internal/errors.h"
#include "cohort/group/types.h"

namespace cohort::sizedgroup {
namespace {

group_internal::Policy MakePolicy(const char* type, int size,
                                  bool has_context) {
  return {.type = type,
          .limit = size <= 0 ? kUnlimited : size,
          .cancel_on_error = has_context,
          .wait_ends_group = has_context};
}

}  // namespace

WaitGroup::WaitGroup(int size)
    : core_(Context(), MakePolicy("sizedgroup::WaitGroup", size,
                                  /*has_context=*/false)) {}

Slot WaitGroup::BlockAdd() {
  const Admission admission = core_->Enter(group_internal::WhenFull::kBlock);
  return Slot(admission == Admission::kAccepted ? core_.get() : nullptr);
}

void WaitGroup::Wait(WaitPolicy policy) {
  core_->Wait(policy).IgnoreError();
  group_internal::LogFirst("sizedgroup::WaitGroup", core_->errors());
}

int WaitGroup::PendingCount() const {
  const Stats stats = core_->stats();
  return static_cast<int>(stats.running + stats.queued);
}

ErrorGroup::ErrorGroup(const Context& context, int size)
    : core_(context, MakePolicy("sizedgroup::ErrorGroup", size,
                                /*has_context=*/true)) {}

absl::Status ErrorGroup::Wait(WaitPolicy policy) { return core_->Wait(policy); }

}  // namespace cohort::sizedgroup
