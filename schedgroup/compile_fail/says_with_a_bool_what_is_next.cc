#include "cohort/schedgroup/group.h"

void Use() {
  cohort::schedgroup::Group group;
  group.Every(absl::Seconds(1), [] { return true; });
}
