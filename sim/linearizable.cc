#include "cohort/sim/linearizable.h"

#include "absl/log/absl_check.h"
#include "cohort/kernel/kernel.h"

namespace cohort::sim::linearizable_internal {

Moment Moment::Now() {
  const auto* const kernel = kernel::Kernel::Active();
  ABSL_CHECK(kernel != nullptr) << "sim::History: outside a run";
  return {.thread = kernel->CurrentThread(), .known = kernel->Known()};
}

}  // namespace cohort::sim::linearizable_internal
