// Plain data that several threads use, and that something else has to guard.

#ifndef COHORT_SYNC_RACE_CHECKED_H_
#define COHORT_SYNC_RACE_CHECKED_H_

#include <utility>

#include "cohort/sync/mode.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/race_checked.h"
#else

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// A T, and in a simulated run one whose accesses are checked: two of which one
// at least writes, and that nothing orders, are reported as a race whatever
// they read. In real mode it is the T alone.
//
// Never blocks, and is no place at which threads are switched: what is wrong
// with an access is seen from the order of the others.
template <class T>
class RaceChecked {
 public:
  RaceChecked() = default;
  explicit RaceChecked(T value) : value_(std::move(value)) {}
  RaceChecked(const RaceChecked&) = delete;
  RaceChecked& operator=(const RaceChecked&) = delete;

  // To be used at once: the reference is not checked.
  const T& Read() const { return value_; }
  T& Write() { return value_; }

 private:
  T value_{};
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED

#endif  // COHORT_SYNC_RACE_CHECKED_H_
