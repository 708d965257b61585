#include <any>

#include "absl/status/statusor.h"
#include "cohort/channel/select.h"

void Use(cohort::channel::Channel<std::any>& channel) {
  (void)cohort::channel::Select(
      cohort::Context(),
      cohort::channel::ReceiveFrom(channel, [](absl::StatusOr<std::any>) {}));
}
