#include "cohort/callbacks/callbacks.h"

void Use() {
  (void)cohort::callbacks::All(cohort::Context(), [] { return 1; }, [] {});
}
