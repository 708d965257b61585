#include "cohort/errgroup/group.h"

void Use() {
  cohort::errgroup::Group group;
  cohort::errgroup::Group copy = group;
}
