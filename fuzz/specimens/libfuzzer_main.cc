// A libFuzzer target that is one of the specimens: --specimen=NAME for its bad
// side, which ends well as soon as that is found, with the number of executions
// printed, and --twin=NAME for the corrected one, in which nothing may be
// found.
// --list prints the names.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/search.h"
#include "cohort/sim/verdict.h"

namespace cohort::specimens {
namespace {

void (*body)() = nullptr;
sim::Verdict expected = sim::Verdict::kNone;
int64_t executions = 0;

void Choose(absl::string_view argument) {
  for (const Specimen& specimen : All()) {
    if (specimen.hard) continue;
    if (argument == "--list") std::puts(specimen.name);
    if (argument == absl::StrCat("--specimen=", specimen.name)) {
      body = specimen.bad;
      expected = specimen.verdict;
    }
    if (argument == absl::StrCat("--twin=", specimen.name)) {
      body = specimen.mended;
    }
  }
  if (argument == "--list") std::exit(0);
}

void Execute(absl::Span<const uint8_t> bytes) {
  ++executions;
  const sim::Result result = sim::SearchBytes({.shrink = false}, bytes,
                                              [](sim::ByteStream&) { body(); });
  if (!result.failure.has_value()) return;
  if (result.failure->verdict != expected) {
    std::fputs(Report(*result.failure).c_str(), stderr);
    std::_Exit(1);
  }
  std::printf("%lld\n", static_cast<long long>(executions));
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace
}  // namespace cohort::specimens

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  // libFuzzer itself passes over what begins with two hyphens.
  for (int i = 1; i < *argc; ++i) cohort::specimens::Choose((*argv)[i]);
  ABSL_CHECK(cohort::specimens::body != nullptr) << "no such specimen";
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::specimens::Execute(absl::MakeConstSpan(data, size));
  return 0;
}
