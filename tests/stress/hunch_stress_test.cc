// hunch on random functions: values and errors, now and then with a context
// that ends.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/hunch/hunch.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"
#include "tests/stress/value_functions.h"

namespace cohort::hunch {
namespace {

using stress::Book;
using stress::Cause;
using stress::Function;
using stress::InParallel;
using stress::Random;

using HunchStressTest = stress::ValueFunctionsTest;

TEST_F(HunchStressTest, All) {
  Search(400, [](Random&, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const int count = static_cast<int>(functions.size());
    const auto all = All(context, std::move(functions));
    EXPECT_EQ(book.running, 0);
    if (all.ok()) {
      EXPECT_EQ(book.successes, count);
      for (int i = 0; i < count; ++i) {
        EXPECT_EQ((*all)[static_cast<size_t>(i)], i);
      }
    } else if (all.status() != Cause()) {
      EXPECT_EQ(all.status(), absl::NotFoundError("own error"));
      EXPECT_GT(book.failures, 0);
    } else {
      EXPECT_TRUE(cancelled);
    }
  });
}

TEST_F(HunchStressTest, TakeAndLast) {
  Search(400, [](Random& random, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const int n = static_cast<int>(random.Below(7));
    const size_t count = functions.size();
    const size_t wanted = std::min(count, static_cast<size_t>(n));
    const int kind = static_cast<int>(random.Below(3));
    const auto values =
        kind == 0 ? Take(context, n, std::move(functions))
        : kind == 1
            ? Take(context, n, {.tolerate_errors = true}, std::move(functions))
            : Last(context, n, std::move(functions));
    EXPECT_EQ(book.running, 0);
    if (values.ok()) {
      EXPECT_EQ(values->size(), wanted);
      std::set<int> seen;
      for (const auto& [index, value] : *values) {
        EXPECT_EQ(value, index);
        EXPECT_TRUE(seen.insert(index).second);
      }
    } else if (!cancelled) {
      EXPECT_EQ(values.status().code(), absl::StatusCode::kNotFound);
      if (kind == 1) {
        EXPECT_GT(static_cast<size_t>(book.failures), count - wanted);
      }
    }
  });
}

TEST_F(HunchStressTest, DetachedLosersOwnWhatTheyUse) {
  Repeat(300, [](Random& round) {
    const auto book = std::make_shared<Book>();
    CancelScope scope = WithCancel(Context());
    const int count = 1 + static_cast<int>(round.Below(5));
    std::vector<Function> functions =
        Functions(round, book, count, /*may_wait=*/true);
    InParallel(round, 2, [&](int thread, Random& random) {
      if (thread == 1) {
        scope.Cancel(Cause());
        return;
      }
      const int n = static_cast<int>(random.Below(4));
      const auto taken = TakeDetached(scope.context(), n, std::move(functions));
      if (taken.ok()) {
        EXPECT_LE(taken->size(), static_cast<size_t>(n));
      }
    });
  });
}

}  // namespace
}  // namespace cohort::hunch
