// What groups that have nobody to tell write to the log.

#include <string>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "cohort/context/context.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::Fail;

// What the log has been told of groups.
class Log final : public absl::LogSink {
 public:
  Log() { absl::AddLogSink(this); }
  ~Log() override { absl::RemoveLogSink(this); }

  void Send(const absl::LogEntry& entry) override {
    if (!absl::StrContains(entry.text_message(), "sizedgroup::")) return;
    EXPECT_EQ(entry.log_severity(), absl::LogSeverity::kError);
    texts_.emplace_back(entry.text_message());
  }

  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::vector<std::string> texts_;
};

TEST(LogTest, ASizedGroupTellsItsFirstError) {
  SizedGroup group(1);
  Log log;
  group.Go([] {});
  group.Wait();
  EXPECT_TRUE(log.texts().empty());
  group.Go([] { return Fail("a"); });
  group.Go([] { return Fail("b"); });
  group.Wait();
  ASSERT_EQ(log.texts().size(), 1u);
  EXPECT_EQ(log.texts()[0],
            "sizedgroup::SizedGroup: task 1 failed: INVALID_ARGUMENT: a");
}

TEST(LogTest, AWaitGroupTellsItsFirstError) {
  WaitGroup group(1);
  Log log;
  group.Add([] {});
  group.Wait();
  EXPECT_TRUE(log.texts().empty());
  group.Add([] { return Fail("a"); }, [] { return Fail("b"); });
  group.Wait();
  ASSERT_EQ(log.texts().size(), 1u);
  EXPECT_EQ(log.texts()[0],
            "sizedgroup::WaitGroup: task 1 failed: INVALID_ARGUMENT: a");
}

TEST(LogTest, WhoeverReturnsItsErrorsWritesNone) {
  ErrSizedGroup group(1);
  ErrorGroup errors(Context(), 1);
  Log log;
  group.Go([] { return Fail("a"); });
  EXPECT_FALSE(group.Wait().ok());
  errors.Add([] { return Fail("a"); });
  EXPECT_FALSE(errors.Wait().ok());
  EXPECT_TRUE(log.texts().empty());
}

}  // namespace
}  // namespace cohort::sizedgroup
