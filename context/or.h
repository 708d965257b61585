// A context that is done as soon as any of several contexts is.

#ifndef COHORT_CONTEXT_OR_H_
#define COHORT_CONTEXT_OR_H_

#include "absl/types/span.h"
#include "cohort/context/context.h"

namespace cohort {

// A context that is done as soon as any of several contexts is: WithAnyOf under
// the name that tutorials use. With no contexts, it is never done.
//
//   const Or either({request.context(), shutdown.context()});
//   Serve(either.context());
//
// Blocks?         The destructor does, as that of a CancelScope: it runs the
//                 callbacks below this context. Nothing else.
// Cancellation?   That is what it is. It costs no thread.
// Thread safety   context() from any thread. Not copyable, not movable.
// Memory ordering As for OnDone: what happened before another context's end is
//                 visible to a thread that sees this one's.
// Destruction     Ends the context.
//
// From the or-channel of "Concurrency in Go", which uses a goroutine for every
// three channels.
class Or {
 public:
  explicit Or(absl::Span<const Context> contexts)
      : scope_(WithAnyOf(contexts)) {}
  Or(const Or&) = delete;
  Or& operator=(const Or&) = delete;
  ~Or() = default;

  const Context& context() const& { return scope_.context(); }
  const Context& context() && = delete;
  const Context& context() const&& = delete;

 private:
  const CancelScope scope_;
};

}  // namespace cohort

#endif  // COHORT_CONTEXT_OR_H_
