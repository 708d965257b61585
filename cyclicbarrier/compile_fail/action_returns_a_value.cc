#include "cohort/cyclicbarrier/cyclic_barrier.h"

void Use() {
  cohort::cyclicbarrier::CyclicBarrier barrier(2, [] { return 42; });
}
