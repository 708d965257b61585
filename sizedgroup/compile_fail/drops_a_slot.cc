#include "cohort/sizedgroup/wait_group.h"

void Use() {
  cohort::sizedgroup::WaitGroup group(1);
  group.BlockAdd();
}
