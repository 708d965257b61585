// Detects that a simulated thread waits for something that is not simulated.

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/debugging/symbolize.h"
#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/kernel_internal.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/kernel/uninstrumented.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace cohort::kernel {
namespace {

constexpr int64_t kTickNanos = 500'000'000;
// A thread that makes no step and uses next to no processor time is waiting. (A
// thread that the system does not schedule gets no signals either.)
constexpr int kTicksOfAWait = 4;
constexpr int64_t kComputesNanos = kTickNanos / 50;  // per tick
// A thread that computes may take its time, but not forever.
constexpr int64_t kLongestStepNanos = 20'000'000'000;

// The system call itself: ThreadSanitizer would attribute what the library
// function writes to the simulated thread on whose stack this runs.
COHORT_UNINSTRUMENTED int64_t CpuNanos() {
  timespec time;
  syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// A person with a debugger takes longer than any wait.
bool IsTraced() {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return false;
  char line[256];
  int tracer = 0;
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    if (std::sscanf(line, "TracerPid: %d", &tracer) == 1) break;
  }
  std::fclose(file);
  return tracer != 0;
}

void PrintStack() {
  void* frames[64];
  const int count = backtrace(frames, 64);
  std::string text;
  for (int i = 0; i < count; ++i) {
    char name[512];
    // A frame's address is that of the instruction after the call.
    const bool known = absl::Symbolize(static_cast<char*>(frames[i]) - 1, name,
                                       static_cast<int>(sizeof(name)));
    absl::StrAppend(&text, "    ", known ? name : "(unknown)", "\n");
  }
  std::fputs(text.c_str(), stderr);
}

// What the last signal saw.
struct Seen {
  int64_t run = -1;
  int64_t step = -1;
  int ticks = 0;
  int64_t cpu_nanos = 0;  // when that step was new
};

// The timer of one thread, whose signals go to that thread: so a thread that
// stands still reports itself.
class Watchdog {
 public:
  ~Watchdog() {
    if (process_ == getpid()) timer_delete(timer_);
  }

  void Start(void (*handler)(int)) {
    // A timer does not survive a fork.
    if (process_ == getpid()) return;
    process_ = getpid();
    void* frame;
    backtrace(&frame, 1);  // loads the libraries that it needs, which a handler
                           // should not do
    const int signal = SIGRTMIN + 5;
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event.sigev_notify_thread_id = gettid();
    ABSL_CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer_), 0);
    itimerspec period = {};
    period.it_value.tv_nsec = kTickNanos;
    period.it_interval.tv_nsec = kTickNanos;
    ABSL_CHECK_EQ(timer_settime(timer_, 0, &period, nullptr), 0);
  }

 private:
  pid_t process_ = -1;
  timer_t timer_ = {};
};

thread_local Watchdog watchdog;
thread_local Seen seen;

}  // namespace

void Kernel::Watch() { watchdog.Start(&Kernel::OnTick); }

COHORT_UNINSTRUMENTED void Kernel::OnTick(int) {
  Kernel* const kernel = active_;
  const int error = errno;
  if (kernel != nullptr) kernel->LookForAWait();
  errno = error;
}

COHORT_UNINSTRUMENTED void Kernel::LookForAWait() {
  if (seen.run != run_ || seen.step != step_) {
    seen = {.run = run_, .step = step_, .cpu_nanos = CpuNanos()};
    return;
  }
  ++seen.ticks;
  const int64_t used = CpuNanos() - seen.cpu_nanos;
  const bool waits =
      seen.ticks >= kTicksOfAWait && used < seen.ticks * kComputesNanos;
  if ((!waits && used < kLongestStepNanos) || IsTraced()) return;
  const PendingOp& op = pending_[current_];
  std::fputs(
      absl::StrCat(
          "sim: ", DescribeThread(current_), " has made no step for ",
          waits ? seen.ticks * kTickNanos / 1'000'000'000
                : used / 1'000'000'000,
          waits ? " seconds: it waits for something that is not of //sync."
                : " seconds of a processor: it loops, and calls nothing of "
                  "//sync.",
          "\nIts last step: ", OpName(op.kind), ", at ",
          BaseName(op.site.file_name()), ":", op.site.line(),
          ". Where it is:\n")
          .c_str(),
      stderr);
  PrintStack();
  active_ = nullptr;  // not a verdict: an exception or a switch cannot leave a
                      // handler
  std::abort();
}

}  // namespace cohort::kernel
