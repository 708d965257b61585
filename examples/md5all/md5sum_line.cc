#include "md5all/md5sum_line.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace md5all {

std::string Md5sumLine(const FileDigest& file) {
  const std::string digest = absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(file.digest.data()), file.digest.size()));
  if (file.path.find_first_of("\\\n\r") == std::string::npos) {
    return absl::StrCat(digest, "  ", file.path, "\n");
  }
  const std::string escaped = absl::StrReplaceAll(
      file.path, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\r", "\\r"}});
  return absl::StrCat("\\", digest, "  ", escaped, "\n");
}

}  // namespace md5all
