// ticker --duration D PERIOD=TEXT…: prints each TEXT once every PERIOD, for as
// long as D. Exit status: 0, or 2 for bad arguments.

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "ticker/run_jobs.h"

int main(int argc, char** argv) {
  absl::Duration duration;
  std::vector<ticker::Job> jobs;
  bool good = argc > 3 && absl::string_view(argv[1]) == "--duration" &&
              absl::ParseDuration(argv[2], &duration);
  for (int i = 3; good && i < argc; ++i) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    absl::Duration period;
    good = absl::ParseDuration(parts.first, &period) &&
           period > absl::ZeroDuration();
    jobs.push_back({period, [line = absl::StrCat(parts.second, "\n")](
                                const cohort::Context&) {
                      std::cout << line << std::flush;
                      return absl::OkStatus();
                    }});
  }
  if (!good) {
    std::cerr << "usage: ticker --duration D PERIOD=TEXT...\n";
    return 2;
  }
  return ticker::RunJobs(cohort::Context(), duration, std::move(jobs)).ok() ? 0
                                                                            : 1;
}
