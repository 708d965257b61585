// Channel: what it promises to one caller, and to those who block.

#include "cohort/channel/channel.h"

#include <any>
#include <atomic>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

static_assert(!std::is_copy_constructible_v<Channel<int>>);
static_assert(!std::is_move_constructible_v<Channel<int>>);
static_assert(std::input_iterator<Values<int>::Iterator>);

// What can be made from a status is told apart from one.
struct FromStatus {
  FromStatus(const absl::Status&) {}  // NOLINT: implicit
};
struct FromAnything {
  template <class U>
  explicit FromAnything(U&&) noexcept {}
  FromAnything(FromAnything&&) noexcept = default;
};
struct BoolLike {
  explicit BoolLike(absl::Status status) : ok(status.ok()) {}
  bool ok;
};
using StatusOrInt = std::variant<absl::Status, int>;

template <class T>
constexpr bool kPlain =
    std::is_same_v<decltype(std::declval<Channel<T>&>().Receive(Context())),
                   absl::StatusOr<T>>;
template <class T>
constexpr bool kDistinct =
    std::is_same_v<decltype(std::declval<Channel<T>&>().TryReceive()),
                   DistinctStatusOr<T>>;
static_assert(kPlain<int> && kPlain<std::unique_ptr<int>>);
static_assert(kPlain<std::string> && kPlain<std::vector<absl::Status>>);
static_assert(kDistinct<absl::Status> && kDistinct<absl::StatusOr<int>>);
static_assert(kDistinct<std::optional<absl::Status>>);
static_assert(kDistinct<StatusOrInt> && kDistinct<std::any>);
static_assert(kDistinct<FromStatus> && kDistinct<FromAnything>);
static_assert(kDistinct<BoolLike>);
// Nor back: whoever returns one, or hands it on, has to say which he means.
template <class T>
constexpr bool kConfused =
    std::is_convertible_v<DistinctStatusOr<T>, absl::StatusOr<T>> ||
    std::is_convertible_v<DistinctStatusOr<T>, absl::Status> ||
    std::is_constructible_v<DistinctStatusOr<T>, absl::Status> ||
    std::is_constructible_v<DistinctStatusOr<T>, T>;
static_assert(!kConfused<absl::Status> && !kConfused<absl::StatusOr<int>>);
static_assert(!kConfused<StatusOrInt> && !kConfused<std::any>);

const absl::Status kClosedToSend =
    absl::FailedPreconditionError("channel closed");
const absl::Status kAtItsEnd =
    absl::OutOfRangeError("channel closed and empty");
const absl::Status kFull = absl::UnavailableError("channel full");
const absl::Status kEmpty = absl::UnavailableError("channel empty");
const absl::Status kStop = absl::AbortedError("stop");

TEST(ChannelTest, ValuesComeInTheirOrder) {
  Channel<int> channel(3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
    EXPECT_EQ(channel.size(), i + 1);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(channel.Receive(Context()).value(), i);
  }
  EXPECT_EQ(channel.size(), 0);
  EXPECT_EQ(channel.capacity(), 3);
}

TEST(ChannelTest, TryNeverBlocks) {
  Channel<int> channel(1);
  EXPECT_EQ(channel.TryReceive().status(), kEmpty);
  EXPECT_EQ(channel.TrySend(1), absl::OkStatus());
  EXPECT_EQ(channel.TrySend(2), kFull);
  EXPECT_EQ(channel.TryReceive().value(), 1);
  EXPECT_EQ(channel.TryReceive().status(), kEmpty);

  Channel<int> unbuffered;
  EXPECT_EQ(unbuffered.capacity(), 0);
  EXPECT_EQ(unbuffered.TrySend(1), kFull);
  EXPECT_EQ(unbuffered.TryReceive().status(), kEmpty);
}

TEST(ChannelTest, WhatIsNotSentIsWhereItWas) {
  Channel<std::unique_ptr<int>> channel(1);
  auto value = std::make_unique<int>(1);
  EXPECT_EQ(channel.TrySend(std::move(value)), absl::OkStatus());
  EXPECT_EQ(value, nullptr);
  value = std::make_unique<int>(2);
  EXPECT_EQ(channel.TrySend(std::move(value)), kFull);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(*value, 2);
  CancelScope scope = WithCancel(Context());
  scope.Cancel(kStop);
  EXPECT_EQ(channel.Send(scope.context(), std::move(value)), kStop);
  ASSERT_NE(value, nullptr);
  channel.Close();
  EXPECT_EQ(channel.Send(Context(), std::move(value)), kClosedToSend);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(*value, 2);
  EXPECT_EQ(**channel.Receive(Context()), 1);
}

