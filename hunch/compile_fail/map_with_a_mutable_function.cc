#include <vector>

#include "cohort/hunch/hunch.h"

// Several threads would count at once.
void Use() {
  (void)cohort::hunch::Map(cohort::Context(), std::vector<int>(),
                           [count = 0](int) mutable { return ++count; });
}
