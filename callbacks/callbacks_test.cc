#include "cohort/callbacks/callbacks.h"

#include <pthread.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <numeric>
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
#include "cohort/group/test_util.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::callbacks {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Await;
using ::cohort::testing::Countdown;
using ::cohort::testing::Fail;
using ::cohort::testing::FailAsConst;
using ::cohort::testing::Failed;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::Succeed;
using ::cohort::testing::ValueCase;

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

TEST(AllTest, WithALimitSoManyRunAtOnce) {
  // Three by three they meet, which fewer could not; a fourth is never there.
  static constexpr int kLimit = 3;
  constexpr size_t kTeams = 10;
  std::deque<Countdown> teams;
  std::atomic<int> inside{0};
  std::vector<std::function<absl::StatusOr<bool>()>> functions;
  for (size_t i = 0; i < kTeams; ++i) {
    Countdown& team = teams.emplace_back(kLimit);
    for (int j = 0; j < kLimit; ++j) {
      functions.push_back([&team, &inside]() -> absl::StatusOr<bool> {
        EXPECT_LE(++inside, kLimit);
        team.Done();
        team.Wait();
        --inside;
        return true;
      });
    }
  }
  const auto results = All(Context(), {.limit = kLimit}, std::move(functions));
  ASSERT_EQ(results.size(), kTeams * kLimit);
  for (const absl::StatusOr<bool>& result : results) EXPECT_TRUE(result.ok());
}

TEST(AllTest, WithALimitOfOneTheyRunInTheirOrder) {
  std::string order;
  const auto [a, b, c] = All(
      Context(), {.limit = 1}, [&order] { return order += "a"; },
      [&order]() -> absl::StatusOr<int> {
        order += "b";
        return No("b");
      },
      [&order] { return order += "c"; });
  EXPECT_EQ(*c, "abc");
  EXPECT_EQ(b.status(), No("b"));
}

TEST(AllTest, TenThatFailWithOneTextHaveTenErrors) {
  const std::vector<std::function<absl::StatusOr<int>()>> functions(
      10, [] { return absl::CancelledError("the same"); });
  for (const absl::StatusOr<int>& result : All(Context(), functions)) {
    EXPECT_EQ(result.status(), absl::CancelledError("the same"));
  }
  const absl::Status status = Race(Context(), functions).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(absl::StrContains(status.message(), "10 error(s) occurred"));
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(absl::StrContains(status.message(),
                                  absl::StrCat("[", i, "] {the same}")));
  }
}

// Values of all types.

template <class T>
class ValueTypesTest : public ::testing::Test {};
TYPED_TEST_SUITE(ValueTypesTest, testing::ValueCases);

TYPED_TEST(ValueTypesTest, AFailureAndAValueStayWhatTheyAre) {
  using T = TypeParam;
  const auto succeeds = [](const absl::StatusOr<T>& result) {
    return result.ok() && ValueCase<T>::Is(*result);
  };
  const auto fails = [](const absl::StatusOr<T>& result) {
    return result.status() == Failed();
  };
  const std::tuple<absl::StatusOr<T>> one = All(Context(), &Succeed<T>);
  EXPECT_TRUE(succeeds(std::get<0>(one)));
  const std::tuple<absl::StatusOr<T>, absl::StatusOr<T>, absl::StatusOr<T>>
      three = All(Context(), &Fail<T>, &Succeed<T>, &FailAsConst<T>);
  EXPECT_TRUE(fails(std::get<0>(three)));
  EXPECT_TRUE(succeeds(std::get<1>(three)));
  EXPECT_TRUE(fails(std::get<2>(three)));

  const std::vector<absl::StatusOr<T> (*)()> functions = {&Fail<T>,
                                                          &Succeed<T>};
  const std::vector<absl::StatusOr<T>> all = All(Context(), functions);
  EXPECT_TRUE(fails(all[0]));
  EXPECT_TRUE(succeeds(all[1]));
  const std::vector<absl::StatusOr<T>> mapped =
      Map(Context(), functions,
          [](absl::StatusOr<T> (*function)()) { return function(); });
  EXPECT_TRUE(fails(mapped[0]));
  EXPECT_TRUE(succeeds(mapped[1]));

  const absl::StatusOr<T> raced = Race(Context(), functions);
  EXPECT_TRUE(succeeds(raced));
  const absl::StatusOr<T> detached = RaceDetached(Context(), functions);
  EXPECT_TRUE(succeeds(detached));
  const absl::StatusOr<T> lost = Race(Context(), &Fail<T>);
  EXPECT_TRUE(absl::IsNotFound(lost.status()));

  const Retried<T> retried = Retry(Context(), {}, &Succeed<T>);
  EXPECT_TRUE(succeeds(retried.result));
  const Retried<T> exhausted = Retry(Context(), {.attempts = 1}, &Fail<T>);
  EXPECT_TRUE(fails(exhausted.result));
}

