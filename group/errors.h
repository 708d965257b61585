// Several errors as one.

#ifndef COHORT_GROUP_ERRORS_H_
#define COHORT_GROUP_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/group/types.h"

namespace cohort::group_internal {

// OK for none, else a status with the code of the first one and the text
// "<prefix>2 error(s) occurred: [0] {e0}, [3] {e3}".
absl::Status JoinErrors(absl::string_view prefix,
                        absl::Span<const TaskError> errors);

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_ERRORS_H_
