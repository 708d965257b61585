// The inside of Search, with a say for whoever judges a run from outside.

#ifndef COHORT_SIM_SEARCH_INTERNAL_H_
#define COHORT_SIM_SEARCH_INTERNAL_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "cohort/sim/search.h"

namespace cohort::sim {

// `complaint` is asked after every run. What it says, if anything, is what went
// wrong: a failed assertion, whatever else was found.
Result SearchWith(const Options& options, absl::FunctionRef<void()> body,
                  absl::FunctionRef<std::string()> complaint);

}  // namespace cohort::sim

#endif  // COHORT_SIM_SEARCH_INTERNAL_H_
