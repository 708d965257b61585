// What a callback may destroy, and what may be destroyed while it runs.

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "cohort/context/context.h"
#include "cohort/context/test_util.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Await;
using ::cohort::testing::CallAtDeadline;
using ::cohort::testing::Expiring;
using ::cohort::testing::JoiningThread;

// All that keeps a context alive.
struct Owner {
  explicit Owner(const Context& parent) : scope(WithCancel(parent)) {}

  CancelScope scope;
  DoneCallback first;
  DoneCallback second;
};

TEST(LifetimeTest, ACallbackMayDestroyItsOwnHandle) {
  CancelScope scope = WithCancel(Context());
  std::optional<DoneCallback> callback;
  bool ran = false;
  callback = scope.context().OnDone([&] {
    callback.reset();
    ran = true;
  });
  scope.Cancel();
  EXPECT_TRUE(ran);
}

TEST(LifetimeTest, ACallbackMayDestroyAHandleWhoseTurnHasNotCome) {
  CancelScope scope = WithCancel(Context());
  std::optional<DoneCallback> second;
  DoneCallback first = scope.context().OnDone([&second] { second.reset(); });
  bool destroyed = false;
  second = scope.context().OnDone([at_end = AtEnd([&destroyed] {
                                     destroyed = true;
                                   })] { ADD_FAILURE() << "withdrawn"; });
  scope.Cancel();
  EXPECT_TRUE(destroyed);
}

TEST(LifetimeTest, ACallbackMayDestroyAHandleWhoseTurnIsOver) {
  CancelScope scope = WithCancel(Context());
  int ran = 0;
  std::optional<DoneCallback> first(
      scope.context().OnDone([&ran] { ran += 1; }));
  DoneCallback second = scope.context().OnDone([&] {
    first.reset();
    ran += 10;
  });
  scope.Cancel();
  EXPECT_EQ(ran, 11);
}

TEST(LifetimeTest, ACallbackMayDestroyItsScope) {
  std::optional<CancelScope> scope(WithCancel(Context()));
  const Context context = scope->context();
  DoneCallback callback = context.OnDone([&scope] { scope.reset(); });
  CancelScope child = WithCancel(context);
  CancelScope* const raw = &*scope;
  raw->Cancel();
  EXPECT_TRUE(child.context().done());
  EXPECT_FALSE(scope.has_value());
}

TEST(LifetimeTest, ACallbackMayDestroyAllThatKeepsItsContext) {
  auto owner = std::make_unique<Owner>(Context());
  Owner* const raw = owner.get();
  raw->first = raw->scope.context().OnDone([&owner] { owner.reset(); });
  raw->second = raw->scope.context().OnDone(
      [] { ADD_FAILURE() << "withdrawn with its owner"; });
  EXPECT_TRUE(raw->scope.Cancel());
  EXPECT_EQ(owner, nullptr);
}

TEST(LifetimeTest, ACallbackMayDestroyAllWhenTheScopesEndRunsIt) {
  std::optional<CancelScope> scope(WithCancel(Context()));
  auto callback = std::make_unique<DoneCallback>();
  *callback = scope->context().OnDone([&callback] { callback.reset(); });
  scope.reset();
  EXPECT_EQ(callback, nullptr);
}

TEST(LifetimeTest, ACallbackMayDestroyAllWhenADeadlineRunsIt) {
  std::unique_ptr<Expiring> all;
  absl::Notification made;
  absl::Notification destroyed;
  all = std::make_unique<Expiring>(CallAtDeadline([&] {
    made.WaitForNotification();
    all.reset();
    destroyed.Notify();
  }));
  made.Notify();
  destroyed.WaitForNotification();
}

TEST(LifetimeTest, AChildsCallbackMayDestroyTheParents) {
  auto parent = std::make_unique<Owner>(Context());
  auto child = std::make_unique<Owner>(parent->scope.context());
  parent->first = parent->scope.context().OnDone([] {});
  child->first = child->scope.context().OnDone([&] {
    parent.reset();
    child.reset();
  });
  Owner* const raw = parent.get();
  EXPECT_TRUE(raw->scope.Cancel());
  EXPECT_EQ(child, nullptr);
}

TEST(LifetimeTest, AParentsCallbackMayDestroyTheChildren) {
  CancelScope parent = WithCancel(Context());
  std::vector<std::unique_ptr<Owner>> children;
  for (int i = 0; i < 10; ++i) {
    children.push_back(std::make_unique<Owner>(parent.context()));
    Owner& child = *children.back();
    child.first = child.scope.context().OnDone(
        [] { ADD_FAILURE() << "withdrawn with its owner"; });
  }
  DoneCallback callback =
      parent.context().OnDone([&children] { children.clear(); });
  parent.Cancel();
  EXPECT_TRUE(children.empty());
}

TEST(LifetimeTest, ACallbackThatRunsAtOnceMayDestroyTheContext) {
  auto context = std::make_unique<Context>();
  {
    CancelScope scope = WithCancel(Context());
    *context = scope.context();
  }
  DoneCallback callback = context->OnDone([&context] { context.reset(); });
  EXPECT_EQ(context, nullptr);
}

