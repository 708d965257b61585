#include "cohort/schedgroup/group.h"

void Use() {
  cohort::schedgroup::Group group;
  cohort::schedgroup::Group copy = group;
}
