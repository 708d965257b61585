#include "cohort/group/internal/errors.h"

#include <cstdint>
#include <string>

#include "absl/log/absl_log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/group/types.h"

namespace cohort::group_internal {

absl::Status JoinErrors(absl::string_view prefix,
                        absl::Span<const TaskError> errors, int64_t more) {
  if (errors.empty()) return absl::OkStatus();
  const std::string list =
      absl::StrJoin(errors, ", ", [](std::string* out, const TaskError& error) {
        absl::StrAppend(out, "[", error.index, "] {", error.status.message(),
                        "}");
      });
  return absl::Status(
      errors.front().status.code(),
      absl::StrCat(prefix, static_cast<int64_t>(errors.size()) + more,
                   " error(s) occurred: ", list,
                   more > 0 ? absl::StrCat(", and ", more, " more") : ""));
}

void LogFirst(absl::string_view group, absl::Span<const TaskError> errors) {
  if (errors.empty()) return;
  ABSL_LOG(ERROR) << group << ": task " << errors.front().index
                  << " failed: " << errors.front().status;
}

}  // namespace cohort::group_internal
