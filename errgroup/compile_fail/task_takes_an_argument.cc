#include "cohort/errgroup/group.h"

void Use() {
  cohort::errgroup::Group group;
  (void)group.TryGo([](int) {});
}
