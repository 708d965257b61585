#include "cohort/channel/select.h"

void Use(cohort::channel::Channel<int>& channel) {
  (void)cohort::channel::Select(
      cohort::Context(),
      cohort::channel::SendTo(channel, 1, [] { /* was it sent? */ }));
}
