// A stampede: a thousand requests for ten pages, all at once, to a cache that
// has none of them. Exit status: 0 if each page was loaded once.

#include <atomic>
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cache/cache.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"

int main() {
  constexpr int kRequests = 1000;
  constexpr int kPages = 10;
  std::atomic<int> loads{0};
  cache::Cache cache(
      [&loads](const cohort::Context& context,
               const std::string& key) -> absl::StatusOr<std::string> {
        ++loads;
        const absl::Status slept = context.SleepFor(absl::Milliseconds(20));
        if (!slept.ok()) return slept;
        return absl::StrCat("the page at ", key);
      },
      absl::Minutes(1));

  const cohort::Context context;
  cohort::errgroup::Group requests(context);
  for (int i = 0; i < kRequests; ++i) {
    requests.Go([&cache, i](const cohort::Context& own) {
      return cache.Get(own, absl::StrCat("/", i % kPages)).status();
    });
  }
  const absl::Status status = requests.Wait();
  if (!status.ok()) {
    std::cerr << status << '\n';
    return 1;
  }
  std::cout << loads << " loads for " << kRequests << " requests\n";
  return loads == kPages ? 0 : 1;
}
