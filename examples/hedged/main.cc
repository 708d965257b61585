// Asks made-up mirrors for a page: one that hangs, one that is overloaded at
// first, one that is slow.

#include <atomic>
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "hedged/fetch.h"

namespace {

absl::StatusOr<std::string> Request(const cohort::Context& context,
                                    const std::string& mirror) {
  static std::atomic<int> busy{2};
  if (mirror == "busy.example" && busy-- > 0) {
    return absl::UnavailableError("too many requests");
  }
  const absl::Status slept =
      context.SleepFor(mirror == "hangs.example"  ? absl::Hours(1)
                       : mirror == "slow.example" ? absl::Milliseconds(500)
                                                  : absl::Milliseconds(5));
  if (!slept.ok()) return slept;
  return "<h1>Hello from " + mirror + "</h1>";
}

}  // namespace

int main() {
  const cohort::CancelScope scope =
      cohort::WithTimeout(cohort::Context(), absl::Seconds(10));
  const absl::StatusOr<std::string> page = hedged::Fetch(
      scope.context(), {"hangs.example", "busy.example", "slow.example"},
      Request,
      {.on_failure = [](const std::string& mirror, const absl::Status& error) {
        std::cerr << mirror + ": " + error.ToString() + "\n";
      }});
  if (!page.ok()) {
    std::cerr << page.status() << '\n';
    return 1;
  }
  std::cout << *page << '\n';
  return 0;
}
