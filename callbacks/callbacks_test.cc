#include "cohort/callbacks/callbacks.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/test_util.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::callbacks {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Caller;
using ::cohort::testing::Countdown;

absl::Status No(const std::string& text) { return absl::NotFoundError(text); }

int MustNotRun() {
  ADD_FAILURE() << "must not run";
  return 0;
}

Context Done(absl::Status cause) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel(std::move(cause));
  return scope.context();
}

// Counts how often it is copied.
struct Copied {
  explicit Copied(int* counter) : copies(counter) {}
  Copied(const Copied& other) : copies(other.copies) { ++*copies; }
  Copied(Copied&& other) noexcept = default;
  Copied& operator=(const Copied& other) = delete;

  int operator()() const { return 1; }

  int* copies;
};

// All.

TEST(AllTest, KeepsTheOrderOfTheArguments) {
  auto [number, text, failed] = All(
      Context(), [] { return 1; },
      [](const Context&) -> absl::StatusOr<std::unique_ptr<std::string>> {
        return std::make_unique<std::string>("two");
      },
      []() -> absl::StatusOr<int> { return No("three"); });
  EXPECT_EQ(*number, 1);
  EXPECT_EQ(**text, "two");
  EXPECT_EQ(failed.status(), No("three"));
}

TEST(AllTest, OfNothingIsNothing) {
  EXPECT_EQ(All(Context()), std::tuple<>());
  EXPECT_TRUE(All(Context(), std::vector<int (*)()>()).empty());
  EXPECT_EQ(All(Done(No("over"))), std::tuple<>());
}

TEST(AllTest, RunsThemAllAtOnce) {
  constexpr int kFunctions = 20;
  Countdown all(kFunctions);
  const std::vector<std::function<bool()>> functions(kFunctions, [&all] {
    all.Done();
    all.Wait();
    return true;
  });
  for (const absl::StatusOr<bool>& met : All(Context(), functions)) {
    EXPECT_TRUE(*met);
  }
}

TEST(AllTest, TakesThousands) {
  std::vector<std::function<absl::StatusOr<int>()>> functions;
  for (int i = 0; i < 3000; ++i) {
    functions.push_back([i]() -> absl::StatusOr<int> {
      if (i % 2 == 1) return No(std::to_string(i));
      return i;
    });
  }
  const std::vector<absl::StatusOr<int>> results = All(Context(), functions);
  ASSERT_EQ(results.size(), 3000u);
  for (int i = 0; i < 3000; i += 2) {
    EXPECT_EQ(*results[static_cast<size_t>(i)], i);
    EXPECT_EQ(results[static_cast<size_t>(i) + 1].status(),
              No(std::to_string(i + 1)));
  }
}

TEST(AllTest, GivesTheContextToWhoeverTakesIt) {
  struct Both {
    int operator()() const { return 1; }
    int operator()(const Context&) const { return 2; }
  };
  struct Key {
    using Type = int;
  };
  const auto [both, value] =
      All(WithValue<Key>(Context(), 42), Both(),
          [](const Context& context) { return *context.value<Key>(); });
  EXPECT_EQ(*both, 2);
  EXPECT_EQ(*value, 42);
}

TEST(AllTest, MovesOutOfARangeThatIsGivenAway) {
  int copies = 0;
  std::vector<Copied> functions;
  functions.reserve(2);
  functions.emplace_back(&copies);
  functions.emplace_back(&copies);
  EXPECT_EQ(All(Context(), functions).size(), 2u);
  EXPECT_EQ(copies, 2);
  EXPECT_EQ(All(Context(), std::span(functions)).size(), 2u);
  EXPECT_EQ(copies, 4);
  EXPECT_EQ(All(Context(), std::move(functions)).size(), 2u);
  EXPECT_EQ(copies, 4);
}

TEST(AllTest, MovesWhatCannotBeCopied) {
  struct OnlyMoved {
    explicit OnlyMoved(int number) : value(number) {}
    OnlyMoved(OnlyMoved&&) = default;
    OnlyMoved& operator=(OnlyMoved&&) = delete;
    std::unique_ptr<int> unique = nullptr;
    int value;
  };
  std::vector<absl::AnyInvocable<absl::StatusOr<OnlyMoved>() &&>> functions;
  functions.push_back([] { return OnlyMoved(1); });
  functions.push_back(
      [unique = std::make_unique<int>(2)] { return OnlyMoved(*unique); });
  const auto results = All(Context(), std::move(functions));
  EXPECT_EQ(results[0]->value, 1);
  EXPECT_EQ(results[1]->value, 2);
}

