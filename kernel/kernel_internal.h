// Shared by the kernel's source files: switching between a simulated thread and
// the search that runs it. Internal.

#ifndef COHORT_KERNEL_KERNEL_INTERNAL_H_
#define COHORT_KERNEL_KERNEL_INTERNAL_H_

#include <cstdint>
#include <cstdlib>

#include "absl/base/config.h"
#include "absl/strings/string_view.h"
#include "cohort/kernel/arena.h"
#include "cohort/kernel/fiber.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/uninstrumented.h"
#include "cohort/kernel/verdict.h"

namespace cohort::kernel {

// The object that reading the time, waiting for a time and its passing share.
inline constexpr uint32_t kClockObject = 1;

// The last component of a path.
absl::string_view BaseName(absl::string_view path);

// "mutex", "atomic", …
const char* KindName(ObjectKind kind);

COHORT_BEGIN_UNINSTRUMENTED

// While one of these exists, ThreadSanitizer takes the current thread for the
// one that runs the search: the data that is touched is the kernel's, and does
// not race. The thread's own accesses, and what orders them, count for the
// simulated thread.
class Kernel::Inside {
 public:
  explicit Inside([[maybe_unused]] const Kernel& kernel)
#ifdef ABSL_HAVE_THREAD_SANITIZER
      : kernel_(kernel) {
    kernel_.host_.TakeIdentity();
  }
  ~Inside() { kernel_.threads_[kernel_.current_].fiber->TakeIdentity(); }

 private:
  const Kernel& kernel_;
#else
  {
  }
  ~Inside() {}
#endif
};

// The opposite of Inside, for code that the kernel calls on behalf of a thread.
class Kernel::Outside {
 public:
  explicit Outside([[maybe_unused]] const Kernel& kernel)
#ifdef ABSL_HAVE_THREAD_SANITIZER
      : kernel_(kernel) {
    kernel_.threads_[kernel_.current_].fiber->TakeIdentity();
  }
  ~Outside() { kernel_.host_.TakeIdentity(); }

 private:
  const Kernel& kernel_;
#else
  {
  }
  ~Outside() {}
#endif
};

// ThreadSanitizer attributes everything on a stack to the thread that owns the
// stack. So code compiled elsewhere runs on the search's own stack.
template <class F>
void Kernel::OnHost(F job) {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  if (!on_host_) {
    job_ = [](void* closure) { (*static_cast<F*>(closure))(); };
    job_closure_ = &job;
    current().fiber->SwitchTo(host_);
    host_.TakeIdentity();
    return;
  }
#endif
  job();
}

template <class F>
void Kernel::FailWith(Verdict verdict, F message) {
  AdoptThreads(*current().fiber);
  report_.verdict = verdict;
  report_.message = message();
  TsanRelease(&current());
  Record(0, VerdictName(report_.verdict));
  threads_[current_].fiber->SwitchTo(host_);
  std::abort();
}

template <class T>
T* Kernel::NewInArena() {
  T* object = nullptr;
  OnHost([&] { object = arena_.New<T>(); });
  return object;
}

COHORT_END_UNINSTRUMENTED

}  // namespace cohort::kernel

#endif  // COHORT_KERNEL_KERNEL_INTERNAL_H_
