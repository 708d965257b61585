// go-pkgz/syncs: SizedGroup, ErrSizedGroup and the semaphore under them.

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"

namespace cohort::specimens {
namespace {

// B-34: a task that panics goes past the line that frees its slot.
template <bool kBad>
void SlotLeakedByPanic() {
  Slots slots(1);
  auto run = [&](bool panics) {
    slots.Acquire();
    if constexpr (kBad) {
      if (panics) return;
    }
    slots.Release();
  };
  JoiningThread a([&] { run(true); });
  run(false);
}

// B-33: A has its slot but has not begun when the cancel comes. Its thread sees
// it and returns with the slot; the submission of B is parked for ever.
template <bool kBad>
void SlotLeakedByCancel() {
  Slots slots(1);
  sync::Atomic<bool> cancelled{false};
  slots.Acquire();
  JoiningThread a([&] {
    if constexpr (kBad) {
      if (cancelled.load()) return;
    }
    slots.Release();
  });
  JoiningThread b([&] {
    slots.Acquire();
    slots.Release();
  });
  cancelled.store(true);
}

// B-35, B-36: a task looks for a failure before it waits for its slot, and not
// again when it has it.
template <bool kBad>
void NoSecondLook() {
  Slots slots(1);
  sync::Atomic<bool> failed{false};
  auto run = [&](bool fails) {
    if (failed.load()) return;
    slots.Acquire();
    bool skip = false;
    if constexpr (!kBad) skip = failed.load();
    if (!skip) {
      sim::Check(!failed.load(), "no task starts after a failure");
      if (fails) failed.store(true);
    }
    slots.Release();
  };
  JoiningThread a([&] { run(true); });
  run(false);
}

// B-39: B returns before it has taken the slot, and unlocks it all the same.
template <bool kBad>
void UnlocksWhatItNeverTook() {
  struct Group {
    sync::Mutex slot;
    sync::Atomic<bool> failed{false};

    void Run(bool fails) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (failed.load()) {
        if constexpr (kBad) slot.Unlock();
        return;
      }
      slot.Lock();
      if (fails) failed.store(true);
      slot.Unlock();
    }
  } group;
  JoiningThread a([&] { group.Run(true); });
  group.Run(false);
}

// B-41: unlocking a semaphore that nobody holds waits until somebody locks it,
// and then takes away that permit: the next one gets in as well.
template <bool kBad>
void UnlockStealsPermit() {
  struct Semaphore {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool held ABSL_GUARDED_BY(mutex) = false;

    bool TryLock() {
      sync::MutexLock lock(&mutex);
      if (held) return false;
      held = true;
      changed.SignalAll();
      return true;
    }

    void Unlock(bool has_permit) {
      sync::MutexLock lock(&mutex);
      if constexpr (!kBad) {
        if (!has_permit) return;
      }
      while (!held) changed.Wait(&mutex);
      held = false;
    }
  } semaphore;
  sync::Atomic<int> inside{0};
  auto enter = [&] {
    if (semaphore.TryLock()) {
      sim::Check(inside.fetch_add(1) == 0, "one permit, one holder");
    }
  };
  JoiningThread misuser([&] { semaphore.Unlock(false); });
  JoiningThread a(enter);
  enter();
}

// B-37: a worker stores the error under its lock, a submission that finds the
// group cancelled looks at it without.
template <bool kBad>
void UnlockedError() {
  sync::Mutex mutex;
  sync::RaceChecked<int> error(0);
  JoiningThread worker([&] {
    sync::MutexLock lock(&mutex);
    error.Write() = 1;
  });
  auto record_cancel = [&] {
    if (error.Read() == 0) error.Write() = 2;
  };
  if constexpr (kBad) {
    record_cancel();
  } else {
    sync::MutexLock lock(&mutex);
    record_cancel();
  }
}

// B-38: A is accepted and the group cancelled. Only a submission after that,
// which is refused, notes it; without one Wait says that all is well.
template <bool kBad>
void CancelUntold() {
  struct Group {
    sync::Atomic<bool> cancelled{false};
    sync::Mutex mutex;
    bool failed ABSL_GUARDED_BY(mutex) = false;

    void Submit() {
      if (cancelled.load()) NoteCancel();
    }

    void NoteCancel() {
      sync::MutexLock lock(&mutex);
      failed = true;
    }

    bool Wait() {
      if constexpr (!kBad) {
        if (cancelled.load()) NoteCancel();
      }
      sync::MutexLock lock(&mutex);
      return !failed;
    }
  } group;
  JoiningThread a([&] { group.cancelled.store(true); });
  group.Submit();
  a.Join();
  sim::Check(!group.Wait(), "Wait tells of the cancel");
}

// B-40: Wait returns the group's own list of errors, to which a task that comes
// later adds one.
template <bool kBad>
void ResultChangesLater() {
  using Errors = sync::RaceChecked<std::vector<int>>;
  struct Group {
    sync::Mutex mutex;
    const std::shared_ptr<Errors> errors = std::make_shared<Errors>();

    void Fail(int error) {
      sync::MutexLock lock(&mutex);
      errors->Write().push_back(error);
    }

    std::shared_ptr<const Errors> Wait() {
      sync::MutexLock lock(&mutex);
      if constexpr (kBad) return errors;
      return std::make_shared<Errors>(errors->Read());
    }
  } group;
  group.Fail(1);
  const std::shared_ptr<const Errors> result = group.Wait();
  JoiningThread later([&] { group.Fail(2); });
  sim::Check(result->Read().size() == 1, "what Wait has returned stays");
}

constexpr Specimen kSpecimens[] = {
    {.name = "sizedgroup_slot_leaked_by_panic",
     .source = "go-pkgz/syncs SizedGroup; B-34",
     .bug = "A task that ends abnormally keeps its slot.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = SlotLeakedByPanic<true>,
     .mended = SlotLeakedByPanic<false>},
    {.name = "sizedgroup_slot_leaked_by_cancel",
     .source = "go-pkgz/syncs SizedGroup with Preemptive; B-33",
     .bug = "A task that is cancelled between its slot and its start keeps the "
            "slot.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = SlotLeakedByCancel<true>,
     .mended = SlotLeakedByCancel<false>},
    {.name = "sizedgroup_no_second_look",
     .source = "go-pkgz/syncs ErrSizedGroup with TermOnErr; B-35, B-36",
     .bug = "A failure is looked for before the wait for a slot, not after it.",
     .verdict = sim::Verdict::kAssertion,
     .bad = NoSecondLook<true>,
     .mended = NoSecondLook<false>},
    {.name = "sizedgroup_unlocks_what_it_never_took",
     .source = "go-pkgz/syncs#9; B-39",
     .bug = "An early return unlocks a slot that was not taken yet.",
     .verdict = sim::Verdict::kMisuse,
     .bad = UnlocksWhatItNeverTook<true>,
     .mended = UnlocksWhatItNeverTook<false>},
    {.name = "sizedgroup_unlock_steals_permit",
     .source = "go-pkgz/syncs Semaphore; B-41",
     .bug = "An unlock too many waits for somebody's permit and takes it away.",
     .verdict = sim::Verdict::kAssertion,
     .bad = UnlockStealsPermit<true>,
     .mended = UnlockStealsPermit<false>},
    {.name = "sizedgroup_unlocked_error",
     .source = "go-pkgz/syncs#14; B-37",
     .bug = "An error is stored under a lock and read without it.",
     .verdict = sim::Verdict::kRace,
     .bad = UnlockedError<true>,
     .mended = UnlockedError<false>},
    {.name = "sizedgroup_cancel_untold",
     .source = "go-pkgz/syncs ErrSizedGroup; B-38",
     .bug = "Wait tells of a cancel only if a submission came after it.",
     .verdict = sim::Verdict::kAssertion,
     .bad = CancelUntold<true>,
     .mended = CancelUntold<false>},
    {.name = "sizedgroup_result_changes_later",
     .source = "go-pkgz/syncs ErrSizedGroup; B-40",
     .bug = "Wait returns the list to which later tasks add their errors.",
     .verdict = sim::Verdict::kRace,
     .bad = ResultChangesLater<true>,
     .mended = ResultChangesLater<false>},
};

}  // namespace

absl::Span<const Specimen> Sizedgroup() { return kSpecimens; }

}  // namespace cohort::specimens
