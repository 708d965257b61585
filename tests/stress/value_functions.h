// Random functions that yield values, for the combinators: they succeed or
// fail, and some of them only end when they are told to. What is checked holds
// in every call: nothing that joins outlives it, each result is one that a
// function gave, and what is counted comes out right.

#ifndef COHORT_TESTS_STRESS_VALUE_FUNCTIONS_H_
#define COHORT_TESTS_STRESS_VALUE_FUNCTIONS_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/sync/atomic.h"
#include "tests/stress/stress.h"

namespace cohort::stress {

using Function = std::function<absl::StatusOr<int>(const Context&)>;

// What the functions of one call did.
struct Book {
  sync::Atomic<int> running = 0;
  sync::Atomic<int> successes = 0;
  sync::Atomic<int> failures = 0;
};

// The cause with which a context ends here.
absl::Status Cause();

// Function i succeeds with i, or fails. Some first wait to be told to stop, and
// then say so: these would never end where nobody cancels.
std::vector<Function> Functions(Random& random,
                                const std::shared_ptr<Book>& book, int count,
                                bool may_wait);

class ValueFunctionsTest : public StressTest {
 protected:
  // Runs `call` with functions and a context that may end meanwhile.
  void Search(int rounds,
              std::function<void(Random&, const Context&, bool cancelled,
                                 std::vector<Function>, Book&)>
                  call);
};

}  // namespace cohort::stress

#endif  // COHORT_TESTS_STRESS_VALUE_FUNCTIONS_H_
