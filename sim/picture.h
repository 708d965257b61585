// An interleaving as people read it: a column for each thread, a row for each
// step.

#ifndef COHORT_SIM_PICTURE_H_
#define COHORT_SIM_PICTURE_H_

#include <string>

#include "cohort/kernel/kernel.h"

namespace cohort::sim {

// Of a traced run. "*" marks a step before which a thread that could have gone
// on was left.
std::string DrawText(const kernel::RunReport& report);

// A page of its own, which loads nothing.
std::string DrawHtml(const kernel::RunReport& report);

}  // namespace cohort::sim

#endif  // COHORT_SIM_PICTURE_H_
