// The main function of a test that searches: parses GoogleTest's flags, and
// those of sim.

#include "absl/flags/parse.h"
#include "gtest/gtest.h"

// A crash of the code under test is a verdict, and is reported in the signal
// handler: afterwards nothing runs that could be unsafe.
extern "C" const char* __tsan_default_options() {
  return "report_signal_unsafe=0";
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
