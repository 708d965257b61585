#include "cohort/sync/exit.h"

#include "cohort/sync/mode.h"

#if defined(__linux__) && !defined(COHORT_SYNC_SIMULATED)
#include <dlfcn.h>
#include <unwind.h>

#include <cstdint>
#endif

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

#if defined(__linux__) && !defined(COHORT_SYNC_SIMULATED)

namespace {

struct Search {
  const void* function;
  bool found = false;
};

_Unwind_Reason_Code Look(_Unwind_Context* frame, void* search_arg) {
  auto& search = *static_cast<Search*>(search_arg);
  // A return address may already belong to the next function.
  const uintptr_t address = _Unwind_GetIP(frame) - 1;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): that is what an unwinder takes
  void* const at = reinterpret_cast<void*>(address);
  search.found = _Unwind_FindEnclosingFunction(at) == search.function;
  return search.found ? _URC_END_OF_STACK : _URC_NO_REASON;
}

}  // namespace

bool InExit() {
  // Not &exit, which may be the address of a stub that jumps there.
  Search search = {.function = dlsym(RTLD_DEFAULT, "exit")};
  if (search.function == nullptr) return false;
  _Unwind_Backtrace(&Look, &search);
  return search.found;
}

#else

bool InExit() { return false; }

#endif

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync
