#include "md5all/digest_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/mutex.h"

namespace md5all {
namespace {

using ::cohort::Admission;
using ::cohort::Context;

// What a task takes on, whichever comes first: a small file takes only some
// microseconds, so it has many of them.
constexpr size_t kFilesPerBatch = 32;
constexpr int64_t kBytesPerBatch = 256 << 10;

constexpr size_t kBufferSize = 64 << 10;
constexpr int64_t kBytesPerReport = 4 << 20;

// A path in a message, which is to be one line.
std::string Quoted(absl::string_view path) {
  return path.empty() ? "''" : absl::Utf8SafeCEscape(path);
}

absl::Status FileError(int error, absl::string_view path) {
  return absl::ErrnoToStatus(error, Quoted(path));
}

struct FreeMd5 {
  void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
  void operator()(EVP_MD_CTX* state) const { EVP_MD_CTX_free(state); }
};
using Md5Algorithm = std::unique_ptr<EVP_MD, FreeMd5>;

// Computes one digest after the other.
class Md5 {
 public:
  explicit Md5(const EVP_MD* algorithm)
      : algorithm_(algorithm), state_(EVP_MD_CTX_new()) {
    ABSL_CHECK(state_ != nullptr);
  }

  void Begin() {
    ABSL_CHECK_EQ(EVP_DigestInit_ex(state_.get(), algorithm_, nullptr), 1);
  }
  void Add(absl::Span<const char> data) {
    ABSL_CHECK_EQ(EVP_DigestUpdate(state_.get(), data.data(), data.size()), 1);
  }
  Md5Digest Finish() {
    Md5Digest digest;
    ABSL_CHECK_EQ(EVP_DigestFinal_ex(state_.get(), digest.data(), nullptr), 1);
    return digest;
  }

 private:
  const EVP_MD* const algorithm_;
  const std::unique_ptr<EVP_MD_CTX, FreeMd5> state_;
};

// A regular file, open for reading.
class InputFile {
 public:
  static absl::StatusOr<InputFile> Open(const std::string& path) {
    InputFile file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat info;
    if (file.fd_ < 0 || fstat(file.fd_, &info) != 0) {
      return FileError(errno, path);
    }
    if (!S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(Quoted(path), ": no longer a regular file"));
    }
    file.size_ = info.st_size;
    return file;
  }