// Neither assignable nor default constructible.
struct Fixed {
  explicit Fixed(int n) : number(n) {}
  const int number;
};

TEST(ChannelTest, AValueNeedsNoMoreThanAMove) {
  Channel<Fixed> channel(1);
  Fixed value(7);
  EXPECT_EQ(channel.Send(Context(), value), absl::OkStatus());
  EXPECT_EQ(channel.TrySend(std::move(value)), kFull);
  EXPECT_EQ(channel.Receive(Context())->number, 7);
}

TEST(ChannelTest, ACopyIsSentOfWhatIsNotMoved) {
  Channel<std::string> channel(2);
  const std::string value = "value";
  EXPECT_EQ(channel.Send(Context(), value), absl::OkStatus());
  EXPECT_EQ(channel.TrySend(value), absl::OkStatus());
  EXPECT_EQ(channel.Receive(Context()).value(), "value");
  EXPECT_EQ(channel.Receive(Context()).value(), "value");
  EXPECT_EQ(value, "value");
}

// Go's chan error, and its relatives.
template <class T>
void ExpectToldApart(T value) {
  Channel<T> channel(1);
  EXPECT_EQ(channel.TryReceive().status(), kEmpty);
  CancelScope scope = WithCancel(Context());
  scope.Cancel(kStop);
  EXPECT_EQ(channel.Receive(scope.context()).status(), kStop);
  for (T& each : channel.Values(scope.context())) ADD_FAILURE() << &each;
  EXPECT_EQ(channel.TrySend(std::move(value)), absl::OkStatus());
  const auto received = channel.Receive(Context());
  EXPECT_TRUE(received.ok());
  EXPECT_EQ(received.status(), absl::OkStatus());
  channel.Close();
  EXPECT_FALSE(channel.Receive(Context()).ok());
  EXPECT_EQ(channel.Receive(Context()).status(), kAtItsEnd);
  EXPECT_EQ(channel.TryReceive().status(), kAtItsEnd);
  for (T& each : channel) ADD_FAILURE() << &each;
}

TEST(ChannelTest, AnEndIsNoValue) {
  ExpectToldApart<absl::Status>(kStop);
  ExpectToldApart<absl::Status>(absl::OkStatus());
  ExpectToldApart<absl::StatusOr<int>>(kStop);
  ExpectToldApart<StatusOrInt>(kStop);
  ExpectToldApart<std::any>(1);
  ExpectToldApart<std::optional<absl::Status>>(std::nullopt);
  ExpectToldApart<FromStatus>(kStop);
  ExpectToldApart<FromAnything>(FromAnything(1));
  ExpectToldApart<BoolLike>(BoolLike(absl::OkStatus()));
}

TEST(ChannelTest, AStatusIsAValue) {
  Channel<absl::Status> errors(2);
  EXPECT_EQ(errors.Send(Context(), kStop), absl::OkStatus());
  EXPECT_EQ(errors.Send(Context(), absl::OkStatus()), absl::OkStatus());
  DistinctStatusOr<absl::Status> error = errors.Receive(Context());
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(*error, kStop);
  EXPECT_EQ(error->message(), "stop");
  EXPECT_EQ(error.value(), kStop);
  EXPECT_EQ(*std::move(error), kStop);
  EXPECT_EQ(errors.Receive(Context()).value(), absl::OkStatus());
  EXPECT_EQ(errors.TryReceive().value_or(kFull), kFull);
#ifdef ABSL_HAVE_EXCEPTIONS
  EXPECT_THROW((void)errors.TryReceive().value(), absl::BadStatusOrAccess);
#endif
}

TEST(ChannelTest, AStatusOrIsAValue) {
  Channel<absl::StatusOr<int>> results(2);
  EXPECT_EQ(results.Send(Context(), kStop), absl::OkStatus());
  EXPECT_EQ(results.Send(Context(), 7), absl::OkStatus());
  EXPECT_EQ(results.Receive(Context()).value().status(), kStop);
  EXPECT_EQ(results.Receive(Context())->value(), 7);
}

// Overloads that say something else than they do elsewhere.
struct Hostile {
  explicit Hostile(int n) : number(n) {}
  void* operator&() const { return nullptr; }
  template <class U>
  friend void operator,(const Hostile&, U&&) {
    ADD_FAILURE();
  }
  template <class U>
  friend void operator,(U&&, const Hostile&) {
    ADD_FAILURE();
  }
  int number;
};

