// A crew: threads that help the calling thread for the duration of a call.
// Internal.

#ifndef COHORT_CHANNEL_INTERNAL_CREW_H_
#define COHORT_CHANNEL_INTERNAL_CREW_H_

#include "absl/functional/function_ref.h"
#include "cohort/executor/executor.h"

namespace cohort::channel::internal {

// Calls `work` on the calling thread, and concurrently in up to `helpers` tasks
// of the executor; returns when all calls have returned. A task that has not
// begun when the calling thread's own call has ended does not call `work` any
// more: nothing waits for the executor. `work` must not throw. If this function
// throws (memory runs out), or the calling thread ends, `stop` is called, which
// must make the other calls return.
void WorkTogether(Executor& executor, int helpers,
                  absl::FunctionRef<void()> work,
                  absl::FunctionRef<void()> stop);

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_CREW_H_
