// The program as its users run it: a process with arguments, signals, and
// output that is compared with md5sum's.

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "md5all/test_util.h"

namespace md5all {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Md5all() {
  const char* const program = getenv("MD5ALL");
  ABSL_CHECK(program != nullptr);
  return std::filesystem::absolute(program).string();
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) { ABSL_CHECK_GE(fd, 0); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() { Close(); }

  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

struct Pipe {
  Fd read;
  Fd write;
};

Pipe MakePipe() {
  int fds[2];
  ABSL_CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
  return {.read = Fd(fds[0]), .write = Fd(fds[1])};
}

struct Launch {
  std::string directory = "/";  // where the process starts
  int output = -1;              // its standard output, if that is no file
  int errors = -1;              // its standard error, likewise
  bool ignore_sigint = false;

  // Even if we are root, file permissions hold.
  bool unprivileged = false;
};

// A process that runs.
class Process {
 public:
  explicit Process(std::vector<std::string> command, const Launch& launch = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }

  pid_t pid() const { return pid_; }
  void Signal(int signal) const { ABSL_CHECK_EQ(kill(pid_, signal), 0); }

  // Its exit status, or minus the signal that ended it.
  int Wait() {
    int status;
    ABSL_CHECK_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  // What it wrote, after Wait.
  std::string Output() const { return Read(files_.Path("output")); }
  std::string Errors() const { return Read(files_.Path("errors")); }

 private:
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TestTree files_;
  pid_t pid_;
};

Process::Process(std::vector<std::string> command, const Launch& launch) {
  files_.AddFile("output", "");
  files_.AddFile("errors", "");
  const std::string output_path = files_.Path("output");
  const std::string errors_path = files_.Path("errors");
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  ABSL_CHECK_GE(pid_, 0);
  if (pid_ != 0) return;

  // The child, up to exec: system calls only.
  const auto require = [](bool ok) {
    if (!ok) _exit(99);
  };
  const int input = open("/dev/null", O_RDONLY);
  const int output =
      launch.output >= 0 ? launch.output : open(output_path.c_str(), O_WRONLY);
  const int errors =
      launch.errors >= 0 ? launch.errors : open(errors_path.c_str(), O_WRONLY);
  require(dup2(input, 0) == 0);
  require(dup2(output, 1) == 1);
  require(dup2(errors, 2) == 2);
  require(chdir(launch.directory.c_str()) == 0);
  signal(SIGINT, launch.ignore_sigint ? SIG_IGN : SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (launch.unprivileged && geteuid() == 0) {
    // What is not in this set, root does not get at exec.
    for (const int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH}) {
      require(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0);
    }
  }
  execvp(argv[0], argv.data());
  _exit(127);
}

// What md5all has to print for `roots`, which are shell words.
std::string Md5sumOf(absl::string_view roots, const Launch& launch) {
  Process process({"sh", "-c",
                   absl::StrCat("find ", roots,
                                " -type f -print0 | LC_ALL=C sort -z |"
                                " xargs -0r md5sum 2>/dev/null")},
                  launch);
  process.Wait();  // not 0 where something is unreadable
  return process.Output();
}

// Tells when a file is opened.
class OpenWatch {
 public:
  explicit OpenWatch(const std::string& path)
      : inotify_(inotify_init1(IN_CLOEXEC)) {
    ABSL_CHECK_GE(inotify_add_watch(inotify_.get(), path.c_str(), IN_OPEN), 0);
  }

  // False if the process, which was to do it, ends before.
  [[nodiscard]] bool Await(const Process& process) const {
    const Fd end(static_cast<int>(syscall(SYS_pidfd_open, process.pid(), 0)));
    pollfd polls[] = {{.fd = inotify_.get(), .events = POLLIN, .revents = 0},
                      {.fd = end.get(), .events = POLLIN, .revents = 0}};
    ABSL_CHECK_GT(poll(polls, 2, -1), 0);
    return polls[0].revents != 0;
  }

 private:
  const Fd inotify_;
};

int64_t CountLines(absl::string_view text) {
  return std::count(text.begin(), text.end(), '\n');
}

void AddOddNames(const TestTree& tree) {
  for (const std::string directory :
       {"", "plain/", "with space/", "new\nline/", "back\\slash/", "-dash/",
        "\xff\xfe/", "deep/", "deep/er/", "deep/er/still/"}) {
    if (!directory.empty()) tree.AddDirectory(directory);
    for (const std::string name :
         {"a",      "a.b",   "a b",  " ",        "-",
          "--help", "-x",    "n\nl", "\n",       "\\",
          "\\n",    "c\rr",  "\xff", "\xc3\xa9", "\x01\x7f\x1b[31m",
          "*",      "$HOME", "'",    "\"",       "`",
          "~",      "#",     "\t"}) {
      tree.AddFile(directory + name, directory + name);
    }
    tree.AddFile(directory + "empty", "");
    tree.AddZeros(directory + "large", 300'000);
    tree.AddFile(directory + std::string(255, 'n'), "long name");
    tree.AddSymlink(directory + "to file", "a");
    tree.AddSymlink(directory + "to directory", "..");
    tree.AddSymlink(directory + "dangling", "no\nwhere");
    tree.AddFifo(directory + "fifo");
  }
  tree.AddDirectory("nothing inside");
}

TEST(Md5allTest, PrintsWhatMd5sumPrints) {
  TestTree tree;
  AddOddNames(tree);
  const Launch launch = {.directory = tree.root()};
  const std::string expected = Md5sumOf(".", launch);
  EXPECT_EQ(CountLines(expected), 10 * 26);
  for (const std::string jobs : {"1", "2", "16", "1000"}) {
    Process process({Md5all(), "--jobs", jobs}, launch);
    EXPECT_EQ(process.Wait(), 0);
    EXPECT_EQ(process.Output(), expected) << "with jobs " << jobs;
    EXPECT_EQ(process.Errors(), "");
  }
}

TEST(Md5allTest, PrintsWhatMd5sumPrintsForManyRoots) {
  TestTree tree;
  AddOddNames(tree);
  const Launch launch = {.directory = tree.root()};
  const std::string expected = Md5sumOf(
      "deep plain/ ./-dash with\\ space/a deep/er //" + tree.Path("plain"),
      launch);
  Process process({Md5all(), "deep", "plain/", "--", "./-dash", "with space/a",
                   "deep/er", "//" + tree.Path("plain")},
                  launch);
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(process.Output(), expected);
  EXPECT_EQ(process.Errors(), "");

  // find has no way to say this.
  Process dash({Md5all(), "--", "-dash"}, launch);
  EXPECT_EQ(dash.Wait(), 0);
  EXPECT_THAT(dash.Output(), HasSubstr("  -dash/a\n"));
}

TEST(Md5allTest, Md5sumAcceptsTheOutput) {
  TestTree tree;
  AddOddNames(tree);
  const Launch launch = {.directory = tree.root()};
  Process process({Md5all()}, launch);
  EXPECT_EQ(process.Wait(), 0);
  TestTree list;
  list.AddFile("md5sums", process.Output());
  Process check({"md5sum", "--check", "--strict", list.Path("md5sums")},
                launch);
  EXPECT_EQ(check.Wait(), 0) << check.Errors();
  EXPECT_EQ(CountLines(check.Output()), 10 * 26);
}

TEST(Md5allTest, WhatIsUnreadableIsReportedAndLosesNothingElse) {
  TestTree tree;
  AddOddNames(tree);
  tree.AddDirectory("closed");
  tree.AddFile("closed/f", "a");
  for (const char* const name : {"deep/a", "plain/n\nl", "closed"}) {
    ASSERT_EQ(chmod(tree.Path(name).c_str(), 0), 0);
  }
  const Launch launch = {.directory = tree.root(), .unprivileged = true};
  const std::string expected = Md5sumOf(".", launch);
  EXPECT_EQ(CountLines(expected), 10 * 26 - 2);
  for (const std::string jobs : {"1", "8"}) {
    Process process({Md5all(), "--jobs", jobs}, launch);
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_EQ(process.Output(), expected);
    EXPECT_EQ(process.Errors(),
              "md5all: ./closed: Permission denied\n"
              "md5all: ./deep/a: Permission denied\n"
              "md5all: ./plain/n\\nl: Permission denied\n");
  }
  // For whoever removes the tree.
  chmod(tree.Path("closed").c_str(), 0700);
}

TEST(Md5allTest, AMissingRootIsOneLine) {
  TestTree tree;
  tree.AddFile("f", "a");
  Process process({Md5all(), "no\nwhere", "f"}, {.directory = tree.root()});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_EQ(process.Errors(),
            "md5all: no\\nwhere: No such file or directory\n");
  EXPECT_EQ(process.Output(), "0cc175b9c0f1b6a831c399e269772661  f\n");
}

TEST(Md5allTest, Help) {
  Process process({Md5all(), "--help"});
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_THAT(process.Output(), StartsWith("Usage: md5all "));
  EXPECT_EQ(process.Errors(), "");
}

TEST(Md5allTest, BadArguments) {
  const std::vector<std::vector<std::string>> cases = {
      {"--jobs", "0"},      {"--jobs", "-1"},   {"--jobs", "two"},
      {"--jobs", "1001"},   {"--jobs="},        {"--jobs"},
      {"--timeout", "-1s"}, {"--timeout", "0"}, {"--timeout", "soon"},
      {"--timeout", "5"},   {"--frobnicate"},   {"-x"},
      {"--help=yes"},
  };
  for (const std::vector<std::string>& arguments : cases) {
    std::vector<std::string> command = arguments;
    command.insert(command.begin(), Md5all());
    Process process(command);
    EXPECT_EQ(process.Wait(), 2) << arguments[0];
    EXPECT_EQ(process.Output(), "");
    EXPECT_THAT(process.Errors(), StartsWith("md5all: "));
    EXPECT_THAT(process.Errors(), HasSubstr("\nUsage: md5all "));
  }
}

struct SignalCase {
  int signal;
  const char* errors;
};

class Md5allSignalTest : public ::testing::TestWithParam<SignalCase> {};

INSTANTIATE_TEST_SUITE_P(
    Signals, Md5allSignalTest,
    ::testing::Values(SignalCase{SIGINT, "md5all: interrupted\n"},
                      SignalCase{SIGTERM, "md5all: terminated\n"}));

TEST_P(Md5allSignalTest, EndsIt) {
  TestTree tree;
  AddOddNames(tree);
  tree.AddZeros("endless", kEndless);
  for (const std::string jobs : {"1", "4"}) {
    const OpenWatch watch(tree.Path("endless"));
    Process process({Md5all(), "--jobs", jobs, tree.root()});
    ASSERT_TRUE(watch.Await(process));
    process.Signal(GetParam().signal);
    EXPECT_EQ(process.Wait(), 128 + GetParam().signal);
    EXPECT_EQ(process.Output(), "");
    EXPECT_EQ(process.Errors(), GetParam().errors);
  }
}

// The reader of a pipe does not read on, and the signal comes meanwhile.
TEST_P(Md5allSignalTest, EndsItWhileItPrints) {
  TestTree tree;
  for (int i = 0; i < 100; ++i) {
    tree.AddFile(absl::StrCat(i, std::string(200, 'n')), "");
  }
  Pipe pipe = MakePipe();
  ASSERT_LE(fcntl(pipe.write.get(), F_SETPIPE_SZ, 4096), 4096);
  Process process({Md5all(), tree.root()}, {.output = pipe.write.get()});
  pipe.write.Close();
  pollfd began = {.fd = pipe.read.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&began, 1, -1), 1);
  ASSERT_EQ(began.revents, POLLIN);
  process.Signal(GetParam().signal);
  EXPECT_EQ(process.Wait(), 128 + GetParam().signal);
  EXPECT_EQ(process.Errors(), GetParam().errors);
}

TEST(Md5allTest, TheSecondSignalEndsWhatHangs) {
  TestTree tree;
  tree.AddZeros("endless", kEndless);
  // It will hang when it says that it was interrupted.
  const Pipe pipe = MakePipe();
  ASSERT_EQ(fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK), 0);
  while (write(pipe.write.get(), "x", 1) == 1) {
  }
  ASSERT_EQ(errno, EAGAIN);
  ASSERT_EQ(fcntl(pipe.write.get(), F_SETFL, 0), 0);
  const OpenWatch watch(tree.Path("endless"));
  Process process({Md5all(), tree.root()}, {.errors = pipe.write.get()});
  ASSERT_TRUE(watch.Await(process));
  process.Signal(SIGINT);
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

// A shell does that to jobs in the background.
TEST(Md5allTest, AnIgnoredSignalStaysIgnored) {
  TestTree tree;
  tree.AddZeros("endless", kEndless);
  const OpenWatch watch(tree.Path("endless"));
  Process process({Md5all(), tree.root()}, {.ignore_sigint = true});
  ASSERT_TRUE(watch.Await(process));
  process.Signal(SIGINT);
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
  EXPECT_EQ(process.Errors(), "md5all: terminated\n");
}

TEST(Md5allTest, Timeout) {
  TestTree tree;
  AddOddNames(tree);
  tree.AddZeros("endless", kEndless);
  Process process({Md5all(), "--timeout", "50ms", tree.root()});
  EXPECT_EQ(process.Wait(), 124);
  EXPECT_EQ(process.Output(), "");
  EXPECT_EQ(process.Errors(), "md5all: timed out after 50ms\n");
}

TEST(Md5allTest, ATimeoutThatIsLongEnoughChangesNothing) {
  TestTree tree;
  tree.AddFile("f", "a");
  Process process({Md5all(), "--timeout=100h", "f"},
                  {.directory = tree.root()});
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(process.Output(), "0cc175b9c0f1b6a831c399e269772661  f\n");
}

TEST(Md5allTest, AFullDiskIsReported) {
  TestTree tree;
  tree.AddFile("f", "a");
  const Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  for (const std::string& argument : {tree.root(), std::string("--help")}) {
    Process process({Md5all(), argument}, {.output = full.get()});
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_EQ(process.Errors(),
              "md5all: standard output: No space left on device\n");
  }
}

TEST(Md5allTest, AClosedPipeIsReported) {
  TestTree tree;
  tree.AddFile("f", "a");
  Pipe pipe = MakePipe();
  pipe.read.Close();
  Process process({Md5all(), tree.root()}, {.output = pipe.write.get()});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_EQ(process.Errors(), "md5all: standard output: Broken pipe\n");
}

TEST(Md5allTest, ShowsProgressOnATerminal) {
  TestTree tree;
  tree.AddFile("a", "123");
  tree.AddFile("b", "4567");
  tree.AddFile("c", "");
  const Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(grantpt(terminal.get()), 0);
  ASSERT_EQ(unlockpt(terminal.get()), 0);
  Fd other_end(open(ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  Process process({Md5all(), tree.root()}, {.errors = other_end.get()});
  other_end.Close();
  std::string shown;
  char buffer[1024];
  ssize_t size;
  while ((size = read(terminal.get(), buffer, sizeof(buffer))) > 0) {
    shown.append(buffer, static_cast<size_t>(size));
  }
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(CountLines(process.Output()), 3);
  // The last state stays: "3 files, 0.0 MB, 0.1 MB/s".
  const std::string last = shown.substr(shown.rfind("\r", shown.size() - 3));
  EXPECT_THAT(last, StartsWith("\r3 files, 0.0 MB, "));
  EXPECT_THAT(last, HasSubstr(" MB/s"));
  EXPECT_THAT(last, EndsWith("\n"));
  EXPECT_EQ(CountLines(shown), 1);
}

}  // namespace
}  // namespace md5all
