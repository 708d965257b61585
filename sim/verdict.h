// Verdicts: the ways in which a simulated run can fail.

#ifndef COHORT_SIM_VERDICT_H_
#define COHORT_SIM_VERDICT_H_

#include "cohort/kernel/verdict.h"  // IWYU pragma: export

#endif  // COHORT_SIM_VERDICT_H_
