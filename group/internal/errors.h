// Joins several errors into one, and logs errors. Internal.

#ifndef COHORT_GROUP_INTERNAL_ERRORS_H_
#define COHORT_GROUP_INTERNAL_ERRORS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/group/types.h"

namespace cohort::group_internal {

// OK if there are no errors, else a status with the code of the first one and
// the text "<prefix>2 error(s) occurred: [0] {e0}, [3] {e3}". `more` counts
// further errors, whose texts were not kept.
absl::Status JoinErrors(absl::string_view prefix,
                        absl::Span<const TaskError> errors, int64_t more = 0);

// For a group whose caller does not receive errors: logs the first of `errors`.
void LogFirst(absl::string_view group, absl::Span<const TaskError> errors);

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_ERRORS_H_
