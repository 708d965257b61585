#include <vector>

#include "cohort/callbacks/callbacks.h"

void Use() {
  (void)cohort::callbacks::Map(cohort::Context(), std::vector<int>(),
                               [](int) { return absl::OkStatus(); });
}
