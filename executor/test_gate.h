// A gate for tasks that tell their executor that they block.

#ifndef COHORT_EXECUTOR_TEST_GATE_H_
#define COHORT_EXECUTOR_TEST_GATE_H_

#include "cohort/executor/executor.h"
#include "cohort/sync/test_util.h"  // IWYU pragma: export

namespace cohort::testing {

inline void PassAnnounced(Gate& gate) {
  const BlockingScope blocking;
  gate.Pass();
}

}  // namespace cohort::testing

#endif  // COHORT_EXECUTOR_TEST_GATE_H_
