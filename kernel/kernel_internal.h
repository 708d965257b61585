// For the files that make up the kernel: the two ways between a simulated
// thread and the search that runs it, and what is done on the way.

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

// What reading the time, waiting for a time and its passing have in common.
inline constexpr uint32_t kClockObject = 1;

// Of a path.
absl::string_view BaseName(absl::string_view path);

// "mutex", "atomic", …
const char* KindName(ObjectKind kind);

COHORT_BEGIN_UNINSTRUMENTED

// While a thread is in here, ThreadSanitizer takes it for the thread that runs
// the search: what it touches is the kernel's, and races with nobody. Its own
// accesses, and what orders them, count for the simulated thread.
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

// The other way round, for what the kernel calls on behalf of a thread.
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

// ThreadSanitizer takes whatever is on a stack for the business of the thread
// whose stack it is. So what others have compiled runs on the search's own.
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
