#include "cohort/sim/check.h"

#include <source_location>

#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/verdict.h"

namespace cohort::sim {

void Check(bool ok, absl::string_view claim, std::source_location site) {
  if (ok) return;
  kernel::Kernel* const kernel = kernel::Kernel::Active();
  ABSL_CHECK(kernel != nullptr) << claim;
  kernel->Fail(Verdict::kAssertion, [&] {
    return absl::StrCat(claim, ", at ", site.file_name(), ":", site.line());
  });
}

}  // namespace cohort::sim
