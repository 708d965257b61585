#include "cohort/sizedgroup/sized_group.h"

void Use() {
  cohort::sizedgroup::SizedGroup group(1);
  group.Go([] { return 42; });
}
