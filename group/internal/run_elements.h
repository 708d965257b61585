// Runs a function for each element of a range, in chunks. Internal.

#ifndef COHORT_GROUP_INTERNAL_RUN_ELEMENTS_H_
#define COHORT_GROUP_INTERNAL_RUN_ELEMENTS_H_

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/chunks.h"
#include "cohort/task/task.h"

namespace cohort::group_internal {

// Runs `call`, (const Context&, size_t) -> absl::Status, for each element in
// chunks. `function` is the user's function, and must not be null. Checks the
// context before each element.
template <class F, class Call>
absl::Status RunElements(const Context& parent, const ChunkOptions& options,
                         const F& function, const Call& call) {
  ABSL_CHECK(!task_internal::IsNull(function))
      << options.caller << ": null function";
  return RunChunks(parent, options,
                   [&call](const Context& context, Chunk& chunk) {
                     for (; !chunk.empty() && !context.done(); ++chunk.next) {
                       absl::Status status = call(context, chunk.next);
                       if (!status.ok()) return status;
                     }
                     return absl::OkStatus();
                   });
}

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_RUN_ELEMENTS_H_
