// Stages and Or on every schedule that the search comes across. The names with
// numbers are those of docs/immunity.md.

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/or.h"
#include "cohort/channel/pipeline.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

const absl::Status kStop = absl::AbortedError("stop");
const absl::Status kOther = absl::AbortedError("other");

void Explore(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 3000 / sim::kCost}, body);
}

void ExploreAll(int preemptions, absl::FunctionRef<void()> body) {
  sim::Options options =
      sim::AllSchedules(sim::Strategy::PreemptionBounded(preemptions));
  sim::ExploreAllOrSome(options, 2000, body);
}

using Ints = std::vector<int>;

int Negative(int value) { return -value; }

// What comes until it is closed.
Ints Rest(Channel<int>& channel, const Context& context = Context()) {
  Ints values;
  for (const int value : channel.Values(context)) values.push_back(value);
  return values;
}

// Nothing but the first ones, each of them once.
void ExpectBeginOf(const Ints& all, const Ints& values) {
  ASSERT_LE(values.size(), all.size());
  EXPECT_TRUE(std::equal(values.begin(), values.end(), all.begin()));
}

class PipelineSimTest : public ::testing::TestWithParam<int> {
 protected:
  static int capacity() { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Capacities, PipelineSimTest, ::testing::Values(0, 1),
                         ::testing::PrintToStringParamName());

TEST_P(PipelineSimTest, ACancelMeetsTheValues) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    CancelScope scope = WithCancel(Context());
    errgroup::Group group(scope.context());
    group.Go([&](const Context& c) { return Feed(c, Ints{1, 2}, numbers); });
    group.Go(
        [&](const Context& c) { return Map(c, numbers, negative, Negative); });
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    // Not for ever: the group may have skipped the stage that would close it.
    Ints values = Rest(negative, group.context());
    const absl::Status status = group.Wait();
    if (status.ok()) {
      // The cancellation may have reached the reader alone.
      for (const int value : Rest(negative)) values.push_back(value);
      EXPECT_EQ(values, (Ints{-1, -2}));
    } else {
      EXPECT_EQ(status, kStop);
      ExpectBeginOf({-1, -2}, values);
    }
  });
}

// A stage that ends for the context closes the input of the next one, which
// must not take that for all there was.
TEST_P(PipelineSimTest, WhatIsReducedIsAllOrNothing) {
  Explore([] {
    Channel<int> numbers(capacity());
    CancelScope scope = WithCancel(Context());
    JoiningThread feed(
        [&] { Feed(scope.context(), Ints{1, 10}, numbers).IgnoreError(); });
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    const absl::StatusOr<int> sum =
        MapReduce(scope.context(), numbers, Negative, 0, std::plus<>());
    if (sum.ok()) {
      EXPECT_EQ(*sum, -11);
    } else {
      EXPECT_EQ(sum.status(), kStop);
    }
  });
}

// The same upstream, where a stage has nobody to send to any more.
TEST_P(PipelineSimTest, WhatIsFedIsAllOrNotOk) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative;  // nobody receives there
    CancelScope scope = WithCancel(Context());
    JoiningThread feed([&] {
      EXPECT_EQ(Feed(scope.context(), Ints{1, 2, 3}, numbers), kStop);
    });
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    EXPECT_EQ(Map(scope.context(), numbers, negative, Negative), kStop);
  });
}

TEST_P(PipelineSimTest, AnEarlyEndMeetsTheValues) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    Channel<int> firsts(capacity());
    errgroup::Group group{Context()};
    group.Go(
        [&](const Context& c) { return Feed(c, Ints{1, 2, 3, 4}, numbers); });
    group.Go(
        [&](const Context& c) { return Map(c, numbers, negative, Negative); });
    group.Go([&](const Context& c) { return TakeN(c, negative, 2, firsts); });
    EXPECT_EQ(Rest(firsts), (Ints{-1, -2}));
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(numbers.closed());
    EXPECT_TRUE(negative.closed());
  });
}

