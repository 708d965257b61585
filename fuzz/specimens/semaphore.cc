// Semaphores: golang.org/x/sync, marusama, and waiting for a stop.

#include <deque>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"

namespace cohort::specimens {
namespace {

// B-22: two permits, one of them held. T1 waits for both, T2 behind it for one.
// T1 gives up, and nobody tells T2 that it is the first now.
template <bool kBad>
void FrontGivesUp() {
  struct Waiter {
    explicit Waiter(int n) : weight(n) {}

    const int weight;
    bool granted = false;
    bool cancelled = false;
    sync::CondVar changed;
  };
  struct Semaphore {
    sync::Mutex mutex;
    int free ABSL_GUARDED_BY(mutex) = 1;
    std::deque<Waiter*> queue ABSL_GUARDED_BY(mutex);

    void Acquire(Waiter& waiter) {
      sync::MutexLock lock(&mutex);
      queue.push_back(&waiter);
      Grant();
      while (!waiter.granted && !waiter.cancelled) waiter.changed.Wait(&mutex);
      if (waiter.granted) return;
      std::erase(queue, &waiter);
      if constexpr (!kBad) Grant();
    }

    void Cancel(Waiter& waiter) {
      sync::MutexLock lock(&mutex);
      waiter.cancelled = true;
      waiter.changed.Signal();
    }

    void Grant() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
      while (!queue.empty() && queue.front()->weight <= free) {
        Waiter& waiter = *queue.front();
        queue.pop_front();
        free -= waiter.weight;
        waiter.granted = true;
        waiter.changed.Signal();
      }
    }
  } semaphore;
  Waiter both(2);
  Waiter one(1);
  JoiningThread t1([&] { semaphore.Acquire(both); });
  JoiningThread t2([&] { semaphore.Acquire(one); });
  semaphore.Cancel(both);
}

// B-24: a release too many is refused after it has been counted, which leaves
// room for two holders of one permit.
template <bool kBad>
void OverRelease() {
  struct Semaphore {
    sync::Mutex mutex;
    int taken ABSL_GUARDED_BY(mutex) = 0;

    bool TryAcquire() {
      sync::MutexLock lock(&mutex);
      if (taken >= 1) return false;
      ++taken;
      return true;
    }

    // Returns false where the original panics.
    bool Release() {
      sync::MutexLock lock(&mutex);
      if constexpr (!kBad) {
        if (taken == 0) return false;
      }
      return --taken >= 0;
    }
  } semaphore;
  sync::Atomic<int> inside{0};
  auto enter = [&] {
    if (!semaphore.TryAcquire()) return;
    sim::Check(inside.fetch_add(1) == 0, "one permit, one holder");
    inside.fetch_sub(1);
    semaphore.Release();
  };
  sim::Check(!semaphore.Release(), "a release too many is refused");
  JoiningThread other(enter);
  enter();
}

// B-25a: every release starts a new generation of waiters. T1 finds no permit;
// one is released; T1 joins the generation that begins then, and sleeps.
template <bool kBad>
void WrongGeneration() {
  struct Semaphore {
    sync::Atomic<int> taken{1};
    sync::Mutex mutex;
    sync::CondVar changed;
    int generation ABSL_GUARDED_BY(mutex) = 0;

    bool Try() {
      int none = 0;
      return taken.compare_exchange_strong(none, 1);
    }

    int Generation() {
      sync::MutexLock lock(&mutex);
      return generation;
    }

    void Await(int end_of) {
      sync::MutexLock lock(&mutex);
      while (generation == end_of) changed.Wait(&mutex);
    }

    void Acquire() {
      for (;;) {
        if constexpr (kBad) {
          if (Try()) return;
          Await(Generation());
        } else {
          const int current = Generation();
          if (Try()) return;
          Await(current);
        }
      }
    }

    void Release() {
      taken.store(0);
      sync::MutexLock lock(&mutex);
      ++generation;
      changed.SignalAll();
    }
  } semaphore;
  JoiningThread t1([&] { semaphore.Acquire(); });
  semaphore.Release();
}

// B-25b: T1 waits for two permits. Only the release that finds none free tells
// the waiters, so T1 learns of the first permit and not of the second.
template <bool kBad>
void WeightBlind() {
  struct Semaphore {
    sync::Mutex mutex;
    int free ABSL_GUARDED_BY(mutex) = 0;
    // A release that tells its waiters starts a new generation of them.
    int generation ABSL_GUARDED_BY(mutex) = 0;
    sync::CondVar ended[2];

    void AcquireBoth() {
      sync::MutexLock lock(&mutex);
      while (free < 2) ended[generation].Wait(&mutex);
      free -= 2;
    }

    void Release() {
      sync::MutexLock lock(&mutex);
      const bool tell = !kBad || free == 0;
      ++free;
      if (tell) ended[generation++].SignalAll();
    }
  } semaphore;
  JoiningThread t1([&] { semaphore.AcquireBoth(); });
  JoiningThread t2([&] { semaphore.Release(); });
  semaphore.Release();
}

// B-26: T1 has seen that no stop was requested and is about to wait when
// the callback of the stop signals, without the mutex.
template <bool kBad>
void StopWithoutMutex() {
  sync::Mutex mutex;
  sync::CondVar changed;
  sync::Atomic<bool> stopped{false};
  JoiningThread t1([&] {
    sync::MutexLock lock(&mutex);
    while (!stopped.load()) changed.Wait(&mutex);
  });
  stopped.store(true);
  if constexpr (kBad) {
    changed.SignalAll();
  } else {
    sync::MutexLock lock(&mutex);
    changed.SignalAll();
  }
}

// T1 waits for a permit. Its cancel returns, and only then one is released: the
// release serves T1, which has not woken yet, and T1 works for nobody.
template <bool kBad>
void GrantAfterCancel() {
  struct Semaphore {
    sync::Mutex mutex;
    sync::CondVar changed;
    int free ABSL_GUARDED_BY(mutex) = 0;
    bool waiting ABSL_GUARDED_BY(mutex) = false;
    bool granted ABSL_GUARDED_BY(mutex) = false;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;

    bool Acquire() {
      sync::MutexLock lock(&mutex);
      if (cancelled) return false;
      if (free > 0) {
        --free;
        return true;
      }
      waiting = true;
      while (!granted && !cancelled) changed.Wait(&mutex);
      waiting = false;
      return granted;
    }

    void Cancel() {
      sync::MutexLock lock(&mutex);
      cancelled = true;
      changed.SignalAll();
    }

    void Release() {
      sync::MutexLock lock(&mutex);
      if (waiting && !granted && (kBad || !cancelled)) {
        granted = true;
        changed.SignalAll();
      } else {
        ++free;
      }
    }
  } semaphore;
  JoiningThread t1([&] {
    sim::Check(!semaphore.Acquire(), "nothing is granted after a cancel");
  });
  semaphore.Cancel();
  semaphore.Release();
}

constexpr Specimen kSpecimens[] = {
    {.name = "semaphore_front_gives_up",
     .source = "golang/go#37852; B-22",
     .bug = "When the first waiter is cancelled, the next one is not told.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = FrontGivesUp<true>,
     .mended = FrontGivesUp<false>},
    {.name = "semaphore_over_release",
     .source = "golang.org/x/sync/semaphore; B-24",
     .bug = "A release too many is refused after it has been counted.",
     .verdict = sim::Verdict::kAssertion,
     .bad = OverRelease<true>,
     .mended = OverRelease<false>},
    {.name = "semaphore_wrong_generation",
     .source = "marusama/semaphore#2; B-25a",
     .bug = "A waiter looks for a permit first and then for what tells it of "
            "the next.",
     .verdict = sim::Verdict::kLostWakeUp,
     .bad = WrongGeneration<true>,
     .mended = WrongGeneration<false>},
    {.name = "semaphore_weight_blind",
     .source = "marusama/semaphore#4, cockroachdb/cockroach#33554; B-25b",
     .bug = "Only the first of several releases tells a waiter that needs all "
            "of them.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = WeightBlind<true>,
     .mended = WeightBlind<false>},
    {.name = "semaphore_stop_without_mutex",
     .source = "e2b infra#3629; B-26",
     .bug = "The callback of a cancel signals without the waiter's mutex.",
     .verdict = sim::Verdict::kLostWakeUp,
     .bad = StopWithoutMutex<true>,
     .mended = StopWithoutMutex<false>},
    {.name = "semaphore_grant_after_cancel",
     .source = "semaphores whose cancelled waiters leave the queue themselves",
     .bug = "A release serves a waiter whose cancel has returned, and that has "
            "not woken yet.",
     .verdict = sim::Verdict::kAssertion,
     .bad = GrantAfterCancel<true>,
     .mended = GrantAfterCancel<false>},
};

}  // namespace

absl::Span<const Specimen> Semaphore() { return kSpecimens; }

}  // namespace cohort::specimens
