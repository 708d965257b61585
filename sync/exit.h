// Detects that the process is exiting, for destructors that run then.

#ifndef COHORT_SYNC_EXIT_H_
#define COHORT_SYNC_EXIT_H_

#include <utility>

#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// Whether the calling thread is inside exit(), and so in the destructor of a
// static or thread-local object, or in an atexit handler. What is misuse at any
// other time may be nobody's fault then: a task that calls exit() destroys the
// objects that it is running in. False if the system does not tell, and in a
// simulated run. Walks up the stack, which takes microseconds: call it only
// where the program would otherwise die.
bool InExit();

// Keeps `object`, which other threads may still use or which cannot be
// destroyed yet, when its owner is destroyed while the process exits. It is
// never destroyed, and leak checkers do not report it. Only for the thread
// inside exit().
template <class T>
void KeepForExit(T object) {
  struct Kept {
    T object;
    Kept* next;
  };
  static Kept* all = nullptr;
  all = new Kept{std::move(object), all};
}

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_EXIT_H_