TEST_P(PipelineSimTest, AReaderWhoLeavesEndsThemAll) {
  Explore([] {
    Channel<int> small(capacity());
    Channel<int> large(capacity());
    Channel<int> both(capacity());
    errgroup::Group group{Context()};
    group.Go([&](const Context& c) { return Feed(c, Ints{1, 2}, small); });
    group.Go([&](const Context& c) { return Feed(c, Ints{10, 11}, large); });
    group.Go(
        [&](const Context& c) { return FanIn(c, {&small, &large}, both); });
    const int first = both.Receive(Context()).value();
    EXPECT_TRUE(first == 1 || first == 10);
    both.Close();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(small.closed());
    EXPECT_TRUE(large.closed());
  });
}

TEST_P(PipelineSimTest, FanInKeepsTheOrderOfEachInput) {
  Explore([] {
    Channel<int> small(capacity());
    Channel<int> large(capacity());
    Channel<int> both(capacity());
    JoiningThread feed_small([&] {
      EXPECT_EQ(Feed(Context(), Ints{1, 2}, small), absl::OkStatus());
    });
    JoiningThread feed_large([&] {
      EXPECT_EQ(Feed(Context(), Ints{10, 11}, large), absl::OkStatus());
    });
    JoiningThread fan_in([&] {
      EXPECT_EQ(FanIn(Context(), {&small, &large}, both), absl::OkStatus());
    });
    Ints from_small;
    Ints from_large;
    for (const int value : both) {
      (value < 10 ? from_small : from_large).push_back(value);
    }
    EXPECT_EQ(from_small, (Ints{1, 2}));
    EXPECT_EQ(from_large, (Ints{10, 11}));
  });
}

// Who stays receives the values that the other one has not.
TEST_P(PipelineSimTest, DistributeMeetsAReaderWhoLeaves) {
  Explore([] {
    Channel<int> numbers(3);
    Channel<int> left(capacity());
    Channel<int> stays(capacity());
    EXPECT_EQ(Feed(Context(), Ints{1, 2, 3}, numbers), absl::OkStatus());
    JoiningThread deal([&] {
      EXPECT_EQ(Distribute(Context(), numbers, {&left, &stays}),
                absl::OkStatus());
    });
    Ints values;
    JoiningThread leaver([&] {
      const absl::StatusOr<int> value = left.Receive(Context());
      if (value.ok()) values.push_back(*value);
      left.Close();
    });
    const Ints rest = Rest(stays);
    leaver.Join();
    EXPECT_TRUE(std::is_sorted(rest.begin(), rest.end()));
    values.insert(values.end(), rest.begin(), rest.end());
    // What was sent when its reader left.
    for (const int value : Rest(left)) values.push_back(value);
    std::sort(values.begin(), values.end());
    EXPECT_EQ(values, (Ints{1, 2, 3}));
  });
}

TEST_P(PipelineSimTest, FanOutMeetsAReaderWhoLeaves) {
  Explore([] {
    Channel<int> numbers(3);
    Channel<int> left(capacity());
    Channel<int> stays(capacity());
    EXPECT_EQ(Feed(Context(), Ints{1, 2, 3}, numbers), absl::OkStatus());
    JoiningThread fan_out([&] {
      EXPECT_EQ(FanOut(Context(), numbers, {&left, &stays}), absl::OkStatus());
    });
    JoiningThread leaver([&] {
      EXPECT_EQ(left.Receive(Context()).value(), 1);
      left.Close();
    });
    EXPECT_EQ(Rest(stays), (Ints{1, 2, 3}));
  });
}

