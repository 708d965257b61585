// golang.org/x/sync/errgroup.

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
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

// B-15: a task counts as outstanding only once it has its slot. The submission
// of B is parked behind A; A ends, the count is 0, and Wait returns over B.
template <bool kBad>
void WaitReturnsEarly() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool busy ABSL_GUARDED_BY(mutex) = false;
    int parked ABSL_GUARDED_BY(mutex) = 0;
    int outstanding ABSL_GUARDED_BY(mutex) = 0;

    void Submit() {
      sync::MutexLock lock(&mutex);
      if constexpr (!kBad) ++outstanding;
      ++parked;
      while (busy) changed.Wait(&mutex);
      --parked;
      busy = true;
      if constexpr (kBad) ++outstanding;
    }

    void EndTask() {
      sync::MutexLock lock(&mutex);
      busy = false;
      --outstanding;
      changed.SignalAll();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (outstanding > 0) changed.Wait(&mutex);
      sim::Check(parked == 0, "Wait does not return over a parked submission");
    }
  } group;
  group.Submit();
  JoiningThread a([&] { group.EndTask(); });
  JoiningThread b([&] {
    group.Submit();
    group.EndTask();
  });
  group.Wait();
}

// B-19: B waits for the slot; A fails and cancels the group; the slot goes to
// B, which nobody tells.
template <bool kBad>
void StartsAfterCancel() {
  Slots slots(1);
  sync::Atomic<bool> cancelled{false};
  auto go = [&](bool fails) {
    slots.Acquire();
    bool skip = false;
    if constexpr (!kBad) skip = cancelled.load();
    if (!skip) {
      sim::Check(!cancelled.load(), "no task starts after the cancel");
      if (fails) cancelled.store(true);
    }
    slots.Release();
  };
  JoiningThread a([&] { go(true); });
  go(false);
}

// B-17: both slots are held by tasks that submit to their own group and
// wait for a slot.
template <bool kBad>
void NestedSubmit() {
  Slots slots(2);
  auto run = [&](bool inside, absl::FunctionRef<void()> task) {
    // In the mended twin the task that submits lends its slot.
    const bool borrows = !kBad && inside;
    if (!borrows) slots.Acquire();
    task();
    if (!borrows) slots.Release();
  };
  auto outer = [&] { run(false, [&] { run(true, [] {}); }); };
  JoiningThread other(outer);
  outer();
}

// B-20: the task ends before it has delivered what the caller waits for. Its
// failure is kept for Wait, which is never reached.
template <bool kBad>
void HiddenFailure() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool delivered ABSL_GUARDED_BY(mutex) = false;
    bool failed ABSL_GUARDED_BY(mutex) = false;

    void Fail() {
      sync::MutexLock lock(&mutex);
      failed = true;
      if constexpr (!kBad) changed.SignalAll();
    }

    void AwaitDelivery() {
      sync::MutexLock lock(&mutex);
      while (!delivered && (kBad || !failed)) changed.Wait(&mutex);
    }
  } group;
  JoiningThread task([&] { group.Fail(); });
  group.AwaitDelivery();
}

// B-21: A cancels before it records its error. B sees the cancel, and
// records that first.
template <bool kBad>
void CauseMasked() {
  static constexpr int kFailed = 1;
  static constexpr int kCancelled = 2;
  struct Group {
    sync::Mutex mutex;
    int first ABSL_GUARDED_BY(mutex) = 0;
    sync::Atomic<bool> cancelled{false};

    void Record(int error) {
      sync::MutexLock lock(&mutex);
      if (first == 0) first = error;
    }

    int First() {
      sync::MutexLock lock(&mutex);
      return first;
    }
  } group;
  {
    JoiningThread a([&] {
      if constexpr (kBad) {
        group.cancelled.store(true);
        group.Record(kFailed);
      } else {
        group.Record(kFailed);
        group.cancelled.store(true);
      }
    });
    if (group.cancelled.load()) group.Record(kCancelled);
  }
  sim::Check(group.First() == kFailed, "the first error is the cause");
}

