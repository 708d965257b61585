#include "linkcheck/check_links.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cohort/context/context.h"
#include "cohort/sizedgroup/sized_group.h"

namespace linkcheck {
namespace {

namespace fs = std::filesystem;

// The targets of links of the form [text](target).
std::vector<std::string> LinksIn(absl::string_view text) {
  std::vector<std::string> links;
  while (true) {
    const size_t start = text.find("](");
    if (start == absl::string_view::npos) return links;
    text.remove_prefix(start + 2);
    links.emplace_back(text.substr(0, text.find_first_of(")#")));
  }
}

bool IsLocal(absl::string_view link) {
  return !link.empty() && !absl::StrContains(link, ":");
}

absl::Status CheckFile(const cohort::Context& context, const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in)
    return absl::UnavailableError(absl::StrCat("cannot read ", file.string()));
  std::vector<std::string> broken;
  for (const std::string& link : LinksIn(text.str())) {
    if (context.done()) return context.status();
    std::error_code error;
    if (IsLocal(link) && !fs::exists(file.parent_path() / link, error)) {
      broken.push_back(link);
    }
  }
  if (broken.empty()) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat(file.string(), ": ", absl::StrJoin(broken, ", ")));
}

}  // namespace

absl::Status CheckLinks(const cohort::Context& context, const fs::path& root,
                        int jobs) {
  // With kBlock, the walk does not get ahead of the checks.
  cohort::sizedgroup::ErrSizedGroup group(
      jobs,
      {.when_full = cohort::sizedgroup::WhenFull::kBlock, .context = context});
  std::error_code error;
  for (fs::recursive_directory_iterator entry(root, error), end; entry != end;
       entry.increment(error)) {
    if (entry->path().extension() != ".md") continue;
    const cohort::Admission admission =
        group.Go([file = entry->path()](const cohort::Context& inner) {
          return CheckFile(inner, file);
        });
    if (admission == cohort::Admission::kCancelled) break;  // Wait says why
  }
  if (error) {
    group.Go([&] {
      return absl::UnavailableError(
          absl::StrCat(root.string(), ": ", error.message()));
    });
  }
  return group.Wait();
}

}  // namespace linkcheck
