// A stranger's program, which links one primitive only.

#include <cstdio>

#include "absl/status/status.h"
#include "cohort/errgroup/group.h"

int main() {
  cohort::errgroup::Group group;
  group.Go([] { return absl::OkStatus(); });
  group.Go([] { return absl::InvalidArgumentError("the second one"); });
  group.Go([] {});
  const absl::Status status = group.Wait();
  if (status != absl::InvalidArgumentError("the second one")) {
    std::fprintf(stderr, "Wait said: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
