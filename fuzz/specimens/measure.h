// How many schedules a search needs for a specimen.

#ifndef COHORT_FUZZ_SPECIMENS_MEASURE_H_
#define COHORT_FUZZ_SPECIMENS_MEASURE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cohort/fuzz/specimens/specimen.h"

namespace cohort::specimens {

inline constexpr int kSeeds = 20;
// Within so many schedules every seed finds what is not hard.
inline constexpr int64_t kLimit = 2'000;
// And one finds what is.
inline constexpr int64_t kHardLimit = 5'000'000;
// What a test has time for, of ten times as many.
inline constexpr int64_t kHardTwinLimit = 500'000;
inline constexpr int64_t kDepthFirstLimit = 200'000;

// Of the default strategy, with seed 1 and on.
struct Search {
  std::vector<int64_t> schedules;  // up to the first failure, of each seed
  // How many seeds' failures each part of the strategy has found.
  std::map<std::string, int> found_by;
  std::string complaint;  // what is not as it should be
};

Search SearchBad(const Specimen& specimen);

// In so many, an equal part of them with each seed.
Search SearchMended(const Specimen& specimen, int64_t schedules);
// In what a test has time for: ten times as many, unless it is hard.
Search SearchMended(const Specimen& specimen);

struct Enumeration {
  int64_t schedules = 0;
  bool complete = false;
  std::string complaint;
};

// Depth first, with sleep sets. The bad one only up to its first failure.
Enumeration EnumerateBad(const Specimen& specimen);
Enumeration EnumerateMended(const Specimen& specimen);

// The same as Markdown, of all specimens.
std::string Page();

}  // namespace cohort::specimens

#endif  // COHORT_FUZZ_SPECIMENS_MEASURE_H_