TYPED_TEST(ValueTypesTest, AValueNeedsNoStatusOr) {
  using T = TypeParam;
  if constexpr (!std::same_as<T, absl::StatusOr<int>>) {
    const std::tuple<absl::StatusOr<T>> all =
        All(Context(), &ValueCase<T>::Make);
    EXPECT_TRUE(ValueCase<T>::Is(*std::get<0>(all)));
    EXPECT_TRUE(
        ValueCase<T>::Is(*Retry(Context(), {}, &ValueCase<T>::Make).result));
  }
}

// Map.

TEST(MapTest, EachElementHasAResultInOrder) {
  std::vector<int> numbers(10'000);
  std::iota(numbers.begin(), numbers.end(), 0);
  const std::vector<absl::StatusOr<std::string>> results =
      Map(Context(), {.limit = 4}, numbers,
          [](int i) -> absl::StatusOr<std::string> {
            if (i % 3 == 1) return No(absl::StrCat(i));
            return absl::StrCat(i);
          });
  ASSERT_EQ(results.size(), numbers.size());
  for (size_t i = 0; i < results.size(); ++i) {
    if (i % 3 == 1) {
      EXPECT_EQ(results[i].status(), No(absl::StrCat(i)));
    } else {
      EXPECT_EQ(*results[i], absl::StrCat(i));
    }
  }
}

TEST(MapTest, OfNothingIsNothing) {
  EXPECT_TRUE(Map(Done(No("over")), std::vector<int>(), [](int i) {
                return i;
              }).empty());
}

TEST(MapTest, WhatWasNotComeToHasTheCause) {
  CancelScope scope = WithCancel(Context());
  const auto results =
      Map(scope.context(), {.limit = 1}, std::views::iota(0, 1000),
          [&](const Context& context, int i) {
            if (i == 500) scope.Cancel(No("enough"));
            EXPECT_EQ(context.done(), i >= 500);
            return i;
          });
  ASSERT_EQ(results.size(), 1000u);
  for (size_t i = 0; i < results.size(); ++i) {
    // A success stays one, and not one element more is begun.
    if (i <= 500) {
      EXPECT_EQ(*results[i], static_cast<int>(i));
    } else {
      EXPECT_EQ(results[i].status(), No("enough"));
    }
  }
  for (const auto& result : Map(Done(No("over")), std::vector<int>(3),
                                [](int) { return MustNotRun(); })) {
    EXPECT_EQ(result.status(), No("over"));
  }
}

TEST(MapTest, AnElementMayCallMap) {
  const auto sum = [](const auto& self, int depth) -> int {
    if (depth == 0) return 1;
    int total = 0;
    for (const absl::StatusOr<int>& part :
         Map(Context(), {.limit = 3}, std::views::iota(0, 6),
             [&](int) { return self(self, depth - 1); })) {
      total += *part;
    }
    return total;
  };
  EXPECT_EQ(sum(sum, 4), 1296);
}

// Race.

TEST(RaceTest, WithALimitWhatIsNotNeededIsNotCalled) {
  for (int i = 0; i < 100; ++i) {
    auto fail = []() -> absl::StatusOr<int> { return No("no"); };
    EXPECT_EQ(
        *Race(Context(), {.limit = 1}, fail, [] { return 2; }, &MustNotRun), 2);
    EXPECT_EQ(*RaceDetached(
                  Context(), {.limit = 1}, fail, [] { return 3; }, &MustNotRun),
              3);
  }
}

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
  JoiningThread canceller([&] {
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

TEST(RaceDetachedTest, ASuccessAfterACancellationIsNone) {
  for (int i = 0; i < 100; ++i) {
    const auto scope = std::make_shared<CancelScope>(WithCancel(Context()));
    auto cancel_and_succeed = [scope] {
      scope->Cancel(No("enough"));
      return 1;
    };
    EXPECT_EQ(RaceDetached(scope->context(), cancel_and_succeed).status(),
              No("enough"));
  }
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
    return absl::StatusOr<Explosive>(std::in_place);
  });
  EXPECT_EQ(value.status(),
            absl::InternalError("callbacks::All: function 0 threw "
                                "std::runtime_error: moved"));
}

TEST(CallbacksTest, AnExceptionIsAnErrorOfItsElement) {
  struct Explosive {
    explicit Explosive(int i) : value(i) {}
    Explosive(Explosive&& other) : value(other.value) {
      if (value == 2) throw std::runtime_error("moved");
    }
    int value;
  };
  const auto results =
      Map(Context(), std::views::iota(0, 4), [](int i) -> Explosive {
        if (i == 1) throw 42;
        return Explosive(i);
      });
  EXPECT_EQ(results[0]->value, 0);
  EXPECT_EQ(results[1].status(),
            absl::InternalError("callbacks::Map: element 1 threw int"));
  EXPECT_EQ(results[2].status(),
            absl::InternalError("callbacks::Map: element 2 threw "
                                "std::runtime_error: moved"));
  EXPECT_EQ(results[3]->value, 3);
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

TEST(CallbacksTest, TheEndOfAThreadStopsNoOtherFunction) {
  // More than can have been started when the first ends its thread.
  constexpr size_t kFunctions = 200;
  const sync::ThreadId self = sync::CurrentThreadId();
  std::atomic<int> ended{0};
  const std::vector<std::function<bool(const Context&)>> functions(
      kFunctions, [&](const Context& context) {
        if (sync::CurrentThreadId() != self && ended++ == 0) {
          pthread_exit(nullptr);
        }
        if (sync::CurrentThreadId() == self) {
          Await([&ended] { return ended > 0; });
        }
        return context.done();
      });
  size_t failures = 0;
  for (const absl::StatusOr<bool>& result : All(Context(), functions)) {
    if (result.ok()) {
      EXPECT_FALSE(*result);
    } else {
      ++failures;
      EXPECT_TRUE(
          absl::StrContains(result.status().message(), "ended its thread"));
    }
  }
  EXPECT_EQ(failures, 1u);
}

TEST(CallbacksTest, AnElementThatEndsItsThreadIsAFailureOfNoOther) {
  // All but the caller's thread end, again and again; the caller stays away.
  const sync::ThreadId self = sync::CurrentThreadId();
  for (int limit : {1, 3}) {
    std::atomic<int> calls{0};
    std::atomic<int> exits{0};
    const auto results =
        Map(Context(), {.limit = limit}, std::views::iota(0, 200), [&](int i) {
          ++calls;
          if (sync::CurrentThreadId() != self) {
            ++exits;
            pthread_exit(nullptr);
          }
          return i;
        });
    EXPECT_EQ(calls, 200);
    int failures = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].ok()) {
        EXPECT_EQ(*results[i], static_cast<int>(i));
      } else {
        ++failures;
        EXPECT_EQ(results[i].status(),
                  absl::InternalError(absl::StrCat("callbacks::Map: element ",
                                                   i, " ended its thread")));
      }
    }
    EXPECT_EQ(failures, exits);
  }
}

TEST(CallbacksTest, ACallWhoseThreadEndsJoinsItsFunctions) {
  constexpr int kFunctions = 16;
  for (int i = 0; i < 50; ++i) {
    JoiningThread caller([] {
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
  const std::function<int(int)> null;
  EXPECT_DEATH((void)Map(Context(), std::vector<int>(), null),
               "callbacks::Map: null function");
}

TEST(CallbacksDeathTest, ALimitBelowOneDies) {
  EXPECT_DEATH((void)All(Context(), {.limit = 0}, &MustNotRun),
               "callbacks::All: limit");
  EXPECT_DEATH((void)Race(Context(), {.limit = -1}, &MustNotRun),
               "-1.*callbacks::Race: limit");
  EXPECT_DEATH((void)Map(Context(), {.limit = 0}, std::vector<int>(),
                         [](int i) { return i; }),
               "callbacks::Map: limit");
}

}  // namespace
}  // namespace cohort::callbacks
