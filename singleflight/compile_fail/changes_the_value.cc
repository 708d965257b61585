#include <string>

#include "cohort/singleflight/group.h"

void Use(cohort::singleflight::Group<int, std::string>& group) {
  const auto result =
      group.Do(cohort::Context(), 1, [] { return std::string("shared"); });
  result->push_back('!');
}
