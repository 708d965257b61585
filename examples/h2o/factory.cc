#include "h2o/factory.h"

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"

namespace h2o {

absl::Status Factory::Bring(cohort::semaphore::Weighted& places,
                            const cohort::Context& context,
                            absl::FunctionRef<void()> emit) {
  const absl::StatusOr<cohort::semaphore::Permit> place =
      places.AcquirePermit(context);
  if (!place.ok()) return place.status();
  emit();
  // Nobody gives its place away before all three have come, so no atom of the
  // next molecule can come before this one is complete.
  return complete_.Await(context).status();
}

}  // namespace h2o
