#include "cohort/task/capture.h"

#include <cstdlib>
#include <exception>
#include <string>
#include <typeinfo>

#if defined(__GNUC__)
#include <cxxabi.h>
#endif

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cohort::task_internal {

#ifdef ABSL_HAVE_EXCEPTIONS

namespace {

// The type of the current exception.
std::string ExceptionType() {
#if defined(__GNUC__)
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "unknown";
  int status = 0;
  char* readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? readable : type->name();
  std::free(readable);
  return name;
#else
  return "unknown";
#endif
}

}  // namespace

absl::Status InvokeCapturing(absl::FunctionRef<absl::Status()> body,
                             absl::FunctionRef<std::string()> who,
                             std::exception_ptr* exception) {
  std::string thrown;
  try {
    return body();
#ifdef __GLIBCXX__
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread ends; that cannot be stopped
#endif
  } catch (const std::exception& e) {
    thrown = absl::StrCat(ExceptionType(), ": ", e.what());
    if (exception != nullptr) *exception = std::current_exception();
  } catch (...) {
    thrown = ExceptionType();
    if (exception != nullptr) *exception = std::current_exception();
  }
  return absl::InternalError(absl::StrCat(who(), " threw ", thrown));
}

#else

absl::Status InvokeCapturing(absl::FunctionRef<absl::Status()> body,
                             absl::FunctionRef<std::string()>,
                             std::exception_ptr*) {
  return body();
}

#endif

}  // namespace cohort::task_internal
