// Running code of a user's so that an exception that leaves it becomes an
// error.

#ifndef COHORT_EXECUTOR_CAPTURE_H_
#define COHORT_EXECUTOR_CAPTURE_H_

#include <exception>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace cohort::executor_internal {

// What `body` returns. An exception that leaves it becomes kInternal, with the
// text "<who()> threw <type>: <what()>", and is kept in `*exception` unless
// that is null. The end of the thread (pthread_exit) passes through.
absl::Status InvokeCapturing(absl::FunctionRef<absl::Status()> body,
                             absl::FunctionRef<std::string()> who,
                             std::exception_ptr* exception = nullptr);

// Calls `body`, and returns the exception that left it; null if none did. The
// end of the thread passes through. Allocates nothing.
std::exception_ptr Catch(absl::FunctionRef<void()> body);

}  // namespace cohort::executor_internal

#endif  // COHORT_EXECUTOR_CAPTURE_H_
