// sourcegraph/conc, and the task manager of containerd/stargz-snapshotter.

#include <utility>

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

// B-67: a submitter is parked behind the running task when Wait closes the
// channel that it is parked on.
template <bool kBad>
void ClosedUnderSubmitter() {
  struct Pool {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool busy ABSL_GUARDED_BY(mutex) = true;
    bool closed ABSL_GUARDED_BY(mutex) = false;
    int outstanding ABSL_GUARDED_BY(mutex) = 1;

    void Run() {
      {
        sync::MutexLock lock(&mutex);
        if (closed) return;  // refused
        if constexpr (!kBad) ++outstanding;
        while (busy && !closed) changed.Wait(&mutex);
        sim::Check(!closed, "nothing is sent on a closed channel");
        if constexpr (kBad) ++outstanding;
        busy = true;
      }
      EndTask();
    }

    void EndTask() {
      sync::MutexLock lock(&mutex);
      busy = false;
      --outstanding;
      changed.SignalAll();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      if constexpr (kBad) {
        closed = true;
        changed.SignalAll();
      }
      while (outstanding > 0) changed.Wait(&mutex);
      closed = true;
    }
  } pool;
  JoiningThread running([&] { pool.EndTask(); });
  JoiningThread submitter([&] { pool.Run(); });
  pool.Wait();
}

// B-18: the producer is parked in a submission, the task that holds the slot
// waits for the producer, and the cancel releases neither.
template <bool kBad>
void ParkedProducer() {
  struct Pool {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool busy ABSL_GUARDED_BY(mutex) = true;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;

    void Submit() {
      sync::MutexLock lock(&mutex);
      while (busy && (kBad || !cancelled)) changed.Wait(&mutex);
    }

    void Cancel() {
      sync::MutexLock lock(&mutex);
      cancelled = true;
      if constexpr (!kBad) changed.SignalAll();
    }

    void EndTask() {
      sync::MutexLock lock(&mutex);
      busy = false;
      changed.SignalAll();
    }
  } pool;
  Event produced;
  JoiningThread task([&] {
    produced.Wait();
    pool.EndTask();
  });
  JoiningThread producer([&] {
    pool.Submit();
    produced.Set();
  });
  pool.Cancel();
}

// B-63: a panic that one Wait has raised is raised by the next one, too.
template <bool kBad>
void PanicRaisedAgain() {
  struct Pool {
    sync::Mutex mutex;
    sync::CondVar ended;
    int outstanding ABSL_GUARDED_BY(mutex) = 0;
    bool panicked ABSL_GUARDED_BY(mutex) = false;

    void Submit() {
      sync::MutexLock lock(&mutex);
      ++outstanding;
    }

    void EndTask(bool panics) {
      sync::MutexLock lock(&mutex);
      if (panics) panicked = true;
      if (--outstanding == 0) ended.SignalAll();
    }

    // Returns true where the original raises the panic.
    bool Wait() {
      sync::MutexLock lock(&mutex);
      while (outstanding > 0) ended.Wait(&mutex);
      return kBad ? panicked : std::exchange(panicked, false);
    }
  } pool;
  for (const bool panics : {true, false}) {
    pool.Submit();
    JoiningThread task([&] { pool.EndTask(panics); });
    sim::Check(pool.Wait() == panics, "a Wait tells of its own tasks");
  }
}

// B-64: the ordered stage waits for its tasks one after the other, and one of
// them ends without a word.
template <bool kBad>
void StageAwaitsTheDead() {
  Event delivered[2];
  JoiningThread a([&] {
    if constexpr (!kBad) delivered[0].Set();
  });
  JoiningThread b([&] { delivered[1].Set(); });
  for (Event& event : delivered) event.Wait();
}

// B-70: a task is cancelled in favour of an urgent one and started again after
// it, while its first execution is still on its way out.
template <bool kBad>
void StartedTwice() {
  struct Task {
    Event ended;
    sync::Atomic<int> executing{0};

    void Execute() {
      sim::Check(executing.fetch_add(1) == 0, "a task runs once at a time");
      executing.fetch_sub(1);
    }
  } task;
  JoiningThread first([&] {
    task.Execute();
    task.ended.Set();
  });
  // The urgent one runs here.
  if constexpr (!kBad) task.ended.Wait();
  task.Execute();
}

constexpr Specimen kSpecimens[] = {
    {.name = "conc_closed_under_submitter",
     .source = "sourcegraph/conc#103; B-67",
     .bug = "Wait closes the channel on which a submitter is parked.",
     .verdict = sim::Verdict::kAssertion,
     .bad = ClosedUnderSubmitter<true>,
     .mended = ClosedUnderSubmitter<false>},
    {.name = "conc_parked_producer",
     .source = "sourcegraph/conc#88; B-18",
     .bug = "A cancel does not release a parked submission.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = ParkedProducer<true>,
     .mended = ParkedProducer<false>},
    {.name = "conc_panic_raised_again",
     .source = "conc Pool and WaitGroup; B-63",
     .bug = "A panic that one Wait has raised is raised by all others, too.",
     .verdict = sim::Verdict::kAssertion,
     .bad = PanicRaisedAgain<true>,
     .mended = PanicRaisedAgain<false>},
    {.name = "conc_stage_awaits_the_dead",
     .source = "conc Stream; B-64",
     .bug = "An ordered stage waits for a task that never delivers.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = StageAwaitsTheDead<true>,
     .mended = StageAwaitsTheDead<false>},
    {.name = "stargz_started_twice",
     .source = "stargz-snapshotter task manager; B-70",
     .bug = "A pre-empted task is started again before it has ended.",
     .verdict = sim::Verdict::kAssertion,
     .bad = StartedTwice<true>,
     .mended = StartedTwice<false>},
};

}  // namespace

absl::Span<const Specimen> Conc() { return kSpecimens; }

}  // namespace cohort::specimens
