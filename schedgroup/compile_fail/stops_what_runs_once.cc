#include "cohort/schedgroup/group.h"

void Use() {
  cohort::schedgroup::Group group;
  group.Delay(absl::Seconds(1), [] { return cohort::schedgroup::Next::kStop; });
}
