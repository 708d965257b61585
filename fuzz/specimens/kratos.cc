// bilibili kratos v0.3, pkg/sync/errgroup.

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/thread.h"

namespace cohort::specimens {
namespace {

// B-1, B-37: two submitters append to the list of what is over the limit, which
// nothing guards.
template <bool kBad>
void UnlockedAppend() {
  sync::Mutex mutex;
  sync::RaceChecked<std::vector<int>> overflow;
  auto submit = [&](int task) {
    if constexpr (kBad) {
      overflow.Write().push_back(task);
    } else {
      sync::MutexLock lock(&mutex);
      overflow.Write().push_back(task);
    }
  };
  {
    JoiningThread other([&] { submit(1); });
    submit(2);
  }
  sim::Check(overflow.Read().size() == 2, "both tasks are in the list");
}

// B-1, what it leads to: both submitters read the same length, the second one
// overwrites the first one's task, which stays outstanding for ever.
template <bool kBad>
void LostTask() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar ended;
    int outstanding ABSL_GUARDED_BY(mutex) = 0;
    sync::Atomic<int> length{0};
    sync::Atomic<int> overflow[2];

    void Submit(int task) {
      {
        sync::MutexLock lock(&mutex);
        ++outstanding;
      }
      if constexpr (kBad) {
        const int k = length.load();
        overflow[k].store(task);
        length.store(k + 1);
      } else {
        overflow[length.fetch_add(1)].store(task);
      }
    }

    // Runs what is in the list, then waits for the rest.
    void Wait() {
      for (int i = 0; i < length.load(); ++i) {
        if (overflow[i].load() == 0) continue;
        sync::MutexLock lock(&mutex);
        if (--outstanding == 0) ended.SignalAll();
      }
      sync::MutexLock lock(&mutex);
      while (outstanding > 0) ended.Wait(&mutex);
    }
  } group;
  {
    JoiningThread other([&] { group.Submit(1); });
    group.Submit(2);
  }
  group.Wait();
}

enum class Bug { kNone, kOverflowWaits, kWorkerDies };

// One worker, a queue of one, and a list for what is over that. A submission
// starts the worker; it ends when it finds nothing to do.
template <Bug kBug>
class Group {
 public:
  // Returns false where the original would leave by a panic.
  using Task = absl::AnyInvocable<bool()>;

  void Submit(Task task) ABSL_LOCKS_EXCLUDED(mutex_) {
    sync::MutexLock lock(&mutex_);
    ++outstanding_;
    (queue_.empty() ? queue_ : overflow_).push_back(std::move(task));
    StartWorker();
  }

  void Wait() ABSL_LOCKS_EXCLUDED(mutex_) {
    sync::MutexLock lock(&mutex_);
    while (!overflow_.empty()) MoveOne();
    if (!queue_.empty()) StartWorker();
    while (outstanding_ > 0) ended_.Wait(&mutex_);
  }

 private:
  void MoveOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    queue_.push_back(std::move(overflow_.front()));
    overflow_.pop_front();
  }

  void StartWorker() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (working_) return;
    working_ = true;
    worker_.emplace([this] { Work(); });
  }

  void Work() ABSL_LOCKS_EXCLUDED(mutex_) {
    for (;;) {
      Task task;
      {
        sync::MutexLock lock(&mutex_);
        if constexpr (kBug != Bug::kOverflowWaits) {
          if (queue_.empty() && !overflow_.empty()) MoveOne();
        }
        if (queue_.empty()) {
          working_ = false;
          return;
        }
        task = std::move(queue_.front());
        queue_.pop_front();
      }
      const bool ended_normally = task();
      {
        sync::MutexLock lock(&mutex_);
        if (--outstanding_ == 0) ended_.SignalAll();
      }
      if constexpr (kBug == Bug::kWorkerDies) {
        if (!ended_normally) return;
      }
    }
  }

  sync::Mutex mutex_;
  sync::CondVar ended_;
  int outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<Task> overflow_ ABSL_GUARDED_BY(mutex_);
  bool working_ ABSL_GUARDED_BY(mutex_) = false;
  // Last, so that it is joined before the rest goes.
  std::optional<JoiningThread> worker_ ABSL_GUARDED_BY(mutex_);
};

// B-2: a worker that has emptied the queue does not look into the list, so what
// is over the limit starts at Wait, or never if something else comes first.
template <bool kBad>
void StartsOnlyAtWait() {
  Event last;
  Group<kBad ? Bug::kOverflowWaits : Bug::kNone> group;
  group.Submit([] { return true; });
  group.Submit([] { return true; });
  group.Submit([&] {
    last.Set();
    return true;
  });
  last.Wait();
  group.Wait();
}

