#include "md5all/test_util.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>

#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace md5all {

TestTree::TestTree() {
  // Not in $TEST_TMPDIR: Bazel cannot remove names that are not UTF-8, and what
  // a killed test has left there would keep it from building anything.
  root_ = "/tmp/md5all_test.XXXXXX";
  ABSL_CHECK(mkdtemp(root_.data()) != nullptr);
}

TestTree::~TestTree() { std::filesystem::remove_all(root_); }

std::string TestTree::Path(absl::string_view name) const {
  return absl::StrCat(root_, "/", name);
}

void TestTree::AddDirectory(absl::string_view name) const {
  ABSL_CHECK_EQ(mkdir(Path(name).c_str(), 0777), 0) << name;
}

void TestTree::AddFile(absl::string_view name,
                       absl::string_view content) const {
  std::ofstream file(Path(name), std::ios::binary);
  file << content << std::flush;
  ABSL_CHECK(file.good()) << name;
}

void TestTree::AddSymlink(absl::string_view name,
                          const std::string& target) const {
  ABSL_CHECK_EQ(symlink(target.c_str(), Path(name).c_str()), 0) << name;
}

void TestTree::AddFifo(absl::string_view name) const {
  ABSL_CHECK_EQ(mkfifo(Path(name).c_str(), 0666), 0) << name;
}

void TestTree::AddZeros(absl::string_view name, int64_t size) const {
  AddFile(name, "");
  ABSL_CHECK_EQ(truncate(Path(name).c_str(), size), 0) << name;
}

}  // namespace md5all
