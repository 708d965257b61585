// MD5 digests of all files of directory trees, several files at a time.

#ifndef MD5ALL_DIGEST_TREE_H_
#define MD5ALL_DIGEST_TREE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"

namespace md5all {

using Md5Digest = std::array<unsigned char, 16>;

struct FileDigest {
  std::string path;
  Md5Digest digest = {};
};

struct TreeDigests {
  std::vector<FileDigest> files;  // sorted by the bytes of their paths

  // What could not be read, one for each file or directory, sorted: "PATH:
  // REASON", with the unprintable bytes of the path escaped.
  std::vector<absl::Status> errors;
};

// What was done since the last report.
struct Progress {
  int64_t files = 0;
  int64_t bytes = 0;
};

// One for each processor.
int DefaultJobs();

struct DigestOptions {
  // Files open at once, each with a thread and a buffer. At least 1.
  int jobs = DefaultJobs();

  // Called after each file, and now and then within a large one; by several
  // threads at the same time. May cancel the context.
  std::function<void(const Progress&)> progress = nullptr;
};

// Digests all regular files that are, or are below, `roots`. Follows no
// symbolic link, unless a root names one with a slash at its end. Paths are
// those that `find ROOT -type f` prints; a file below two roots comes twice.
//
// What cannot be read is an entry in `errors` and keeps nothing else from being
// read. So is a root that is missing, or neither a directory nor a regular
// file. The call itself fails only if the context ends it, with the context's
// cause, or if libcrypto cannot do MD5.
absl::StatusOr<TreeDigests> DigestTrees(const cohort::Context& context,
                                        absl::Span<const std::string> roots,
                                        const DigestOptions& options = {});

}  // namespace md5all

#endif  // MD5ALL_DIGEST_TREE_H_
