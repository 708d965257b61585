#include "cohort/hunch/hunch.h"

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"

namespace cohort::hunch {
namespace {

TEST(AllTest, KeepsTheOrderOfTheArguments) {
  absl::StatusOr<std::tuple<int, std::string>> all =
      All(Context(), [] { return 1; }, [] { return std::string("two"); });
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(*all, std::make_tuple(1, "two"));
  EXPECT_TRUE(All(Context()).ok());
}

TEST(TakeTest, ReturnsSomeValuesWithTheirIndex) {
  std::vector<std::function<int()>> functions;
  for (int i = 0; i < 4; ++i) functions.push_back([i] { return 10 + i; });
  const auto taken = Take(Context(), 2, functions);
  ASSERT_TRUE(taken.ok());
  ASSERT_EQ(taken->size(), 2u);
  for (const auto& [index, value] : *taken) EXPECT_EQ(value, 10 + index);
  EXPECT_EQ(Last(Context(), 3, functions)->size(), 3u);
  EXPECT_EQ(Take(Context(), 1, {.tolerate_errors = true}, [] { return 5; })
                ->front()
                .value,
            5);
}

TEST(WaterfallTest, PassesValuesOn) {
  const absl::StatusOr<std::string> text = Waterfall(
      Context(), [] { return std::make_unique<int>(20); },
      [](const Context&, std::unique_ptr<int> value) { return *value + 1; },
      [](int value) -> absl::StatusOr<std::string> {
        return std::to_string(value);
      });
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "21");
}

TEST(RetryTest, TellsTheLastError) {
  EXPECT_EQ(Retry(Context(), 2,
                  []() -> absl::StatusOr<int> {
                    return absl::NotFoundError("nothing");
                  })
                .status(),
            absl::NotFoundError("max retries exceeded (2 times): nothing"));
}

}  // namespace
}  // namespace cohort::hunch
