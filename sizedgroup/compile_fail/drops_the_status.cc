#include "cohort/sizedgroup/sized_group.h"

void Use() {
  cohort::sizedgroup::ErrSizedGroup group(1);
  group.Wait();
}
