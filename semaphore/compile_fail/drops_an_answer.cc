#include "cohort/semaphore/weighted.h"

void Use() {
  cohort::semaphore::Weighted semaphore(1);
  semaphore.TryAcquire();
}