// B-3: Wait has walked the list when a task submits more than the queue holds.
template <bool kBad>
void SubmitDuringWait() {
  Group<kBad ? Bug::kOverflowWaits : Bug::kNone> group;
  group.Submit([&] {
    group.Submit([] { return true; });
    group.Submit([] { return true; });
    return true;
  });
  group.Wait();
}

// B-4: Wait closes the channel for good, so that a second Wait closes it again,
// and a submission finds it closed.
template <bool kBad>
void SecondWait() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar changed;
    int queued ABSL_GUARDED_BY(mutex) = 0;
    int outstanding ABSL_GUARDED_BY(mutex) = 0;
    bool closed ABSL_GUARDED_BY(mutex) = false;
    JoiningThread worker{[this] { Work(); }};

    ~Group() {
      sync::MutexLock lock(&mutex);
      if constexpr (!kBad) Close();
    }

    void Submit() {
      sync::MutexLock lock(&mutex);
      sim::Check(!closed, "nothing is sent on a closed channel");
      ++queued;
      ++outstanding;
      changed.SignalAll();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (outstanding > 0) changed.Wait(&mutex);
      if constexpr (kBad) Close();
    }

    void Close() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
      sim::Check(!closed, "a channel is closed once");
      closed = true;
      changed.SignalAll();
    }

    void Work() {
      sync::MutexLock lock(&mutex);
      for (;;) {
        while (queued == 0 && !closed) changed.Wait(&mutex);
        if (queued == 0) return;
        --queued;
        --outstanding;
        changed.SignalAll();
      }
    }
  } group;
  group.Submit();
  group.Wait();
  group.Wait();
  group.Submit();
  group.Wait();
}

// B-5: the only worker goes down with a task that panics; nobody starts another
// one for what is queued.
template <bool kBad>
void DeadWorker() {
  Group<kBad ? Bug::kWorkerDies : Bug::kNone> group;
  group.Submit([&] {
    group.Submit([] { return true; });
    return false;
  });
  group.Wait();
}

// B-6: a group that is dropped without Wait leaves its workers behind, waiting
// for work.
template <bool kBad>
void LeakedWorker() {
  struct State {
    sync::Mutex mutex;
    sync::CondVar work;
    bool stopping ABSL_GUARDED_BY(mutex) = false;

    void Work() {
      sync::MutexLock lock(&mutex);
      while (!stopping) work.Wait(&mutex);
    }

    void Stop() {
      sync::MutexLock lock(&mutex);
      stopping = true;
      work.SignalAll();
    }
  };
  // The worker's too: it outlives the body.
  auto state = std::make_shared<State>();
  sync::Thread worker = *sync::Thread::Start({}, [state] { state->Work(); });
  if constexpr (kBad) {
    worker.Detach();
  } else {
    state->Stop();
    worker.Join();
  }
}

constexpr Specimen kSpecimens[] = {
    {.name = "kratos_unlocked_append",
     .source = "bilibili kratos errgroup; B-1, B-37",
     .bug = "Two submitters append to a list without a lock.",
     .verdict = sim::Verdict::kRace,
     .bad = UnlockedAppend<true>,
     .mended = UnlockedAppend<false>},
    {.name = "kratos_lost_task",
     .source = "bilibili kratos errgroup; B-1",
     .bug = "An unlocked append overwrites another submitter's task, and Wait "
            "waits for it for ever.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = LostTask<true>,
     .mended = LostTask<false>},
    {.name = "kratos_starts_only_at_wait",
     .source = "bilibili kratos errgroup; B-2",
     .bug = "Tasks over the limit start only when somebody calls Wait.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = StartsOnlyAtWait<true>,
     .mended = StartsOnlyAtWait<false>},
    {.name = "kratos_submit_during_wait",
     .source = "bilibili kratos errgroup; B-3",
     .bug = "What a task submits while Wait is waiting never starts.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = SubmitDuringWait<true>,
     .mended = SubmitDuringWait<false>},
    {.name = "kratos_second_wait",
     .source = "bilibili kratos errgroup, conc Stream; B-4",
     .bug = "Wait closes the channel, which a second Wait closes again.",
     .verdict = sim::Verdict::kAssertion,
     .bad = SecondWait<true>,
     .mended = SecondWait<false>},
    {.name = "kratos_dead_worker",
     .source = "bilibili kratos errgroup; B-5",
     .bug = "A task that ends abnormally takes the only worker with it.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = DeadWorker<true>,
     .mended = DeadWorker<false>},
    {.name = "kratos_leaked_worker",
     .source = "bilibili kratos errgroup; B-6, B-56",
     .bug = "Workers outlive a group on which nobody calls Wait.",
     .verdict = sim::Verdict::kLeak,
     .bad = LeakedWorker<true>,
     .mended = LeakedWorker<false>},
};

}  // namespace

absl::Span<const Specimen> Kratos() { return kSpecimens; }

}  // namespace cohort::specimens