TEST(AllTest, MakesARangeOfFunctionsOnTheWay) {
  const std::vector<int> numbers = {1, 2, 3};
  const auto results =
      All(Context(), numbers | std::views::transform([](int i) {
                       return [i] { return 10 * i; };
                     }));
  EXPECT_EQ(*results.at(2), 30);
}

TEST(AllTest, AFunctionMayCallAll) {
  std::function<int(int)> leaves = [&leaves](int depth) {
    if (depth == 0) return 1;
    auto below = [&leaves, depth] { return leaves(depth - 1); };
    const auto [a, b, c] = All(Context(), below, below, below);
    return *a + *b + *c;
  };
  EXPECT_EQ(leaves(5), 243);
}

TEST(AllTest, FunctionsAreGoneWhenItReturns) {
  std::atomic<int> gone{0};
  const auto [a, b] = All(
      Context(), [end = AtEnd([&gone] { ++gone; })] { return 1; },
      [end = AtEnd([&gone] { ++gone; })]() -> absl::StatusOr<int> {
        return No("no");
      });
  EXPECT_EQ(gone, 2);
  EXPECT_TRUE(a.ok() && !b.ok());
}

TEST(AllTest, WhatTheFunctionSaysOfItsCancellationIsKept) {
  CancelScope scope = WithCancel(Context());
  const auto [canceller, told, finished] = All(
      scope.context(), [&scope] { return scope.Cancel(No("enough")); },
      [](const Context& context) -> absl::StatusOr<int> {
        context.AwaitDone();
        return absl::CancelledError("at page 3");
      },
      [](const Context& context) {
        context.AwaitDone();
        return 7;
      });
  EXPECT_TRUE(*canceller);
  // Unless it came too late to be started.
  EXPECT_TRUE(told.status() == absl::CancelledError("at page 3") ||
              told.status() == No("enough"));
  EXPECT_TRUE(finished.ok() ? *finished == 7
                            : finished.status() == No("enough"));
}

TEST(AllTest, AContextThatIsDoneStartsNothing) {
  const auto [a, b] = All(Done(No("over")), &MustNotRun, &MustNotRun);
  EXPECT_EQ(a.status(), No("over"));
  EXPECT_EQ(b.status(), No("over"));
}

// Race.

