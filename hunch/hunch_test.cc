#include "cohort/hunch/hunch.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
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
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::hunch {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Caller;

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

// Each after the one before has succeeded, as far as that can be seen from
// outside: its functor is destroyed after its end has been recorded.
class InTurn {
 public:
  // A function that yields 10 + i.
  auto Function(size_t i) {
    return [this, i, end = AtEnd([this, i] { ended_[i].Notify(); })] {
      if (i > 0) ended_[i - 1].WaitForNotification();
      return 10 + static_cast<int>(i);
    };
  }
  // The last one comes first.
  std::vector<absl::AnyInvocable<int() &&>> Functions(size_t count) {
    std::vector<absl::AnyInvocable<int() &&>> functions;
    for (size_t i = count; i > 0; --i) functions.push_back(Function(i - 1));
    return functions;
  }

 private:
  absl::Notification ended_[10];
};

// All.

TEST(AllTest, KeepsTheOrderOfTheArguments) {
  absl::StatusOr<std::tuple<int, std::unique_ptr<std::string>>> all = All(
      Context(), [] { return 1; },
      [](const Context&) -> absl::StatusOr<std::unique_ptr<std::string>> {
        return std::make_unique<std::string>("two");
      });
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(std::get<0>(*all), 1);
  EXPECT_EQ(*std::get<1>(*all), "two");

  std::vector<std::function<bool()>> functions;
  for (int i = 0; i < 2000; ++i) {
    functions.push_back([i] { return i % 3 == 0; });
  }
  const absl::StatusOr<std::vector<bool>> many = All(Context(), functions);
  ASSERT_TRUE(many.ok());
  for (size_t i = 0; i < 2000; ++i) EXPECT_EQ((*many)[i], i % 3 == 0);
}

TEST(AllTest, OfNothingIsNothing) {
  EXPECT_EQ(*All(Context()), std::tuple<>());
  EXPECT_TRUE(All(Context(), std::vector<int (*)()>())->empty());
  EXPECT_TRUE(All(Done(No("over"))).ok());
}

TEST(AllTest, TheFirstErrorEndsTheOthers) {
  absl::Notification started;
  bool ended = false;
  const auto all = All(
      Context(),
      [&](const Context& context) -> absl::StatusOr<int> {
        started.Notify();
        context.AwaitDone();
        EXPECT_EQ(context.cause(), No("no"));
        ended = true;
        return context.status();
      },
      [&]() -> absl::StatusOr<std::string> {
        started.WaitForNotification();
        return No("no");
      });
  EXPECT_EQ(all.status(), No("no"));
  EXPECT_TRUE(ended);
}

TEST(AllTest, ARangeMayBeGivenAway) {
  std::vector<absl::AnyInvocable<std::unique_ptr<int>() &&>> functions;
  functions.push_back([value = std::make_unique<int>(1)]() mutable {
    return std::move(value);
  });
  EXPECT_EQ(*All(Context(), std::move(functions))->front(), 1);
}

TEST(AllTest, ARangeIsCopiedOnlyIfItStays) {
  struct Copied {
    explicit Copied(int* count) : copies(count) {}
    Copied(const Copied& other) : copies(other.copies) { ++*copies; }
    Copied(Copied&&) = default;
    int operator()() const { return 1; }
    int* copies;
  };
  int copies = 0;
  std::vector<Copied> functions;
  functions.reserve(2);
  for (int i = 0; i < 2; ++i) functions.emplace_back(&copies);
  EXPECT_TRUE(All(Context(), functions).ok());
  EXPECT_EQ(copies, 2);
  EXPECT_TRUE(All(Context(), std::move(functions)).ok());
  EXPECT_EQ(copies, 2);
}

// Take.

TEST(TakeTest, ReturnsTheFirstInTheOrderInWhichTheyCame) {
  InTurn in_turn;
  const auto taken = Take(Context(), 3, in_turn.Functions(5));
  ASSERT_TRUE(taken.ok());
  ASSERT_EQ(taken->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*taken)[i].value, 10 + static_cast<int>(i));
    EXPECT_EQ((*taken)[i].index, 4 - static_cast<int>(i));
  }
}

TEST(TakeTest, MoreThanThereAreIsAllOfThem) {
  EXPECT_EQ(
      Take(Context(), 100, [] { return 1; }, [] { return 2; })->size(), 2u);
  EXPECT_EQ(Take(Context(), 5, std::vector<int (*)()>())->size(), 0u);
}

