#include "cohort/hunch/hunch.h"

void Use() {
  (void)cohort::hunch::Take(
      cohort::Context(), 1, [] { return 1; }, [] { return "two"; });
}
