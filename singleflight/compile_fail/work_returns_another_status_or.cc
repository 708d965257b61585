#include "absl/status/statusor.h"
#include "cohort/singleflight/group.h"

// Can be made from a StatusOr as it is, with its error.
struct Either {
  Either(absl::StatusOr<int> either);
};

void Use(cohort::singleflight::Group<int, Either>& group) {
  (void)group.Do(cohort::Context(), 1, [] { return absl::StatusOr<int>(1); });
}
