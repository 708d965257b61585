#include "cohort/hunch/hunch.h"

void Use() {
  (void)cohort::hunch::Waterfall(
      cohort::Context(), [] { return 1; }, [](const char*) { return 2; });
}
