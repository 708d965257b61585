// Search with an additional oracle. Internal: sim.cc uses it to count
// GoogleTest failures.

#ifndef COHORT_SIM_SEARCH_INTERNAL_H_
#define COHORT_SIM_SEARCH_INTERNAL_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "cohort/sim/search.h"

namespace cohort::sim {

// `complaint` is called after every run. If it returns a text, that is the
// failure: a failed assertion, whatever else was found.
Result SearchWith(const Options& options, absl::FunctionRef<void()> body,
                  absl::FunctionRef<std::string()> complaint);

}  // namespace cohort::sim

#endif  // COHORT_SIM_SEARCH_INTERNAL_H_
