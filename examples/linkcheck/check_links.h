// Looks for links that lead nowhere.

#ifndef LINKCHECK_CHECK_LINKS_H_
#define LINKCHECK_CHECK_LINKS_H_

#include <filesystem>

#include "absl/status/status.h"
#include "cohort/context/context.h"

namespace linkcheck {

// Reads all Markdown files below `root`, up to `jobs` at once, and looks
// whether the files exist that their relative links name. OK if all do; else
// one error for each file with broken links, all in one status.
absl::Status CheckLinks(const cohort::Context& context,
                        const std::filesystem::path& root, int jobs);

}  // namespace linkcheck

#endif  // LINKCHECK_CHECK_LINKS_H_
