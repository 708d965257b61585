#include "cohort/fuzz/specimens/specimen.h"

#include <vector>

#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"

namespace cohort::specimens {

absl::Span<const Specimen> All() {
  static const std::vector<Specimen>& all = *[] {
    auto* specimens = new std::vector<Specimen>;
    for (const absl::Span<const Specimen> family :
         {Kratos(), XErrgroup(), Neilotoole(), Sizedgroup(), Gollback(),
          Hunch(), Schedgroup(), Semaphore(), Singleflight(), Barrier(), Conc(),
          Locks(), Waits(), Atomics(), Timing(), Sctbench()}) {
      specimens->insert(specimens->end(), family.begin(), family.end());
    }
    return specimens;
  }();
  return all;
}

}  // namespace cohort::specimens
