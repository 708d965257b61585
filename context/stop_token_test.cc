// Contexts and std::stop_token, both ways.

#include <version>

#ifdef __cpp_lib_jthread

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/context/test_util.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::ContextOf;
using ::cohort::testing::JoiningThread;

const absl::Status kCause = absl::AbortedError("because");

TEST(WithStopTokenTest, EndsWhenTheTokenIsStopped) {
  std::stop_source source;
  CancelScope scope = WithStopToken(Context(), source.get_token());
  EXPECT_FALSE(scope.context().done());
  source.request_stop();
  EXPECT_TRUE(scope.context().done());
  EXPECT_EQ(scope.context().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(scope.context().cause(), absl::CancelledError("stop requested"));
  EXPECT_FALSE(scope.Cancel());
}

TEST(WithStopTokenTest, EndsWhenStoppedAfterTheScopeHasMoved) {
  std::stop_source source;
  CancelScope scope = WithStopToken(Context(), source.get_token());
  CancelScope moved = std::move(scope);
  CancelScope assigned = WithCancel(Context());
  assigned = std::move(moved);
  EXPECT_FALSE(assigned.context().done());
  source.request_stop();
  EXPECT_TRUE(assigned.context().done());
}

TEST(WithStopTokenTest, AStoppedTokenEndsItAtOnce) {
  std::stop_source source;
  source.request_stop();
  CancelScope scope = WithStopToken(Context(), source.get_token());
  EXPECT_TRUE(scope.context().done());
  EXPECT_EQ(scope.context().cause(), absl::CancelledError("stop requested"));
}

TEST(WithStopTokenTest, ATokenThatCannotStopLeavesAPlainScope) {
  CancelScope scope = WithStopToken(Context(), std::stop_token());
  EXPECT_FALSE(scope.context().done());
  EXPECT_TRUE(scope.Cancel());

  std::optional<std::stop_source> source(std::in_place);
  const std::stop_token orphan = source->get_token();
  source.reset();
  const CancelScope second = WithStopToken(Context(), orphan);
  EXPECT_FALSE(second.context().done());
}

TEST(WithStopTokenTest, CancelAndTheParentEndItToo) {
  std::stop_source source;
  CancelScope parent = WithCancel(Context());
  CancelScope first = WithStopToken(parent.context(), source.get_token());
  CancelScope second = WithStopToken(parent.context(), source.get_token());
  EXPECT_TRUE(first.Cancel());
  parent.Cancel(kCause);
  EXPECT_EQ(second.context().cause(), kCause);
  source.request_stop();
  EXPECT_EQ(second.context().cause(), kCause);
}

TEST(WithStopTokenTest, LeavesTheTokenWithItsScope) {
  std::stop_source source;
  Context context;
  {
    CancelScope scope = WithStopToken(Context(), source.get_token());
    context = scope.context();
  }
  const absl::Status cause = context.cause();
  source.request_stop();
  EXPECT_EQ(context.cause(), cause);
  EXPECT_NE(cause, absl::CancelledError("stop requested"));
}

TEST(WithStopTokenTest, AStopRacesWithTheScopesEnd) {
  for (int i = 0; i < 300; ++i) {
    std::stop_source source;
    std::optional<CancelScope> scope(
        WithStopToken(Context(), source.get_token()));
    const Context context = scope->context();
    std::atomic<int> ran{0};
    DoneCallback callback = context.OnDone([&ran] { ++ran; });
    std::atomic<bool> ready{false};
    JoiningThread stopper([&] {
      ready = true;
      source.request_stop();
    });
    Await([&ready] { return ready.load(); });
    scope.reset();
    // Whoever it was, it has ended, and nothing of the scope runs any more.
    EXPECT_TRUE(context.done());
    EXPECT_EQ(ran, 1);
    stopper.Join();
    EXPECT_EQ(ran, 1);
  }
}

TEST(WithStopTokenTest, TheScopesEndWaitsForAStopOnAnotherThread) {
  ElasticPool pool;
  std::stop_source source;
  std::optional<CancelScope> scope(
      WithStopToken(Context(), source.get_token()));
  absl::Notification running;
  std::atomic<bool> destroyed{false};
  DoneCallback callback = scope->context().OnDone([&] {
    running.Notify();
    Await([&] { return pool.stats().blocked == 1 || destroyed; });
    EXPECT_FALSE(destroyed);
  });
  JoiningThread stopper([&source] { source.request_stop(); });
  running.WaitForNotification();
  pool.Submit([&] {
    scope.reset();
    destroyed = true;
  });
  Await([&destroyed] { return destroyed.load(); });
}

TEST(WithStopTokenTest, ACallbackOfTheStopMayDestroyEverything) {
  std::stop_source source;
  struct All {
    std::optional<CancelScope> scope;
    DoneCallback callback;
    DoneCallback after;
  };
  auto all = std::make_unique<All>();
  all->scope.emplace(WithStopToken(Context(), source.get_token()));
  all->callback = all->scope->context().OnDone([&all] { all.reset(); });
  all->after = all->scope->context().OnDone([] { ADD_FAILURE(); });
  source.request_stop();
  EXPECT_EQ(all, nullptr);
}

TEST(StopTokenTest, IsStoppedByTheContext) {
  CancelScope scope = WithCancel(Context());
  const std::stop_token before = scope.context().stop_token();
  bool called = false;
  std::stop_callback callback(before, [&called] { called = true; });
  EXPECT_FALSE(before.stop_requested());
  scope.Cancel();
  EXPECT_TRUE(before.stop_requested());
  EXPECT_TRUE(called);
}

TEST(StopTokenTest, OfADoneContextIsStopped) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel();
  EXPECT_TRUE(scope.context().stop_token().stop_requested());
  CancelScope child = WithCancel(scope.context());
  EXPECT_TRUE(child.context().stop_token().stop_requested());
}

