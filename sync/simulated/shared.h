// cohort/sync/shared.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_SHARED_H_
#define COHORT_SYNC_SIMULATED_SHARED_H_

#include <utility>

#include "cohort/kernel/kernel.h"
#include "cohort/kernel/objects.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

template <class T>
class Shared : private kernel::SharedCore {
 public:
  explicit Shared(kernel::Site site = kernel::Site::current())
      : SharedCore(site) {}
  explicit Shared(T value, kernel::Site site = kernel::Site::current())
      : SharedCore(site), value_(std::move(value)) {}

  const T& Read(kernel::Site site = kernel::Site::current()) const {
    if (auto* const kernel = kernel::Kernel::Active()) {
      kernel->Read(const_cast<Shared&>(*this), site);
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

#endif  // COHORT_SYNC_SIMULATED_SHARED_H_
