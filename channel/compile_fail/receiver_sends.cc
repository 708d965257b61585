#include "cohort/channel/ends.h"

void Use(cohort::channel::Receiver<int> receiver) {
  (void)receiver.Send(cohort::Context(), 1);
}
