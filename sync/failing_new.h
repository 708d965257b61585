// Tests of what holds when memory runs out. Linking this replaces the global
// operator new of the test.

#ifndef COHORT_SYNC_FAILING_NEW_H_
#define COHORT_SYNC_FAILING_NEW_H_

#include "absl/functional/function_ref.h"

namespace cohort::testing {

// One allocation that fails: the nth that the calling thread makes between Arm
// and Disarm throws std::bad_alloc, and no other does.
class AllocationFault {
 public:
  explicit AllocationFault(int n) : n_(n) {}
  AllocationFault(const AllocationFault&) = delete;
  AllocationFault& operator=(const AllocationFault&) = delete;

  void Arm();
  // Idempotent. Before any expectation, since these allocate.
  void Disarm();

  // Calls `call` armed. True if it threw std::bad_alloc.
  bool Strikes(absl::FunctionRef<void()> call);

  // Whether there was an nth allocation. After Disarm.
  bool struck() const { return struck_; }

 private:
  const int n_;
  bool armed_ = false;
  bool struck_ = false;
};

// Runs `scenario` once for each n, from 0, until fewer allocations are made
// than that. Each run has a process of its own, so that it starts with nothing
// of the library in use, and its end, a crash or a hang is an expectation that
// fails with the n. The test must not have used the library before.
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
