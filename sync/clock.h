// Clocks and sleeping: wall time, monotonic time (SteadyTime), and deadlines.
//
// Users express deadlines as absl::Time. Internally, every wait is measured on
// the monotonic clock, so that a jump of the wall clock (NTP, a manual change,
// a resume from suspend) neither loses a wake-up nor repeats one.

#ifndef COHORT_SYNC_CLOCK_H_
#define COHORT_SYNC_CLOCK_H_

#include <time.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/sync/mode.h"

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/clock.h"
#endif

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

#ifndef COHORT_SYNC_SIMULATED

// Reads the wall clock. Never blocks.
inline absl::Time Now() { return absl::Now(); }

// The processor time that all threads of the process have used; for heuristics.
inline absl::Duration ProcessCpuTime() {
  timespec time;
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0) {
    return absl::ZeroDuration();
  }
  return absl::DurationFromTimespec(time);
}

// Blocks the calling thread for `duration`; not at all if that is negative.
inline void SleepFor(absl::Duration duration) { absl::SleepFor(duration); }

namespace internal {

inline int64_t SteadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace internal

#endif  // COHORT_SYNC_SIMULATED

// A point on the monotonic clock, to the nanosecond. Arithmetic saturates at
// InfiniteFuture().
class SteadyTime {
 public:
  // The clock's epoch, which has no meaning by itself.
  constexpr SteadyTime() = default;

  static SteadyTime Now() { return SteadyTime(internal::SteadyNanos()); }

  static constexpr SteadyTime InfiniteFuture() {
    return SteadyTime(std::numeric_limits<int64_t>::max());
  }

  // The steady time at which the wall clock will read `time`, if nobody sets it
  // meanwhile. Late by any pause between reading the two clocks, never early.
  static SteadyTime At(absl::Time time);

  friend SteadyTime operator+(SteadyTime time, absl::Duration duration) {
    // ToInt64Nanoseconds saturates; the sum has to as well.
    const int64_t nanos = absl::ToInt64Nanoseconds(duration);
    int64_t sum;
    if (__builtin_add_overflow(time.nanos_, nanos, &sum)) {
      return nanos > 0 ? InfiniteFuture() : SteadyTime();
    }
    return SteadyTime(sum);
  }

  friend absl::Duration operator-(SteadyTime a, SteadyTime b) {
    if (a == InfiniteFuture()) return absl::InfiniteDuration();
    return absl::Nanoseconds(a.nanos_) - absl::Nanoseconds(b.nanos_);
  }

  friend constexpr auto operator<=>(SteadyTime, SteadyTime) = default;

  constexpr int64_t nanos_since_epoch() const { return nanos_; }

 private:
  explicit constexpr SteadyTime(int64_t nanos) : nanos_(nanos) {}

  int64_t nanos_ = 0;
};

// A reading of the wall clock, taken at some moment from `earliest` to
// `latest`.
struct WallReading {
  SteadyTime earliest;
  absl::Time wall;
  SteadyTime latest;
};

// Two clocks cannot be read at once. If the thread pauses between them, they
// are read again, since a waiter would be late by that pause.
inline WallReading ReadWallClock() {
  constexpr int kMostReadings = 8;
  constexpr absl::Duration kShortPause = absl::Microseconds(2);
  WallReading best;
  absl::Duration shortest = absl::InfiniteDuration();
  SteadyTime before = SteadyTime::Now();
  for (int i = 0; i < kMostReadings && shortest > kShortPause; ++i) {
    const absl::Time wall = Now();
    const SteadyTime after = SteadyTime::Now();
    if (after - before < shortest) {
      shortest = after - before;
      best = {.earliest = before, .wall = wall, .latest = after};
    }
    before = after;
  }
  return best;
}

inline SteadyTime SteadyTime::At(absl::Time time) {
  const WallReading reading = ReadWallClock();
  return reading.latest + (time - reading.wall);
}

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_CLOCK_H_
