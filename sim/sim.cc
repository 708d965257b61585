#include "cohort/sim/sim.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <source_location>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "cohort/sim/search.h"
#include "cohort/sim/search_internal.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

ABSL_FLAG(std::string, sim_replay, "",
          "runs this schedule alone, as a failure has printed it");
ABSL_FLAG(std::string, sim_picture, "",
          "writes a page of HTML with the failing schedule to this file");
ABSL_FLAG(std::optional<uint64_t>, sim_seed, std::nullopt,
          "of random schedules, instead of what the test says");
ABSL_FLAG(std::optional<int64_t>, sim_schedules, std::nullopt,
          "how many at most, instead of what the test says");

namespace cohort::sim {
namespace {

std::string TestName() {
  const testing::TestInfo* const test =
      testing::UnitTest::GetInstance()->current_test_info();
  return test == nullptr
             ? ""
             : absl::StrCat("--gtest_filter=", test->test_suite_name(), ".",
                            test->name(), " ");
}

}  // namespace

Result Explore(const Options& options, absl::FunctionRef<void()> body,
               std::source_location site) {
  Options actual = options;
  const std::string replay = absl::GetFlag(FLAGS_sim_replay);
  if (!replay.empty()) {
    actual.strategy = Strategy::Replay(replay);
    actual.shrink = false;
  }
  actual.seed = absl::GetFlag(FLAGS_sim_seed).value_or(actual.seed);
  actual.schedules =
      absl::GetFlag(FLAGS_sim_schedules).value_or(actual.schedules);

  Result result;
  {
    testing::TestPartResultArray unmet;
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::
            INTERCEPT_ONLY_CURRENT_THREAD,
        &unmet);
    int seen = 0;
    result = SearchWith(actual, body, [&]() -> std::string {
      std::string complaint;
      for (; seen < unmet.size(); ++seen) {
        const testing::TestPartResult& part = unmet.GetTestPartResult(seen);
        if (!part.failed() || !complaint.empty()) continue;
        complaint =
            absl::StrCat(part.file_name() == nullptr ? "" : part.file_name(),
                         ":", part.line_number(), ": ", part.message());
      }
      return complaint;
    });
  }
  if (!result.failure.has_value()) return result;
  std::string report = Report(*result.failure);
  const std::string picture = absl::GetFlag(FLAGS_sim_picture);
  if (!picture.empty()) {
    std::ofstream(picture) << result.failure->html;
    absl::StrAppend(&report, "picture: ", picture, "\n");
  }
  GTEST_MESSAGE_AT_(site.file_name(), static_cast<int>(site.line()),
                    absl::StrCat(report, "(of ", TestName(), ")").c_str(),
                    testing::TestPartResult::kNonFatalFailure);
  return result;
}

Options AllSchedules(Strategy strategy) {
  return {.strategy = std::move(strategy),
          .schedules = 2'000'000,
          .stale_loads = false,
          .spurious_wake_ups = 0};
}

Result ExploreAll(const Options& options, absl::FunctionRef<void()> body,
                  std::source_location site) {
  Result result = Explore(options, body, site);
  const bool told_otherwise = !absl::GetFlag(FLAGS_sim_replay).empty() ||
                              absl::GetFlag(FLAGS_sim_schedules).has_value();
  if (result.failure.has_value() || told_otherwise) return result;
  testing::Test::RecordProperty("schedules", absl::StrCat(result.schedules));
  if (!result.complete || result.schedules == 1) {
    GTEST_MESSAGE_AT_(
        site.file_name(), static_cast<int>(site.line()),
        absl::StrCat("not a proof: ", result.schedules, " schedules, ",
                     result.complete ? "which are all" : "and there are more")
            .c_str(),
        testing::TestPartResult::kNonFatalFailure);
  }
  return result;
}

Result ExploreAll(Strategy strategy, absl::FunctionRef<void()> body,
                  std::source_location site) {
  return ExploreAll(AllSchedules(std::move(strategy)), body, site);
}

Result ExploreAllOrSome(const Options& options, int64_t some,
                        absl::FunctionRef<void()> body,
                        std::source_location site) {
  if (kCost == 1) return ExploreAll(options, body, site);
  Options fewer = options;
  fewer.schedules = some;
  return Explore(fewer, body, site);
}

}  // namespace cohort::sim
