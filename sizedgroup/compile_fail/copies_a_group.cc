#include "cohort/sizedgroup/sized_group.h"

void Use() {
  cohort::sizedgroup::SizedGroup group(1);
  cohort::sizedgroup::SizedGroup copy = group;
}
