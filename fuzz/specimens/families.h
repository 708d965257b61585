// The specimens by family, one source file each.

#ifndef COHORT_FUZZ_SPECIMENS_FAMILIES_H_
#define COHORT_FUZZ_SPECIMENS_FAMILIES_H_

#include "absl/types/span.h"
#include "cohort/fuzz/specimens/specimen.h"

namespace cohort::specimens {

absl::Span<const Specimen> Kratos();
absl::Span<const Specimen> XErrgroup();
absl::Span<const Specimen> Neilotoole();
absl::Span<const Specimen> Sizedgroup();
absl::Span<const Specimen> Gollback();
absl::Span<const Specimen> Hunch();
absl::Span<const Specimen> Schedgroup();
absl::Span<const Specimen> Semaphore();
absl::Span<const Specimen> Singleflight();
absl::Span<const Specimen> Barrier();
absl::Span<const Specimen> Conc();
absl::Span<const Specimen> Locks();
absl::Span<const Specimen> Waits();
absl::Span<const Specimen> Atomics();
absl::Span<const Specimen> Timing();
absl::Span<const Specimen> Sctbench();

}  // namespace cohort::specimens

#endif  // COHORT_FUZZ_SPECIMENS_FAMILIES_H_
