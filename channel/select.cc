#include "cohort/channel/select.h"

#include "absl/log/absl_check.h"
#include "absl/time/time.h"
#include "cohort/sync/clock.h"

namespace cohort::channel {

Ticker::Ticker(absl::Duration period) : period_(period) {
  ABSL_CHECK_GT(period, absl::ZeroDuration()) << "channel::Ticker: period";
  Reset();
}

void Ticker::Reset() { next_ = sync::SteadyTime::Now() + period_; }

void Ticker::Advance() {
  absl::Duration late = sync::SteadyTime::Now() - next_;
  next_ = next_ + (absl::IDivDuration(late, period_, &late) + 1) * period_;
}

}  // namespace cohort::channel
