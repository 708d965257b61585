// Known-bad models of documented bugs, which a search over schedules has to
// find, each with a corrected twin, in which it must find nothing.
//
// A model is deterministic but for its schedule: everything that could differ
// from one run to the next goes through the seam, and all its state is local to
// the body. Where a task would throw, it leaves early instead.

#ifndef COHORT_FUZZ_SPECIMENS_SPECIMEN_H_
#define COHORT_FUZZ_SPECIMENS_SPECIMEN_H_

#include "absl/types/span.h"
#include "cohort/sim/verdict.h"

namespace cohort::specimens {

// A feature of the search without which a specimen cannot be found.
enum class Feature {
  kNone,
  kSpuriousWakeUps,
  kStaleLoads,
  kRacingTime,  // a deadline may come due while others could still run
  kMix,         // strategies beside the random walk
};

struct Specimen {
  const char* name;
  // Where the bug is documented. B-n: section 16 of the notes on Go's
  // libraries. M-n: the table in the notes on schedule fuzzing.
  const char* source;
  const char* bug;       // one sentence
  sim::Verdict verdict;  // what every bad schedule of `bad` is reported as
  void (*bad)();         // one run's body
  void (*mended)();      // its twin
  Feature needs = Feature::kNone;
  // Takes orders of magnitude more schedules than the others.
  bool hard = false;
  // Whether the schedules of `mended` are few enough to enumerate.
  bool enumerable = true;
};

// All of them, in the order of their families.
absl::Span<const Specimen> All();

}  // namespace cohort::specimens

#endif  // COHORT_FUZZ_SPECIMENS_SPECIMEN_H_
