// cohort/sync/race_checked.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_RACE_CHECKED_H_
#define COHORT_SYNC_SIMULATED_RACE_CHECKED_H_

#include <utility>

#include "cohort/kernel/kernel.h"
#include "cohort/kernel/objects.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

template <class T>
class RaceChecked : private kernel::RaceCheckedCore {
 public:
  explicit RaceChecked(kernel::Site site = kernel::Site::current())
      : RaceCheckedCore(site) {}
  explicit RaceChecked(T value, kernel::Site site = kernel::Site::current())
      : RaceCheckedCore(site), value_(std::move(value)) {}

  const T& Read(kernel::Site site = kernel::Site::current()) const {
    if (auto* const kernel = kernel::Kernel::Active()) {
      kernel->Read(const_cast<RaceChecked&>(*this), site);
    }
    return value_;
  }
  T& Write(kernel::Site site = kernel::Site::current()) {
    if (auto* const kernel = kernel::Kernel::Active()) {
      kernel->Write(*this, site);
    }
    return value_;
  }

 private:
  T value_{};
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED_RACE_CHECKED_H_
