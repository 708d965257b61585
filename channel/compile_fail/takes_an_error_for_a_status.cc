#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/channel/channel.h"

absl::StatusOr<absl::Status> Use(
    cohort::channel::Channel<absl::Status>& errors) {
  return errors.Receive(cohort::Context());
}
