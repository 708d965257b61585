// Locks taken in the wrong order, or not at all.

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

// Two closers read that the channel is open before either takes the lock.
template <bool kBad>
void DoubleClose() {
  struct Channel {
    sync::Mutex mutex;
    sync::Atomic<bool> closed{false};
    int closes ABSL_GUARDED_BY(mutex) = 0;

    void Close() {
      if constexpr (kBad) {
        if (closed.load()) return;
      }
      sync::MutexLock lock(&mutex);
      if constexpr (!kBad) {
        if (closed.load()) return;
      }
      closed.store(true);
      sim::Check(++closes == 1, "a channel is closed once");
    }
  } channel;
  JoiningThread other([&] { channel.Close(); });
  channel.Close();
}

// A cancel goes from the parent to its child, a child that ends leaves its
// parent, and each holds its own lock meanwhile.
template <bool kBad>
void ParentAndChild() {
  struct Context {
    sync::Mutex mutex;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;
    int children ABSL_GUARDED_BY(mutex) = 1;
  } parent, child;
  JoiningThread canceller([&] {
    sync::MutexLock lock(&parent.mutex);
    parent.cancelled = true;
    sync::MutexLock child_lock(&child.mutex);
    child.cancelled = true;
  });
  auto leave = [&] {
    sync::MutexLock lock(&parent.mutex);
    --parent.children;
  };
  if constexpr (kBad) {
    sync::MutexLock lock(&child.mutex);
    child.cancelled = true;
    leave();
  } else {
    {
      sync::MutexLock lock(&child.mutex);
      child.cancelled = true;
    }
    leave();
  }
}

// A callback is run under the group's mutex, and asks the group something.
template <bool kBad>
void CallbackUnderMutex() {
  struct Group {
    sync::Mutex mutex;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;

    void Cancel(absl::FunctionRef<void()> callback) {
      if constexpr (kBad) {
        sync::MutexLock lock(&mutex);
        cancelled = true;
        callback();
      } else {
        {
          sync::MutexLock lock(&mutex);
          cancelled = true;
        }
        callback();
      }
    }

    bool Cancelled() {
      sync::MutexLock lock(&mutex);
      return cancelled;
    }
  } group;
  JoiningThread other([&] { group.Cancelled(); });
  group.Cancel(
      [&] { sim::Check(group.Cancelled(), "the group is cancelled"); });
}

// Three threads, three locks, each takes its own and then the next one's.
template <bool kBad>
void ThreeLockCycle() {
  sync::Mutex mutexes[3];
  auto take_two = [&](int first, int second) {
    sync::MutexLock lock(&mutexes[first]);
    sync::MutexLock second_lock(&mutexes[second]);
  };
  JoiningThread a([&] { take_two(0, 1); });
  JoiningThread b([&] { take_two(1, 2); });
  if constexpr (kBad) {
    take_two(2, 0);
  } else {
    take_two(0, 2);
  }
}

constexpr Specimen kSpecimens[] = {
    {.name = "double_close",
     .source = "a known pattern",
     .bug = "Whether the channel is closed is read outside the lock.",
     .verdict = sim::Verdict::kAssertion,
     .bad = DoubleClose<true>,
     .mended = DoubleClose<false>},
    {.name = "parent_and_child",
     .source = "a known pattern",
     .bug = "Parent and child lock each other in opposite orders.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = ParentAndChild<true>,
     .mended = ParentAndChild<false>},
    {.name = "callback_under_mutex",
     .source = "a known pattern",
     .bug = "A callback is run under a mutex that it needs.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = CallbackUnderMutex<true>,
     .mended = CallbackUnderMutex<false>},
    {.name = "three_lock_cycle",
     .source = "a known pattern",
     .bug = "Three threads lock three mutexes in a circle.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = ThreeLockCycle<true>,
     .mended = ThreeLockCycle<false>},
};

}  // namespace

absl::Span<const Specimen> Locks() { return kSpecimens; }

}  // namespace cohort::specimens
