#include "cohort/channel/internal/case.h"

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cohort/channel/internal/core.h"
#include "cohort/channel/internal/operation.h"
#include "cohort/context/context.h"

namespace cohort::channel::internal {

absl::Status ClosedToSend() {
  return absl::FailedPreconditionError("channel closed");
}

absl::Status ClosedAndEmpty() {
  return absl::OutOfRangeError("channel closed and empty");
}

absl::Status RunOne(const Context* context, Case& action) {
  const absl::Span<Case> actions(&action, 1);
  if (context != nullptr) return AwaitOne(*context, actions).status();
  if (TryOne(Context(), actions).has_value()) return absl::OkStatus();
  return absl::UnavailableError(
      action.direction == Direction::kSend ? "channel full" : "channel empty");
}

}  // namespace cohort::channel::internal