TEST(ChannelTest, ATypeMayOverloadWhatItLikes) {
  Channel<Hostile> channel(1);
  Hostile value(7);
  EXPECT_EQ(channel.Send(Context(), value), absl::OkStatus());
  EXPECT_EQ(channel.TrySend(std::move(value)), kFull);
  EXPECT_EQ(value.number, 7);
  EXPECT_EQ((*channel.Receive(Context())).number, 7);
  EXPECT_EQ(channel.TrySend(Hostile(8)), absl::OkStatus());
  channel.Close();
  for (Hostile& each : channel) EXPECT_EQ(each.number, 8);
}

TEST(ChannelTest, SendAndReceiveMeet) {
  Channel<int> channel;
  JoiningThread sender(
      [&] { EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus()); });
  EXPECT_EQ(channel.Receive(Context()).value(), 1);
  sender.Join();
  JoiningThread receiver(
      [&] { EXPECT_EQ(channel.Receive(Context()).value(), 2); });
  EXPECT_EQ(channel.Send(Context(), 2), absl::OkStatus());
}

TEST(ChannelTest, B04_CloseDrains) {
  Channel<int> channel(2);
  EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus());
  EXPECT_EQ(channel.Send(Context(), 2), absl::OkStatus());
  EXPECT_FALSE(channel.closed());
  EXPECT_TRUE(channel.Close());
  EXPECT_FALSE(channel.Close());
  EXPECT_TRUE(channel.closed());
  EXPECT_EQ(channel.Send(Context(), 3), kClosedToSend);
  EXPECT_EQ(channel.TrySend(3), kClosedToSend);
  EXPECT_EQ(channel.Receive(Context()).value(), 1);
  EXPECT_EQ(channel.TryReceive().value(), 2);
  EXPECT_EQ(channel.Receive(Context()).status(), kAtItsEnd);
  EXPECT_EQ(channel.TryReceive().status(), kAtItsEnd);
}

TEST(ChannelTest, CloseWakesAllWhoBlock) {
  Channel<int> empty;
  JoiningThread first(
      [&] { EXPECT_EQ(empty.Receive(Context()).status(), kAtItsEnd); });
  JoiningThread second(
      [&] { EXPECT_EQ(empty.Receive(Context()).status(), kAtItsEnd); });
  empty.Close();
  Channel<int> full(1);
  EXPECT_EQ(full.Send(Context(), 0), absl::OkStatus());
  JoiningThread third(
      [&] { EXPECT_EQ(full.Send(Context(), 1), kClosedToSend); });
  JoiningThread fourth(
      [&] { EXPECT_EQ(full.Send(Context(), 2), kClosedToSend); });
  full.Close();
}

TEST(ChannelTest, TheContextWakesWhoBlocks) {
  CancelScope scope = WithCancel(Context());
  Channel<int> channel;
  JoiningThread sender(
      [&] { EXPECT_EQ(channel.Send(scope.context(), 1), kStop); });
  Channel<int> other;
  JoiningThread receiver(
      [&] { EXPECT_EQ(other.Receive(scope.context()).status(), kStop); });
  scope.Cancel(kStop);
  sender.Join();
  receiver.Join();
  // Whoever has left is not served any more.
  EXPECT_EQ(channel.TryReceive().status(), kEmpty);
  EXPECT_EQ(other.TrySend(1), kFull);
}

// After a cancel nothing comes any more, however long the other one has been
// waiting.
TEST(ChannelTest, NobodyIsServedAfterACancel) {
  for (int i = 0; i < 200; ++i) {
    CancelScope scope = WithCancel(Context());
    Channel<int> from;
    Channel<int> to;
    Channel<int> closed;
    JoiningThread receiver(
        [&] { EXPECT_EQ(from.Receive(scope.context()).status(), kStop); });
    JoiningThread sender(
        [&] { EXPECT_EQ(to.Send(scope.context(), 1), kStop); });
    JoiningThread other(
        [&] { EXPECT_EQ(closed.Receive(scope.context()).status(), kStop); });
    if (i % 2 == 0) sync::SleepFor(absl::Microseconds(50));
    scope.Cancel(kStop);
    EXPECT_EQ(from.TrySend(1), kFull);
    EXPECT_EQ(to.TryReceive().status(), kEmpty);
    closed.Close();
  }
}

TEST(ChannelTest, ADoneContextMovesNothing) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel(kStop);
  Channel<int> channel(2);
  EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus());
  EXPECT_EQ(channel.Send(scope.context(), 2), kStop);
  EXPECT_EQ(channel.Receive(scope.context()).status(), kStop);
  EXPECT_EQ(channel.size(), 1);
}

