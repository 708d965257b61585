// Plain shared data, which something else has to guard; a simulated run checks
// it for data races.

#ifndef COHORT_SYNC_RACE_CHECKED_H_
#define COHORT_SYNC_RACE_CHECKED_H_

#include <utility>

#include "cohort/sync/mode.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/race_checked.h"
#else

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// A T whose accesses are checked in a simulated run: an unordered pair of
// accesses, at least one of them a write, is reported as a data race, whatever
// values they read. In real mode it is the T alone.
//
// Never blocks, and is not a scheduling point: a race shows in the order of the
// other steps.
template <class T>
class RaceChecked {
 public:
  RaceChecked() = default;
  explicit RaceChecked(T value) : value_(std::move(value)) {}
  RaceChecked(const RaceChecked&) = delete;
  RaceChecked& operator=(const RaceChecked&) = delete;

  // Use the reference at once: it is not checked.
  const T& Read() const { return value_; }
  T& Write() { return value_; }

 private:
  T value_{};
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED

#endif  // COHORT_SYNC_RACE_CHECKED_H_
