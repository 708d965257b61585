#include "cohort/sync/random.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/kernel/kernel.h"
#else
#include <cstdint>

#include "absl/time/time.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#endif

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

#ifdef COHORT_SYNC_SIMULATED

double RandomFraction() {
  auto* const kernel = kernel::Kernel::Active();
  if (kernel == nullptr) return 0;
  constexpr double kFractions[] = {0, 0.5, 1 - 0x1p-53};
  return kFractions[kernel->Choose(3, kernel::Site::current())];
}

#else

namespace {

// SplitMix64: good enough for drawing lots, and seeding it cannot fail.
// (absl::BitGen allocates under absl::call_once: if that throws, all later
// callers block forever.)
class Generator {
 public:
  // The seed differs across processes and machines by the time; across threads
  // by a counter; and by the address of this object.
  Generator()
      : state_(static_cast<uint64_t>(absl::ToUnixNanos(Now())) ^
               reinterpret_cast<uintptr_t>(this)) {
    static Atomic<uint64_t> generators = 0;
    state_ += generators.fetch_add(uint64_t{1}, kRelaxed) << 32;
  }

  double Fraction() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    mixed ^= mixed >> 31;
    return static_cast<double>(mixed >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

}  // namespace

double RandomFraction() {
  thread_local Generator generator;
  return generator.Fraction();
}

#endif

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync
