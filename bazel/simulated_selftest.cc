// Run by simulated_test: everything that it forwards is here. In two shards,
// with one argument and a file.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace {

bool Expect(bool is_so, const char* what) {
  if (!is_so) std::fprintf(stderr, "not so: %s\n", what);
  return is_so;
}

bool EnvironmentIs(const char* name, const char* value) {
  const char* found = std::getenv(name);
  return found != nullptr && std::strcmp(found, value) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  // Says that sharding is understood.
  if (const char* status = std::getenv("TEST_SHARD_STATUS_FILE")) {
    std::ofstream touched(status);
  }
  bool ok = Expect(SIMULATED, "//sync:simulated is on");
#ifndef __OPTIMIZE__
  ok &= Expect(DEBUG, "optimised, except with --compilation_mode=dbg");
#endif
  ok &= Expect(EnvironmentIs("OF_THE_PROGRAM", "found"), "its env is set");
  ok &= Expect(EnvironmentIs("TEST_TOTAL_SHARDS", "2"), "there are two shards");
  ok &= Expect(argc == 2 && std::ifstream(argv[1]).good(),
               "the argument is the place of a file");
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
