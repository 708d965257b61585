// Prints specimens.md.
//
// With --hard_twins it searches the twins of what is hard, ten times as long as
// their bugs may take, and ends with 1 if that finds something. It takes some
// minutes for each, which no test has.

#include <cstdint>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/fuzz/specimens/measure.h"
#include "cohort/fuzz/specimens/specimen.h"

namespace cohort::specimens {
namespace {

int SearchHardTwins() {
  constexpr int64_t kSchedules = 10 * kHardLimit;
  int status = 0;
  for (const Specimen& specimen : All()) {
    if (!specimen.hard) continue;
    const Search twin = SearchMended(specimen, kSchedules);
    const bool clean = twin.complaint.empty();
    if (!clean) status = 1;
    std::puts(absl::StrCat(specimen.name, ": ",
                           clean ? absl::StrCat("nothing in ", kSchedules)
                                 : twin.complaint)
                  .c_str());
    std::fflush(stdout);
  }
  return status;
}

}  // namespace
}  // namespace cohort::specimens

int main(int argc, char** argv) {
  if (argc == 2 && absl::string_view(argv[1]) == "--hard_twins") {
    return cohort::specimens::SearchHardTwins();
  }
  std::fputs(cohort::specimens::Page().c_str(), stdout);
  return 0;
}
