#include "cohort/singleflight/group.h"

void Use(cohort::singleflight::Group<int, int>& group) {
  (void)group.Do(cohort::Context(), 1, [](int key) { return key; });
}
