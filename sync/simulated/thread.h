// cohort/sync/thread.h in simulated mode.

#ifndef COHORT_SYNC_SIMULATED_THREAD_H_
#define COHORT_SYNC_SIMULATED_THREAD_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/statusor.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

struct ThreadOptions;

class [[nodiscard]] Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  // Dies outside a run.
  static absl::StatusOr<Thread> Start(
      ThreadOptions options, absl::AnyInvocable<void() &&> body,
      kernel::Site site = kernel::Site::current());

  bool joinable() const { return thread_ >= 0; }
  void Join(kernel::Site site = kernel::Site::current());
  void Detach();

 private:
  explicit Thread(int thread) : thread_(thread) {}

  int thread_ = -1;
};

// -1 outside a run.
using ThreadId = int;
inline ThreadId CurrentThreadId() {
  auto* const kernel = kernel::Kernel::Active();
  return kernel == nullptr ? -1 : kernel->CurrentThread();
}

class ThreadProbe {
 public:
  static ThreadProbe OfCurrentThread() {
    return ThreadProbe(CurrentThreadId());
  }

  bool LooksBlocked() const;

 private:
  explicit ThreadProbe(int thread) : thread_(thread) {}

  int thread_;
};

template <class T, class Tag>
class ThreadLocal {
 public:
  static T& Get() {
    auto* const kernel = kernel::Kernel::Active();
    if (kernel == nullptr) {
      static thread_local T value{};
      return value;
    }
    return *static_cast<T*>(kernel->ThreadLocal(
        &kKey, []() -> void* { return new T{}; },
        [](void* object) { delete static_cast<T*>(object); }));
  }

 private:
  static inline constexpr char kKey = 0;
};

template <auto kMake>
auto& ProcessWide() {
  using T = std::remove_pointer_t<decltype(kMake())>;
  static const char key = 0;
  auto* const kernel = kernel::Kernel::Active();
  ABSL_CHECK(kernel != nullptr) << "outside a simulated run";
  return *static_cast<T*>(kernel->RunWide(
      &key, []() -> void* { return kMake(); },
      [](void* object) { delete static_cast<T*>(object); }));
}

void Yield(kernel::Site site = kernel::Site::current());

int HardwareConcurrency();

void SchedulePoint(const char* name,
                   kernel::Site site = kernel::Site::current());

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED_THREAD_H_
