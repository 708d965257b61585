#include "absl/status/status.h"
#include "cohort/singleflight/group.h"

void Use(cohort::singleflight::Group<int, int>& group) {
  (void)group.Do(cohort::Context(), 1, [] { return absl::OkStatus(); });
}
