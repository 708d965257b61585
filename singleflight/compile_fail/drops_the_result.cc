#include "cohort/singleflight/group.h"

void Use(cohort::singleflight::Group<int, int>& group) {
  group.Do(cohort::Context(), 1, [] { return 1; });
}
