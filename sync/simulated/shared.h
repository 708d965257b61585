// cohort/sync/shared.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_SHARED_H_
#define COHORT_SYNC_SIMULATED_SHARED_H_

#include <utility>

#include "cohort/sync/mode.h"
#include "cohort/sync/simulated/kernel.h"
#include "cohort/sync/simulated/objects.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

template <class T>
class Shared : private simulated::SharedCore {
 public:
  explicit Shared(simulated::Site site = simulated::Site::current())
      : SharedCore(site) {}
  explicit Shared(T value, simulated::Site site = simulated::Site::current())
      : SharedCore(site), value_(std::move(value)) {}

  const T& Read(simulated::Site site = simulated::Site::current()) const {
    if (auto* const kernel = simulated::Kernel::Active()) {
      kernel->Read(const_cast<Shared&>(*this), site);
    }
    return value_;
  }
  T& Write(simulated::Site site = simulated::Site::current()) {
    if (auto* const kernel = simulated::Kernel::Active()) {
      kernel->Write(*this, site);
    }
    return value_;
  }

 private:
  T value_{};
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED_SHARED_H_