  InputFile(InputFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  ~InputFile() {
    if (fd_ >= 0) close(fd_);
  }

  // When it was opened.
  int64_t size() const { return size_; }

  void AdviseSequential() const {
    // Advice: nothing depends on whether it is taken.
    (void)posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  // Like read().
  ssize_t Read(char* buffer, size_t size) const {
    ssize_t result;
    do {
      result = read(fd_, buffer, size);
    } while (result < 0 && errno == EINTR);
    return result;
  }

 private:
  explicit InputFile(int fd) : fd_(fd) {}

  int fd_;
  int64_t size_ = 0;
};

// The walker is the thread that calls Run. Digesters are tasks of a group: with
// its limit and queue full, the walker waits.
class Pipeline {
 public:
  Pipeline(const Context& context, const DigestOptions& options)
      : progress_(options.progress),
        md5_(EVP_MD_fetch(nullptr, "MD5", nullptr)),
        group_(
            context,
            {.limit = options.jobs, .queue = options.jobs, .name = "md5all"}) {}

  absl::StatusOr<TreeDigests> Run(absl::Span<const std::string> roots);

 private:
  using Paths = std::vector<std::string>;

  // The walker's. They fail only when the group has been cancelled.
  absl::Status Walk(const std::string& root);
  absl::Status List(const std::string& directory, Paths& subdirectories);
  absl::Status Add(std::string path);
  absl::Status SendBatch();

  // The digesters'.
  absl::Status DigestBatch(const Context& context, Paths paths);
  absl::StatusOr<Md5Digest> DigestFile(const Context& context,
                                       const std::string& path,
                                       const InputFile& file, Md5& md5,
                                       absl::Span<char> buffer) const;
  void Report(const Progress& progress) const {
    if (progress_ != nullptr) progress_(progress);
  }

  void AddError(absl::Status error) ABSL_LOCKS_EXCLUDED(mutex_) {
    cohort::sync::MutexLock lock(&mutex_);
    result_.errors.push_back(std::move(error));
  }

  const std::function<void(const Progress&)>& progress_;
  const Md5Algorithm md5_;  // looked up once: that takes locks
  Paths batch_;             // the walker's: not yet sent

  cohort::sync::Mutex mutex_;
  TreeDigests result_ ABSL_GUARDED_BY(mutex_);

  // Last, so that it is destroyed first: its tasks use all of the above.
  cohort::errgroup::Group group_;
};

absl::StatusOr<TreeDigests> Pipeline::Run(absl::Span<const std::string> roots) {
  if (md5_ == nullptr) return absl::InternalError("libcrypto has no MD5");
  absl::Status walked;
  for (const std::string& root : roots) {
    walked = Walk(root);
    if (!walked.ok()) break;
  }
  if (walked.ok()) walked = SendBatch();
  absl::Status status = group_.Wait();
  status.Update(walked);
  if (!status.ok()) return status;

  cohort::sync::MutexLock lock(&mutex_);
  std::sort(
      result_.files.begin(), result_.files.end(),
      [](const FileDigest& a, const FileDigest& b) { return a.path < b.path; });
  std::sort(result_.errors.begin(), result_.errors.end(),
            [](const absl::Status& a, const absl::Status& b) {
              return a.message() < b.message();
            });
  return std::move(result_);
}

absl::Status Pipeline::Walk(const std::string& root) {
  struct stat info;
  if (lstat(root.c_str(), &info) != 0) {
    AddError(FileError(errno, root));
    return absl::OkStatus();
  }
  if (S_ISREG(info.st_mode)) return Add(root);
  if (!S_ISDIR(info.st_mode)) {
    AddError(absl::InvalidArgumentError(absl::StrCat(
        Quoted(root), S_ISLNK(info.st_mode)
                          ? ": a symbolic link, and none is followed"
                          : ": neither a directory nor a regular file")));
    return absl::OkStatus();
  }
  // A stack of our own: a deep tree is no reason to crash.
  Paths pending = {root};
  while (!pending.empty()) {
    const std::string directory = std::move(pending.back());
    pending.pop_back();
    absl::Status status = List(directory, pending);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Pipeline::List(const std::string& directory,
                            Paths& subdirectories) {
  const int fd =
      open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR* const stream = fd < 0 ? nullptr : fdopendir(fd);
  if (stream == nullptr) {
    AddError(FileError(errno, directory));
    if (fd >= 0) close(fd);
    return absl::OkStatus();
  }
  const absl::Cleanup close_stream = [stream] { closedir(stream); };
  const absl::string_view slash = directory.back() == '/' ? "" : "/";
  while (true) {
    if (group_.context().done()) return group_.context().cause();
    errno = 0;
    const dirent* const entry = readdir(stream);
    if (entry == nullptr) {
      if (errno != 0) AddError(FileError(errno, directory));
      return absl::OkStatus();
    }
    const absl::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN) {  // this file system does not tell
      struct stat info;
      if (fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        AddError(FileError(errno, absl::StrCat(directory, slash, name)));
        continue;
      }
      type = IFTODT(info.st_mode);
    }
    if (type == DT_DIR) {
      subdirectories.push_back(absl::StrCat(directory, slash, name));
    } else if (type == DT_REG) {
      absl::Status status = Add(absl::StrCat(directory, slash, name));
      if (!status.ok()) return status;
    }
  }
}

absl::Status Pipeline::Add(std::string path) {
  batch_.push_back(std::move(path));
  return batch_.size() < kFilesPerBatch ? absl::OkStatus() : SendBatch();
}

absl::Status Pipeline::SendBatch() {
  if (batch_.empty()) return absl::OkStatus();
  const Admission admission =
      group_.Go([this, paths = std::exchange(batch_, {})](
                    const Context& context) mutable {
        return DigestBatch(context, std::move(paths));
      });
  return admission == Admission::kAccepted ? absl::OkStatus()
                                           : group_.context().cause();
}

absl::Status Pipeline::DigestBatch(const Context& context, Paths paths) {
  // Most of it is reading, which may wait for a disk: with this announced,
  // `jobs` files are read at once however few processors there are.
  const cohort::BlockingScope blocking;
  Md5 md5(md5_.get());
  char buffer[kBufferSize];
  TreeDigests done;
  int64_t bytes = 0;
  while (!paths.empty()) {
    const std::string path = std::move(paths.back());
    paths.pop_back();
    const absl::StatusOr<InputFile> file = InputFile::Open(path);
    if (!file.ok()) {
      done.errors.push_back(file.status());
      continue;
    }
    bytes += file->size();
    if (bytes >= kBytesPerBatch && !paths.empty()) {
      // The rest is for somebody else. This does not block, although the group
      // may be full: we are one of its tasks.
      group_.Go([this, rest = std::exchange(paths, {})](
                    const Context& rest_context) mutable {
        return DigestBatch(rest_context, std::move(rest));
      });
    }
    const absl::StatusOr<Md5Digest> digest =
        DigestFile(context, path, *file, md5, absl::MakeSpan(buffer));
    if (!digest.ok() && context.done()) return context.cause();
    if (digest.ok()) {
      done.files.push_back({path, *digest});
    } else {
      done.errors.push_back(digest.status());
    }
  }
  cohort::sync::MutexLock lock(&mutex_);
  std::move(done.files.begin(), done.files.end(),
            std::back_inserter(result_.files));
  std::move(done.errors.begin(), done.errors.end(),
            std::back_inserter(result_.errors));
  return absl::OkStatus();
}

absl::StatusOr<Md5Digest> Pipeline::DigestFile(const Context& context,
                                               const std::string& path,
                                               const InputFile& file, Md5& md5,
                                               absl::Span<char> buffer) const {
  Progress progress;
  md5.Begin();
  if (file.size() > int64_t{kBufferSize}) file.AdviseSequential();
  while (true) {
    if (context.done()) return context.cause();
    const ssize_t size = file.Read(buffer.data(), buffer.size());
    if (size < 0) return FileError(errno, path);
    if (size == 0) break;
    md5.Add(buffer.first(static_cast<size_t>(size)));
    progress.bytes += size;
    if (progress.bytes >= kBytesPerReport) {
      Report(std::exchange(progress, {}));
    }
  }
  const Md5Digest digest = md5.Finish();
  progress.files = 1;
  Report(progress);
  return digest;
}

}  // namespace

int DefaultJobs() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

absl::StatusOr<TreeDigests> DigestTrees(const Context& context,
                                        absl::Span<const std::string> roots,
                                        const DigestOptions& options) {
  ABSL_CHECK_GE(options.jobs, 1);
  return Pipeline(context, options).Run(roots);
}

}  // namespace md5all
