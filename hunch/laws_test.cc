// The laws of group/combinator_laws.h, for All, ForEach, Map and Last.

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/combinator_laws.h"
#include "cohort/hunch/hunch.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

struct All {
  static absl::Status Run(const Context& context, int limit,
                          std::vector<Call> calls) {
    return hunch::All(context, {.limit = limit}, std::move(calls)).status();
  }
};

struct ForEach {
  static absl::Status Run(const Context& context, int limit,
                          std::vector<Call> calls) {
    return hunch::ForEach(context, {.limit = limit}, std::move(calls),
                          [](const Context& its, const Call& call) {
                            return call(its).status();
                          });
  }
};

struct Map {
  static absl::Status Run(const Context& context, int limit,
                          std::vector<Call> calls) {
    return hunch::Map(
               context, {.limit = limit}, std::move(calls),
               [](const Context& its, const Call& call) { return call(its); })
        .status();
  }
};

// All of them are the last.
struct Last {
  static absl::Status Run(const Context& context, int limit,
                          std::vector<Call> calls) {
    const int count = static_cast<int>(calls.size());
    return hunch::Last(context, count, {.limit = limit}, std::move(calls))
        .status();
  }
};

using Combinators = ::testing::Types<All, ForEach, Map, Last>;
INSTANTIATE_TYPED_TEST_SUITE_P(Hunch, CombinatorLaw, Combinators);
INSTANTIATE_TYPED_TEST_SUITE_P(Hunch, FirstErrorEndsLaw, Combinators);

}  // namespace
}  // namespace cohort::laws