// B-72: a task stops counting as outstanding before it has given its slot back;
// the caller returns from Wait in between.
template <bool kBad>
void SlotHeldAfterWait() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar ended;
    bool busy ABSL_GUARDED_BY(mutex) = true;
    int outstanding ABSL_GUARDED_BY(mutex) = 1;

    void Free() {
      sync::MutexLock lock(&mutex);
      busy = false;
    }

    void Uncount() {
      sync::MutexLock lock(&mutex);
      --outstanding;
      ended.SignalAll();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (outstanding > 0) ended.Wait(&mutex);
    }

    bool TrySubmit() {
      sync::MutexLock lock(&mutex);
      return !busy;
    }
  } group;
  JoiningThread task([&] {
    if constexpr (kBad) {
      group.Uncount();
      group.Free();
    } else {
      group.Free();
      group.Uncount();
    }
  });
  group.Wait();
  sim::Check(group.TrySubmit(), "all slots are free after Wait");
}

// Two submitters load the same count of running tasks before either adds
// itself.
template <bool kBad>
void TryGoOverLimit() {
  sync::Atomic<int> running{0};
  sync::Atomic<int> inside{0};
  auto try_go = [&] {
    if constexpr (kBad) {
      if (running.load() == 1) return;
      running.fetch_add(1);
    } else {
      int none = 0;
      if (!running.compare_exchange_strong(none, 1)) return;
    }
    sim::Check(inside.fetch_add(1) == 0, "one task runs at a time");
    inside.fetch_sub(1);
    running.fetch_sub(1);
  };
  JoiningThread a(try_go);
  JoiningThread b(try_go);
  try_go();
}

constexpr Specimen kSpecimens[] = {
    {.name = "errgroup_wait_returns_early",
     .source = "golang/go#70284; go-waitgroup, SizedGroup; B-15",
     .bug = "Wait returns although a submission is parked, whose task then "
            "runs.",
     .verdict = sim::Verdict::kAssertion,
     .bad = WaitReturnsEarly<true>,
     .mended = WaitReturnsEarly<false>},
    {.name = "errgroup_starts_after_cancel",
     .source = "golang/go#61611, golang/go#54045; B-19",
     .bug = "A task that waited for its slot starts after the group was "
            "cancelled.",
     .verdict = sim::Verdict::kAssertion,
     .bad = StartsAfterCancel<true>,
     .mended = StartsAfterCancel<false>},
    {.name = "errgroup_nested_submit",
     .source = "errgroup, SizedGroup, conc; B-17",
     .bug = "Tasks that hold all slots wait for slots for tasks of their own.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = NestedSubmit<true>,
     .mended = NestedSubmit<false>},
    {.name = "errgroup_hidden_failure",
     .source = "errgroup v0.14; golang/go#53757, golang/go#74275; B-20",
     .bug = "A failure is shown at Wait only, which the caller does not reach.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = HiddenFailure<true>,
     .mended = HiddenFailure<false>},
    {.name = "errgroup_cause_masked",
     .source = "golang/go#27837; B-21",
     .bug = "The cancel becomes visible before the error that caused it.",
     .verdict = sim::Verdict::kAssertion,
     .bad = CauseMasked<true>,
     .mended = CauseMasked<false>},
    {.name = "errgroup_slot_held_after_wait",
     .source = "openzro#199; B-72",
     .bug = "A slot is still taken when Wait has returned.",
     .verdict = sim::Verdict::kAssertion,
     .bad = SlotHeldAfterWait<true>,
     .mended = SlotHeldAfterWait<false>},
    {.name = "errgroup_try_go_over_limit",
     .source = "a known pattern",
     .bug = "The limit is checked by a load and taken by an add.",
     .verdict = sim::Verdict::kAssertion,
     .bad = TryGoOverLimit<true>,
     .mended = TryGoOverLimit<false>},
};

}  // namespace

absl::Span<const Specimen> XErrgroup() { return kSpecimens; }

}  // namespace cohort::specimens
