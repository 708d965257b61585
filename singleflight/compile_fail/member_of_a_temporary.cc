#include <utility>

#include "cohort/singleflight/group.h"

int Use(cohort::singleflight::Group<int, std::pair<int, int>>& group) {
  const int& first =
      group.Do(cohort::Context(), 1, [] { return std::pair(1, 2); })->first;
  return first;
}
