// mdlayher/schedgroup.

#include "absl/base/thread_annotations.h"
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

// A heap of tasks, of which only the number matters, and the message that it
// has changed, which is lost if nobody waits for it.
template <bool kBad>
class Heap {
 public:
  explicit Heap(int size) : size_(size) {}

  void Add(int tasks) {
    sync::MutexLock lock(&mutex_);
    size_ += tasks;
    changed_.Signal();
  }

  // Waits until the heap is empty, or until it is not.
  void Await(bool empty) {
    if constexpr (kBad) {
      while (IsEmpty() != empty) Park();
    } else {
      sync::MutexLock lock(&mutex_);
      while ((size_ == 0) != empty) changed_.Wait(&mutex_);
    }
  }

 private:
  bool IsEmpty() {
    sync::MutexLock lock(&mutex_);
    return size_ == 0;
  }

  void Park() {
    sync::MutexLock lock(&mutex_);
    changed_.Wait(&mutex_);
  }

  sync::Mutex mutex_;
  sync::CondVar changed_;
  int size_ ABSL_GUARDED_BY(mutex_);
};

// B-52: the monitor has found the heap empty and is not parked yet when a task
// is added.
template <bool kBad>
void LostTask() {
  Heap<kBad> heap(0);
  JoiningThread monitor([&] { heap.Await(false); });
  heap.Add(1);
}

// B-53: Wait has found a task in the heap and is not parked yet when that task
// comes due, and the heap is empty.
template <bool kBad>
void LostEmpty() {
  Heap<kBad> heap(1);
  JoiningThread monitor([&] {
    sync::SleepFor(absl::Milliseconds(1));
    heap.Add(-1);
  });
  heap.Await(true);
}

// B-54: Schedule finds that nobody waits; Wait finds the heap empty and stops
// the monitor; Schedule adds its task.
template <bool kBad>
void AcceptedNeverRun() {
  struct Group {
    sync::Mutex mutex;
    sync::Atomic<bool> waiting{false};
    int heap ABSL_GUARDED_BY(mutex) = 0;

    void Schedule() {
      if constexpr (kBad) {
        if (waiting.load()) return;
        sync::MutexLock lock(&mutex);
        ++heap;
      } else {
        sync::MutexLock lock(&mutex);
        if (waiting.load()) return;
        ++heap;
      }
    }

    // Runs what is there. Nobody runs what comes later.
    void Wait() {
      waiting.store(true);
      sync::MutexLock lock(&mutex);
      heap = 0;
    }

    int Left() {
      sync::MutexLock lock(&mutex);
      return heap;
    }
  } group;
  {
    JoiningThread scheduler([&] { group.Schedule(); });
    group.Wait();
  }
  sim::Check(group.Left() == 0, "every accepted task has run");
}

// B-55: Wait returns on a cancel while a task runs.
template <bool kBad>
void WaitLeavesTasks() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar changed;
    int running ABSL_GUARDED_BY(mutex) = 1;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;

    void EndTask() {
      sync::MutexLock lock(&mutex);
      --running;
      changed.SignalAll();
    }

    void Cancel() {
      sync::MutexLock lock(&mutex);
      cancelled = true;
      changed.SignalAll();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (running > 0 && !(kBad && cancelled)) changed.Wait(&mutex);
      sim::Check(running == 0, "no task runs when Wait returns");
    }
  } group;
  JoiningThread task([&] { group.EndTask(); });
  JoiningThread canceller([&] { group.Cancel(); });
  group.Wait();
}

constexpr Specimen kSpecimens[] = {
    {.name = "schedgroup_lost_task",
     .source = "schedgroup; B-52",
     .bug = "A task is added between the monitor's look at the heap and its "
            "wait.",
     .verdict = sim::Verdict::kLostWakeUp,
     .bad = LostTask<true>,
     .mended = LostTask<false>},
    {.name = "schedgroup_lost_empty",
     .source = "schedgroup; B-53",
     .bug = "The last task comes due between Wait's look at the heap and its "
            "wait.",
     .verdict = sim::Verdict::kLostWakeUp,
     .bad = LostEmpty<true>,
     .mended = LostEmpty<false>,
     .needs = Feature::kRacingTime},
    {.name = "schedgroup_accepted_never_run",
     .source = "schedgroup; B-54",
     .bug = "A task is accepted before Wait closes the group and added after.",
     .verdict = sim::Verdict::kAssertion,
     .bad = AcceptedNeverRun<true>,
     .mended = AcceptedNeverRun<false>},
    {.name = "schedgroup_wait_leaves_tasks",
     .source = "schedgroup; B-55",
     .bug = "Wait returns on a cancel although a task runs.",
     .verdict = sim::Verdict::kAssertion,
     .bad = WaitLeavesTasks<true>,
     .mended = WaitLeavesTasks<false>},
};

}  // namespace

absl::Span<const Specimen> Schedgroup() { return kSpecimens; }

}  // namespace cohort::specimens
