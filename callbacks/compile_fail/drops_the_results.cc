#include "cohort/callbacks/callbacks.h"

void Use() {
  cohort::callbacks::All(cohort::Context(), [] { return 1; });
}
