#include "cohort/errgroup/group.h"

void Use() {
  cohort::errgroup::Group group;
  group.Go([] { return 42; });
}
