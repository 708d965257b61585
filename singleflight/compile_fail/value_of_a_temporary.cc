#include <memory>

#include "cohort/singleflight/group.h"

int Use(cohort::singleflight::Group<int, std::unique_ptr<int>>& group) {
  const std::unique_ptr<int>& value =
      *group.Do(cohort::Context(), 1, [] { return std::make_unique<int>(1); });
  return *value;
}
