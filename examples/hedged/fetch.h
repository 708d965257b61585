// Hedged requests: asks several mirrors of a page, the second one only if the
// first takes long, and so on; and each of them again where it is overloaded.

#ifndef HEDGED_FETCH_H_
#define HEDGED_FETCH_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"

namespace hedged {

// One request; returns early when `context` is done.
using Request = std::function<absl::StatusOr<std::string>(
    const cohort::Context& context, const std::string& mirror)>;

struct Options {
  // How long a mirror is given before the next one is asked too.
  absl::Duration hedge_delay = absl::Milliseconds(50);
  // Of each mirror.
  int attempts = 3;
  absl::Duration backoff = absl::Milliseconds(20);
  absl::Duration attempt_timeout = absl::Seconds(1);
  // Is told of each attempt that failed; from several threads.
  std::function<void(const std::string& mirror, const absl::Status& error)>
      on_failure = nullptr;
};

// The first answer; the other requests have been cancelled, and have ended. If
// no mirror answers, the errors of all.
absl::StatusOr<std::string> Fetch(const cohort::Context& context,
                                  const std::vector<std::string>& mirrors,
                                  const Request& request,
                                  const Options& options = {});

}  // namespace hedged

#endif  // HEDGED_FETCH_H_
