// Prints the MD5 digests of all files of directory trees: see kUsage.

#include <getopt.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "md5all/digest_tree.h"
#include "md5all/md5sum_line.h"
#include "signals/signal_catcher.h"

namespace md5all {
namespace {

using ::cohort::CancelScope;
using ::cohort::Context;

constexpr char kUsage[] =
    R"(Usage: md5all [--jobs N] [--timeout D] [--help] [DIR...]

Prints the MD5 digest of every regular file below each DIR (default: the
current directory) in the format of md5sum, sorted by path. Follows no symbolic
links. Shows its progress if standard error is a terminal.

  -j, --jobs N     read up to N files at once, 1 to %d (default here: %d)
      --timeout D  give up after D, such as 90s or 1h30m
  -h, --help       print this text

Exit status: 0 if all is well; 1 if something could not be read or written, all
else being printed; 2 for bad arguments; 124 after a timeout, 130 or 143 after
an interrupt (Ctrl-C) or SIGTERM, which print nothing unless printing had begun.
)";

constexpr int kOk = 0;
constexpr int kIncomplete = 1;
constexpr int kBadArguments = 2;
constexpr int kTimedOut = 124;

// More would not fit into the usual limit of open files.
constexpr int kMaxJobs = 1000;

std::string Usage() { return absl::StrFormat(kUsage, kMaxJobs, DefaultJobs()); }

void Complain(absl::string_view message) {
  absl::FPrintF(stderr, "md5all: %s\n", message);
}

struct Arguments {
  bool help = false;
  absl::Duration timeout = absl::InfiniteDuration();
  DigestOptions options;
  std::vector<std::string> roots;
};

// None if they make no sense, which it has then said.
std::optional<Arguments> ParseArguments(int argc, char** argv) {
  static constexpr option kOptions[] = {
      {"jobs", required_argument, nullptr, 'j'},
      {"timeout", required_argument, nullptr, 't'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  Arguments arguments;
  static char name[] = "md5all";
  argv[0] = name;  // getopt_long begins its messages with it
  int letter;
  while ((letter = getopt_long(argc, argv, "j:h", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'j':
        if (!absl::SimpleAtoi(optarg, &arguments.options.jobs) ||
            arguments.options.jobs < 1 || arguments.options.jobs > kMaxJobs) {
          Complain(absl::StrFormat("--jobs takes a number from 1 to %d, not %s",
                                   kMaxJobs, optarg));
          return std::nullopt;
        }
        break;
      case 't':
        if (!absl::ParseDuration(optarg, &arguments.timeout) ||
            arguments.timeout <= absl::ZeroDuration()) {
          Complain(absl::StrCat(
              "--timeout takes a positive duration such as 90s, not ", optarg));
          return std::nullopt;
        }
        break;
      case 'h':
        arguments.help = true;
        break;
      default:
        return std::nullopt;  // getopt_long has said why
    }
  }
  arguments.roots.assign(argv + optind, argv + argc);
  if (arguments.roots.empty()) arguments.roots = {"."};
  return arguments;
}

// A line on a terminal that says how far the digesters are.
class ProgressLine {
 public:
  // From any thread.
  void Add(const Progress& progress) {
    files_.fetch_add(progress.files, std::memory_order_relaxed);
    bytes_.fetch_add(progress.bytes, std::memory_order_relaxed);
  }

  // Writes the line anew again and again, until the context is done.
  void KeepShowing(const Context& context) const {
    do {
      Show();
    } while (context.SleepFor(absl::Milliseconds(100)).ok());
  }

  void Show() const {
    const double megabytes =
        static_cast<double>(bytes_.load(std::memory_order_relaxed)) / 1e6;
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start_);
    // The spaces cover what a longer line may have left.
    absl::FPrintF(stderr, "\r%d files, %.1f MB, %.1f MB/s    ",
                  files_.load(std::memory_order_relaxed), megabytes,
                  seconds > 0 ? megabytes / seconds : 0);
  }

 private:
  const absl::Time start_ = absl::Now();
  std::atomic<int64_t> files_ = 0;
  std::atomic<int64_t> bytes_ = 0;
};

absl::StatusOr<TreeDigests> Digest(const Context& context,
                                   Arguments arguments) {
  if (isatty(STDERR_FILENO) == 0) {
    return DigestTrees(context, arguments.roots, arguments.options);
  }
  ProgressLine line;
  cohort::errgroup::Group display(context);
  display.Go([&line](const Context& until) { line.KeepShowing(until); });
  arguments.options.progress = [&line](const Progress& progress) {
    line.Add(progress);
  };
  absl::StatusOr<TreeDigests> digests =
      DigestTrees(context, arguments.roots, arguments.options);
  display.Cancel();
  display.Wait().IgnoreError();  // that it was cancelled is no news
  line.Show();
  std::fputc('\n', stderr);
  return digests;
}

absl::Status Write(absl::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, "standard output");
}

// Some errors show only here.
absl::Status CloseOutput() {
  if (std::fclose(stdout) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "standard output");
}

absl::Status Print(const std::vector<FileDigest>& files) {
  for (const FileDigest& file : files) {
    absl::Status status = Write(Md5sumLine(file));
    if (!status.ok()) return status;
  }
  return CloseOutput();
}

int Help() {
  absl::Status status = Write(Usage());
  status.Update(CloseOutput());
  if (status.ok()) return kOk;
  Complain(status.message());
  return kIncomplete;
}

int Main(int argc, char** argv) {
  std::optional<Arguments> arguments = ParseArguments(argc, argv);
  if (!arguments.has_value()) {
    std::fputs(Usage().c_str(), stderr);
    return kBadArguments;
  }
  // A pipe that nobody reads is an error as any other, and gets a message.
  std::signal(SIGPIPE, SIG_IGN);
  if (arguments->help) return Help();

  CancelScope scope = cohort::WithTimeout(
      Context(), arguments->timeout,
      absl::DeadlineExceededError(absl::StrCat(
          "timed out after ", absl::FormatDuration(arguments->timeout))));
  const Context& context = scope.context();
  std::atomic<int> signal = 0;
  const signals::SignalCatcher catcher([&scope, &signal](int caught) {
    signal = caught;
    scope.Cancel(
        absl::CancelledError(caught == SIGINT ? "interrupted" : "terminated"));
  });
  const auto exit_status = [&context, &signal] {
    return absl::IsDeadlineExceeded(context.status())
               ? kTimedOut
               : signals::kExitStatus + signal;
  };

  const absl::StatusOr<TreeDigests> digests =
      Digest(context, *std::move(arguments));
  if (!digests.ok()) {
    Complain(digests.status().message());
    return context.done() ? exit_status() : kIncomplete;
  }

  // A reader that takes its time blocks us, and the context does not reach
  // into that.
  const cohort::DoneCallback while_printing =
      context.OnDone([&context, &exit_status] {
        Complain(context.cause().message());
        std::_Exit(exit_status());
      });
  const absl::Status printed = Print(digests->files);
  for (const absl::Status& error : digests->errors) Complain(error.message());
  if (!printed.ok()) Complain(printed.message());
  return printed.ok() && digests->errors.empty() ? kOk : kIncomplete;
}

}  // namespace
}  // namespace md5all

int main(int argc, char** argv) { return md5all::Main(argc, argv); }
