// For whatever waits on a condition variable and for a context at once.

#ifndef COHORT_CONTEXT_WAKE_ON_DONE_H_
#define COHORT_CONTEXT_WAKE_ON_DONE_H_

#include "cohort/context/context.h"
#include "cohort/sync/mutex.h"

namespace cohort {

// Makes the end of `context` signal `changed`:
//
//   const DoneCallback wake = WakeOnDone(context, mutex_, changed_);
//   BlockingScope blocking;
//   sync::MutexLock lock(&mutex_);
//   while (!ready_ && !context.done()) changed_.Wait(&mutex_);
//
// It takes the lock for that, so that the wake-up cannot fall between a look at
// the context and the sleep. So it has to be made before the lock is taken, and
// to end after that is released.
[[nodiscard]] inline DoneCallback WakeOnDone(const Context& context,
                                             sync::Mutex& mutex,
                                             sync::CondVar& changed) {
  return context.OnDone([&mutex, &changed] {
    sync::MutexLock lock(&mutex);
    changed.SignalAll();
  });
}

}  // namespace cohort

#endif  // COHORT_CONTEXT_WAKE_ON_DONE_H_
