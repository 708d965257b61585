// Dies of one input, and says at the end what it has been given.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

std::size_t inputs = 0;
std::size_t bytes = 0;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  std::atexit([] {
    std::fprintf(stderr, "target: %zu inputs, %zu bytes\n", inputs, bytes);
  });
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  ++inputs;
  bytes += size;
  // One comparison at a time, so that coverage leads to it.
  if (size > 3 && data[0] == 'b' && data[1] == 'u' && data[2] == 'g' &&
      data[3] == '!') {
    std::abort();
  }
  return 0;
}
