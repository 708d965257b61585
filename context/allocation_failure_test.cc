// One allocation that fails leaves all else as it was.

#include <optional>
#include <string>
#include <utility>
#include <version>
#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/failing_new.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::WithEachAllocationFailing;

const absl::Status kCause = absl::AbortedError("because");

struct Name {
  using Type = std::string;
};

// A parent that a call was made on still has children and callbacks, and ends
// with all of them.
void ExpectWhole(CancelScope& parent) {
  const CancelScope child = WithCancel(parent.context());
  const CancelScope timed = WithTimeout(parent.context(), absl::Hours(1));
  int called = 0;
  const DoneCallback callback = parent.context().OnDone([&] { ++called; });
  EXPECT_TRUE(parent.Cancel(kCause));
  EXPECT_EQ(child.context().cause(), kCause);
  EXPECT_EQ(timed.context().cause(), kCause);
  EXPECT_EQ(called, 1);
}

TEST(AllocationFailureTest, AScopeIsMadeOrNotAtAll) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> scope;
    const bool threw =
        fault.Strikes([&] { scope.emplace(WithCancel(parent.context())); });
    EXPECT_NE(scope.has_value(), threw);
    ExpectWhole(parent);
    if (scope.has_value()) {
      EXPECT_EQ(scope->context().cause(), kCause);
    }
  });
}

TEST(AllocationFailureTest, ATimeoutIsArmedOrNotAtAll) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> scope;
    const bool threw = fault.Strikes([&] {
      scope.emplace(WithTimeout(parent.context(), absl::Milliseconds(1)));
    });
    EXPECT_NE(scope.has_value(), threw);
    const CancelScope next =
        WithTimeout(parent.context(), absl::Milliseconds(1));
    next.context().AwaitDone();
    if (scope.has_value()) scope->context().AwaitDone();
    ExpectWhole(parent);
  });
}

TEST(AllocationFailureTest, ADeadlineThatHasPassed) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope parent = WithCancel(Context());
    std::optional<CancelScope> scope;
    const bool threw = fault.Strikes([&] {
      scope.emplace(WithDeadline(parent.context(), absl::InfinitePast()));
    });
    EXPECT_NE(scope.has_value(), threw);
    if (scope.has_value()) {
      EXPECT_TRUE(scope->context().done());
    }
    ExpectWhole(parent);
  });
}

TEST(AllocationFailureTest, AnyOfSeveral) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope first = WithCancel(Context());
    CancelScope second = WithTimeout(Context(), absl::Hours(1));
    CancelScope third = WithCancel(Context());
    std::optional<CancelScope> either;
    const bool threw = fault.Strikes([&] {
      either.emplace(
          WithAnyOf({first.context(), second.context(), third.context()}));
    });
    EXPECT_NE(either.has_value(), threw);
    ExpectWhole(third);
    if (either.has_value()) {
      EXPECT_EQ(either->context().cause(), kCause);
    }
    ExpectWhole(first);
    ExpectWhole(second);
  });
}

TEST(AllocationFailureTest, AValue) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope parent = WithCancel(Context());
    std::optional<Context> context;
    std::string name(100, 'n');
    const bool threw = fault.Strikes([&] {
      context.emplace(WithValue<Name>(parent.context(), std::move(name)));
    });
    EXPECT_NE(context.has_value(), threw);
    if (context.has_value()) {
      EXPECT_EQ(context->value<Name>()->size(), 100u);
    }
    ExpectWhole(parent);
  });
}

TEST(AllocationFailureTest, ACallbackIsRegisteredOrNotAtAll) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    int called = 0;
    const char large[100] = {};
    DoneCallback callback;
    const bool threw = fault.Strikes([&] {
      callback = scope.context().OnDone([&called, large] {
        (void)large;
        ++called;
      });
    });
    ExpectWhole(scope);
    EXPECT_EQ(called, threw ? 0 : 1);
  });
}

