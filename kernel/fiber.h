// Fibers: stacks that one operating system thread switches between.

#ifndef COHORT_KERNEL_FIBER_H_
#define COHORT_KERNEL_FIBER_H_

#include <cstddef>

namespace cohort::kernel {

// A context to switch to and from: the thread's own stack, or one allocated
// here.
//
// State that the compiler's run time keeps for each thread is switched as well:
// the exceptions that are being handled, and what the sanitizers know of a
// stack.
class Fiber {
 public:
  // Represents the stack of the constructing thread.
  Fiber();
  // A new stack, of `stack_size` bytes, with a guard below it.
  explicit Fiber(size_t stack_size);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The size that the constructor was given.
  size_t stack_size() const { return stack_size_; }

  // The next SwitchTo() runs `entry` from the top of the stack, whatever was on
  // it. `entry` must not return.
  void Reset(void (*entry)());

  // Leaves `this`, which must be the current fiber, for `next`; returns when a
  // fiber switches back. If `for_good`, it does not return; `this` can be used
  // again only after a Reset.
  void SwitchTo(Fiber& next, bool for_good = false);

  // Whether `address` is in this stack's guard.
  bool IsOverflow(const void* address) const;

  // Makes ThreadSanitizer believe that this fiber is running, whatever the
  // stack is: used while running on another fiber's stack.
  void TakeIdentity() const;

 private:
  struct Impl;

  void* stack_pointer_ = nullptr;
  void (*entry_)() = nullptr;
  size_t stack_size_ = 0;
  char* mapping_ = nullptr;  // begins with the guard
  size_t mapping_size_ = 0;
  // Two words of the C++ ABI: caught exceptions, and how many are in flight.
  void* exceptions_[2] = {};
  void* asan_fake_stack_ = nullptr;
  const void* asan_bottom_ = nullptr;
  size_t asan_size_ = 0;
  void* tsan_fiber_ = nullptr;
};

}  // namespace cohort::kernel

#endif  // COHORT_KERNEL_FIBER_H_
