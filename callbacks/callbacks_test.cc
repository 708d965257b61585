#include "cohort/callbacks/callbacks.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"

namespace cohort::callbacks {
namespace {

TEST(AllTest, KeepsTheOrderOfTheArguments) {
  auto [number, text, failed] = All(
      Context(), [] { return 1; },
      [](const Context&) -> absl::StatusOr<std::unique_ptr<std::string>> {
        return std::make_unique<std::string>("two");
      },
      []() -> absl::StatusOr<int> { return absl::NotFoundError("three"); });
  EXPECT_EQ(*number, 1);
  EXPECT_EQ(**text, "two");
  EXPECT_EQ(failed.status(), absl::NotFoundError("three"));
}

TEST(RaceTest, TellsAllErrors) {
  std::vector<std::function<absl::StatusOr<int>()>> functions(
      3, [] { return absl::NotFoundError("no"); });
  EXPECT_FALSE(Race(Context(), functions).ok());
  functions.push_back([] { return 7; });
  EXPECT_EQ(*Race(Context(), functions), 7);
  EXPECT_EQ(*RaceDetached(Context(), functions), 7);
  EXPECT_EQ(*Race(Context(), [] { return 3; }), 3);
}

TEST(RetryTest, CountsAttempts) {
  int calls = 0;
  const Retried<int> retried =
      Retry(Context(), {.attempts = 3, .backoff = absl::ZeroDuration()},
            [&]() -> absl::StatusOr<int> {
              if (++calls < 3) return absl::UnavailableError("not yet");
              return 42;
            });
  EXPECT_EQ(*retried.result, 42);
  EXPECT_EQ(retried.attempts, 3);
  EXPECT_EQ(retried.end, RetryEnd::kSucceeded);
}

}  // namespace
}  // namespace cohort::callbacks
