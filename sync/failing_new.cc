#include "cohort/sync/failing_new.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "gtest/gtest.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#endif

namespace {

// How many allocations of the thread succeed before one fails; below 0 none
// fails.
thread_local int left_until_failure = -1;

// Null for the allocation that must fail.
void* Allocate(std::size_t size) {
  if (left_until_failure >= 0 && left_until_failure-- == 0) return nullptr;
  return std::malloc(size == 0 ? 1 : size);
}

void* AllocateOrThrow(std::size_t size) {
  void* const memory = Allocate(size);
#ifdef ABSL_HAVE_EXCEPTIONS
  if (memory == nullptr) throw std::bad_alloc();
#else
  ABSL_CHECK(memory != nullptr) << "out of memory";
#endif
  return memory;
}

}  // namespace

#ifdef ABSL_HAVE_THREAD_SANITIZER
// By default each process sleeps for a second before it ends.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "atexit_sleep_ms=10"; }
#endif

void* operator new(std::size_t size) { return AllocateOrThrow(size); }
void* operator new[](std::size_t size) { return AllocateOrThrow(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace cohort::testing {
namespace {

constexpr int kHeld = 0;
constexpr int kFailed = 1;
constexpr int kNoSuchAllocation = 2;
// Far more than any scenario needs: a scenario that takes longer hangs.
[[maybe_unused]] constexpr unsigned kMostSeconds = 120;

// Counts only failures of this process: the child must not report failures from
// before the fork.
class FailureCounter : public ::testing::EmptyTestEventListener {
 public:
  int count() const { return count_; }

 private:
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    count_ += result.failed() ? 1 : 0;
  }

  int count_ = 0;
};

[[maybe_unused]] int RunInChild(
    int n, absl::FunctionRef<void(AllocationFault&)> scenario) {
  auto* const failures = new FailureCounter;
  ::testing::UnitTest::GetInstance()->listeners().Append(failures);
  AllocationFault fault(n);
  scenario(fault);
  fault.Disarm();
  bool failed = failures->count() > 0;
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  failed |= __lsan_do_recoverable_leak_check() != 0;
#endif
  if (failed) return kFailed;
  return fault.struck() ? kHeld : kNoSuchAllocation;
}

}  // namespace

void AllocationFault::Arm() {
  ABSL_CHECK(!armed_) << "AllocationFault: armed already";
  armed_ = true;
  left_until_failure = n_;
}

void AllocationFault::Disarm() {
  if (!armed_) return;
  armed_ = false;
  // Counted down to below 0: the n-th allocation was made.
  struck_ = struck_ || left_until_failure < 0;
  left_until_failure = -1;
}

bool AllocationFault::Strikes(absl::FunctionRef<void()> call) {
  Arm();
#ifdef ABSL_HAVE_EXCEPTIONS
  try {
    call();
  } catch (const std::bad_alloc&) {
    Disarm();
    return true;
  }
#else
  call();
#endif
  Disarm();
  return false;
}

void WithEachAllocationFailing(
    absl::FunctionRef<void(AllocationFault&)> scenario) {
#ifdef ABSL_HAVE_EXCEPTIONS
  for (int n = 0;; ++n) {
    std::fflush(nullptr);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(kMostSeconds);
      const int verdict = RunInChild(n, scenario);
      std::fflush(nullptr);
      _exit(verdict);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
      ADD_FAILURE() << "allocation " << n << " fails: signal "
                    << WTERMSIG(status)
                    << (WTERMSIG(status) == SIGALRM ? ", it hangs" : "");
      if (n > 1000) return;
      continue;
    }
    if (WEXITSTATUS(status) == kNoSuchAllocation) {
      EXPECT_GT(n, 0) << "the scenario allocates nothing";
      return;
    }
    EXPECT_EQ(WEXITSTATUS(status), kHeld) << "allocation " << n << " fails";
    ASSERT_LT(n, 1000) << "the scenario never ends";
  }
#else
  (void)scenario;
  GTEST_SKIP() << "without exceptions, to run out of memory ends the process";
#endif
}

}  // namespace cohort::testing
