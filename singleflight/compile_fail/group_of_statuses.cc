#include "absl/status/status.h"
#include "cohort/singleflight/group.h"

cohort::singleflight::Group<int, absl::Status> group;