TEST(TakeTest, OfNoneCallsNone) {
  EXPECT_TRUE(Take(Context(), 0, &MustNotRun, &MustNotRun)->empty());
  EXPECT_TRUE(TakeDetached(Context(), 0, &MustNotRun)->empty());
  EXPECT_TRUE(Take(Done(No("over")), 0, &MustNotRun)->empty());
}

TEST(TakeTest, CancelsAndJoinsTheRest) {
  absl::Notification started;
  bool ended = false;
  const auto taken = Take(
      Context(), 1,
      [&](const Context& context) {
        started.Notify();
        context.AwaitDone();
        ended = true;
        return 1;
      },
      [&] {
        started.WaitForNotification();
        return 2;
      });
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken->front().index, 1);
  EXPECT_EQ(taken->front().value, 2);
  EXPECT_TRUE(ended);
}

TEST(TakeTest, AnErrorEndsItAlthoughEnoughCouldSucceed) {
  absl::Notification failed;
  auto fail = [end = AtEnd([&failed] {
                 failed.Notify();
               })]() -> absl::StatusOr<int> { return No("no"); };
  auto succeed = [&failed] {
    failed.WaitForNotification();
    return 1;
  };
  EXPECT_EQ(Take(Context(), 1, std::move(fail), succeed, succeed).status(),
            No("no"));
}

TEST(TakeTest, ErrorsAreToleratedWhileEnoughCanSucceed) {
  std::vector<std::function<absl::StatusOr<int>()>> functions(
      2, [] { return No("no"); });
  functions.push_back([] { return 7; });
  const auto one = Take(Context(), 1, {.tolerate_errors = true}, functions);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->front().index, 2);
  const absl::Status two =
      Take(Context(), 2, {.tolerate_errors = true}, functions).status();
  EXPECT_EQ(two.code(), absl::StatusCode::kNotFound);
  for (const char* text :
       {"hunch::Take: 2 error(s) occurred: ", "[0] {no}", "[1] {no}"}) {
    EXPECT_TRUE(absl::StrContains(two.message(), text)) << two;
  }
}

TEST(TakeTest, TheCauseIsWhatACancelledTakeReturns) {
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
  EXPECT_EQ(Take(scope.context(), 1, wait, wait).status(), No("enough"));
  EXPECT_EQ(Take(scope.context(), 1, &MustNotRun).status(), No("enough"));
  EXPECT_EQ(Last(scope.context(), 1, &MustNotRun).status(), No("enough"));
  EXPECT_EQ(All(scope.context(), &MustNotRun).status(), No("enough"));
}

TEST(TakeTest, AResultIsNotGivenUpForACancellation) {
  for (int i = 0; i < 100; ++i) {
    CancelScope scope = WithCancel(Context());
    auto cancel_and_succeed = [&scope] {
      scope.Cancel();
      return 1;
    };
    EXPECT_EQ(Take(scope.context(), 1, cancel_and_succeed)->size(), 1u);
  }
}

TEST(TakeTest, OneMayCallAnother) {
  std::function<int(int)> sum = [&sum](int depth) {
    if (depth == 0) return 1;
    auto below = [&sum, depth] { return sum(depth - 1); };
    int total = 0;
    const auto taken = Take(Context(), 3, below, below, below);
    for (const auto& [index, value] : *taken) total += value;
    return total;
  };
  EXPECT_EQ(sum(5), 243);
}

// TakeDetached.

TEST(TakeDetachedTest, LeavesTheRestToThemselves) {
  struct Events {
    absl::Notification started, returned, ended;
  };
  const auto events = std::make_shared<Events>();
  auto slow = [events](const Context& context) {
    events->started.Notify();
    context.AwaitDone();
    events->returned.WaitForNotification();
    events->ended.Notify();
    return 1;
  };
  auto fast = [events] {
    events->started.WaitForNotification();
    return 2;
  };
  EXPECT_EQ(TakeDetached(Context(), 1, slow, fast)->front().value, 2);
  EXPECT_FALSE(events->ended.HasBeenNotified());
  events->returned.Notify();
  events->ended.WaitForNotification();
}

TEST(TakeDetachedTest, EndsWithAnError) {
  struct Events {
    absl::Notification started, returned, ended;
  };
  const auto events = std::make_shared<Events>();
  auto slow = [events](const Context& context) -> absl::StatusOr<int> {
    events->started.Notify();
    context.AwaitDone();
    EXPECT_EQ(context.cause(), No("no"));
    events->returned.WaitForNotification();
    events->ended.Notify();
    return 1;
  };
  auto fail = [events]() -> absl::StatusOr<int> {
    events->started.WaitForNotification();
    return No("no");
  };
  EXPECT_EQ(TakeDetached(Context(), 1, slow, fail).status(), No("no"));
  events->returned.Notify();
  events->ended.WaitForNotification();
}

