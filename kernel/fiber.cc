#include "cohort/kernel/fiber.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/base/config.h"
#include "absl/log/absl_check.h"
#include "cohort/kernel/uninstrumented.h"

#ifndef __x86_64__
#include <ucontext.h>

#include <new>
#endif

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef ABSL_HAVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

#ifdef ABSL_HAVE_THREAD_SANITIZER
// Simulated threads share state that a system thread has only once, such as a
// log's errno, thread number and buffer: suppresses reports about those.
extern "C" const char* __tsan_default_suppressions() {
  return "race:log_internal::LogMessage\n";
}
#endif

namespace cohort::kernel {

#ifdef __x86_64__

// Saves the callee-saved registers, including the floating-point control words,
// on the stack that is left.
extern "C" void cohort_sim_switch(void** save, void* load);
asm(R"(
.text
.globl cohort_sim_switch
.hidden cohort_sim_switch
.type cohort_sim_switch, @function
cohort_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cohort_sim_switch, .-cohort_sim_switch
)");

#endif

namespace {

COHORT_UNINSTRUMENTED size_t PageSize() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// The guard below a stack: larger than any frame that could step over it.
COHORT_UNINSTRUMENTED size_t GuardSize() { return 16 * PageSize(); }

// The fiber that is being switched to, and the one that is left: the only way
// in which the first instruction of a new stack can know them.
thread_local Fiber* arriving = nullptr;
thread_local Fiber* leaving = nullptr;
thread_local void** exceptions = nullptr;

COHORT_UNINSTRUMENTED void** Exceptions() {
  if (exceptions == nullptr) {
    exceptions = reinterpret_cast<void**>(abi::__cxa_get_globals());
  }
  return exceptions;
}

}  // namespace

struct Fiber::Impl {
  COHORT_UNINSTRUMENTED static void Arrived() {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(arriving->asan_fake_stack_,
                                    &leaving->asan_bottom_,
                                    &leaving->asan_size_);
#endif
  }

  [[noreturn]] COHORT_UNINSTRUMENTED static void Enter() {
    Arrived();
    arriving->entry_();
    std::abort();  // it must not return
  }

#ifdef __x86_64__
  // Prepares a stack as cohort_sim_switch leaves one, about to return to Enter.
  COHORT_UNINSTRUMENTED static void* Prepare(char* bottom, size_t size) {
    auto* top = reinterpret_cast<uint64_t*>(bottom + size);
    // As if Enter had been called: its return address is above it, and the
    // stack pointer is 8 off a multiple of 16.
    *--top = 0;
    *--top = reinterpret_cast<uint64_t>(&Enter);
    for (int i = 0; i < 6; ++i) *--top = 0;
    uint32_t mxcsr;
    uint16_t control_word;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    asm volatile("fnstcw %0" : "=m"(control_word));
    *--top = mxcsr | uint64_t{control_word} << 32;
    return top;
  }

  COHORT_UNINSTRUMENTED static void Jump(void** save, void* load) {
    cohort_sim_switch(save, load);
  }
#else
  // On other platforms the C library does it, with a system call for each
  // switch. The context is stored at the low end of the stack, which is used
  // last.
  static void* Prepare(char* bottom, size_t size) {
    auto* const context = new (bottom) ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = bottom + sizeof(ucontext_t);
    context->uc_stack.ss_size = size - sizeof(ucontext_t);
    context->uc_link = nullptr;
    makecontext(context, &Enter, 0);
    return context;
  }

  static void Jump(void** save, void* load) {
    ucontext_t own;  // for the thread's own stack, which stores none
    const bool is_own = *save == nullptr;
    if (is_own) *save = &own;
    swapcontext(static_cast<ucontext_t*>(*save),
                static_cast<ucontext_t*>(load));
    if (is_own) *save = nullptr;
  }
#endif
};

Fiber::Fiber() {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  tsan_fiber_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(size_t stack_size) : stack_size_(stack_size) {
  const size_t page = PageSize();
  mapping_size_ = (stack_size + page - 1) / page * page + GuardSize();
  void* const mapping =
      mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ABSL_CHECK(mapping != MAP_FAILED) << "no memory for a simulated thread";
  mapping_ = static_cast<char*>(mapping);
  ABSL_CHECK_EQ(mprotect(mapping_, GuardSize(), PROT_NONE), 0);
  asan_bottom_ = mapping_ + GuardSize();
  asan_size_ = mapping_size_ - GuardSize();
#ifdef ABSL_HAVE_THREAD_SANITIZER
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
#ifdef ABSL_HAVE_THREAD_SANITIZER
  __tsan_destroy_fiber(tsan_fiber_);
#endif
  munmap(mapping_, mapping_size_);
}

bool Fiber::IsOverflow(const void* address) const {
  return mapping_ != nullptr && address >= mapping_ &&
         address < mapping_ + GuardSize();
}

COHORT_UNINSTRUMENTED void Fiber::Reset(void (*entry)()) {
  entry_ = entry;
  exceptions_[0] = nullptr;
  exceptions_[1] = nullptr;
  asan_fake_stack_ = nullptr;
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  // An abandoned run has left its red zones.
  __asan_unpoison_memory_region(asan_bottom_, asan_size_);
#endif
  stack_pointer_ =
      Impl::Prepare(mapping_ + GuardSize(), mapping_size_ - GuardSize());
}

COHORT_UNINSTRUMENTED void Fiber::SwitchTo(Fiber& next,
                                           [[maybe_unused]] bool for_good) {
  void** const live = Exceptions();
  exceptions_[0] = live[0];
  exceptions_[1] = live[1];
  live[0] = next.exceptions_[0];
  live[1] = next.exceptions_[1];
  arriving = &next;
  leaving = this;
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  // AddressSanitizer frees its state of a stack only if it is told so.
  __sanitizer_start_switch_fiber(for_good ? nullptr : &asan_fake_stack_,
                                 next.asan_bottom_, next.asan_size_);
#endif
#ifdef ABSL_HAVE_THREAD_SANITIZER
  __tsan_switch_to_fiber(next.tsan_fiber_, __tsan_switch_to_fiber_no_sync);
#endif
  Impl::Jump(&stack_pointer_, next.stack_pointer_);
  Impl::Arrived();
}

COHORT_UNINSTRUMENTED void Fiber::TakeIdentity() const {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  __tsan_switch_to_fiber(tsan_fiber_, __tsan_switch_to_fiber_no_sync);
#endif
}

}  // namespace cohort::kernel
