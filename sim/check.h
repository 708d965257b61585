// What a body in which GoogleTest has no say asserts with: a model, a fuzz
// target.

#ifndef COHORT_SIM_CHECK_H_
#define COHORT_SIM_CHECK_H_

#include <source_location>

#include "absl/strings/string_view.h"

namespace cohort::sim {

// Ends the run as failed, with `claim` as what did not hold, unless `ok`.
// Outside a run it ends the process. Never blocks.
void Check(bool ok, absl::string_view claim,
           std::source_location site = std::source_location::current());

}  // namespace cohort::sim

#endif  // COHORT_SIM_CHECK_H_