// There, a stage that keeps an order waits for a place to be filled, and a task
// that ends abnormally never does.
TEST_P(PipelineSimTest, B64_NobodyWaitsForAFunctionThatHasFailed) {
  const auto fail_at_2 = [](int value) -> absl::StatusOr<int> {
    if (value == 2) return kStop;
    return -value;
  };
  Explore([&fail_at_2] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    errgroup::Group group{Context()};
    group.Go([&](const Context& c) { return Feed(c, Ints{1, 2, 3}, numbers); });
    group.Go(
        [&](const Context& c) { return Map(c, numbers, negative, fail_at_2); });
    EXPECT_EQ(Rest(negative), (Ints{-1}));
    EXPECT_EQ(group.Wait(), kStop);
    EXPECT_TRUE(numbers.closed());
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST_P(PipelineSimTest, B64_NobodyWaitsForAFunctionThatHasThrown) {
  const auto throw_at_2 = [](int value) {
    if (value == 2) throw std::runtime_error("map");
    return -value;
  };
  Explore([&throw_at_2] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    errgroup::Group group{Context()};
    group.Go([&](const Context& c) { return Feed(c, Ints{1, 2, 3}, numbers); });
    group.Go([&](const Context& c) {
      return Map(c, numbers, negative, throw_at_2);
    });
    EXPECT_EQ(Rest(negative), (Ints{-1}));
    EXPECT_TRUE(absl::IsInternal(group.Wait()));
    EXPECT_NE(group.exception(), nullptr);
    EXPECT_TRUE(numbers.closed());
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST_P(PipelineSimTest, B65_WorkersKeepTheOrder) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    JoiningThread feed([&] {
      EXPECT_EQ(Feed(Context(), Ints{1, 2, 3, 4}, numbers), absl::OkStatus());
    });
    JoiningThread map([&] {
      EXPECT_EQ(Map(Context(), numbers, negative, Negative, {.workers = 2}),
                absl::OkStatus());
    });
    EXPECT_EQ(Rest(negative), (Ints{-1, -2, -3, -4}));
  });
}

TEST_P(PipelineSimTest, WorkersLoseAndDoubleNothing) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    JoiningThread feed([&] {
      EXPECT_EQ(Feed(Context(), Ints{1, 2, 3, 4}, numbers), absl::OkStatus());
    });
    JoiningThread map([&] {
      EXPECT_EQ(Map(Context(), numbers, negative, Negative,
                    {.workers = 3, .ordered = false}),
                absl::OkStatus());
    });
    Ints values = Rest(negative);
    std::sort(values.begin(), values.end());
    EXPECT_EQ(values, (Ints{-4, -3, -2, -1}));
  });
}

TEST_P(PipelineSimTest, ACancelMeetsWorkers) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    CancelScope scope = WithCancel(Context());
    JoiningThread feed(
        [&] { Feed(scope.context(), Ints{1, 2, 3}, numbers).IgnoreError(); });
    absl::Status status;
    JoiningThread map([&] {
      status =
          Map(scope.context(), numbers, negative, Negative, {.workers = 2});
    });
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    const Ints values = Rest(negative);
    map.Join();
    ExpectBeginOf({-1, -2, -3}, values);
    if (status.ok()) {
      EXPECT_EQ(values, (Ints{-1, -2, -3}));
    } else {
      EXPECT_EQ(status, kStop);
    }
  });
}

TEST_P(PipelineSimTest, AReaderLeavesWorkers) {
  Explore([] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    JoiningThread feed([&] {
      EXPECT_EQ(Feed(Context(), Ints{1, 2, 3, 4, 5, 6, 7}, numbers),
                absl::OkStatus());
    });
    JoiningThread map([&] {
      EXPECT_EQ(Map(Context(), numbers, negative, Negative, {.workers = 2}),
                absl::OkStatus());
    });
    EXPECT_EQ(negative.Receive(Context()).value(), -1);
    negative.Close();
  });
}

