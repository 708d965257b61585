#include "absl/status/statusor.h"
#include "cohort/callbacks/callbacks.h"

// A failure of this type would be taken for a value.
struct Outcome : absl::StatusOr<int> {
  using StatusOr::StatusOr;
};

void Use() {
  (void)cohort::callbacks::Race(cohort::Context(), [] { return Outcome(1); });
}
