// callbacks and hunch on random functions: values and errors, now and then with
// a context that ends. Nothing that joins outlives the call, each result is one
// that a function gave, and what is counted comes out right.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/hunch/hunch.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort {
namespace {

using stress::InParallel;
using stress::Random;

using Function = std::function<absl::StatusOr<int>(const Context&)>;

absl::Status Cause() { return absl::AbortedError("cancelled by the test"); }

// What the functions of one call did.
struct Book {
  sync::Atomic<int> running = 0;
  sync::Atomic<int> successes = 0;
  sync::Atomic<int> failures = 0;
};

// Function i succeeds with i, or fails. Some first wait to be told to stop, and
// then say so: these would never end where nobody cancels.
std::vector<Function> Functions(Random& random,
                                const std::shared_ptr<Book>& book, int count,
                                bool may_wait) {
  std::vector<Function> functions;
  for (int i = 0; i < count; ++i) {
    const bool waits = may_wait && random.OneIn(4);
    const bool fails = random.OneIn(3);
    const int turns = static_cast<int>(random.Below(4));
    functions.push_back([=](const Context& context) -> absl::StatusOr<int> {
      ++book->running;
      for (int turn = 0; turn < turns; ++turn) sync::Yield();
      if (waits) context.AwaitDone();
      --book->running;
      if (waits) return absl::CancelledError("told to stop");
      if (fails) {
        ++book->failures;
        return absl::NotFoundError("own error");
      }
      ++book->successes;
      return i;
    });
  }
  return functions;
}

class CombinatorsStressTest : public stress::StressTest {
 protected:
  // Runs `call` with functions and a context that may end meanwhile.
  void Search(int rounds,
              std::function<void(Random&, const Context&, bool cancelled,
                                 std::vector<Function>, Book&)>
                  call) {
    Repeat(rounds, [&](Random& round) {
      const bool cancelled = round.OneIn(2);
      const auto book = std::make_shared<Book>();
      const int count = static_cast<int>(round.Below(6));
      std::vector<Function> functions =
          Functions(round, book, count, /*may_wait=*/cancelled);
      CancelScope scope = WithCancel(Context());
      InParallel(round, 2, [&](int thread, Random& random) {
        if (thread == 1) {
          if (cancelled) scope.Cancel(Cause());
          return;
        }
        call(random, scope.context(), cancelled, std::move(functions), *book);
      });
    });
  }
};

TEST_F(CombinatorsStressTest, CallbacksAll) {
  Search(400, [](Random&, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const size_t count = functions.size();
    const auto results = callbacks::All(context, std::move(functions));
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

TEST_F(CombinatorsStressTest, CallbacksRace) {
  Search(400, [](Random&, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const int count = static_cast<int>(functions.size());
    const absl::StatusOr<int> winner =
        callbacks::Race(context, std::move(functions));
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

TEST_F(CombinatorsStressTest, DetachedLosersOwnWhatTheyUse) {
  Repeat(300, [](Random& round) {
    const auto book = std::make_shared<Book>();
    const std::weak_ptr<Book> kept = book;
    CancelScope scope = WithCancel(Context());
    const int count = 1 + static_cast<int>(round.Below(5));
    std::vector<Function> functions =
        Functions(round, book, count, /*may_wait=*/true);
    InParallel(round, 2, [&](int thread, Random& random) {
      if (thread == 1) {
        scope.Cancel(Cause());
      } else if (random.OneIn(2)) {
        const auto winner =
            callbacks::RaceDetached(scope.context(), std::move(functions));
        if (winner.ok()) {
          EXPECT_LT(*winner, count);
        }
      } else {
        const int n = static_cast<int>(random.Below(4));
        const auto taken =
            hunch::TakeDetached(scope.context(), n, std::move(functions));
        if (taken.ok()) {
          EXPECT_LE(taken->size(), static_cast<size_t>(n));
        }
      }
    });
  });
}

TEST_F(CombinatorsStressTest, HunchAll) {
  Search(400, [](Random&, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const int count = static_cast<int>(functions.size());
    const auto all = hunch::All(context, std::move(functions));
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

TEST_F(CombinatorsStressTest, HunchTakeAndLast) {
  Search(400, [](Random& random, const Context& context, bool cancelled,
                 std::vector<Function> functions, Book& book) {
    const int n = static_cast<int>(random.Below(7));
    const size_t count = functions.size();
    const size_t wanted = std::min(count, static_cast<size_t>(n));
    const int kind = static_cast<int>(random.Below(3));
    const auto values =
        kind == 0   ? hunch::Take(context, n, std::move(functions))
        : kind == 1 ? hunch::Take(context, n, {.tolerate_errors = true},
                                  std::move(functions))
                    : hunch::Last(context, n, std::move(functions));
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

TEST_F(CombinatorsStressTest, RetryStopsWithItsContext) {
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
          callbacks::Retry(scope.context(), {.backoff = absl::Microseconds(1)},
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
}  // namespace cohort
