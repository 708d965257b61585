#include "md5all/digest_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "md5all/test_util.h"

namespace md5all {
namespace {

using ::cohort::CancelScope;
using ::cohort::Context;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kMd5OfNothing[] = "d41d8cd98f00b204e9800998ecf8427e";
constexpr char kMd5OfA[] = "0cc175b9c0f1b6a831c399e269772661";
constexpr char kMd5OfAbc[] = "900150983cd24fb0d6963f7d28e17f72";

// "DIGEST PATH" of each file.
std::vector<std::string> Lines(const TreeDigests& digests) {
  std::vector<std::string> lines;
  for (const FileDigest& file : digests.files) {
    lines.push_back(
        absl::StrCat(absl::BytesToHexString(absl::string_view(
                         reinterpret_cast<const char*>(file.digest.data()),
                         file.digest.size())),
                     " ", file.path));
  }
  return lines;
}

std::vector<std::string> Errors(const TreeDigests& digests) {
  std::vector<std::string> errors;
  for (const absl::Status& error : digests.errors) {
    errors.emplace_back(error.message());
  }
  return errors;
}

// What is expected to succeed.
TreeDigests Digest(const std::vector<std::string>& roots,
                   const DigestOptions& options = {}) {
  absl::StatusOr<TreeDigests> digests = DigestTrees(Context(), roots, options);
  EXPECT_EQ(digests.status(), absl::OkStatus());
  return digests.ok() ? *std::move(digests) : TreeDigests();
}

std::string Md5(const char* digest, const std::string& path) {
  return absl::StrCat(digest, " ", path);
}

// Files large and small that take many batches.
std::vector<std::string> AddManyFiles(const TestTree& tree) {
  std::vector<std::string> expected;
  for (int i = 0; i < 10; ++i) {
    const std::string directory = absl::StrCat("directory", i);
    tree.AddDirectory(directory);
    for (int j = 0; j < 40; ++j) {
      const std::string name = absl::StrCat(directory, "/", j);
      tree.AddFile(name, "abc");
      expected.push_back(Md5(kMd5OfAbc, tree.Path(name)));
    }
    const std::string name = absl::StrCat(directory, "/large");
    tree.AddZeros(name, 1 << 20);
    expected.push_back(
        Md5("b6d81b360a5672d80c27430f39153e2c", tree.Path(name)));
  }
  std::sort(expected.begin(), expected.end(),
            [](const std::string& a, const std::string& b) {
              return a.substr(33) < b.substr(33);
            });
  return expected;
}

constexpr int64_t kManyFiles = 410;
constexpr int64_t kManyBytes = 400 * 3 + (int64_t{10} << 20);

TEST(DigestTreesTest, AllRegularFilesSortedByPath) {
  TestTree tree;
  tree.AddFile("b", "abc");
  tree.AddFile("a.txt", "a");
  tree.AddDirectory("a");
  tree.AddDirectory("a/empty");
  tree.AddFile("a/nothing", "");
  tree.AddFile("\xff", "a");
  tree.AddFile("new\nline", "a");
  const TreeDigests digests = Digest({tree.root()});
  // As bytes: '.' comes before '/', and 0xff last.
  EXPECT_THAT(Lines(digests),
              ElementsAre(Md5(kMd5OfA, tree.Path("a.txt")),
                          Md5(kMd5OfNothing, tree.Path("a/nothing")),
                          Md5(kMd5OfAbc, tree.Path("b")),
                          Md5(kMd5OfA, tree.Path("new\nline")),
                          Md5(kMd5OfA, tree.Path("\xff"))));
  EXPECT_THAT(Errors(digests), IsEmpty());
}

TEST(DigestTreesTest, AnyNumberOfJobs) {
  TestTree tree;
  const std::vector<std::string> expected = AddManyFiles(tree);
  for (const int jobs : {1, 2, 3, 50}) {
    const TreeDigests digests = Digest({tree.root()}, {.jobs = jobs});
    EXPECT_EQ(Lines(digests), expected) << jobs << " jobs";
    EXPECT_THAT(Errors(digests), IsEmpty());
  }
}

TEST(DigestTreesTest, NothingToDo) {
  TestTree tree;
  EXPECT_THAT(Lines(Digest({tree.root()})), IsEmpty());
  EXPECT_THAT(Lines(Digest({})), IsEmpty());
}

TEST(DigestTreesTest, RootsAreTakenAsTheyAre) {
  TestTree tree;
  tree.AddDirectory("d");
  tree.AddFile("d/f", "a");
  const std::string d = tree.Path("d");
  // As find: a slash is added only where there is none.
  EXPECT_THAT(Lines(Digest({d + "/"})), ElementsAre(Md5(kMd5OfA, d + "/f")));
  EXPECT_THAT(Lines(Digest({d + "//"})), ElementsAre(Md5(kMd5OfA, d + "//f")));
  EXPECT_THAT(Lines(Digest({d + "/."})), ElementsAre(Md5(kMd5OfA, d + "/./f")));
  EXPECT_THAT(Lines(Digest({d + "/f"})), ElementsAre(Md5(kMd5OfA, d + "/f")));
  // Twice below the roots, twice in the result.
  EXPECT_THAT(Lines(Digest({d, tree.root()})),
              ElementsAre(Md5(kMd5OfA, d + "/f"), Md5(kMd5OfA, d + "/f")));
}

TEST(DigestTreesTest, FollowsNoSymlinks) {
  TestTree tree;
  tree.AddDirectory("d");
  tree.AddFile("d/f", "a");
  tree.AddSymlink("d/to_file", "f");
  tree.AddSymlink("d/to_directory", "..");
  tree.AddSymlink("d/dangling", "nowhere");
  tree.AddSymlink("link", "d");
  const TreeDigests digests = Digest({tree.root()});
  EXPECT_THAT(Lines(digests), ElementsAre(Md5(kMd5OfA, tree.Path("d/f"))));
  EXPECT_THAT(Errors(digests), IsEmpty());

  // A root that is one is no silent nothing.
  const TreeDigests link = Digest({tree.Path("link")});
  EXPECT_THAT(Lines(link), IsEmpty());
  EXPECT_THAT(Errors(link), ElementsAre(absl::StrCat(
                                tree.Path("link"),
                                ": a symbolic link, and none is followed")));

  // With a slash it is the directory, as everywhere.
  EXPECT_THAT(Lines(Digest({tree.Path("link/")})),
              ElementsAre(Md5(kMd5OfA, tree.Path("link/f"))));
}

// To open one for reading would wait for a writer, for ever.
TEST(DigestTreesTest, OpensNoFifo) {
  TestTree tree;
  tree.AddFile("f", "a");
  tree.AddFifo("fifo");
  const TreeDigests digests = Digest({tree.root()});
  EXPECT_THAT(Lines(digests), ElementsAre(Md5(kMd5OfA, tree.Path("f"))));
  EXPECT_THAT(Errors(digests), IsEmpty());

  const TreeDigests fifo = Digest({tree.Path("fifo")});
  EXPECT_THAT(Errors(fifo), ElementsAre(absl::StrCat(
                                tree.Path("fifo"),
                                ": neither a directory nor a regular file")));
}

TEST(DigestTreesTest, AMissingRootLosesNothingElse) {
  TestTree tree;
  tree.AddFile("f", "a");
  const TreeDigests digests = Digest({tree.Path("no\nwhere"), "", tree.root()});
  EXPECT_THAT(Lines(digests), ElementsAre(Md5(kMd5OfA, tree.Path("f"))));
  // One line each, whatever is in the name.
  EXPECT_THAT(Errors(digests),
              ElementsAre("'': No such file or directory",
                          absl::StrCat(tree.Path("no\\nwhere"),
                                       ": No such file or directory")));
}

// Even root cannot read what is at address 0.
TEST(DigestTreesTest, AReadErrorLosesNothingElse) {
  TestTree tree;
  const std::vector<std::string> expected = AddManyFiles(tree);
  const TreeDigests digests =
      Digest({"/proc/self/mem", tree.root()}, {.jobs = 2});
  EXPECT_EQ(Lines(digests), expected);
  EXPECT_THAT(Errors(digests),
              ElementsAre("/proc/self/mem: Input/output error"));
}

TEST(DigestTreesTest, APathThatIsTooLongLosesNothingElse) {
  TestTree tree;
  tree.AddFile("f", "a");
  const std::string name(200, 'x');
  int directory = open(tree.root().c_str(), O_RDONLY | O_DIRECTORY);
  for (int depth = 0; depth < 25; ++depth) {
    ASSERT_EQ(mkdirat(directory, name.c_str(), 0777), 0);
    const int next = openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_GE(next, 0);
    close(directory);
    directory = next;
  }
  close(directory);
  const TreeDigests digests = Digest({tree.root()});
  EXPECT_THAT(Lines(digests), ElementsAre(Md5(kMd5OfA, tree.Path("f"))));
  ASSERT_EQ(digests.errors.size(), 1);
  EXPECT_TRUE(
      absl::EndsWith(digests.errors[0].message(), ": File name too long"));
}

TEST(DigestTreesTest, ProgressAddsUp) {
  TestTree tree;
  AddManyFiles(tree);
  for (const int jobs : {1, 4}) {
    std::atomic<int64_t> files = 0;
    std::atomic<int64_t> bytes = 0;
    Digest({tree.root(), tree.Path("missing")},
           {.jobs = jobs, .progress = [&](const Progress& progress) {
              files += progress.files;
              bytes += progress.bytes;
            }});
    EXPECT_EQ(files, kManyFiles);
    EXPECT_EQ(bytes, kManyBytes);
  }
}

// The progress of a file is reported while the file is open.
TEST(DigestTreesTest, HasAsManyFilesOpenAsJobsAndNoMore) {
  TestTree tree;
  AddManyFiles(tree);
  constexpr int kJobs = 3;
  std::atomic<int> reports = 0;
  std::atomic<int> open = 0;
  std::atomic<int> most = 0;
  Digest({tree.root()},
         {.jobs = kJobs, .progress = [&](const Progress&) {
            const int now = ++open;
            int before = most;
            while (before < now && !most.compare_exchange_weak(before, now)) {
            }
            // The first ones wait for each other.
            ++reports;
            while (reports < kJobs) std::this_thread::yield();
            --open;
          }});
  EXPECT_EQ(most, kJobs);
}

TEST(DigestTreesTest, CancelledHalfWay) {
  TestTree tree;
  AddManyFiles(tree);
  for (const int jobs : {1, 2, 20}) {
    CancelScope scope = cohort::WithCancel(Context());
    constexpr int64_t kEnough = kManyFiles / 2;
    std::atomic<int64_t> files = 0;
    std::atomic<bool> cancelled = false;
    const absl::StatusOr<TreeDigests> digests =
        DigestTrees(scope.context(), {tree.root()},
                    {.jobs = jobs, .progress = [&](const Progress&) {
                       const int64_t file = ++files;
                       if (file == kEnough) {
                         scope.Cancel(absl::AbortedError("enough"));
                         cancelled = true;
                       } else if (file > kEnough) {
                         while (!cancelled) std::this_thread::yield();
                       }
                     }});
    EXPECT_EQ(digests.status(), absl::AbortedError("enough"));
    EXPECT_GE(files, kEnough);
    // Everybody else may end the file at hand, and nobody begins another.
    EXPECT_LE(files, kEnough + jobs - 1);
  }
}

TEST(DigestTreesTest, CancelledWithinAFile) {
  TestTree tree;
  tree.AddZeros("endless", kEndless);
  tree.AddFile("f", "a");
  CancelScope scope = cohort::WithCancel(Context());
  const absl::StatusOr<TreeDigests> digests =
      DigestTrees(scope.context(), {tree.root()},
                  {.jobs = 1, .progress = [&](const Progress& progress) {
                     if (progress.files == 0) {
                       scope.Cancel(absl::AbortedError("enough"));
                     }
                   }});
  EXPECT_EQ(digests.status(), absl::AbortedError("enough"));
}

TEST(DigestTreesTest, CancelledBeforeItBegins) {
  TestTree tree;
  AddManyFiles(tree);
  CancelScope scope = cohort::WithCancel(Context());
  scope.Cancel(absl::AbortedError("not today"));
  const absl::StatusOr<TreeDigests> digests =
      DigestTrees(scope.context(), {tree.root()},
                  {.progress = [](const Progress&) { ADD_FAILURE(); }});
  EXPECT_EQ(digests.status(), absl::AbortedError("not today"));
}

TEST(DigestTreesTest, EndsAtTheDeadline) {
  TestTree tree;
  tree.AddZeros("endless1", kEndless);
  tree.AddZeros("endless2", kEndless);
  tree.AddZeros("endless3", kEndless);
  const CancelScope scope =
      cohort::WithTimeout(Context(), absl::Milliseconds(20),
                          absl::DeadlineExceededError("too slow"));
  EXPECT_EQ(DigestTrees(scope.context(), {tree.root()}).status(),
            absl::DeadlineExceededError("too slow"));
}

TEST(DigestTreesDeathTest, JobsOfZero) {
  EXPECT_DEATH((void)DigestTrees(Context(), {}, {.jobs = 0}), "jobs");
}

}  // namespace
}  // namespace md5all
