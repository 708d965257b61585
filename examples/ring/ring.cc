#include "ring/ring.h"

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "cohort/channel/channel.h"
#include "cohort/context/context.h"

namespace ring {

Ring::Ring(int workers, int64_t turns) {
  ABSL_CHECK_GT(workers, 0);
  for (int i = 0; i < workers; ++i) tokens_.emplace_back(/*capacity=*/1);
  if (turns > 0) {
    ABSL_CHECK_OK(tokens_.front().TrySend(turns));
  } else {
    for (auto& token : tokens_) token.Close();
  }
}

absl::Status Ring::Work(const cohort::Context& context, int worker,
                        absl::FunctionRef<void()> work) {
  const size_t self = static_cast<size_t>(worker);
  auto& mine = tokens_.at(self);
  auto& next = tokens_.at((self + 1) % tokens_.size());
  for (const int64_t left : mine.Values(context)) {
    work();
    if (left == 1) {
      for (auto& token : tokens_) token.Close();
    } else {
      absl::Status status = next.Send(context, left - 1);
      if (!status.ok()) return status;
    }
  }
  return mine.closed() ? absl::OkStatus() : context.cause();
}

}  // namespace ring