TEST(RaceTest, TellsAllErrors) {
  std::vector<std::function<absl::StatusOr<int>()>> functions;
  for (const char* text : {"a", "b", "c"}) {
    functions.push_back([text] { return No(text); });
  }
  const absl::Status status = Race(Context(), functions).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  for (const char* text : {"callbacks::Race: 3 error(s) occurred: ", "[0] {a}",
                           "[1] {b}", "[2] {c}"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
  }
  functions.push_back([] { return 7; });
  EXPECT_EQ(*Race(Context(), functions), 7);
  EXPECT_EQ(*RaceDetached(Context(), std::move(functions)), 7);
}

TEST(RaceTest, OfOneIsThatOne) {
  EXPECT_EQ(*Race(Context(), [] { return 3; }), 3);
  EXPECT_EQ(**Race(Context(), [] { return std::make_unique<int>(4); }), 4);
  EXPECT_EQ(
      Race(Context(), []() -> absl::StatusOr<int> { return No("x"); }).status(),
      No("callbacks::Race: 1 error(s) occurred: [0] {x}"));
}

TEST(RaceTest, B48_OfNothingIsAnError) {
  const std::vector<std::function<int()>> none;
  EXPECT_EQ(
      Race(Context(), none).status(),
      absl::InvalidArgumentError("callbacks::Race: there are no functions"));
  EXPECT_EQ(RaceDetached(Context(), none).status(),
            absl::InvalidArgumentError(
                "callbacks::RaceDetached: there are no functions"));
}

TEST(RaceTest, CancelsAndJoinsTheLosers) {
  absl::Notification started;
  bool ended = false;
  EXPECT_EQ(*Race(
                Context(),
                [&](const Context& context) {
                  started.Notify();
                  context.AwaitDone();
                  EXPECT_EQ(context.cause(),
                            absl::CancelledError(
                                "callbacks::Race: function 1 was enough"));
                  ended = true;
                  return 0;
                },
                [&] {
                  started.WaitForNotification();
                  return 1;
                }),
            1);
  EXPECT_TRUE(ended);
}

TEST(RaceTest, ASuccessIsNotGivenUpForACancellation) {
  for (int i = 0; i < 100; ++i) {
    CancelScope scope = WithCancel(Context());
    auto cancel_and_succeed = [&scope] {
      scope.Cancel();
      return 1;
    };
    EXPECT_EQ(*Race(scope.context(), cancel_and_succeed), 1);
  }
}

TEST(RaceTest, AFailureIsNotHiddenByACancellation) {
  CancelScope scope = WithCancel(Context());
  const absl::Status status =
      Race(scope.context(), [&scope]() -> absl::StatusOr<int> {
        scope.Cancel(absl::AbortedError("outside"));
        return absl::NotFoundError("a");
      }).status();
  EXPECT_EQ(status, absl::NotFoundError(
                        "callbacks::Race: 1 error(s) occurred: [0] {a}"));
}

TEST(RaceTest, TheCauseIsWhatACancelledRaceReturns) {
  CancelScope scope = WithCancel(Context());
  absl::BlockingCounter started(2);
  auto wait = [&started](const Context& context) -> absl::StatusOr<int> {
    started.DecrementCount();
    context.AwaitDone();
    return context.status();
  };
  Caller canceller([&] {
    started.Wait();
    scope.Cancel(No("enough"));
  });
  EXPECT_EQ(Race(scope.context(), wait, wait).status(), No("enough"));
}

TEST(RaceTest, AContextThatIsDoneStartsNothing) {
  EXPECT_EQ(Race(Done(No("over")), &MustNotRun, &MustNotRun).status(),
            No("over"));
  EXPECT_EQ(RaceDetached(Done(No("over")), &MustNotRun).status(), No("over"));
}

// RaceDetached.

TEST(RaceDetachedTest, LeavesTheLosersToThemselves) {
  struct Events {
    absl::Notification started, returned, value_gone;
  };
  const auto events = std::make_shared<Events>();
  using Value = std::unique_ptr<AtEnd>;
  auto loser = [events](const Context& context) {
    events->started.Notify();
    context.AwaitDone();
    EXPECT_EQ(
        context.cause(),
        absl::CancelledError("callbacks::RaceDetached: function 1 was enough"));
    // Were it joined, this would be the end.
    events->returned.WaitForNotification();
    return std::make_unique<AtEnd>([events] { events->value_gone.Notify(); });
  };
  auto winner = [events] {
    events->started.WaitForNotification();
    return Value();
  };
  EXPECT_EQ(*RaceDetached(Context(), std::move(loser), winner), nullptr);
  EXPECT_FALSE(events->value_gone.HasBeenNotified());
  events->returned.Notify();
  events->value_gone.WaitForNotification();
}

TEST(RaceDetachedTest, EndsWithTheContext) {
  const auto release = std::make_shared<absl::Notification>();
  const auto ended = std::make_shared<absl::Notification>();
  {
    CancelScope scope = WithCancel(Context());
    auto deaf = [release, cancel = &scope, ended] {
      cancel->Cancel(No("enough"));
      release->WaitForNotification();
      ended->Notify();
      return 1;
    };
    EXPECT_EQ(RaceDetached(scope.context(), deaf).status(), No("enough"));
  }
  release->Notify();
  ended->WaitForNotification();
}

TEST(RaceDetachedTest, TheContextOutlivesWhoeverMadeIt) {
  const auto started = std::make_shared<absl::Notification>();
  const auto told = std::make_shared<absl::Notification>();
  {
    CancelScope scope = WithCancel(Context());
    auto loser = [started, told](const Context& context) {
      started->Notify();
      context.AwaitDone();
      told->Notify();
      return 0;
    };
    auto winner = [started] {
      started->WaitForNotification();
      return 1;
    };
    EXPECT_EQ(*RaceDetached(scope.context(), loser, winner), 1);
  }
  told->WaitForNotification();
}

// How functions end.

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(CallbacksTest, AnExceptionIsAnErrorOfItsFunction) {
  const auto [thrown, other] = All(
      Context(), []() -> int { throw std::runtime_error("boom"); },
      [] { return 1; });
  EXPECT_EQ(thrown.status(),
            absl::InternalError("callbacks::All: function 0 threw "
                                "std::runtime_error: boom"));
  EXPECT_EQ(*other, 1);
  EXPECT_EQ(*Race(Context(), []() -> int { throw 42; }, [] { return 2; }), 2);
}

TEST(CallbacksTest, AnExceptionOfAValueIsOneToo) {
  struct Explosive {
    Explosive() = default;
    Explosive(Explosive&&) { throw std::runtime_error("moved"); }
  };
  const auto [value] = All(Context(), []() -> absl::StatusOr<Explosive> {
    return absl::StatusOr<Explosive>(absl::in_place);
  });
  EXPECT_EQ(value.status(),
            absl::InternalError("callbacks::All: function 0 threw "
                                "std::runtime_error: moved"));
}

TEST(CallbacksTest, AnExceptionFailsAnAttempt) {
  const Retried<int> retried =
      Retry(Context(), {.attempts = 1}, []() -> int { throw 42; });
  EXPECT_EQ(retried.result.status(),
            absl::InternalError("callbacks::Retry: attempt 1 threw int"));
  EXPECT_EQ(retried.end, RetryEnd::kExhausted);
}

#if defined(__linux__)

TEST(CallbacksTest, TheEndOfAThreadIsAnErrorOfItsFunction) {
  // They meet, so that one at least is not on the thread of the call.
  const sync::ThreadId self = sync::CurrentThreadId();
  Countdown both(2);
  std::atomic<bool> ended{false};
  auto function = [&] {
    both.Done();
    both.Wait();
    if (sync::CurrentThreadId() != self && !ended.exchange(true)) {
      pthread_exit(nullptr);
    }
    return 1;
  };
  const auto [a, b] = All(Context(), function, function);
  EXPECT_EQ(*(a.ok() ? a : b), 1);
  EXPECT_EQ(
      (a.ok() ? b : a).status(),
      absl::InternalError(absl::StrCat("callbacks::All: function ",
                                       a.ok() ? 1 : 0, " ended its thread")));
}

TEST(CallbacksTest, ACallWhoseThreadEndsJoinsItsFunctions) {
  constexpr int kFunctions = 16;
  for (int i = 0; i < 50; ++i) {
    Caller caller([] {
      std::atomic<int> started{0};
      std::atomic<int> running{0};
      const AtEnd check([&running] { EXPECT_EQ(running, 0); });
      CancelScope scope = WithCancel(Context());
      const sync::ThreadId self = sync::CurrentThreadId();
      const std::vector<std::function<int(const Context&)>> functions(
          kFunctions, [&](const Context& context) {
            ++running;
            const AtEnd end([&running] { --running; });
            if (sync::CurrentThreadId() == self) pthread_exit(nullptr);
            if (++started == kFunctions) scope.Cancel();
            context.AwaitDone();
            return 0;
          });
      (void)All(scope.context(), functions);
    });
  }
}

#endif

#endif  // ABSL_HAVE_EXCEPTIONS

// Retry. What happens in time is tested in group/retry_sim_test.cc.

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
  EXPECT_EQ(retried.last_error, absl::UnavailableError("not yet"));
  EXPECT_EQ(retried.end, RetryEnd::kSucceeded);
}

