// What holds when memory runs out: the call throws, what has started has ended
// or has been told to, and the next call works. Where the allocation that
// failed was one of a function that ran, it is an error of that function.

#include <atomic>
#include <memory>
#include <ranges>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::callbacks {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::WithEachAllocationFailing;

// Functions and elements that are counted while they are there, and while they
// run.
struct Book {
  std::atomic<int> there{0};
  std::atomic<int> inside{0};
};

class Function {
 public:
  explicit Function(std::shared_ptr<Book> book) : book_(std::move(book)) {
    ++book_->there;
  }
  Function(const Function& other) : book_(other.book_) { ++book_->there; }
  Function& operator=(const Function&) = delete;
  ~Function() { --book_->there; }

  int operator()() const {
    ++book_->inside;
    --book_->inside;
    return 7;
  }

 private:
  std::shared_ptr<Book> book_;
};

bool IsSevenOrHadNoMemory(const absl::StatusOr<int>& result) {
  if (result.ok()) return *result == 7;
  return absl::IsInternal(result.status()) &&
         absl::StrContains(result.status().message(), "std::bad_alloc");
}

TEST(AllocationFailureTest, All) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const auto book = std::make_shared<Book>();
    const std::vector<Function> functions(5, Function(book));
    std::vector<absl::StatusOr<int>> results;
    const bool threw =
        fault.Strikes([&] { results = All(Context(), functions); });
    EXPECT_EQ(book->inside, 0);
    EXPECT_EQ(book->there, 5);
    EXPECT_EQ(results.size(), threw ? 0u : 5u);
    for (const auto& result : results) {
      EXPECT_TRUE(IsSevenOrHadNoMemory(result)) << result.status();
    }
    for (const auto& result : All(Context(), functions))
      EXPECT_TRUE(result.ok());
  });
}

TEST(AllocationFailureTest, AllOfDifferentTypesWithALimit) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const auto book = std::make_shared<Book>();
    const Function function(book);
    const auto call = [&] {
      auto [a, b, c] = All(
          Context(), {.limit = 1}, function, [] { return std::string("b"); },
          function);
      EXPECT_TRUE(IsSevenOrHadNoMemory(a)) << a.status();
      return b.ok() && c.ok();
    };
    fault.Strikes(call);
    EXPECT_EQ(book->there, 1);
    EXPECT_TRUE(call());
  });
}

TEST(AllocationFailureTest, Race) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const auto book = std::make_shared<Book>();
    const std::vector<Function> functions(4, Function(book));
    absl::StatusOr<int> result = 7;
    fault.Strikes([&] { result = Race(Context(), functions); });
    EXPECT_EQ(book->inside, 0);
    EXPECT_EQ(book->there, 4);
    EXPECT_EQ(result.value_or(0), 7);  // one of four had memory
    EXPECT_EQ(Race(Context(), functions).value_or(0), 7);
  });
}

TEST(AllocationFailureTest, RaceThatFails) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const auto call = []() {
      return Race(
                 Context(),
                 []() -> absl::StatusOr<int> {
                   return absl::Status(absl::StatusCode::kAborted, "");
                 },
                 []() -> absl::StatusOr<int> {
                   return absl::Status(absl::StatusCode::kAborted, "");
                 })
          .status();
    };
    absl::Status status = absl::AbortedError("");
    fault.Strikes([&] { status = call(); });
    EXPECT_TRUE(absl::IsAborted(status) || absl::IsInternal(status)) << status;
    EXPECT_TRUE(absl::IsAborted(call()));
  });
}

TEST(AllocationFailureTest, RaceDetached) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const auto book = std::make_shared<Book>();
    // Those that have started end only because they are told to.
    const auto loser = [function = Function(book)](
                           const Context& context) -> absl::StatusOr<int> {
      context.AwaitDone();
      return context.cause();
    };
    const auto winner = [function = Function(book)] { return function(); };
    absl::StatusOr<int> result = 7;
    const bool threw = fault.Strikes(
        [&] { result = RaceDetached(Context(), loser, winner, loser); });
    if (!threw && !result.ok()) {
      EXPECT_TRUE(IsSevenOrHadNoMemory(result)) << result.status();
    }
    Await([&book] { return book->there == 2; });
    EXPECT_EQ(RaceDetached(Context(), loser, winner, loser).value_or(0), 7);
    Await([&book] { return book->there == 2; });
  });
}

TEST(AllocationFailureTest, Retry) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    int calls = 0;
    const auto call = [&calls] {
      return Retry(Context(),
                   {.attempts = 3,
                    .backoff = absl::Nanoseconds(1),
                    .attempt_timeout = absl::Hours(1)},
                   [&calls]() -> absl::StatusOr<int> {
                     if (++calls % 2 == 1) {
                       return absl::Status(absl::StatusCode::kAborted, "");
                     }
                     return 7;
                   });
    };
    fault.Strikes([&] { EXPECT_EQ(call().result.value_or(0), 7); });
    calls = 0;
    EXPECT_EQ(call().result.value_or(0), 7);
    EXPECT_EQ(calls, 2);
  });
}

TEST(AllocationFailureTest, Map) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const auto book = std::make_shared<Book>();
    const auto call = [&] {
      return Map(Context(), {.limit = 3}, std::views::iota(0, 20),
                 [function = Function(book)](int) {
                   return *std::make_unique<int>(function());
                 });
    };
    std::vector<absl::StatusOr<int>> results;
    const bool threw = fault.Strikes([&] { results = call(); });
    EXPECT_EQ(book->inside, 0);
    EXPECT_EQ(book->there, 0);
    EXPECT_EQ(results.size(), threw ? 0u : 20u);
    for (const auto& result : results) {
      EXPECT_TRUE(IsSevenOrHadNoMemory(result)) << result.status();
    }
    for (const auto& result : call()) EXPECT_EQ(result.value_or(0), 7);
  });
}

}  // namespace
}  // namespace cohort::callbacks
