#include "cohort/schedgroup/group.h"

void Use() {
  cohort::schedgroup::Group group;
  group.Wait();
}
