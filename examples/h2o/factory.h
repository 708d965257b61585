// The water factory of the tutorials: every thread brings an atom, and they are
// let in so that molecules come out.

#ifndef H2O_FACTORY_H_
#define H2O_FACTORY_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/semaphore/weighted.h"

namespace h2o {

// Of any three atoms in a row, counted from the first, two are of hydrogen and
// one is of oxygen, in any order.
class Factory {
 public:
  // Calls `emit` when it is the atom's turn, and returns when its molecule is
  // complete. If `context` ends before that: its cause. Those of the same
  // molecule, and all later ones, are then told that the barrier is broken.
  absl::Status Hydrogen(const cohort::Context& context,
                        absl::FunctionRef<void()> emit) {
    return Bring(hydrogen_, context, emit);
  }
  absl::Status Oxygen(const cohort::Context& context,
                      absl::FunctionRef<void()> emit) {
    return Bring(oxygen_, context, emit);
  }

 private:
  absl::Status Bring(cohort::semaphore::Weighted& places,
                     const cohort::Context& context,
                     absl::FunctionRef<void()> emit);

  // The places of one molecule.
  cohort::semaphore::Weighted hydrogen_{2};
  cohort::semaphore::Weighted oxygen_{1};
  cohort::cyclicbarrier::CyclicBarrier complete_{3};
};

}  // namespace h2o

#endif  // H2O_FACTORY_H_