TEST(AllocationFailureTest, CancelEndsTheContextOrDoesNothing) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    const CancelScope child = WithCancel(scope.context());
    int called = 0;
    const DoneCallback callback = scope.context().OnDone([&] { ++called; });
    const bool threw = fault.Strikes([&] { scope.Cancel(); });
    EXPECT_NE(scope.context().done(), threw);
    EXPECT_NE(child.context().done(), threw);
    EXPECT_EQ(called, threw ? 0 : 1);
    scope.Cancel(kCause);
    EXPECT_TRUE(child.context().done());
    EXPECT_EQ(called, 1);
  });
}

// Nobody could be told.
TEST(AllocationFailureTest, TheEndOfAScopeNeedsNoMemory) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    std::optional<CancelScope> scope(WithCancel(Context()));
    const CancelScope child = WithCancel(scope->context());
    int called = 0;
    const DoneCallback callback = child.context().OnDone([&] { ++called; });
    AllocationFault first(0);
    EXPECT_FALSE(first.Strikes([&] { scope.reset(); }));
    EXPECT_FALSE(first.struck());
    EXPECT_TRUE(absl::IsCancelled(child.context().cause()));
    EXPECT_EQ(called, 1);
    // The only one of this scenario.
    const bool threw = fault.Strikes([&] { (void)WithCancel(Context()); });
    EXPECT_EQ(threw, fault.struck());
  });
}

// The next one has a thread again, for both of them.
TEST(AllocationFailureTest, ATimeoutIsArmedThoughItsThreadGetsNoMemory) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    // All that the first timeout makes, but for the thread.
    (void)WithDeadline(Context(), absl::InfinitePast());
    std::optional<CancelScope> scope;
    AllocationFault second(1);  // the first one is the context itself
    EXPECT_FALSE(second.Strikes([&] {
      scope.emplace(WithTimeout(Context(), absl::Milliseconds(1), kCause));
    }));
    EXPECT_TRUE(second.struck());
    const CancelScope next = WithTimeout(Context(), absl::Milliseconds(2));
    while (!scope->context().done() || !next.context().done()) continue;
    EXPECT_EQ(scope->context().cause(), kCause);
    // The only one of this scenario.
    const bool threw = fault.Strikes([&] { (void)WithCancel(Context()); });
    EXPECT_EQ(threw, fault.struck());
  });
}

// Not even at the deadline.
TEST(AllocationFailureTest, WaitingAllocatesNothing) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1));
    const CancelScope child = WithCancel(scope.context());
    AllocationFault first(0);
    EXPECT_FALSE(first.Strikes([&] { child.context().AwaitDone(); }));
    EXPECT_FALSE(first.struck());
    EXPECT_TRUE(absl::IsDeadlineExceeded(child.context().status()));
    // The only one of this scenario.
    const bool threw =
        fault.Strikes([&] { (void)WithCancel(child.context()); });
    EXPECT_EQ(threw, fault.struck());
  });
}

#ifdef __cpp_lib_jthread

TEST(AllocationFailureTest, AStopTokenStopsOrIsNotMade) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    std::stop_token token;
    const bool threw =
        fault.Strikes([&] { token = scope.context().stop_token(); });
    EXPECT_NE(token.stop_possible(), threw);
    const std::stop_token second = scope.context().stop_token();
    ExpectWhole(scope);
    EXPECT_TRUE(second.stop_requested());
    EXPECT_EQ(token.stop_requested(), !threw);
  });
}

TEST(AllocationFailureTest, AScopeThatAStopTokenEnds) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope parent = WithCancel(Context());
    std::stop_source source;
    std::optional<CancelScope> scope;
    const bool threw = fault.Strikes([&] {
      scope.emplace(WithStopToken(parent.context(), source.get_token()));
    });
    EXPECT_NE(scope.has_value(), threw);
    source.request_stop();
    if (scope.has_value()) {
      EXPECT_TRUE(scope->context().done());
    }
    ExpectWhole(parent);
  });
}

#endif

}  // namespace
}  // namespace cohort
