#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/kernel/kernel.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

using kernel::Kernel;
using kernel::Site;

namespace {

// Any day will do, as long as it is the same for each run.
absl::Time Epoch() { return absl::FromUnixSeconds(1'000'000'000); }

Kernel& Active(const char* what) {
  Kernel* const kernel = Kernel::Active();
  ABSL_CHECK(kernel != nullptr) << what << " outside a simulated run";
  return *kernel;
}

}  // namespace

absl::Time Now() {
  const int64_t steady = internal::SteadyNanos();
  const Kernel* const kernel = Kernel::Active();
  const int64_t shift = kernel == nullptr ? 0 : kernel->WallClockShift();
  return Epoch() + absl::Nanoseconds(steady + shift);
}

void ShiftWallClock(absl::Duration shift, Site site) {
  Active("ShiftWallClock")
      .ShiftWallClock(absl::ToInt64Nanoseconds(shift), site);
}

absl::Duration ProcessCpuTime() { return absl::ZeroDuration(); }

void SleepFor(absl::Duration duration, Site site) {
  Kernel& kernel = Active("SleepFor");
  const SteadyTime deadline = SteadyTime::Now() + duration;
  kernel.SleepUntil(deadline.nanos_since_epoch(), site);
}

namespace internal {

int64_t SteadyNanos() {
  Kernel* const kernel = Kernel::Active();
  return kernel == nullptr ? 0 : kernel->Now(Site());
}

}  // namespace internal

// Outside a run there is but one thread, and nothing to wait for.

void Mutex::Lock(Site site) {
  if (Kernel* kernel = Kernel::Active()) kernel->Lock(*this, site);
}

bool Mutex::TryLock(Site site) {
  Kernel* const kernel = Kernel::Active();
  return kernel == nullptr || kernel->TryLock(*this, site);
}

void Mutex::Unlock(Site site) {
  if (Kernel* kernel = Kernel::Active()) kernel->Unlock(*this, site);
}

void Mutex::AssertHeld() const {
  Kernel* const kernel = Kernel::Active();
  ABSL_CHECK(kernel == nullptr || kernel->IsOwner(*this))
      << "Mutex::AssertHeld: not held by this thread";
}

void CondVar::Wait(Mutex* mutex, WaitKind kind, Site site) {
  Active("CondVar::Wait")
      .Wait(*this, *mutex, kernel::kNever, kind == WaitKind::kDaemon, site);
}

bool CondVar::WaitUntil(Mutex* mutex, SteadyTime deadline, WaitKind kind,
                        Site site) {
  return Active("CondVar::WaitUntil")
      .Wait(*this, *mutex, deadline.nanos_since_epoch(),
            kind == WaitKind::kDaemon, site);
}

void CondVar::Signal(Site site) {
  if (Kernel* kernel = Kernel::Active()) kernel->Signal(*this, false, site);
}

void CondVar::SignalAll(Site site) {
  if (Kernel* kernel = Kernel::Active()) kernel->Signal(*this, true, site);
}

Thread::Thread(Thread&& other) noexcept
    : thread_(std::exchange(other.thread_, -1)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  ABSL_CHECK(!joinable()) << "sync::Thread: a joinable thread was overwritten";
  thread_ = std::exchange(other.thread_, -1);
  return *this;
}

Thread::~Thread() {
  ABSL_CHECK(!joinable()) << "sync::Thread: destroyed without Join or Detach";
}

absl::StatusOr<Thread> Thread::Start(ThreadOptions options,
                                     absl::AnyInvocable<void() &&> body,
                                     Site site) {
  auto start = std::make_unique<kernel::ThreadStart>(std::move(options.name),
                                                     std::move(body));
  const int thread = Active("Thread::Start").Start(start.get(), site);
  if (thread < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start thread '", start->name, "': refused"));
  }
  (void)start.release();
  return Thread(thread);
}

void Thread::Join(Site site) {
  ABSL_CHECK(joinable()) << "sync::Thread::Join: no thread";
  Active("Thread::Join").Join(std::exchange(thread_, -1), site);
}

void Thread::Detach() {
  ABSL_CHECK(joinable()) << "sync::Thread::Detach: no thread";
  thread_ = -1;
}

bool ThreadProbe::LooksBlocked() const {
  Kernel* const kernel = Kernel::Active();
  return kernel != nullptr && thread_ >= 0 &&
         kernel->LooksBlocked(thread_, Site());
}

void Yield(Site site) {
  if (Kernel* kernel = Kernel::Active()) kernel->Yield(site);
}

int HardwareConcurrency() {
  Kernel* const kernel = Kernel::Active();
  return kernel == nullptr ? 1 : kernel->processors();
}

void SchedulePoint(const char* name, Site site) {
  if (Kernel* kernel = Kernel::Active()) kernel->SchedulePoint(name, site);
}

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync
