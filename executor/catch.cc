#include "cohort/executor/catch.h"

#include <exception>

#if defined(__GNUC__)
#include <cxxabi.h>
#endif

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"

namespace cohort::executor_internal {

std::exception_ptr Catch(absl::FunctionRef<void()> body) {
#ifdef ABSL_HAVE_EXCEPTIONS
  try {
    body();
    return nullptr;
#ifdef __GLIBCXX__
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread ends; that cannot be stopped
#endif
  } catch (...) {
    return std::current_exception();
  }
#else
  body();
  return nullptr;
#endif
}

}  // namespace cohort::executor_internal
