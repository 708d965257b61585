// Prints docs/specimens.md.

#include <cstdio>

#include "cohort/fuzz/specimens/measure.h"

int main() {
  std::fputs(cohort::specimens::Page().c_str(), stdout);
  return 0;
}
