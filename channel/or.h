// Done as soon as one of several is.

#ifndef COHORT_CHANNEL_OR_H_
#define COHORT_CHANNEL_OR_H_

#include <vector>

#include "absl/types/span.h"
#include "cohort/context/context.h"

namespace cohort::channel {

// A context that is done when the first of several others is, with its cause.
// It derives from the first of them, and so has its values and deadline. Of
// none: never done.
//
//   const Or either({request.context(), shutdown.context()});
//   Serve(either.context());
//
// Blocks?        No, but for its destructor: see there.
// Cancellation?  That is what it is. It costs no thread.
// Thread safety  context() from any thread. Not copyable, not movable.
// Memory order   As of OnDone: what happened before the other one's end is
//                visible to whoever sees this one's.
// Destruction    Ends the context. Waits for what runs because another one ends
//                just now, except inside that itself.
//
// From the or-channel of "Concurrency in Go", which has a goroutine for every
// three channels.
class Or {
 public:
  explicit Or(absl::Span<const Context> contexts);
  Or(const Or&) = delete;
  Or& operator=(const Or&) = delete;
  ~Or() = default;

  const Context& context() const { return scope_.context(); }

 private:
  CancelScope scope_;
  std::vector<DoneCallback> others_;  // these use the scope
};

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_OR_H_
