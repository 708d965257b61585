// callbacks on random functions: values and errors, now and then with a context
// that ends.

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"
#include "tests/stress/value_functions.h"

namespace cohort::callbacks {
namespace {

using stress::Book;
using stress::Cause;
using stress::Function;
using stress::InParallel;
using stress::Random;

using CallbacksStressTest = stress::ValueFunctionsTest;

TEST_F(CallbacksStressTest, All) {
  Search(400, [](Random&, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const size_t count = functions.size();
    const auto results = All(context, std::move(functions));
    EXPECT_EQ(book.running, 0);
    ASSERT_EQ(results.size(), count);
    int successes = 0;
    for (size_t i = 0; i < count; ++i) {
      if (results[i].ok()) {
        ++successes;
        EXPECT_EQ(*results[i], static_cast<int>(i));
      } else if (!cancelled) {
        EXPECT_EQ(results[i].status(), absl::NotFoundError("own error"));
      }
    }
    EXPECT_EQ(successes, book.successes);
  });
}

TEST_F(CallbacksStressTest, Race) {
  Search(400, [](Random&, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const int count = static_cast<int>(functions.size());
    const absl::StatusOr<int> winner = Race(context, std::move(functions));
    EXPECT_EQ(book.running, 0);
    if (winner.ok()) {
      EXPECT_LT(*winner, count);
    } else {
      EXPECT_EQ(book.successes, 0) << "a success was lost";
      if (count == 0) {
        EXPECT_EQ(winner.status().code(), absl::StatusCode::kInvalidArgument);
      } else if (!cancelled) {
        EXPECT_EQ(winner.status().code(), absl::StatusCode::kNotFound);
        EXPECT_EQ(book.failures, count);
      }
    }
  });
}

TEST_F(CallbacksStressTest, DetachedLosersOwnWhatTheyUse) {
  Repeat(300, [](Random& round) {
    const auto book = std::make_shared<Book>();
    CancelScope scope = WithCancel(Context());
    const int count = 1 + static_cast<int>(round.Below(5));
    std::vector<Function> functions =
        Functions(round, book, count, /*may_wait=*/true);
    InParallel(round, 2, [&](int thread, Random&) {
      if (thread == 1) {
        scope.Cancel(Cause());
        return;
      }
      const auto winner = RaceDetached(scope.context(), std::move(functions));
      if (winner.ok()) {
        EXPECT_LT(*winner, count);
      }
    });
  });
}

TEST_F(CallbacksStressTest, RetryStopsWithItsContext) {
  Repeat(300, [](Random& round) {
    CancelScope scope = WithCancel(Context());
    const int works = static_cast<int>(round.Below(6));
    InParallel(round, 2, [&](int thread, Random&) {
      if (thread == 1) {
        scope.Cancel(Cause());
        return;
      }
      int calls = 0;
      const Retried<int> retried =
          Retry(scope.context(), {.backoff = absl::Microseconds(1)},
                [&]() -> absl::StatusOr<int> {
                  if (calls++ == works) return calls;
                  return absl::UnavailableError("not yet");
                });
      EXPECT_EQ(retried.attempts, calls);
      if (retried.result.ok()) {
        EXPECT_EQ(*retried.result, works + 1);
      } else {
        EXPECT_EQ(retried.result.status(), Cause());
        EXPECT_LE(calls, works);
      }
    });
  });
}

}  // namespace
}  // namespace cohort::callbacks
