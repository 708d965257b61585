// Whether the process is ending, as a destructor has to know.

#ifndef COHORT_SYNC_EXIT_H_
#define COHORT_SYNC_EXIT_H_

#include <utility>

#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// Whether the calling thread is inside exit(), and so in the destructor of what
// is static or thread-local, or in a handler of atexit. What is misuse at any
// other time may then be nobody's fault: a task that calls exit() destroys what
// it is running in. False where the system does not tell, and in a simulated
// run. Walks up the stack, which takes microseconds: to be asked where a
// program would else die.
bool InExit();

// Takes what other threads may still use, or what cannot be destroyed yet, out
// of an object that goes while the process ends. It is never destroyed, and no
// leak to tools that look for these. For the thread inside exit() alone.
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
