// tokens [WORKERS [ROUNDS]]: so many workers (4) print their numbers in turn,
// so many times each (3). Exit status: 0, or 2 for bad arguments.

#include <cstdint>
#include <iostream>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "ring/ring.h"

namespace {

bool Parse(const char* text, int least, int* number) {
  return absl::SimpleAtoi(text, number) && *number >= least;
}

}  // namespace

int main(int argc, char** argv) {
  int workers = 4;
  int rounds = 3;
  if (argc > 3 || (argc > 1 && !Parse(argv[1], 1, &workers)) ||
      (argc > 2 && !Parse(argv[2], 0, &rounds))) {
    std::cerr << "usage: tokens [WORKERS [ROUNDS]]\n";
    return 2;
  }
  ring::Ring ring(workers, int64_t{workers} * rounds);
  cohort::errgroup::Group group{cohort::Context()};
  for (int i = 0; i < workers; ++i) {
    group.Go([&ring, i](const cohort::Context& context) {
      return ring.Work(context, i, [i] { std::cout << i + 1 << '\n'; });
    });
  }
  const absl::Status status = group.Wait();
  if (!status.ok()) std::cerr << status << '\n';
  return status.ok() ? 0 : 1;
}