TEST(StopTokenTest, OfADefaultContextCannotStop) {
  EXPECT_FALSE(Context().stop_token().stop_possible());
}

TEST(StopTokenTest, IsStoppedByADeadlineAndByTheParent) {
  CancelScope parent = WithTimeout(Context(), absl::Milliseconds(1));
  CancelScope child = WithCancel(parent.context());
  const std::stop_token of_parent = parent.context().stop_token();
  const std::stop_token of_child = child.context().stop_token();
  Await(
      [&] { return of_parent.stop_requested() && of_child.stop_requested(); });
  EXPECT_TRUE(child.context().done());
}

TEST(StopTokenTest, OutlivesItsContext) {
  std::stop_token token;
  {
    CancelScope scope = WithCancel(Context());
    token = scope.context().stop_token();
    EXPECT_EQ(token, scope.context().stop_token());
  }
  EXPECT_TRUE(token.stop_requested());
}

TEST(StopTokenTest, IsStoppedBeforeTheContextsCallbacksRun) {
  CancelScope scope = WithCancel(Context());
  bool stopped = false;
  DoneCallback callback =
      scope.context().OnDone([&stopped, token = scope.context().stop_token()] {
        stopped = token.stop_requested();
      });
  scope.Cancel();
  EXPECT_TRUE(stopped);
}

TEST(StopTokenTest, FeedsAContextThatDerivesFromTheSameOne) {
  CancelScope scope = WithCancel(Context());
  CancelScope loop =
      WithStopToken(scope.context(), scope.context().stop_token());
  CancelScope apart = WithStopToken(Context(), scope.context().stop_token());
  scope.Cancel(kCause);
  EXPECT_EQ(loop.context().cause(), kCause);
  EXPECT_TRUE(apart.context().done());
}

TEST(StopTokenTest, AskedForDuringTheCancellationIsStopped) {
  for (int i = 0; i < 300; ++i) {
    CancelScope scope = WithCancel(Context());
    std::stop_token token;
    std::atomic<bool> ready{false};
    JoiningThread asker([&] {
      ready = true;
      token = scope.context().stop_token();
    });
    Await([&ready] { return ready.load(); });
    scope.Cancel();
    asker.Join();
    ASSERT_TRUE(token.stop_requested());
  }
}

// From token to scope to token.
TEST(StopTokenTest, AChainOfThemEndsWithoutRecursion) {
  constexpr int kMany = 100'000;
  CancelScope first = WithCancel(Context());
  std::vector<CancelScope> chain;
  chain.push_back(WithStopToken(Context(), first.context().stop_token()));
  for (int i = 1; i < kMany; ++i) {
    chain.push_back(
        WithStopToken(Context(), chain.back().context().stop_token()));
  }
  first.Cancel();
  for (const CancelScope& scope : chain) {
    ASSERT_TRUE(scope.context().done());
  }
}

TEST(StopTokenTest, ItsCallbacksRunOutsideLocks) {
  CancelScope scope = WithCancel(Context());
  const Context context = scope.context();
  bool used = false;
  std::stop_callback callback(context.stop_token(), [&] {
    EXPECT_TRUE(context.done());
    EXPECT_FALSE(scope.Cancel());
    DoneCallback nested = context.OnDone([] {});
    EXPECT_TRUE(ContextOf(WithCancel(context)).done());
    EXPECT_TRUE(context.stop_token().stop_requested());
    used = true;
  });
  scope.Cancel();
  EXPECT_TRUE(used);
}

TEST(StopTokenTest, ItsCallbackMayDestroyTheScopeAndAllContexts) {
  std::optional<CancelScope> scope(WithCancel(Context()));
  std::stop_callback callback(scope->context().stop_token(),
                              [&scope] { scope.reset(); });
  CancelScope* const raw = &*scope;
  raw->Cancel();
  EXPECT_FALSE(scope.has_value());
}

}  // namespace
}  // namespace cohort

#endif  // __cpp_lib_jthread
