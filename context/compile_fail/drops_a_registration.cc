#include "cohort/context/context.h"

// The callback would be withdrawn at once.
void Use(const cohort::Context& context) {
  context.OnDone([] {});
}
