// Draws an interleaving for people: a column for each thread, a row for each
// step.

#ifndef COHORT_SIM_PICTURE_H_
#define COHORT_SIM_PICTURE_H_

#include <string>

#include "cohort/kernel/kernel.h"

namespace cohort::sim {

// For a traced run. "*" marks a step before which the scheduler switched away
// from a thread that could have continued.
std::string DrawText(const kernel::RunReport& report);

// A self-contained HTML page, which loads nothing.
std::string DrawHtml(const kernel::RunReport& report);

}  // namespace cohort::sim

#endif  // COHORT_SIM_PICTURE_H_
