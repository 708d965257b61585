// The token ring of the tutorials: workers take turns, in a fixed order.

#ifndef RING_RING_H_
#define RING_RING_H_

#include <cstdint>
#include <deque>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/channel/channel.h"
#include "cohort/context/context.h"

namespace ring {

// A token that goes around from worker to worker, each of which waits for it at
// a channel of its own.
class Ring {
 public:
  // It begins with worker 0, and is held `turns` times in all.
  Ring(int workers, int64_t turns);

  // What a worker does: calls `work` whenever it has the token, and returns
  // when the last turn is over. If `context` ends before that: its cause, and
  // the token stays where it is.
  absl::Status Work(const cohort::Context& context, int worker,
                    absl::FunctionRef<void()> work);

 private:
  // The token is the number of turns that are left. There is one, so there is
  // always a place for it.
  std::deque<cohort::channel::Channel<int64_t>> tokens_;
};

}  // namespace ring

#endif  // RING_RING_H_
