// Assertions for code that runs without GoogleTest: models and fuzz targets.

#ifndef COHORT_SIM_CHECK_H_
#define COHORT_SIM_CHECK_H_

#include <source_location>

#include "absl/strings/string_view.h"

namespace cohort::sim {

// Unless `ok`, ends the run as failed, with `claim` as the assertion that did
// not hold; outside a run it ends the process. Never blocks.
void Check(bool ok, absl::string_view claim,
           std::source_location site = std::source_location::current());

}  // namespace cohort::sim

#endif  // COHORT_SIM_CHECK_H_
