#include "cohort/channel/channel.h"

void Use(cohort::channel::Channel<int>& channel) {
  channel.Send(cohort::Context(), 1);
}
