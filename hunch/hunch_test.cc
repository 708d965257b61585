#include "cohort/hunch/hunch.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <forward_list>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
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
#include "cohort/executor/test_util.h"
#include "cohort/group/test_util.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::hunch {
namespace {

using ::cohort::testing::AtEnd;
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

TEST(AllTest, WithALimitTheFirstErrorKeepsTheRestFromStarting) {
  std::vector<std::function<absl::StatusOr<int>()>> functions = {
      [] { return 1; }, [] { return No("no"); }};
  functions.resize(100, &MustNotRun);
  EXPECT_EQ(All(Context(), {.limit = 1}, functions).status(), No("no"));
  EXPECT_EQ(Last(Context(), 1, {.limit = 1}, functions).status(), No("no"));
  EXPECT_EQ(Take(Context(), 1, {.limit = 1}, functions)->size(), 1u);
  EXPECT_EQ(TakeDetached(Context(), 1, {.limit = 1}, functions)->size(), 1u);
}

TEST(AllTest, TenThatFailWithOneTextAreTenFailures) {
  std::vector<std::function<absl::StatusOr<int>()>> functions(
      10, [] { return absl::CancelledError("the same"); });
  const absl::Status none =
      Take(Context(), 1, {.tolerate_errors = true}, functions).status();
  EXPECT_TRUE(absl::IsCancelled(none));
  EXPECT_TRUE(absl::StrContains(none.message(), "10 error(s) occurred"));
  functions.push_back([] { return 7; });
  EXPECT_EQ(
      Take(Context(), 1, {.tolerate_errors = true}, functions)->front().value,
      7);
}

// Values of all types.

template <class T>
class ValueTypesTest : public ::testing::Test {};
TYPED_TEST_SUITE(ValueTypesTest, testing::ValueCases);

TYPED_TEST(ValueTypesTest, AFailureAndAValueStayWhatTheyAre) {
  using T = TypeParam;
  const auto is = [](const T& value) { return ValueCase<T>::Is(value); };
  // Two, since libstdc++ has trouble with a tuple of one std::any.
  const absl::StatusOr<std::tuple<T, T>> two =
      All(Context(), &Succeed<T>, &Succeed<T>);
  EXPECT_TRUE(two.ok() && is(std::get<0>(*two)) && is(std::get<1>(*two)));
  EXPECT_EQ(All(Context(), &Succeed<T>, &Fail<T>).status(), Failed());
  EXPECT_EQ(All(Context(), &FailAsConst<T>, &Succeed<T>).status(), Failed());

  std::vector<absl::StatusOr<T> (*)()> functions = {&Succeed<T>};
  const auto call = [](absl::StatusOr<T> (*function)()) { return function(); };
  const absl::StatusOr<std::vector<T>> all = All(Context(), functions);
  EXPECT_TRUE(all.ok() && is((*all)[0]));
  const absl::StatusOr<std::vector<T>> mapped = Map(Context(), functions, call);
  EXPECT_TRUE(mapped.ok() && is((*mapped)[0]));
  const auto taken = Take(Context(), 1, functions);
  EXPECT_TRUE(taken.ok() && is(taken->front().value));
  const auto last = Last(Context(), 1, functions);
  EXPECT_TRUE(last.ok() && is(last->front().value));

  functions[0] = &Fail<T>;
  EXPECT_EQ(All(Context(), functions).status(), Failed());
  EXPECT_EQ(Map(Context(), functions, call).status(), Failed());
  EXPECT_EQ(Take(Context(), 1, functions).status(), Failed());
  EXPECT_EQ(Last(Context(), 1, functions).status(), Failed());

  const absl::StatusOr<T> retried = Retry(Context(), 1, &Succeed<T>);
  EXPECT_TRUE(retried.ok() && is(*retried));
  EXPECT_TRUE(absl::IsNotFound(Retry(Context(), 1, &Fail<T>).status()));

  const auto pass = [](T value) -> absl::StatusOr<T> {
    return absl::StatusOr<T>(std::in_place, std::move(value));
  };
  const absl::StatusOr<T> flown = Waterfall(Context(), &Succeed<T>, pass, pass);
  EXPECT_TRUE(flown.ok() && is(*flown));
  EXPECT_EQ(Waterfall(Context(), &Fail<T>, pass, pass).status(), Failed());
  EXPECT_EQ(Waterfall(
                Context(), &Succeed<T>,
                [](const T&) -> absl::StatusOr<T> { return Fail<T>(); }, pass)
                .status(),
            Failed());
}

// ForEach and Map.

// An element that is used where it is, or given away.
struct Unique {
  explicit Unique(int n) : number(std::make_unique<int>(n)) {}
  Unique* operator&() const = delete;
  std::unique_ptr<int> number;
};

template <class Container>
Container Uniques() {
  Container container;
  for (int i = 0; i < 100; ++i) container.emplace_back(i);
  return container;
}

template <class Container>
class ForEachTest : public ::testing::Test {};
using Containers =
    ::testing::Types<std::vector<Unique>, std::deque<Unique>, std::list<Unique>,
                     std::forward_list<Unique>>;

template <>
std::forward_list<Unique> Uniques() {
  std::forward_list<Unique> container;
  for (int i = 99; i >= 0; --i) container.emplace_front(i);
  return container;
}
TYPED_TEST_SUITE(ForEachTest, Containers);

TYPED_TEST(ForEachTest, WritesTheElementsOfAContainerThatStays) {
  auto container = Uniques<TypeParam>();
  EXPECT_TRUE(ForEach(Context(), {.limit = 3}, container, [](Unique& element) {
                *element.number *= 2;
              }).ok());
  int i = 0;
  for (const Unique& element : container) {
    EXPECT_EQ(*element.number, 2 * i++);
  }
  EXPECT_EQ(i, 100);
}

TYPED_TEST(ForEachTest, MovesTheElementsOfAContainerThatIsGivenAway) {
  const absl::StatusOr<std::vector<Unique>> moved =
      Map(Context(), {.limit = 3}, Uniques<TypeParam>(),
          [](Unique element) { return element; });
  ASSERT_TRUE(moved.ok());
  ASSERT_EQ(moved->size(), 100u);
  int i = 0;
  for (const Unique& element : *moved) EXPECT_EQ(*element.number, i++);
}

TYPED_TEST(ForEachTest, ReadsTheElementsOfAConstContainer) {
  const auto container = Uniques<TypeParam>();
  std::atomic<int> sum{0};
  EXPECT_TRUE(ForEach(Context(), container,
                      [&sum](const Context&, const Unique& element) {
                        static_assert(
                            std::is_const_v<TypeParam> ||
                            std::is_same_v<const Unique&, decltype(element)>);
                        sum += *element.number;
                      })
                  .ok());
  EXPECT_EQ(sum, 4950);
}

TEST(MapTest, TakesViews) {
  const std::vector<int> numbers = {1, 2, 3, 4, 5, 6};
  const auto twice = [](int number) { return 2 * number; };
  const auto odd = [](int number) { return number % 2 == 1; };
  using Ints = std::vector<int>;
  EXPECT_EQ(*Map(Context(), std::span(numbers), twice),
            (Ints{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(*Map(Context(), std::views::iota(1, 4), twice), (Ints{2, 4, 6}));
  EXPECT_EQ(*Map(Context(), numbers | std::views::transform(twice), twice),
            (Ints{4, 8, 12, 16, 20, 24}));
  EXPECT_EQ(*Map(Context(), numbers | std::views::filter(odd), twice),
            (Ints{2, 6, 10}));
  EXPECT_EQ(
      *Map(Context(),
           numbers | std::views::filter(odd) | std::views::transform(twice),
           twice),
      (Ints{4, 12, 20}));
  EXPECT_EQ(*Map(Context(), std::set<int>{3, 1, 2}, twice), (Ints{2, 4, 6}));
}

TEST(MapTest, TakesAStream) {
  // Its elements are one object, which changes.
  std::istringstream stream("1 2 3 4 5 6 7 8 9");
  EXPECT_EQ(
      *Map(Context(), {.limit = 3}, std::ranges::istream_view<int>(stream),
           [](int number) { return 10 * number; }),
      (std::vector<int>{10, 20, 30, 40, 50, 60, 70, 80, 90}));
}

TEST(MapTest, BitsAreReadAndMade) {
  // Neighbours share their memory, so that these are values.
  std::vector<bool> bits(1000);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = i % 3 == 0;
  const absl::StatusOr<std::vector<bool>> inverse =
      Map(Context(), {.limit = 4}, bits, [](auto bit) {
        static_assert(std::is_same_v<decltype(bit), bool>);
        return !bit;
      });
  ASSERT_TRUE(inverse.ok());
  bits.flip();
  EXPECT_EQ(*inverse, bits);
}

TEST(MapTest, OfNothingIsNothing) {
  EXPECT_TRUE(Map(Done(No("over")), std::vector<int>(), [](int i) {
                return i;
              })->empty());
  EXPECT_TRUE(ForEach(Done(No("over")), std::list<int>(), [](int) {}).ok());
}

TEST(MapTest, ADoneContextStartsNothing) {
  EXPECT_EQ(
      ForEach(Done(No("over")), std::vector<int>(5), [](int) { MustNotRun(); }),
      No("over"));
  EXPECT_EQ(Map(Done(No("over")), std::vector<int>(5),
                [](int) { return MustNotRun(); })
                .status(),
            No("over"));
}

TEST(MapTest, SoManyRunAtOnce) {
  // As many as the limit meet; by default, as many as there are CPUs.
  for (const int limit : {3, MapOptions().limit}) {
    Countdown all(limit);
    std::atomic<int> inside{0};
    EXPECT_TRUE(ForEach(Context(), {.limit = limit},
                        std::views::iota(0, 100 * limit),
                        [&](int i) {
                          EXPECT_LE(++inside, limit);
                          if (i < limit) {
                            all.Done();
                            all.Wait();
                          }
                          --inside;
                        })
                    .ok());
  }
}

TEST(MapTest, TheFirstErrorEndsIt) {
  std::atomic<int> last{-1};
  const absl::Status status =
      ForEach(Context(), {.limit = 1}, std::views::iota(0, 10'000), [&](int i) {
        last = i;
        return i == 4321 ? No("no") : absl::OkStatus();
      });
  EXPECT_EQ(status, No("no"));
  EXPECT_EQ(last, 4321);
  EXPECT_EQ(Map(Context(), {.limit = 4}, std::views::iota(0, 10'000),
                [](int i) -> absl::StatusOr<int> {
                  if (i == 4321) return No("no");
                  return i;
                })
                .status(),
            No("no"));
}

TEST(MapTest, TheOthersAreToldOfTheFirstError) {
  Countdown both(2);
  EXPECT_EQ(ForEach(Context(), {.limit = 2}, std::views::iota(0, 2),
                    [&](const Context& context, int i) -> absl::Status {
                      both.Done();
                      both.Wait();
                      if (i == 0) return No("no");
                      context.AwaitDone();
                      EXPECT_EQ(context.cause(), No("no"));
                      return context.status();
                    }),
            No("no"));
}

TEST(MapTest, NotOneElementIsBegunAfterACancellation) {
  CancelScope scope = WithCancel(Context());
  std::atomic<int> last{-1};
  EXPECT_EQ(ForEach(scope.context(), {.limit = 1}, std::views::iota(0, 10'000),
                    [&](int i) {
                      last = i;
                      if (i == 5000) scope.Cancel(No("enough"));
                    }),
            No("enough"));
  EXPECT_EQ(last, 5000);
}

TEST(MapTest, WhatIsCompleteIsNotGivenUpForACancellation) {
  CancelScope scope = WithCancel(Context());
  EXPECT_EQ(Map(scope.context(), {.limit = 1}, std::views::iota(0, 1000),
                [&](int i) {
                  if (i == 999) scope.Cancel(No("enough"));
                  return i;
                })
                ->size(),
            1000u);
}

TEST(MapTest, ElementsMayNest) {
  const auto count = [](const auto& self, int depth) -> absl::StatusOr<int> {
    if (depth == 0) return 1;
    std::atomic<int> total{0};
    const absl::Status status =
        ForEach(Context(), {.limit = 3}, std::views::iota(0, 5),
                [&](int) -> absl::Status {
                  const absl::StatusOr<int> part = self(self, depth - 1);
                  if (!part.ok()) return part.status();
                  total += *part;
                  return absl::OkStatus();
                });
    if (!status.ok()) return status;
    return total;
  };
  EXPECT_EQ(*count(count, 4), 625);
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
  JoiningThread canceller([&] {
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
  EXPECT_EQ(ForEach(Context(), std::views::iota(0, 1000),
                    [](int i) {
                      if (i == 321) throw std::runtime_error("boom");
                    }),
            absl::InternalError(
                "hunch::ForEach: element 321 threw std::runtime_error: boom"));
}

#if defined(__linux__)

TEST(HunchTest, AnElementThatEndsItsThreadIsTheError) {
  const sync::ThreadId self = sync::CurrentThreadId();
  absl::Notification ended;
  const absl::Status status =
      ForEach(Context(), {.limit = 2}, std::views::iota(0, 1000), [&](int) {
        if (sync::CurrentThreadId() == self) {
          ended.WaitForNotification();
          return;
        }
        // When the thread has unwound to here.
        const AtEnd end([&ended] { ended.Notify(); });
        pthread_exit(nullptr);
      });
  EXPECT_TRUE(absl::StartsWith(status.message(), "hunch::ForEach: element "))
      << status;
  EXPECT_TRUE(absl::EndsWith(status.message(), " ended its thread")) << status;
}

#endif

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
  void (*const null)(int) = nullptr;
  EXPECT_DEATH(ForEach(Context(), std::vector<int>(), null).IgnoreError(),
               "hunch::ForEach: null function");
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
  EXPECT_DEATH(All(Context(), {.limit = 0}, &MustNotRun).IgnoreError(),
               "hunch::All: limit");
  EXPECT_DEATH(ForEach(Context(), {.limit = -1}, std::vector<int>(), [](int) {})
                   .IgnoreError(),
               "-1.*hunch::ForEach: limit");
}

}  // namespace
}  // namespace cohort::hunch
