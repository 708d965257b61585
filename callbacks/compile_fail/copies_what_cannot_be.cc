#include <vector>

#include "absl/functional/any_invocable.h"
#include "cohort/callbacks/callbacks.h"

void Use() {
  std::vector<absl::AnyInvocable<int() &&>> functions;
  (void)cohort::callbacks::All(cohort::Context(), functions);
}
