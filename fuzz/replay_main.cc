// The main of a fuzz target that replays: gives LLVMFuzzerTestOneInput the
// empty input, then every file that is named or that lies below a folder that
// is named. Needs nothing of libFuzzer, and so no particular compiler.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <ios>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc,
                                                          char*** argv);

namespace {

namespace fs = std::filesystem;

[[nodiscard]] bool Complain(const char* what, const std::string& path) {
  std::fprintf(stderr, "replay: %s %s\n", what, path.c_str());
  return false;
}

// Adds the file, or the files below the folder, to `files`. A folder without
// any is refused: a corpus that got lost would pass otherwise.
bool Collect(const std::string& path, std::vector<std::string>& files) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    files.push_back(path);
    return true;
  }
  const std::size_t before = files.size();
  fs::recursive_directory_iterator entry(
      path, fs::directory_options::follow_directory_symlink, error);
  for (; !error && entry != fs::recursive_directory_iterator();
       entry.increment(error)) {
    if (entry->is_regular_file(error)) files.push_back(entry->path().string());
  }
  if (error) return Complain(error.message().c_str(), path);
  if (files.size() == before) return Complain("no input in", path);
  std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  return true;
}

// Says what it runs before it does: the last line names what crashed.
void Run(const std::string& name, const std::string& input) {
  std::fprintf(stderr, "replay: %s (%zu bytes)\n", name.c_str(), input.size());
  // An allocation of the input's very size, so that ASan sees its end.
  const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[input.size()]);
  std::copy(input.begin(), input.end(), data.get());
  LLVMFuzzerTestOneInput(data.get(), input.size());
}

[[nodiscard]] bool RunFile(const std::string& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) return Complain(error.message().c_str(), path);
  std::string input(static_cast<std::size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(input.data(), static_cast<std::streamsize>(size))) {
    return Complain("cannot read", path);
  }
  Run(path, input);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  std::vector<std::string> files;
  bool ok = true;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg.starts_with('-')) {
      std::fprintf(stderr, "replay: %s is for the fuzzer, not for its replay\n",
                   arg.c_str());
      return 2;
    }
    ok = Collect(arg, files) && ok;
  }
  Run("the empty input", "");
  for (const std::string& file : files) ok = RunFile(file) && ok;
  std::fprintf(stderr, "replay: %zu inputs\n", files.size() + 1);
  return ok ? 0 : 1;
}
