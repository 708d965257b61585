// Converts wall clock times to the monotonic clock. Internal.

#ifndef COHORT_SCHEDGROUP_INTERNAL_WALL_CLOCK_H_
#define COHORT_SCHEDGROUP_INTERNAL_WALL_CLOCK_H_

#include <algorithm>

#include "absl/time/time.h"
#include "cohort/sync/clock.h"

namespace cohort::schedgroup::internal {

// Converts times of the wall clock, and keeps their order as long as nobody
// sets it. Two clocks cannot be read at once, so a reading only gives an
// interval for the moment at which the wall clock stood at zero. One reading is
// used until another contradicts it: if each time were converted by a reading
// of its own, a pause during one reading would put a time behind a later one.
//
// Not thread-safe.
class WallClock {
 public:
  sync::SteadyTime ToSteady(absl::Time time) {
    const sync::WallReading reading = sync::ReadWallClock();
    const absl::Duration wall = reading.wall - absl::UnixEpoch();
    const sync::SteadyTime earliest = reading.earliest + -wall;
    const sync::SteadyTime latest = reading.latest + -wall;
    if (latest < earliest_ || latest_ < earliest) {
      zero_ = latest;  // so that nothing is early
      earliest_ = earliest;
      latest_ = latest;
    } else {
      earliest_ = std::max(earliest_, earliest);
      latest_ = std::min(latest_, latest);
    }
    return zero_ + (time - absl::UnixEpoch());
  }

 private:
  sync::SteadyTime zero_;
  // No reading yet: any reading contradicts this.
  sync::SteadyTime earliest_ = sync::SteadyTime::InfiniteFuture();
  sync::SteadyTime latest_ = sync::SteadyTime::InfiniteFuture();
};

}  // namespace cohort::schedgroup::internal

#endif  // COHORT_SCHEDGROUP_INTERNAL_WALL_CLOCK_H_