TEST(ChannelTest, ADeadlineEndsTheWait) {
  Channel<int> channel;
  const CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1));
  EXPECT_EQ(channel.Receive(scope.context()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(ChannelTest, IterationEndsWithTheChannel) {
  Channel<int> channel(4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
  }
  channel.Close();
  std::vector<int> values;
  for (int value : channel.Values(Context())) values.push_back(value);
  EXPECT_EQ(values, (std::vector<int>{0, 1, 2, 3}));
  for (int value : channel) ADD_FAILURE() << value;
}

TEST(ChannelTest, IterationEndsWithTheContext) {
  CancelScope scope = WithCancel(Context());
  Channel<std::unique_ptr<int>> channel(2);
  EXPECT_EQ(channel.TrySend(std::make_unique<int>(0)), absl::OkStatus());
  EXPECT_EQ(channel.TrySend(std::make_unique<int>(1)), absl::OkStatus());
  std::vector<int> values;
  for (std::unique_ptr<int>& value : channel.Values(scope.context())) {
    values.push_back(*value);
    scope.Cancel(kStop);
  }
  EXPECT_EQ(values, (std::vector<int>{0}));
  EXPECT_EQ(channel.size(), 1);
}

TEST(ChannelTest, AnIterationSaysWhyItHasEnded) {
  CancelScope scope = WithCancel(Context());
  Channel<int> channel(3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(channel.TrySend(i), absl::OkStatus());
  auto until_break = channel.Values(scope.context());
  for (int value : until_break) {
    EXPECT_EQ(value, 0);
    EXPECT_EQ(until_break.status(), absl::OkStatus());
    break;
  }
  EXPECT_EQ(until_break.status(), absl::OkStatus());
  auto until_cancel = channel.Values(scope.context());
  for (int value : until_cancel) {
    EXPECT_EQ(value, 1);
    scope.Cancel(kStop);
  }
  EXPECT_EQ(until_cancel.status(), kStop);
  channel.Close();
  CancelScope other = WithCancel(Context());
  auto until_closed = channel.Values(other.context());
  for (int value : until_closed) EXPECT_EQ(value, 2);
  EXPECT_EQ(until_closed.status(), absl::OkStatus());
  // That it has ended in another way before is not forgotten.
  other.Cancel(kStop);
  EXPECT_EQ(until_closed.status(), absl::OkStatus());
}

TEST(ChannelTest, WhatNobodyReceivesGoesWithTheChannel) {
  const auto counted = std::make_shared<int>(0);
  {
    Channel<std::shared_ptr<int>> channel(2);
    EXPECT_EQ(channel.Send(Context(), counted), absl::OkStatus());
    EXPECT_EQ(channel.Send(Context(), counted), absl::OkStatus());
    EXPECT_EQ(counted.use_count(), 3);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(ChannelTest, AReceivedValueIsNotKept) {
  Channel<std::shared_ptr<int>> channel(1);
  const auto counted = std::make_shared<int>(0);
  EXPECT_EQ(channel.Send(Context(), counted), absl::OkStatus());
  EXPECT_EQ(*channel.Receive(Context()), counted);
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(ChannelTest, SeveralProducersAndConsumersLoseAndDoubleNothing) {
  constexpr int kEach = 2000;
  for (const int capacity : {0, 1, 16}) {
    Channel<int> channel(capacity);
    std::vector<std::atomic<int>> received(3 * kEach);
    {
      std::vector<std::unique_ptr<JoiningThread>> consumers;
      for (int i = 0; i < 3; ++i) {
        consumers.push_back(std::make_unique<JoiningThread>([&] {
          for (int value : channel.Values(Context())) {
            ++received[static_cast<size_t>(value)];
          }
        }));
      }
      std::vector<std::unique_ptr<JoiningThread>> producers;
      for (int i = 0; i < 3; ++i) {
        producers.push_back(std::make_unique<JoiningThread>([&channel, i] {
          for (int j = 0; j < kEach; ++j) {
            EXPECT_EQ(channel.Send(Context(), i * kEach + j), absl::OkStatus());
          }
        }));
      }
      producers.clear();
      channel.Close();
    }
    for (const std::atomic<int>& count : received) ASSERT_EQ(count, 1);
  }
}

TEST(ChannelDeathTest, BadInputDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Channel<int>(-1), "channel::Channel: capacity is -1");
}

}  // namespace
}  // namespace cohort::channel
