// Allocation failure tests: checks what holds when memory runs out. Linking
// this replaces the test's global operator new.

#ifndef COHORT_SYNC_FAILING_NEW_H_
#define COHORT_SYNC_FAILING_NEW_H_

#include "absl/functional/function_ref.h"

namespace cohort::testing {

// One allocation that fails: the n-th that the calling thread makes between Arm
// and Disarm throws std::bad_alloc; no other does.
class AllocationFault {
 public:
  explicit AllocationFault(int n) : n_(n) {}
  AllocationFault(const AllocationFault&) = delete;
  AllocationFault& operator=(const AllocationFault&) = delete;

  void Arm();
  // Idempotent. Call it before any expectation, since expectations allocate.
  void Disarm();

  // Calls `call` while armed. True if it threw std::bad_alloc.
  bool Strikes(absl::FunctionRef<void()> call);

  // Whether there was an n-th allocation. Call it after Disarm.
  bool struck() const { return struck_; }

 private:
  const int n_;
  bool armed_ = false;
  bool struck_ = false;
};

// Runs `scenario` once for each n, from 0, until it makes no more than n
// allocations. Each run has a process of its own, so that it starts with
// nothing of the library in use; if that process crashes, hangs or fails, an
// expectation fails that names n. The test must not have used the library
// before.
//
//   WithEachAllocationFailing([](AllocationFault& fault) {
//     errgroup::Group group;
//     const bool threw = fault.Strikes([&] { group.Go([] {}); });
//     EXPECT_EQ(group.stats().accepted, threw ? 0 : 1);
//     …
//   });
void WithEachAllocationFailing(
    absl::FunctionRef<void(AllocationFault&)> scenario);

}  // namespace cohort::testing

#endif  // COHORT_SYNC_FAILING_NEW_H_
