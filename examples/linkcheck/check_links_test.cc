#include "linkcheck/check_links.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"

namespace linkcheck {
namespace {

namespace fs = std::filesystem;

class CheckLinksTest : public ::testing::Test {
 protected:
  CheckLinksTest() { fs::create_directories(root_ / "sub"); }
  ~CheckLinksTest() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / name) << text;
  }
  absl::Status Check(const cohort::Context& context = {}) {
    return CheckLinks(context, root_, 2);
  }

  const fs::path root_ =
      fs::path(::testing::TempDir()) /
      ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(CheckLinksTest, AcceptsWhatIsThere) {
  Write("a.md", "[b](sub/b.md) [here](#part) [far](https://example.com/x)");
  Write("sub/b.md", "[up](../a.md#top)");
  Write("not.txt", "[nowhere](nowhere)");
  EXPECT_EQ(Check(), absl::OkStatus());
}

TEST_F(CheckLinksTest, TellsOfEveryFileWithBrokenLinks) {
  Write("a.md", "[x](x.md) [y](y.md) [b](sub/b.md)");
  Write("sub/b.md", "[z](z.png)");
  const absl::Status status = Check();
  EXPECT_TRUE(absl::StartsWith(status.message(), "2 error(s) occurred"));
  EXPECT_TRUE(absl::StrContains(status.message(), "a.md: x.md, y.md"));
  EXPECT_TRUE(absl::StrContains(status.message(), "b.md: z.png"));
}

TEST_F(CheckLinksTest, ManyFiles) {
  for (int i = 0; i < 100; ++i) {
    Write(absl::StrCat(i, ".md"), absl::StrCat("[next](", i + 1, ".md)"));
  }
  EXPECT_TRUE(absl::StrContains(Check().message(), "99.md: 100.md"));
  Write("100.md", "");
  EXPECT_EQ(Check(), absl::OkStatus());
}

TEST_F(CheckLinksTest, ADirectoryThatIsNotThere) {
  EXPECT_FALSE(CheckLinks({}, root_ / "nowhere", 2).ok());
}

TEST_F(CheckLinksTest, IsCancelled) {
  Write("a.md", "[x](x.md)");
  cohort::CancelScope scope = cohort::WithCancel(cohort::Context());
  scope.Cancel(absl::AbortedError("enough"));
  EXPECT_EQ(Check(scope.context()),
            absl::AbortedError("1 error(s) occurred: [0] {enough}"));
}

}  // namespace
}  // namespace linkcheck
