#include "cohort/sizedgroup/wait_group.h"

void Use() {
  cohort::sizedgroup::WaitGroup group(1);
  cohort::sizedgroup::Slot slot = group.BlockAdd();
  cohort::sizedgroup::Slot copy = slot;
}