// A functor that keeps its owner alive, and an owner that lets go of it.
TEST(LifetimeTest, TheEndOfAFunctorMayDestroyTheHandleThatIsCleared) {
  CancelScope scope = WithCancel(Context());
  bool destroyed = false;
  {
    auto owner = std::make_shared<Owner>(scope.context());
    owner->first = owner->scope.context().OnDone(
        [owner, at_end = AtEnd([&destroyed] { destroyed = true; })] {
          ADD_FAILURE() << "withdrawn";
        });
    Owner* const raw = owner.get();
    owner = nullptr;
    raw->first = DoneCallback();
  }
  EXPECT_TRUE(destroyed);
}

TEST(LifetimeTest, TheEndOfAFunctorThatHasRunMayDestroyAll) {
  bool destroyed = false;
  auto owner = std::make_shared<Owner>(Context());
  owner->first = owner->scope.context().OnDone(
      [owner, at_end = AtEnd([&destroyed] { destroyed = true; })] {});
  CancelScope& scope = owner->scope;
  owner = nullptr;
  EXPECT_TRUE(scope.Cancel());
  EXPECT_TRUE(destroyed);
}

TEST(LifetimeTest, AScopeThatIsAssignedToMayBeDestroyedByItsCallback) {
  auto owner = std::make_unique<Owner>(Context());
  owner->first = owner->scope.context().OnDone([&owner] { owner.reset(); });
  CancelScope& scope = owner->scope;
  CancelScope next = WithCancel(Context());
  const Context context = next.context();
  scope = std::move(next);
  EXPECT_EQ(owner, nullptr);
  EXPECT_TRUE(context.done());
}

TEST(LifetimeTest, AnotherThreadMayDestroyEverythingAfterTheCallback) {
  for (int round = 0; round < 300; ++round) {
    auto owner = std::make_unique<Owner>(Context());
    std::atomic<bool> ran{false};
    owner->first = owner->scope.context().OnDone([&ran] { ran = true; });
    // Not the scope itself, in which Cancel runs.
    DoneCallback handle = std::move(owner->first);
    JoiningThread canceller([&owner] { owner->scope.Cancel(); });
    Await([&ran] { return ran.load(); });
    handle = DoneCallback();
  }
}

TEST(LifetimeTest, TheEndOfAHandleWaitsForItsCallbackOnAnotherThread) {
  ElasticPool pool;
  CancelScope scope = WithCancel(Context());
  absl::Notification running;
  std::atomic<bool> withdrawn{false};
  bool ended = false;
  bool destroyed = false;
  std::optional<DoneCallback> callback(scope.context().OnDone(
      [&, at_end = AtEnd([&destroyed] { destroyed = true; })] {
        running.Notify();
        // Whoever waits for this announces it.
        Await([&] { return pool.stats().blocked == 1 || withdrawn; });
        EXPECT_FALSE(withdrawn);
        ended = true;
      }));
  JoiningThread canceller([&scope] { scope.Cancel(); });
  running.WaitForNotification();
  pool.Submit([&] {
    callback.reset();
    EXPECT_TRUE(ended);
    EXPECT_TRUE(destroyed);
    withdrawn = true;
  });
  Await([&withdrawn] { return withdrawn.load(); });
}

TEST(LifetimeTest, AnAssignmentToAHandleWaitsForItsCallbackToo) {
  ElasticPool pool;
  CancelScope scope = WithCancel(Context());
  absl::Notification running;
  std::atomic<bool> withdrawn{false};
  DoneCallback callback = scope.context().OnDone([&] {
    running.Notify();
    Await([&] { return pool.stats().blocked == 1 || withdrawn; });
    EXPECT_FALSE(withdrawn);
  });
  JoiningThread canceller([&scope] { scope.Cancel(); });
  running.WaitForNotification();
  pool.Submit([&] {
    callback = DoneCallback();
    withdrawn = true;
  });
  Await([&withdrawn] { return withdrawn.load(); });
}

TEST(LifetimeTest, TheEndOfAHandleWaitsForNoOtherCallback) {
  CancelScope scope = WithCancel(Context());
  absl::Notification running;
  absl::Notification release;
  DoneCallback before = scope.context().OnDone([] {});
  DoneCallback slow = scope.context().OnDone([&] {
    running.Notify();
    release.WaitForNotification();
  });
  DoneCallback after = scope.context().OnDone(
      [] { ADD_FAILURE() << "withdrawn before its turn"; });
  JoiningThread canceller([&scope] { scope.Cancel(); });
  running.WaitForNotification();
  before = DoneCallback();
  after = DoneCallback();
  release.Notify();
}

TEST(LifetimeTest, TheEndOfAScopeDoesNotWaitForCallbacksOnAnotherThread) {
  CancelScope parent = WithCancel(Context());
  std::optional<CancelScope> child(WithCancel(parent.context()));
  absl::Notification running;
  absl::Notification release;
  DoneCallback callback = child->context().OnDone([&] {
    running.Notify();
    release.WaitForNotification();
  });
  JoiningThread canceller([&parent] { parent.Cancel(); });
  running.WaitForNotification();
  child.reset();
  release.Notify();
}

}  // namespace
}  // namespace cohort
