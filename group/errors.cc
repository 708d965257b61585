#include "cohort/group/errors.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/group/types.h"

namespace cohort::group_internal {

absl::Status JoinErrors(absl::string_view prefix,
                        absl::Span<const TaskError> errors) {
  if (errors.empty()) return absl::OkStatus();
  const std::string list =
      absl::StrJoin(errors, ", ", [](std::string* out, const TaskError& error) {
        absl::StrAppend(out, "[", error.index, "] {", error.status.message(),
                        "}");
      });
  return absl::Status(
      errors.front().status.code(),
      absl::StrCat(prefix, errors.size(), " error(s) occurred: ", list));
}

}  // namespace cohort::group_internal
