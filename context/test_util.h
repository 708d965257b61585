// Helpers that the tests of contexts share.

#ifndef COHORT_CONTEXT_TEST_UTIL_H_
#define COHORT_CONTEXT_TEST_UTIL_H_

#include <functional>
#include <utility>

#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/thread.h"

namespace cohort::testing {

// The context of a scope that may be a temporary: use the result only within
// the same expression.
inline const Context& ContextOf(const CancelScope& scope) {
  return scope.context();
}

struct Expiring {
  CancelScope scope;
  DoneCallback callback;
};

// Registers `f` with a context that a deadline is about to end. Registers it
// early enough, however slow the machine is, that `f` does not run inside this
// call.
inline Expiring CallAtDeadline(std::function<void()> f) {
  for (absl::Duration d = absl::Milliseconds(1);; d *= 2) {
    CancelScope scope = WithTimeout(Context(), d);
    bool too_late = false;
    DoneCallback callback = scope.context().OnDone(
        [f, &too_late, caller = sync::CurrentThreadId()] {
          if (sync::CurrentThreadId() == caller) {
            too_late = true;
          } else {
            f();
          }
        });
    if (!too_late) return {std::move(scope), std::move(callback)};
  }
}

}  // namespace cohort::testing

#endif  // COHORT_CONTEXT_TEST_UTIL_H_
