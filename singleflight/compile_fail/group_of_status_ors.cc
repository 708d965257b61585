#include "absl/status/statusor.h"
#include "cohort/singleflight/group.h"

cohort::singleflight::Group<int, absl::StatusOr<int>> group;