TEST_P(PipelineSimTest, B64_NoWorkerWaitsForOneThatHasFailed) {
  const auto fail_at_2 = [](int value) -> absl::StatusOr<int> {
    if (value == 2) return kStop;
    return -value;
  };
  Explore([&fail_at_2] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    JoiningThread feed(
        [&] { Feed(Context(), Ints{1, 2, 3, 4}, numbers).IgnoreError(); });
    JoiningThread map([&] {
      EXPECT_EQ(Map(Context(), numbers, negative, fail_at_2, {.workers = 2}),
                kStop);
    });
    ExpectBeginOf({-1}, Rest(negative));
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST_P(PipelineSimTest, B64_NoWorkerWaitsForOneThatHasThrown) {
  const auto throw_at_2 = [](int value) {
    if (value == 2) throw std::runtime_error("map");
    return -value;
  };
  Explore([&throw_at_2] {
    Channel<int> numbers(capacity());
    Channel<int> negative(capacity());
    JoiningThread feed(
        [&] { Feed(Context(), Ints{1, 2, 3, 4}, numbers).IgnoreError(); });
    JoiningThread map([&] {
      EXPECT_THROW(Map(Context(), numbers, negative, throw_at_2, {.workers = 2})
                       .IgnoreError(),
                   std::runtime_error);
    });
    ExpectBeginOf({-1}, Rest(negative));
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

// One reduces at a time, in order.
TEST(PipelineWorkersSimTest, WhatIsReducedIsAllAndInOrder) {
  Explore([] {
    Channel<int> numbers(1);
    JoiningThread feed([&] {
      EXPECT_EQ(Feed(Context(), Ints{1, 2, 3}, numbers), absl::OkStatus());
    });
    sync::RaceChecked<Ints> reduced;
    const absl::StatusOr<int> count =
        MapReduce(Context(), numbers, Negative, 0,
                  [&reduced](int n, int value) {
                    reduced.Write().push_back(value);
                    return n + 1;
                  },
                  {.workers = 2});
    EXPECT_EQ(count.value(), 3);
    EXPECT_EQ(reduced.Read(), (Ints{-1, -2, -3}));
  });
}

TEST(PipelineWorkersSimTest, HaveAllEndedWithTheStage) {
  Explore([] {
    auto used = std::make_unique<sync::RaceChecked<int>>(0);
    sync::Atomic<int> there = 0;
    Channel<int> numbers(2);
    Channel<int> negative(2);
    EXPECT_EQ(Feed(Context(), Ints{1, 2}, numbers), absl::OkStatus());
    EXPECT_EQ(Map(Context(), numbers, negative,
                  [&](int value) -> absl::StatusOr<int> {
                    ++there;
                    if (value == 1) return kStop;
                    EXPECT_EQ(used->Read(), 0);
                    --there;
                    return value;
                  },
                  {.workers = 2}),
              kStop);
    EXPECT_EQ(there, 1);
    used->Write() = 1;
    used.reset();
  });
}

// A case of which the stage knows that it was not ready is looked at again when
// something has happened to its channel.
TEST_P(PipelineSimTest, FanInOverlooksNoChannel) {
  Explore([] {
    Channel<int> a(capacity());
    Channel<int> b(capacity());
    Channel<int> c(capacity());
    Channel<int> all;
    JoiningThread fan_in([&] {
      EXPECT_EQ(FanIn(Context(), {&a, &b, &c}, all), absl::OkStatus());
    });
    JoiningThread feeds([&] {
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
        EXPECT_EQ(b.Send(Context(), 1), absl::OkStatus());
      }
      a.Close();
      b.Close();
    });
    // Others than the stage may read there too.
    JoiningThread other([&] {
      const absl::StatusOr<int> value = a.TryReceive();
      EXPECT_EQ(c.Send(Context(), value.value_or(0)), absl::OkStatus());
      c.Close();
    });
    int sum = 0;
    for (const int value : all) sum += value;
    EXPECT_EQ(sum, 4);
  });
}

TEST_P(PipelineSimTest, FanOutOverlooksNoReader) {
  Explore([] {
    Channel<int> numbers(2);
    Channel<int> a(capacity());
    Channel<int> b(capacity());
    EXPECT_EQ(Feed(Context(), Ints{1, 2}, numbers), absl::OkStatus());
    JoiningThread fan_out([&] {
      EXPECT_EQ(FanOut(Context(), numbers, {&a, &b}), absl::OkStatus());
    });
    JoiningThread reader([&] { EXPECT_EQ(Rest(a), (Ints{1, 2})); });
    EXPECT_EQ(Rest(b), (Ints{1, 2}));
  });
}

TEST(PipelineProof, TwoWorkers) {
  ExploreAll(2, [] {
    Channel<int> numbers(2);
    Channel<int> negative(2);
    EXPECT_EQ(Feed(Context(), Ints{1, 2}, numbers), absl::OkStatus());
    EXPECT_EQ(Map(Context(), numbers, negative, Negative, {.workers = 2}),
              absl::OkStatus());
    EXPECT_EQ(Rest(negative), (Ints{-1, -2}));
  });
}

TEST(PipelineProof, FanInOfTwo) {
  ExploreAll(1, [] {
    Channel<int> a;
    Channel<int> b;
    Channel<int> both(3);
    JoiningThread fan_in(
        [&] { EXPECT_EQ(FanIn(Context(), {&a, &b}, both), absl::OkStatus()); });
    JoiningThread feed(
        [&] { EXPECT_EQ(Feed(Context(), Ints{1, 2}, a), absl::OkStatus()); });
    EXPECT_EQ(b.Send(Context(), 3), absl::OkStatus());
    b.Close();
    Ints values = Rest(both);
    std::sort(values.begin(), values.end());
    EXPECT_EQ(values, (Ints{1, 2, 3}));
  });
}

TEST(PipelineProof, TwoStagesAndACancel) {
  ExploreAll(1, [] {
    Channel<int> numbers;
    Channel<int> negative;
    CancelScope scope = WithCancel(Context());
    JoiningThread feed(
        [&] { Feed(scope.context(), Ints{1}, numbers).IgnoreError(); });
    absl::Status mapped;
    JoiningThread map(
        [&] { mapped = Map(scope.context(), numbers, negative, Negative); });
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    const Ints values = Rest(negative);
    map.Join();
    ExpectBeginOf({-1}, values);
    if (mapped.ok()) {
      EXPECT_EQ(values, (Ints{-1}));
    } else {
      EXPECT_EQ(mapped, kStop);
    }
  });
}

TEST(PipelineProof, AnEarlyEnd) {
  ExploreAll(2, [] {
    Channel<int> numbers;
    Channel<int> firsts;
    JoiningThread feed([&] {
      EXPECT_EQ(Feed(Context(), Ints{1, 2}, numbers), absl::OkStatus());
    });
    JoiningThread take([&] {
      EXPECT_EQ(TakeN(Context(), numbers, 1, firsts), absl::OkStatus());
    });
    EXPECT_EQ(Rest(firsts), (Ints{1}));
  });
}

// Two contexts that end at the same time. What happened before the end whose
// cause an Or of them has is visible.
void TwoEndAtOnce() {
  CancelScope first = WithCancel(Context());
  CancelScope second = WithCancel(Context());
  sync::RaceChecked<int> before_first(0);
  sync::RaceChecked<int> before_second(0);
  const Or either({first.context(), second.context()});
  JoiningThread ends_first([&] {
    before_first.Write() = 1;
    first.Cancel(kStop);
  });
  JoiningThread ends_second([&] {
    before_second.Write() = 1;
    second.Cancel(kOther);
  });
  either.context().AwaitDone();
  const absl::Status cause = either.context().cause();
  if (cause == kStop) {
    EXPECT_EQ(before_first.Read(), 1);
  } else {
    EXPECT_EQ(cause, kOther);
    EXPECT_EQ(before_second.Read(), 1);
  }
  ends_first.Join();
  ends_second.Join();
  EXPECT_EQ(either.context().cause(), cause);
}

TEST(OrSimTest, TwoEndAtOnce) { Explore(TwoEndAtOnce); }

// The same, while the Or is destroyed.
void TwoEndAndItIsDestroyed() {
  CancelScope first = WithCancel(Context());
  CancelScope second = WithCancel(Context());
  sync::Atomic<int> ended = 0;
  auto either = std::make_unique<Or>(
      std::initializer_list<Context>{first.context(), second.context()});
  const Context context = either->context();
  const DoneCallback count = context.OnDone([&ended] { ++ended; });
  {
    JoiningThread ends_first([&] { first.Cancel(kStop); });
    JoiningThread ends_second([&] { second.Cancel(kOther); });
    either.reset();
    EXPECT_TRUE(context.done());
  }
  EXPECT_EQ(ended, 1);
  const absl::Status cause = context.cause();
  EXPECT_TRUE(cause == kStop || cause == kOther || absl::IsCancelled(cause))
      << cause;
}

TEST(OrSimTest, TwoEndAndItIsDestroyed) { Explore(TwoEndAndItIsDestroyed); }

TEST(OrSimTest, OneEndsWhileItIsMade) {
  Explore([] {
    CancelScope first = WithCancel(Context());
    CancelScope second = WithCancel(Context());
    JoiningThread ends([&] { second.Cancel(kStop); });
    const Or either({first.context(), second.context()});
    either.context().AwaitDone();
    EXPECT_EQ(either.context().cause(), kStop);
  });
}

TEST(OrProof, TwoEndAtOnce) { ExploreAll(2, TwoEndAtOnce); }

TEST(OrProof, TwoEndAndItIsDestroyed) { ExploreAll(2, TwoEndAndItIsDestroyed); }

}  // namespace
}  // namespace cohort::channel
