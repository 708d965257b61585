#include "ticker/run_jobs.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/schedgroup/group.h"

namespace ticker {

absl::Status RunJobs(const cohort::Context& context, absl::Duration duration,
                     std::vector<Job> jobs) {
  cohort::schedgroup::Group group(context, {.cancel_on_error = true});
  std::vector<cohort::schedgroup::TaskId> ids;
  for (Job& job : jobs) {
    ids.push_back(group.Every(job.period, std::move(job.run)));
  }
  // Takes the jobs back rather than cancelling the group: that all went well is
  // no error, and who runs just now may finish.
  group.Delay(duration, [&group, &ids] {
    for (const cohort::schedgroup::TaskId& id : ids) group.Cancel(id);
  });
  return group.Wait();
}

}  // namespace ticker
