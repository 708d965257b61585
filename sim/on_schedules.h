// One body of a test for both worlds: real threads, and schedules that are
// searched.

#ifndef COHORT_SIM_ON_SCHEDULES_H_
#define COHORT_SIM_ON_SCHEDULES_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sim/sim.h"
#endif

namespace cohort::testing {

#ifdef COHORT_SYNC_SIMULATED

inline constexpr bool kSearchesSchedules = true;

// Runs `body` on many schedules.
inline void OnSchedules(absl::FunctionRef<void()> body,
                        int64_t schedules = 300) {
  if (::testing::Test::HasFailure()) return;
  sim::Explore({.schedules = schedules}, body);
}

#else

inline constexpr bool kSearchesSchedules = false;

// Runs `body` some times on real threads.
inline void OnSchedules(absl::FunctionRef<void()> body,
                        int64_t /*schedules*/ = 300) {
  for (int i = 0; i < 10 && !::testing::Test::HasFailure(); ++i) body();
}

#endif

}  // namespace cohort::testing

#endif  // COHORT_SIM_ON_SCHEDULES_H_
