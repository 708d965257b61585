// h2o [MOLECULES]: prints the letters of so many molecules of water (100),
// which threads bring at random times. Exit status: 0, or 2 for bad arguments.

#include <iostream>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sync/mutex.h"
#include "h2o/factory.h"

int main(int argc, char** argv) {
  int molecules = 100;
  if (argc > 2 || (argc == 2 &&
                   (!absl::SimpleAtoi(argv[1], &molecules) || molecules < 0))) {
    std::cerr << "usage: h2o [MOLECULES]\n";
    return 2;
  }
  cohort::sync::Mutex mutex;
  std::string letters;
  h2o::Factory factory;
  cohort::errgroup::Group group{cohort::Context()};
  std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<int> milliseconds(0, 99);
  for (int i = 0; i < 3 * molecules; ++i) {
    group.Go([&, letter = "HHO"[i % 3],
              delay = absl::Milliseconds(milliseconds(random))](
                 const cohort::Context& context) -> absl::Status {
      const absl::Status slept = context.SleepFor(delay);
      if (!slept.ok()) return slept;
      const auto emit = [&] {
        cohort::sync::MutexLock lock(&mutex);
        letters += letter;
      };
      return letter == 'H' ? factory.Hydrogen(context, emit)
                           : factory.Oxygen(context, emit);
    });
  }
  const absl::Status status = group.Wait();
  std::cout << letters << '\n';
  if (!status.ok()) std::cerr << status << '\n';
  return status.ok() ? 0 : 1;
}
