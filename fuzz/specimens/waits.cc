// Condition variables, and counting what is waited for.

#include <optional>

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

// Both consumers wait. The first push wakes one of them; before that one
// runs, the second push finds the queue not empty, and wakes nobody.
template <bool kBad>
void NotifiesOnEdge() {
  struct Queue {
    sync::Mutex mutex;
    sync::CondVar not_empty;
    int size ABSL_GUARDED_BY(mutex) = 0;

    void Push() {
      sync::MutexLock lock(&mutex);
      ++size;
      if (!kBad || size == 1) not_empty.Signal();
    }

    void Pop() {
      sync::MutexLock lock(&mutex);
      while (size == 0) not_empty.Wait(&mutex);
      --size;
    }
  } queue;
  JoiningThread a([&] { queue.Pop(); });
  JoiningThread b([&] { queue.Pop(); });
  queue.Push();
  queue.Push();
}

// The waiter sees the flag and ends the latch's life between the unlock
// and the signal.
template <bool kBad>
void SignalsAfterUnlock() {
  struct Latch {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool set ABSL_GUARDED_BY(mutex) = false;

    void Set() {
      if constexpr (kBad) {
        {
          sync::MutexLock lock(&mutex);
          set = true;
        }
        changed.Signal();
      } else {
        sync::MutexLock lock(&mutex);
        set = true;
        changed.Signal();
      }
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (!set) changed.Wait(&mutex);
    }
  };
  // The storage outlives the latch, so that what comes late finds a dead object
  // there.
  std::optional<Latch> storage(std::in_place);
  Latch* const latch = &*storage;
  JoiningThread setter([latch] { latch->Set(); });
  latch->Wait();
  storage.reset();
}

// A task adds itself to the count when it begins; Wait comes before that.
template <bool kBad>
void AddsItself() {
  struct WaitGroup {
    sync::Mutex mutex;
    sync::CondVar none;
    int count ABSL_GUARDED_BY(mutex) = 0;

    void Add() {
      sync::MutexLock lock(&mutex);
      ++count;
    }

    void Done() {
      sync::MutexLock lock(&mutex);
      if (--count == 0) none.SignalAll();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (count > 0) none.Wait(&mutex);
    }
  } group;
  sync::Atomic<bool> ran{false};
  if constexpr (!kBad) group.Add();
  JoiningThread task([&] {
    if constexpr (kBad) group.Add();
    ran.store(true);
    group.Done();
  });
  group.Wait();
  sim::Check(ran.load(), "the task has run when Wait returns");
}

// The wait ends without a signal, and nobody looks why.
template <bool kBad>
void IfInsteadOfWhile() {
  struct Mailbox {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool full ABSL_GUARDED_BY(mutex) = false;

    void Put() {
      sync::MutexLock lock(&mutex);
      full = true;
      changed.Signal();
    }

    void Take() {
      sync::MutexLock lock(&mutex);
      if constexpr (kBad) {
        if (!full) changed.Wait(&mutex);
      } else {
        while (!full) changed.Wait(&mutex);
      }
      sim::Check(full, "the mailbox is full when the wait has ended");
    }
  } mailbox;
  JoiningThread putter([&] { mailbox.Put(); });
  mailbox.Take();
}

constexpr Specimen kSpecimens[] = {
    {.name = "notifies_on_edge",
     .source = "a known pattern",
     .bug = "Only a push to an empty queue wakes a consumer, and only one.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = NotifiesOnEdge<true>,
     .mended = NotifiesOnEdge<false>},
    {.name = "signals_after_unlock",
     .source = "a known pattern",
     .bug = "The waiter destroys the latch before it is signalled.",
     .verdict = sim::Verdict::kUseAfterDestruction,
     .bad = SignalsAfterUnlock<true>,
     .mended = SignalsAfterUnlock<false>},
    {.name = "adds_itself",
     .source = "a known pattern",
     .bug = "A task is counted when it begins instead of when it is submitted.",
     .verdict = sim::Verdict::kAssertion,
     .bad = AddsItself<true>,
     .mended = AddsItself<false>},
    {.name = "if_instead_of_while",
     .source = "a known pattern",
     .bug = "After a wait the condition is not looked at again.",
     .verdict = sim::Verdict::kAssertion,
     .bad = IfInsteadOfWhile<true>,
     .mended = IfInsteadOfWhile<false>,
     .needs = Feature::kSpuriousWakeUps},
};

}  // namespace

absl::Span<const Specimen> Waits() { return kSpecimens; }

}  // namespace cohort::specimens
