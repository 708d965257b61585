#include "absl/time/time.h"
#include "cohort/context/context.h"

// The scope ends at the semicolon, and the context with it.
cohort::Context Use() {
  return cohort::WithTimeout(cohort::Context(), absl::Hours(1)).context();
}
