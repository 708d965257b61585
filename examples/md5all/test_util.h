#ifndef MD5ALL_TEST_UTIL_H_
#define MD5ALL_TEST_UTIL_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace md5all {

// Of a file that would take hours to read.
inline constexpr int64_t kEndless = int64_t{1} << 40;

// A directory of its own for a test, removed at its end.
class TestTree {
 public:
  TestTree();
  TestTree(const TestTree&) = delete;
  TestTree& operator=(const TestTree&) = delete;
  ~TestTree();

  const std::string& root() const { return root_; }

  // All names are relative to the root, and nothing else is done to them.
  std::string Path(absl::string_view name) const;
  void AddDirectory(absl::string_view name) const;
  void AddFile(absl::string_view name, absl::string_view content) const;
  void AddSymlink(absl::string_view name, const std::string& target) const;
  void AddFifo(absl::string_view name) const;

  // A file of zeros that takes no room on the disk.
  void AddZeros(absl::string_view name, int64_t size) const;

 private:
  std::string root_;
};

}  // namespace md5all

#endif  // MD5ALL_TEST_UTIL_H_
