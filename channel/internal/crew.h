// Threads that help the calling one for the length of a call. Internal.

#ifndef COHORT_CHANNEL_INTERNAL_CREW_H_
#define COHORT_CHANNEL_INTERNAL_CREW_H_

#include "absl/functional/function_ref.h"
#include "cohort/executor/executor.h"

namespace cohort::channel::internal {

// Calls `work` on the calling thread, and at the same time in up to `helpers`
// tasks of the executor; returns when all calls have returned. A task that has
// not begun when the calling thread is done with its own call, calls nothing
// any more: nobody waits for the executor. `work` must not throw. Where this
// throws (memory runs out), or the calling thread ends, `stop` is called, which
// must make the others return.
void WorkTogether(Executor& executor, int helpers,
                  absl::FunctionRef<void()> work,
                  absl::FunctionRef<void()> stop);

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_CREW_H_
