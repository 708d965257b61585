// The laws of group/combinator_laws.h, for All and Map.

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/group/combinator_laws.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

template <class Results>
absl::Status FirstError(const Results& results) {
  for (const auto& result : results) {
    if (!result.ok()) return result.status();
  }
  return absl::OkStatus();
}

struct All {
  static absl::Status Run(const Context& context, int limit,
                          std::vector<Call> calls) {
    return FirstError(
        callbacks::All(context, {.limit = limit}, std::move(calls)));
  }
};

struct Map {
  static absl::Status Run(const Context& context, int limit,
                          std::vector<Call> calls) {
    return FirstError(callbacks::Map(
        context, {.limit = limit}, std::move(calls),
        [](const Context& its, const Call& call) { return call(its); }));
  }
};

using Combinators = ::testing::Types<All, Map>;
INSTANTIATE_TYPED_TEST_SUITE_P(Callbacks, CombinatorLaw, Combinators);

// Each function has a result of its own.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FirstErrorEndsLaw);

}  // namespace
}  // namespace cohort::laws