// Last.

TEST(LastTest, ReturnsTheLastInTheOrderInWhichTheyCame) {
  InTurn in_turn;
  const auto last = Last(Context(), 2, in_turn.Functions(4));
  ASSERT_TRUE(last.ok());
  ASSERT_EQ(last->size(), 2u);
  EXPECT_EQ((*last)[0].value, 12);
  EXPECT_EQ((*last)[0].index, 1);
  EXPECT_EQ((*last)[1].value, 13);
  EXPECT_EQ((*last)[1].index, 0);
}

TEST(LastTest, AllHaveToSucceed) {
  EXPECT_EQ(Last(
                Context(), 1, []() -> absl::StatusOr<int> { return No("no"); },
                []() -> absl::StatusOr<int> { return 1; })
                .status(),
            No("no"));
}

TEST(LastTest, OfNoneCallsAll) {
  std::atomic<int> calls{0};
  auto count = [&calls] { return ++calls; };
  EXPECT_TRUE(Last(Context(), 0, count, count)->empty());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(Last(Context(), 9, count, count)->size(), 2u);
  EXPECT_TRUE(Last(Context(), 1, std::vector<int (*)()>())->empty());
}

// Retry.

TEST(RetryTest, TellsTheLastError) {
  int calls = 0;
  auto fail = [&calls]() -> absl::StatusOr<int> {
    return No("nothing " + std::to_string(++calls));
  };
  EXPECT_EQ(Retry(Context(), 2, fail).status(),
            No("max retries exceeded (2 times): nothing 2"));
  EXPECT_EQ(Retry(Context(), 1, fail).status(),
            No("max retries exceeded (1 time): nothing 3"));
  EXPECT_EQ(calls, 3);
}

TEST(RetryTest, OfZeroAttemptsGoesOnUntilOneSucceeds) {
  int calls = 0;
  const absl::StatusOr<int> result =
      Retry(Context(), 0, [&calls]() -> absl::StatusOr<int> {
        if (++calls < 1000) return No("not yet");
        return calls;
      });
  EXPECT_EQ(*result, 1000);
}

TEST(RetryTest, EndsWithTheContext) {
  CancelScope scope = WithCancel(Context());
  int calls = 0;
  EXPECT_EQ(Retry(scope.context(), 0,
                  [&]() -> absl::StatusOr<int> {
                    if (++calls == 3) scope.Cancel(No("enough"));
                    return absl::UnavailableError("not yet");
                  })
                .status(),
            No("enough"));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(Retry(scope.context(), 5, &MustNotRun).status(), No("enough"));
}

// Waterfall.

TEST(WaterfallTest, PassesValuesOn) {
  const absl::StatusOr<std::string> text = Waterfall(
      Context(), [] { return std::make_unique<int>(20); },
      [](const Context&, std::unique_ptr<int> value) { return *value + 1; },
      [](const int& value) -> absl::StatusOr<std::string> {
        return std::to_string(value);
      });
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "21");
  EXPECT_EQ(*Waterfall(Context(), [] { return 1; }), 1);
}

TEST(WaterfallTest, AnErrorIsTheLastStep) {
  const absl::StatusOr<int> result = Waterfall(
      Context(), [] { return 1; },
      [](int) -> absl::StatusOr<std::string> { return No("no"); },
      [](const std::string&) { return MustNotRun(); });
  EXPECT_EQ(result.status(), No("no"));
}

TEST(WaterfallTest, TheContextEndsItBeforeTheNextStep) {
  CancelScope scope = WithCancel(Context());
  const auto cancel = [&scope](int) {
    scope.Cancel(No("enough"));
    return 2;
  };
  EXPECT_EQ(Waterfall(
                scope.context(), [] { return 1; }, cancel,
                [](int) { return MustNotRun(); })
                .status(),
            No("enough"));
  EXPECT_EQ(Waterfall(scope.context(), &MustNotRun).status(), No("enough"));
  // Where there is no next one, it has come to its result.
  CancelScope other = WithCancel(Context());
  EXPECT_EQ(*Waterfall(
                other.context(), [] { return 1; },
                [&other](int) {
                  other.Cancel();
                  return 3;
                }),
            3);
}

