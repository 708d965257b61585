// neilotoole/errgroup.

#include <deque>
#include <list>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/mutex.h"

namespace cohort::specimens {
namespace {

// B-8: B is queued behind A. A fails, and its worker, the only one, goes
// without a look at the queue. Wait waits for workers, and returns.
template <bool kBad>
void DroppedTask() {
  struct Group {
    sync::Mutex mutex;
    int queued ABSL_GUARDED_BY(mutex) = 0;
    int ended ABSL_GUARDED_BY(mutex) = 0;
    bool working ABSL_GUARDED_BY(mutex) = false;
    std::optional<JoiningThread> worker;

    void Submit() {
      {
        sync::MutexLock lock(&mutex);
        ++queued;
        if (working) return;
        working = true;
      }
      worker.emplace([this] { Work(); });
    }

    void Work() {
      for (;;) {
        sync::MutexLock lock(&mutex);
        if (queued == 0) {
          working = false;
          return;
        }
        --queued;
        ++ended;
        if constexpr (kBad) {
          const bool failed = ended == 1;
          if (failed) {
            working = false;
            return;
          }
        }
      }
    }

    void Wait() {
      worker.reset();
      sync::MutexLock lock(&mutex);
      sim::Check(ended == 2, "every accepted task has ended when Wait returns");
    }
  } group;
  group.Submit();
  group.Submit();
  group.Wait();
}

// B-9: the only worker has gone with a failed task; B fills the queue.
// Submitting C blocks on the queue while it holds the group's mutex, which Wait
// needs before it can close the queue.
template <bool kBad>
void SubmitHoldsMutex() {
  struct Group {
    sync::Mutex mutex;
    sync::Mutex queue_mutex;
    sync::CondVar changed;
    bool full ABSL_GUARDED_BY(queue_mutex) = true;
    bool closed ABSL_GUARDED_BY(queue_mutex) = false;

    void Enqueue() {
      sync::MutexLock lock(&queue_mutex);
      while (full && !closed) changed.Wait(&queue_mutex);
    }

    void Submit() {
      if constexpr (kBad) {
        sync::MutexLock lock(&mutex);
        Enqueue();
      } else {
        Enqueue();
      }
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      sync::MutexLock queue_lock(&queue_mutex);
      closed = true;
      changed.SignalAll();
    }
  } group;
  JoiningThread submitter([&] { group.Submit(); });
  group.Wait();
}

// B-10: Wait holds the mutex while it waits for the worker, whose task needs it
// to submit another one.
template <bool kBad>
void WaitHoldsMutex() {
  struct Group {
    sync::Mutex mutex;
    sync::CondVar ended;
    int outstanding ABSL_GUARDED_BY(mutex) = 1;

    void Submit() {
      sync::MutexLock lock(&mutex);
      ++outstanding;
    }

    void EndTask() {
      sync::MutexLock lock(&mutex);
      if (--outstanding == 0) ended.SignalAll();
    }
  } group;
  JoiningThread worker([&] {
    group.Submit();
    group.EndTask();
    group.EndTask();
  });
  sync::MutexLock lock(&group.mutex);
  if constexpr (kBad) {
    worker.Join();
  } else {
    while (group.outstanding > 0) group.ended.Wait(&group.mutex);
  }
}

// B-11: another worker is started only if the queue is not empty right after a
// submission. A queue of size 0 always is, so that B, for which A waits, queues
// up behind A, although two may run.
template <bool kBad>
void OneWorkerForEver() {
  class Group {
   public:
    using Task = absl::AnyInvocable<void()>;

    void Submit(Task task) {
      sync::MutexLock lock(&mutex_);
      queue_.push_back(std::move(task));
      const int limit = kBad ? 1 : 2;
      if (working_ == limit) return;
      ++working_;
      workers_.emplace_back([this] { Work(); });
    }

   private:
    void Work() {
      for (;;) {
        Task task;
        {
          sync::MutexLock lock(&mutex_);
          if (queue_.empty()) {
            --working_;
            return;
          }
          task = std::move(queue_.front());
          queue_.pop_front();
        }
        task();
      }
    }

    sync::Mutex mutex_;
    std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
    int working_ ABSL_GUARDED_BY(mutex_) = 0;
    std::list<JoiningThread> workers_;
  };
  Event met;
  Group group;
  group.Submit([&] { met.Wait(); });
  group.Submit([&] { met.Set(); });
}

// B-13: a worker takes a null task for the end of the queue, and goes. A is
// queued by then, and counts on that worker.
template <bool kBad>
void PoisonPill() {
  struct Group {
    using Task = absl::AnyInvocable<void()>;

    sync::Mutex mutex;
    std::deque<Task> queue ABSL_GUARDED_BY(mutex);
    bool working ABSL_GUARDED_BY(mutex) = false;
    std::optional<JoiningThread> worker;

    // Returns false if the task is refused.
    bool Submit(Task task) {
      if constexpr (!kBad) {
        if (task == nullptr) return false;
      }
      {
        sync::MutexLock lock(&mutex);
        queue.push_back(std::move(task));
        if (working) return true;
        working = true;
      }
      worker.emplace([this] { Work(); });
      return true;
    }

    void Work() {
      for (;;) {
        Task task;
        {
          sync::MutexLock lock(&mutex);
          if (!queue.empty()) {
            task = std::move(queue.front());
            queue.pop_front();
          }
          if (task == nullptr) {
            working = false;
            return;
          }
        }
        task();
      }
    }

    void Wait() { worker.reset(); }
  } group;
  bool a_ran = false;
  group.Submit(nullptr);
  group.Submit([&] { a_ran = true; });
  group.Wait();
  sim::Check(a_ran, "every accepted task has ended when Wait returns");
}

constexpr Specimen kSpecimens[] = {
    {.name = "neilotoole_dropped_task",
     .source = "neilotoole/errgroup#11; B-8",
     .bug = "A queued task is dropped when the last worker dies of an error.",
     .verdict = sim::Verdict::kAssertion,
     .bad = DroppedTask<true>,
     .mended = DroppedTask<false>},
    {.name = "neilotoole_submit_holds_mutex",
     .source = "neilotoole/errgroup#11; B-9",
     .bug = "A submitter blocks on the full queue with the mutex that Wait "
            "needs.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = SubmitHoldsMutex<true>,
     .mended = SubmitHoldsMutex<false>},
    {.name = "neilotoole_wait_holds_mutex",
     .source = "neilotoole/errgroup#6; B-10",
     .bug = "Wait holds the mutex that a running task needs to submit.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = WaitHoldsMutex<true>,
     .mended = WaitHoldsMutex<false>},
    {.name = "neilotoole_one_worker_for_ever",
     .source = "neilotoole/errgroup with qSize 0; B-11",
     .bug = "The length of a queue decides about a second worker, and is "
            "always 0.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = OneWorkerForEver<true>,
     .mended = OneWorkerForEver<false>},
    {.name = "neilotoole_poison_pill",
     .source = "neilotoole/errgroup; B-13",
     .bug = "A worker takes a null task for the end of the queue.",
     .verdict = sim::Verdict::kAssertion,
     .bad = PoisonPill<true>,
     .mended = PoisonPill<false>},
};

}  // namespace

absl::Span<const Specimen> Neilotoole() { return kSpecimens; }

}  // namespace cohort::specimens