TEST(RetryTest, AFunctionKeepsItsStateBetweenAttempts) {
  const Retried<std::unique_ptr<int>> retried =
      Retry(Context(), {.backoff = absl::ZeroDuration()},
            [calls = std::make_unique<int>(
                 0)]() mutable -> absl::StatusOr<std::unique_ptr<int>> {
              if (++*calls < 5) return No("not yet");
              return std::move(calls);
            });
  EXPECT_EQ(**retried.result, 5);
}

// Contract violations.

TEST(CallbacksDeathTest, ANullFunctionDiesBeforeAnyIsCalled) {
  std::vector<std::function<int()>> functions = {[]() -> int {
    abort();  // without a message
  }};
  functions.push_back(nullptr);
  EXPECT_DEATH((void)All(Context(), functions),
               "callbacks::All: function 1 is null");
  EXPECT_DEATH((void)Race(Context(), functions),
               "callbacks::Race: function 1 is null");
  EXPECT_DEATH((void)RaceDetached(Context(), functions),
               "callbacks::RaceDetached: function 1 is null");
  EXPECT_DEATH((void)All(Context(), &MustNotRun, functions[1]),
               "callbacks::All: function 1 is null");
  EXPECT_DEATH((void)Retry(Context(), {}, functions[1]),
               "callbacks::Retry: null function");
  EXPECT_DEATH((void)All(Done(No("over")), functions),
               "callbacks::All: function 1 is null");
}

}  // namespace
}  // namespace cohort::callbacks
