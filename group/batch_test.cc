#include "cohort/group/internal/batch.h"

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/task/task.h"
#include "gtest/gtest.h"

namespace cohort::group_internal {
namespace {

absl::Status No(const std::string& text) { return absl::NotFoundError(text); }

// Tasks that end one after the other, as they stand here: each is started by
// the end of the one before, which is when its functor is destroyed.
BatchResult RunInTurn(Quorum quorum, std::vector<absl::Status> ends,
                      const Context& parent = Context()) {
  std::vector<Task> tasks;
  auto turn = std::make_shared<std::vector<CancelScope>>();
  for (size_t i = 0; i <= ends.size(); ++i) {
    turn->push_back(WithCancel(Context()));
  }
  (*turn)[0].Cancel();
  for (size_t i = 0; i < ends.size(); ++i) {
    std::shared_ptr<void> next(nullptr,
                               [turn, i](void*) { (*turn)[i + 1].Cancel(); });
    tasks.push_back([turn, i, end = ends[i], next](const Context&) {
      (*turn)[i].context().AwaitDone();
      return end;
    });
  }
  return RunBatch(parent, {.caller = "test", .quorum = quorum},
                  std::move(tasks));
}

std::vector<std::string> Texts(const BatchResult& result) {
  std::vector<std::string> texts;
  for (const TaskError& end : result.ended) {
    texts.push_back(std::to_string(end.index) + " " +
                    std::string(end.status.message()));
  }
  return texts;
}

TEST(BatchTest, WithoutAQuorumAllEndAndNothingIsDecided) {
  const BatchResult result =
      RunInTurn({}, {No("a"), absl::OkStatus(), No("c")});
  EXPECT_EQ(result.decision, Decision::kNone);
  EXPECT_EQ(result.cause, absl::OkStatus());
  EXPECT_EQ(Texts(result), (std::vector<std::string>{"0 a", "1 ", "2 c"}));
  EXPECT_EQ(StatusesByIndex(result, 3),
            (std::vector<absl::Status>{No("a"), absl::OkStatus(), No("c")}));
}

TEST(BatchTest, ADecisionIsTheLastThatCounts) {
  const BatchResult success = RunInTurn(
      {.successes = 2, .failures = 2},
      {No("a"), absl::OkStatus(), absl::OkStatus(), No("d"), No("e")});
  EXPECT_EQ(success.decision, Decision::kSuccess);
  EXPECT_EQ(Texts(success), (std::vector<std::string>{"0 a", "1 ", "2 "}));
  const BatchResult failure =
      RunInTurn({.successes = 2, .failures = 2},
                {No("a"), absl::OkStatus(), No("c"), absl::OkStatus()});
  EXPECT_EQ(failure.decision, Decision::kFailure);
  EXPECT_EQ(Texts(failure), (std::vector<std::string>{"0 a", "1 ", "2 c"}));
}

TEST(BatchTest, NoSuccessWantedIsDecidedAtOnce) {
  const BatchResult result = RunInTurn({.successes = 0}, {No("a")});
  EXPECT_EQ(result.decision, Decision::kSuccess);
  EXPECT_TRUE(result.ended.empty());
}

TEST(BatchTest, ACancelledBatchHasACause) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel(No("over"));
  const BatchResult result =
      RunInTurn({.failures = 1}, {No("a"), No("b")}, scope.context());
  EXPECT_EQ(result.decision, Decision::kNone);
  EXPECT_EQ(result.cause, No("over"));
  EXPECT_EQ(StatusesByIndex(result, 2),
            (std::vector<absl::Status>{No("over"), No("over")}));
}

TEST(BatchTest, ARealErrorIsNotMaskedByACancellation) {
  CancelScope scope = WithCancel(Context());
  std::vector<Task> tasks;
  tasks.push_back([&scope](const Context&) {
    scope.Cancel(No("over"));
    return absl::InternalError("mine");
  });
  const BatchResult result =
      RunBatch(scope.context(), {.caller = "test", .quorum = {.failures = 1}},
               std::move(tasks));
  EXPECT_EQ(result.decision, Decision::kFailure);
  EXPECT_EQ(result.ended.back().status, absl::InternalError("mine"));
}

TEST(AllFailuresTest, TheLastComesFirstTheOthersByIndex) {
  EXPECT_EQ(
      AllFailures("test", {{.index = 3, .status = No("d")},
                           {.index = 1},
                           {.index = 2, .status = No("c")},
                           {.index = 0, .status = No("a")},
                           {.index = 4, .status = absl::AbortedError("e")}}),
      absl::AbortedError("test: 4 error(s) occurred: [4] {e}, [0] {a}, "
                         "[2] {c}, [3] {d}"));
  EXPECT_EQ(AllFailures("test", {}), absl::OkStatus());
}

TEST(BatchDeathTest, ANullTaskDiesBeforeAnyStarts) {
  std::vector<Task> tasks(2);
  tasks[0] = [](const Context&) -> absl::Status { abort(); };
  EXPECT_DEATH(RunBatch(Context(), {.caller = "test"}, std::move(tasks)),
               "test: function 1 is null");
}

}  // namespace
}  // namespace cohort::group_internal
