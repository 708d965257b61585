#include "cohort/channel/or.h"

#include <cstddef>

#include "absl/types/span.h"
#include "cohort/context/context.h"

namespace cohort::channel {

Or::Or(absl::Span<const Context> contexts)
    : scope_(WithCancel(contexts.empty() ? Context() : contexts.front())) {
  for (size_t i = 1; i < contexts.size(); ++i) {
    others_.push_back(contexts[i].OnDone(
        [this, other = contexts[i]] { scope_.Cancel(other.cause()); }));
  }
}

}  // namespace cohort::channel
