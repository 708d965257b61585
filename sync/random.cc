#include "cohort/sync/random.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/kernel.h"
#else
#include "absl/random/random.h"
#endif

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

#ifdef COHORT_SYNC_SIMULATED

double RandomFraction() {
  auto* const kernel = simulated::Kernel::Active();
  if (kernel == nullptr) return 0;
  constexpr double kFractions[] = {0, 0.5, 1 - 0x1p-53};
  return kFractions[kernel->Choose(3, simulated::Site::current())];
}

#else

double RandomFraction() {
  thread_local absl::InsecureBitGen generator;
  return absl::Uniform(generator, 0.0, 1.0);
}

#endif

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync
