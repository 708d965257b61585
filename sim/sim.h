// Systematic concurrency testing within GoogleTest: searches the schedules of
// concurrent code for one on which it fails.

#ifndef COHORT_SIM_SIM_H_
#define COHORT_SIM_SIM_H_

#include <cstdint>
#include <source_location>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "cohort/sim/check.h"    // IWYU pragma: export
#include "cohort/sim/search.h"   // IWYU pragma: export
#include "cohort/sim/verdict.h"  // IWYU pragma: export

namespace cohort::sim {

// Runs `body` on one schedule after the other, as Search does. If one fails,
// adds a failure to the current test, with a picture and the schedule to
// replay. A GoogleTest expectation that does not hold is a failure of the run.
//
// Flags of the test: --sim_replay=SCHEDULE runs only that schedule,
// --sim_picture=FILE writes the picture as an HTML page, --sim_seed=N and
// --sim_schedules=N override `options`.
//
// Blocks the calling thread, which runs everything. Returns the result of the
// search.
Result Explore(const Options& options, absl::FunctionRef<void()> body,
               std::source_location site = std::source_location::current());

// Options for ExploreAll: all the schedules that `strategy` has, without stale
// loads and spurious wake-ups, which would be too many.
Options AllSchedules(Strategy strategy = Strategy::DepthFirst());

// Like Explore, but also fails unless the search was exhaustive, or if there
// was nothing to search. The number of schedules becomes a property of the
// test. With --sim_replay or --sim_schedules it is the same as Explore.
Result ExploreAll(const Options& options, absl::FunctionRef<void()> body,
                  std::source_location site = std::source_location::current());
Result ExploreAll(Strategy strategy, absl::FunctionRef<void()> body,
                  std::source_location site = std::source_location::current());

// How many times as much a schedule costs in this build: 10 with a sanitizer,
// else 1. A search there is for what the sanitizer sees, and needs fewer
// schedules.
#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
inline constexpr int kCost = 10;
#else
inline constexpr int kCost = 1;
#endif

// ExploreAll; but with a sanitizer it is Explore with `some` schedules.
Result ExploreAllOrSome(
    const Options& options, int64_t some, absl::FunctionRef<void()> body,
    std::source_location site = std::source_location::current());

}  // namespace cohort::sim

#endif  // COHORT_SIM_SIM_H_
