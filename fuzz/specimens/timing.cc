// Timers, timeouts and pauses.

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"

namespace cohort::specimens {
namespace {

// The callback has been taken off the timer and not begun when Stop
// returns, and its object goes.
template <bool kBad>
void FiresAfterStop() {
  struct Timer {
    sync::Mutex mutex;
    sync::CondVar ended;
    bool armed ABSL_GUARDED_BY(mutex) = true;
    bool running ABSL_GUARDED_BY(mutex) = false;

    void Fire(absl::FunctionRef<void()> callback) {
      {
        sync::MutexLock lock(&mutex);
        if (!armed) return;
        armed = false;
        running = true;
      }
      callback();
      sync::MutexLock lock(&mutex);
      running = false;
      ended.SignalAll();
    }

    void Stop() {
      sync::MutexLock lock(&mutex);
      armed = false;
      if constexpr (!kBad) {
        while (running) ended.Wait(&mutex);
      }
    }
  } timer;
  struct Owner {
    sync::Atomic<int> fired{0};
  };
  // The storage outlives the owner, so that what comes late finds a dead object
  // there.
  std::optional<Owner> storage(std::in_place);
  Owner* const owner = &*storage;
  JoiningThread timer_thread(
      [&timer, owner] { timer.Fire([owner] { owner->fired.fetch_add(1); }); });
  timer.Stop();
  storage.reset();
}

// The pause before the next attempt is a sleep, which a cancel cannot end.
template <bool kBad>
void SleepsThroughCancel() {
  struct Retry {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;
    sync::SteadyTime cancelled_at ABSL_GUARDED_BY(mutex);

    // Reads the clock last: until the signal the deadline may still come due,
    // and the cancel would be too late.
    void Cancel() {
      sync::MutexLock lock(&mutex);
      cancelled = true;
      changed.SignalAll();
      cancelled_at = sync::SteadyTime::Now();
    }

    void Pause() {
      const sync::SteadyTime end = sync::SteadyTime::Now() + absl::Seconds(1);
      if constexpr (kBad) sync::SleepFor(absl::Seconds(1));
      sync::MutexLock lock(&mutex);
      while (!cancelled && sync::SteadyTime::Now() < end) {
        changed.WaitUntil(&mutex, end);
      }
      if (cancelled && cancelled_at < end) {
        sim::Check(sync::SteadyTime::Now() < end, "a cancel ends the pause");
      }
    }
  } retry;
  JoiningThread canceller([&] { retry.Cancel(); });
  retry.Pause();
}

// The deadline ends the wait, and the result comes before the waiter has
// its mutex back. The waiter goes by the deadline, the other side by the
// result.
template <bool kBad>
void TimeoutAndCompletion() {
  struct Request {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool done ABSL_GUARDED_BY(mutex) = false;
    bool abandoned ABSL_GUARDED_BY(mutex) = false;

    bool Receive(sync::SteadyTime deadline) {
      sync::MutexLock lock(&mutex);
      while (!done) {
        if (!changed.WaitUntil(&mutex, deadline)) continue;
        if constexpr (!kBad) {
          if (done) break;
        }
        abandoned = true;
        return false;
      }
      return true;
    }

    bool Deliver() {
      sync::MutexLock lock(&mutex);
      if (abandoned) return false;
      done = true;
      changed.Signal();
      return true;
    }
  } request;
  bool delivered = false;
  bool received = false;
  {
    JoiningThread sender([&] { delivered = request.Deliver(); });
    received = request.Receive(sync::SteadyTime::Now() + absl::Seconds(1));
  }
  sim::Check(delivered == received, "both sides agree on the outcome");
}

constexpr Specimen kSpecimens[] = {
    {.name = "fires_after_stop",
     .source = "a known pattern",
     .bug = "Stop does not wait for a callback that is about to run.",
     .verdict = sim::Verdict::kUseAfterDestruction,
     .bad = FiresAfterStop<true>,
     .mended = FiresAfterStop<false>},
    {.name = "sleeps_through_cancel",
     .source = "a known pattern",
     .bug = "A cancel does not end the pause between two attempts.",
     .verdict = sim::Verdict::kAssertion,
     .bad = SleepsThroughCancel<true>,
     .mended = SleepsThroughCancel<false>},
    {.name = "timeout_and_completion",
     .source = "a known pattern",
     .bug = "A wait that timed out does not look whether the result has come.",
     .verdict = sim::Verdict::kAssertion,
     .bad = TimeoutAndCompletion<true>,
     .mended = TimeoutAndCompletion<false>,
     .needs = Feature::kRacingTime},
};

}  // namespace

absl::Span<const Specimen> Timing() { return kSpecimens; }

}  // namespace cohort::specimens
