#include "cohort/semaphore/weighted.h"

void Use() {
  cohort::semaphore::Weighted semaphore(1);
  cohort::semaphore::Permit permit = *semaphore.TryAcquirePermit();
  cohort::semaphore::Permit copy = permit;
}
