// Searches the schedules of a piece of concurrent code for one on which it goes
// wrong, within a GoogleTest.

#ifndef COHORT_SIM_SIM_H_
#define COHORT_SIM_SIM_H_

#include <source_location>

#include "absl/functional/function_ref.h"
#include "cohort/sim/check.h"    // IWYU pragma: export
#include "cohort/sim/search.h"   // IWYU pragma: export
#include "cohort/sim/verdict.h"  // IWYU pragma: export

namespace cohort::sim {

// Runs `body` on one schedule after the other, as Search does, and adds a
// failure to the current test if one goes wrong, with a picture and what it
// takes to replay it. An expectation of GoogleTest that does not hold is
// something that went wrong.
//
// Flags of the test: --sim_replay=SCHEDULE runs that one alone,
// --sim_picture=FILE writes the picture as a page of HTML, --sim_seed=N and
// --sim_schedules=N take the place of what `options` say.
//
// Blocks the calling thread, which runs everything. Returns what it found.
Result Explore(const Options& options, absl::FunctionRef<void()> body,
               std::source_location site = std::source_location::current());

// For ExploreAll: all the schedules that `strategy` has, but for stale loads
// and spurious wake-ups, which would be too many.
Options AllSchedules(Strategy strategy = Strategy::DepthFirst());

// Explore, for a proof: fails, too, if the search has not come to its end, or
// if there was nothing to search. The number of schedules becomes a property of
// the test. With --sim_replay or --sim_schedules it is no more than Explore.
Result ExploreAll(const Options& options, absl::FunctionRef<void()> body,
                  std::source_location site = std::source_location::current());
Result ExploreAll(Strategy strategy, absl::FunctionRef<void()> body,
                  std::source_location site = std::source_location::current());

}  // namespace cohort::sim

#endif  // COHORT_SIM_SIM_H_