TEST(WaterfallTest, AStepThatIsToldToStopYieldsTheCause) {
  CancelScope scope = WithCancel(Context());
  EXPECT_EQ(Waterfall(scope.context(),
                      [&](const Context& context) -> absl::StatusOr<int> {
                        scope.Cancel(No("enough"));
                        return context.status();
                      })
                .status(),
            No("enough"));
}

TEST(WaterfallTest, AStepIsGoneBeforeTheNextOneStarts) {
  bool gone = false;
  EXPECT_EQ(
      *Waterfall(
          Context(), [end = AtEnd([&gone] { gone = true; })] { return 1; },
          [&gone](int) { return gone; }),
      true);
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(HunchTest, AnExceptionIsAnError) {
  auto boom = []() -> int { throw std::runtime_error("boom"); };
  EXPECT_EQ(All(Context(), boom).status(),
            absl::InternalError(
                "hunch::All: function 0 threw std::runtime_error: boom"));
  EXPECT_EQ(Take(Context(), 1, boom).status(),
            absl::InternalError(
                "hunch::Take: function 0 threw std::runtime_error: boom"));
  EXPECT_EQ(Waterfall(
                Context(), [] { return 1; }, [](int i) { return i; },
                [](int) -> int { throw 42; })
                .status(),
            absl::InternalError("hunch::Waterfall: step 2 threw int"));
}

#endif

// Contract violations.

TEST(HunchDeathTest, ANullFunctionDiesBeforeAnyIsCalled) {
  std::vector<std::function<int()>> functions = {[]() -> int {
    abort();  // without a message
  }};
  functions.push_back(nullptr);
  EXPECT_DEATH(All(Context(), functions).IgnoreError(),
               "hunch::All: function 1 is null");
  for (const int n : {0, 1, 2}) {
    EXPECT_DEATH(Take(Context(), n, functions).IgnoreError(),
                 "hunch::Take: function 1 is null");
    EXPECT_DEATH(TakeDetached(Context(), n, functions).IgnoreError(),
                 "hunch::TakeDetached: function 1 is null");
    EXPECT_DEATH(Last(Context(), n, functions).IgnoreError(),
                 "hunch::Last: function 1 is null");
  }
  EXPECT_DEATH(Retry(Context(), 1, functions[1]).IgnoreError(),
               "hunch::Retry: null function");
  EXPECT_DEATH(Waterfall(Context(), functions[0], std::function<int(int)>())
                   .IgnoreError(),
               "hunch::Waterfall: step 1 is null");
}

TEST(HunchTest, B14_AHugeNumberIsAsManyAsThereAre) {
  constexpr int kHuge = std::numeric_limits<int>::max();
  const auto one = [] { return 1; };
  EXPECT_EQ(Take(Context(), kHuge, one, one)->size(), 2u);
  EXPECT_EQ(TakeDetached(Context(), kHuge, one, one)->size(), 2u);
  EXPECT_EQ(Last(Context(), kHuge, one, one)->size(), 2u);
  EXPECT_EQ(*Retry(Context(), kHuge, one), 1);
}

// Whether there are functions or not.
TEST(HunchDeathTest, B14_ANegativeNumberDies) {
  constexpr int kLeast = std::numeric_limits<int>::min();
  const std::vector<int (*)()> none;
  EXPECT_DEATH(Take(Context(), kLeast, none).IgnoreError(),
               "-2147483648.*hunch::Take: n");
  EXPECT_DEATH(TakeDetached(Context(), kLeast, none).IgnoreError(),
               "-2147483648.*hunch::TakeDetached: n");
  EXPECT_DEATH(Last(Context(), kLeast, none).IgnoreError(),
               "-2147483648.*hunch::Last: n");
}

TEST(HunchDeathTest, ANegativeNumberDies) {
  EXPECT_DEATH(Take(Context(), -1, &MustNotRun).IgnoreError(),
               "-1.*hunch::Take: n");
  EXPECT_DEATH(TakeDetached(Context(), -2, &MustNotRun).IgnoreError(),
               "-2.*hunch::TakeDetached: n");
  EXPECT_DEATH(Last(Context(), -3, &MustNotRun).IgnoreError(),
               "-3.*hunch::Last: n");
  EXPECT_DEATH(Retry(Context(), -4, &MustNotRun).IgnoreError(),
               "-4.*hunch::Retry: attempts");
}

}  // namespace
}  // namespace cohort::hunch
