#include "cohort/singleflight/group.h"

void Use(cohort::singleflight::Group<int, int>& group) {
  cohort::singleflight::Group<int, int> copy = group;
}
