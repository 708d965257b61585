#include "cohort/callbacks/callbacks.h"

void Use() {
  (void)cohort::callbacks::Race(
      cohort::Context(), [] { return 1; }, [] { return "two"; });
}
