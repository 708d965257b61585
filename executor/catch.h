// Calls a function and catches whatever it throws.

#ifndef COHORT_EXECUTOR_CATCH_H_
#define COHORT_EXECUTOR_CATCH_H_

#include <exception>

#include "absl/functional/function_ref.h"

namespace cohort::executor_internal {

// Calls `body`, and returns the exception that left it; null if none did. The
// unwinding of pthread_exit passes through. Allocates nothing.
std::exception_ptr Catch(absl::FunctionRef<void()> body);

}  // namespace cohort::executor_internal

#endif  // COHORT_EXECUTOR_CATCH_H_
