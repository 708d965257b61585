// Invokes user code, and converts an escaping exception into a status.

#ifndef COHORT_TASK_CAPTURE_H_
#define COHORT_TASK_CAPTURE_H_

#include <exception>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace cohort::task_internal {

// Returns what `body` returns. An exception that leaves `body` becomes
// kInternal, with the text "<who()> threw <type>: <what()>", and is stored in
// `*exception` unless `exception` is null. The unwinding of pthread_exit passes
// through.
absl::Status InvokeCapturing(absl::FunctionRef<absl::Status()> body,
                             absl::FunctionRef<std::string()> who,
                             std::exception_ptr* exception = nullptr);

}  // namespace cohort::task_internal

#endif  // COHORT_TASK_CAPTURE_H_
