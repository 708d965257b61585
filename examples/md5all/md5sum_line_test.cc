#include "md5all/md5sum_line.h"

#include <string>

#include "gtest/gtest.h"
#include "md5all/digest_tree.h"

namespace md5all {
namespace {

constexpr Md5Digest kDigest = {0x00, 0x01, 0x02, 0x03, 0x0f, 0x10, 0x7f, 0x80,
                               0x81, 0xa0, 0xaf, 0xf0, 0xfa, 0xfe, 0xff, 0x42};
constexpr char kHex[] = "000102030f107f8081a0aff0fafeff42";

std::string Line(const std::string& path) {
  return Md5sumLine({.path = path, .digest = kDigest});
}

TEST(Md5sumLineTest, DigestTwoSpacesPath) {
  EXPECT_EQ(Line("./a/b"), std::string(kHex) + "  ./a/b\n");
}

TEST(Md5sumLineTest, EscapesWhatWouldBreakTheLine) {
  const std::string begin = std::string("\\") + kHex + "  ";
  EXPECT_EQ(Line("a\nb"), begin + "a\\nb\n");
  EXPECT_EQ(Line("a\rb"), begin + "a\\rb\n");
  EXPECT_EQ(Line("a\\b"), begin + "a\\\\b\n");
  EXPECT_EQ(Line("\\n\n\\"), begin + "\\\\n\\n\\\\\n");
}

TEST(Md5sumLineTest, LeavesAllOtherBytes) {
  for (const std::string path :
       {" a ", "\t", "\x01\x1b", "\xff\xc3", "'\"*$", "\xc3\xa9", "-a"}) {
    EXPECT_EQ(Line(path), std::string(kHex) + "  " + path + "\n");
  }
}

}  // namespace
}  // namespace md5all
