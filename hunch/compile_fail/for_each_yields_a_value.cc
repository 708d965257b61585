#include <vector>

#include "cohort/hunch/hunch.h"

void Use() {
  (void)cohort::hunch::ForEach(cohort::Context(), std::vector<int>(),
                               [](int i) { return i; });
}
