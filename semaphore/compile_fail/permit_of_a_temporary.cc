#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"

void Use() {
  auto permit = cohort::semaphore::Weighted(1).AcquirePermit(cohort::Context());
}
