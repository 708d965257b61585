// Select: what it does with cases that are ready, and with those that are not.

#include "cohort/channel/select.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

const absl::Status kStop = absl::AbortedError("stop");

// For cases that must not be carried out.
constexpr auto kNever = [](const auto&) { ADD_FAILURE(); };

TEST(SelectTest, TakesTheOneThatIsReady) {
  Channel<int> a(1);
  Channel<std::string> b(1);
  EXPECT_EQ(b.Send(Context(), "b"), absl::OkStatus());
  std::string received;
  EXPECT_EQ(Select(Context(), ReceiveFrom(a, kNever),
                   ReceiveFrom(b,
                               [&](absl::StatusOr<std::string> value) {
                                 received = *std::move(value);
                               }))
                .value(),
            1);
  EXPECT_EQ(received, "b");
  bool sent = false;
  EXPECT_EQ(
      Select(Context(), ReceiveFrom(b, kNever),
             SendTo(a, 7, [&](absl::Status status) { sent = status.ok(); }))
          .value(),
      1);
  EXPECT_TRUE(sent);
  EXPECT_EQ(a.Receive(Context()).value(), 7);
}

TEST(SelectTest, BlocksUntilOneIsReady) {
  Channel<int> a;
  Channel<int> b;
  JoiningThread sender(
      [&] { EXPECT_EQ(b.Send(Context(), 1), absl::OkStatus()); });
  EXPECT_EQ(Select(Context(), ReceiveFrom(a, kNever),
                   ReceiveFrom(b,
                               [](absl::StatusOr<int> value) {
                                 EXPECT_EQ(value.value(), 1);
                               }))
                .value(),
            1);
}

TEST(SelectTest, OtherwiseIsForWhenNothingIsReady) {
  Channel<int> a(1);
  int otherwise = 0;
  EXPECT_EQ(
      Select(Context(), Otherwise([&] { ++otherwise; }), ReceiveFrom(a, kNever))
          .value(),
      0);
  EXPECT_EQ(otherwise, 1);
  EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
  EXPECT_EQ(Select(Context(), Otherwise([] { ADD_FAILURE(); }),
                   ReceiveFrom(a, [](absl::StatusOr<int>) {}))
                .value(),
            1);
}

TEST(SelectTest, ANullChannelIsNeverReady) {
  Channel<int> a(1);
  Channel<int>* const null = nullptr;
  EXPECT_EQ(Select(Context(), ReceiveFrom(null, kNever),
                   SendTo(null, 1, kNever), SendTo(a, 2, [](absl::Status) {}))
                .value(),
            2);
  CancelScope scope = WithCancel(Context());
  JoiningThread canceller([&] { scope.Cancel(kStop); });
  EXPECT_EQ(Select(scope.context(), ReceiveFrom(null, kNever)).status(), kStop);
}

TEST(SelectTest, ADoneContextComesFirst) {
  CancelScope scope = WithCancel(Context());
  scope.Cancel(kStop);
  Channel<int> a(1);
  EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
  EXPECT_EQ(Select(scope.context(), ReceiveFrom(a, kNever),
                   Otherwise([] { ADD_FAILURE(); }))
                .status(),
            kStop);
  EXPECT_EQ(a.size(), 1);
}

TEST(SelectTest, WhatIsNotSentIsWhereItWas) {
  Channel<std::unique_ptr<int>> a;
  Channel<std::unique_ptr<int>> b(1);
  auto to_a = std::make_unique<int>(1);
  auto to_b = std::make_unique<int>(2);
  EXPECT_EQ(Select(Context(), SendTo(a, std::move(to_a), kNever),
                   SendTo(b, std::move(to_b),
                          [&](absl::Status status) {
                            EXPECT_EQ(status, absl::OkStatus());
                          }))
                .value(),
            1);
  ASSERT_NE(to_a, nullptr);
  EXPECT_EQ(*to_a, 1);
  EXPECT_EQ(to_b, nullptr);
  b.Close();
  to_b = std::make_unique<int>(3);
  EXPECT_EQ(Select(Context(), SendTo(b, std::move(to_b),
                                     [](absl::Status status) {
                                       EXPECT_TRUE(
                                           absl::IsFailedPrecondition(status));
                                     }))
                .value(),
            0);
  ASSERT_NE(to_b, nullptr);
  EXPECT_EQ(*to_b, 3);
}

TEST(SelectTest, AClosedChannelIsReady) {
  Channel<int> a(1);
  Channel<int> b;
  EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
  a.Close();
  std::vector<absl::StatusOr<int>> received;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Select(Context(), ReceiveFrom(b, kNever),
                     ReceiveFrom(a,
                                 [&](absl::StatusOr<int> value) {
                                   received.push_back(std::move(value));
                                 }))
                  .value(),
              1);
  }
  EXPECT_EQ(received[0].value(), 1);
  EXPECT_TRUE(absl::IsOutOfRange(received[1].status()));
}

// Whatever stands between them. Twenty times the standard deviation is allowed.
TEST(SelectTest, CasesThatAreReadyHaveEqualShares) {
  constexpr int kRounds = 40'000;
  Channel<int> idle;
  Channel<int> a;
  Channel<int> b;
  a.Close();
  b.Close();
  const auto ignore = [](const auto&) {};
  std::vector<int> chosen(5);
  for (int i = 0; i < kRounds; ++i) {
    ++chosen[Select(Context(), ReceiveFrom(a, ignore),
                    ReceiveFrom(idle, kNever), ReceiveFrom(idle, kNever),
                    ReceiveFrom(b, ignore), ReceiveFrom(idle, kNever))
                 .value()];
  }
  EXPECT_EQ(chosen[0] + chosen[3], kRounds);
  EXPECT_NEAR(chosen[0], kRounds / 2, 2000);
}

TEST(SelectTest, OneChannelMayBeInSeveralCases) {
  Channel<int> a;
  // Not with itself.
  bool otherwise = false;
  EXPECT_TRUE(Select(Context(), ReceiveFrom(a, kNever), SendTo(a, 1, kNever),
                     Otherwise([&] { otherwise = true; }))
                  .ok());
  EXPECT_TRUE(otherwise);
  JoiningThread other([&] { EXPECT_EQ(a.Receive(Context()).value(), 1); });
  EXPECT_EQ(Select(Context(), ReceiveFrom(a, kNever),
                   SendTo(a, 1, [](absl::Status) {}))
                .value(),
            1);
}

TEST(SelectTest, AHandlerMayUseTheChannels) {
  Channel<int> a(1);
  EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
  EXPECT_TRUE(Select(Context(), ReceiveFrom(a,
                                            [&](absl::StatusOr<int> value) {
                                              EXPECT_EQ(a.TrySend(*value + 1),
                                                        absl::OkStatus());
                                            }))
                  .ok());
  EXPECT_EQ(a.Receive(Context()).value(), 2);
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(SelectTest, AnExceptionOfAHandlerLeavesIt) {
  Channel<int> a(1);
  Channel<std::unique_ptr<int>> b;
  EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
  auto kept = std::make_unique<int>(1);
  EXPECT_THROW((void)Select(Context(), SendTo(b, std::move(kept), kNever),
                            ReceiveFrom(a,
                                        [](absl::StatusOr<int>) {
                                          throw std::runtime_error("handler");
                                        })),
               std::runtime_error);
  EXPECT_NE(kept, nullptr);
  EXPECT_EQ(a.size(), 0);
}

#endif  // ABSL_HAVE_EXCEPTIONS

// The commonest of all: the result, the error, or enough waited.
TEST(SelectTest, AChannelOfErrorsHasAnEndToo) {
  Channel<absl::Status> errors(1);
  std::vector<Result<absl::Status>> received;
  const auto select = [&] {
    return Select(Context(),
                  ReceiveFrom(errors, [&](Result<absl::Status> error) {
                    received.push_back(std::move(error));
                  }));
  };
  EXPECT_EQ(errors.Send(Context(), kStop), absl::OkStatus());
  EXPECT_TRUE(select().ok());
  errors.Close();
  EXPECT_TRUE(select().ok());
  ASSERT_TRUE(received[0].ok());
  EXPECT_EQ(*received[0], kStop);
  EXPECT_TRUE(absl::IsOutOfRange(received[1].status()));
  const auto any = ReceiveFromAny<absl::Status>(Context(), {&errors});
  ASSERT_TRUE(any.ok());
  EXPECT_TRUE(absl::IsOutOfRange(any->value.status()));
}

TEST(SelectTest, NobodyIsServedAfterACancel) {
  for (int i = 0; i < 200; ++i) {
    CancelScope scope = WithCancel(Context());
    Channel<int> a;
    Channel<int> b;
    Channel<int> c;
    JoiningThread selects([&] {
      EXPECT_EQ(Select(scope.context(), ReceiveFrom(a, kNever),
                       SendTo(b, 1, kNever), ReceiveFrom(c, kNever))
                    .status(),
                kStop);
    });
    if (i % 2 == 0) sync::SleepFor(absl::Microseconds(50));
    scope.Cancel(kStop);
    EXPECT_TRUE(absl::IsUnavailable(a.TrySend(1)));
    EXPECT_TRUE(absl::IsUnavailable(b.TryReceive().status()));
    c.Close();
  }
}

TEST(SelectTest, AfterAWhileItGivesUp) {
  Channel<int> idle;
  int late = 0;
  EXPECT_EQ(Select(Context(), ReceiveFrom(idle, kNever),
                   After(absl::Hours(1), [] { ADD_FAILURE(); }),
                   After(absl::Milliseconds(1), [&] { ++late; }))
                .value(),
            2);
  EXPECT_EQ(Select(Context(), After(absl::Seconds(0), [&] { ++late; }),
                   ReceiveFrom(idle, kNever))
                .value(),
            0);
  EXPECT_EQ(Select(Context(), After(-absl::InfiniteDuration(), [&] { ++late; }))
                .value(),
            0);
  EXPECT_EQ(late, 3);
}

TEST(SelectTest, WhatIsReadyDoesNotWaitForTheTime) {
  Channel<int> a(1);
  EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus());
  EXPECT_EQ(Select(Context(), After(absl::Hours(1), [] { ADD_FAILURE(); }),
                   After(absl::InfiniteDuration(), [] { ADD_FAILURE(); }),
                   ReceiveFrom(a, [](const auto&) {}))
                .value(),
            2);
  CancelScope scope = WithCancel(Context());
  JoiningThread canceller([&] { scope.Cancel(kStop); });
  EXPECT_EQ(Select(scope.context(), ReceiveFrom(a, kNever),
                   After(absl::Hours(1), [] { ADD_FAILURE(); }))
                .status(),
            kStop);
  EXPECT_EQ(
      Select(Context(), ReceiveFrom(a, kNever),
             After(absl::Hours(1), [] { ADD_FAILURE(); }), Otherwise([] {}))
          .value(),
      2);
}

// What is sent is where it was.
TEST(SelectTest, TheTimeSendsNothing) {
  Channel<std::unique_ptr<int>> full;
  auto value = std::make_unique<int>(1);
  EXPECT_EQ(Select(Context(), SendTo(full, std::move(value), kNever),
                   After(absl::Milliseconds(1), [] {}))
                .value(),
            1);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(full.TryReceive().status().code(), absl::StatusCode::kUnavailable);
}

// A tick has its share where another case is always ready.
TEST(SelectTest, ATickIsNotPassedOver) {
  Ticker ticker(absl::Nanoseconds(1));
  Channel<int> closed;
  closed.Close();
  int ticks = 0;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(Select(Context(), ReceiveFrom(closed, [](const auto&) {}),
                       Tick(ticker, [&] { ++ticks; }))
                    .ok());
  }
  EXPECT_GT(ticks, 100);
  EXPECT_LT(ticks, 900);
}

TEST(SelectDeathTest, ATickerWithoutAPeriodDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Ticker{absl::ZeroDuration()}, "channel::Ticker: period");
}

TEST(SelectTest, ManyCasesOfOneType) {
  std::vector<std::unique_ptr<Channel<int>>> channels;
  std::vector<Channel<int>*> all;
  for (int i = 0; i < 10; ++i) {
    channels.push_back(std::make_unique<Channel<int>>(1));
    all.push_back(channels.back().get());
  }
  EXPECT_EQ(all[7]->Send(Context(), 70), absl::OkStatus());
  const auto received = ReceiveFromAny<int>(Context(), all);
  EXPECT_EQ(received->index, 7);
  EXPECT_EQ(received->value.value(), 70);
  for (size_t i = 0; i < 10; ++i) {
    if (i == 3) continue;
    EXPECT_EQ(all[i]->Send(Context(), 0), absl::OkStatus());
  }
  const auto sent = SendToAny<int>(Context(), all, 30);
  EXPECT_EQ(sent->index, 3);
  EXPECT_EQ(sent->status, absl::OkStatus());
  all[3]->Close();
  EXPECT_EQ(all[3]->Receive(Context()).value(), 30);
  const auto closed = ReceiveFromAny<int>(Context(), {all[3]});
  EXPECT_TRUE(absl::IsOutOfRange(closed->value.status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      SendToAny<int>(Context(), {all[3]}, 1)->status));
  CancelScope scope = WithCancel(Context());
  scope.Cancel(kStop);
  EXPECT_EQ(ReceiveFromAny<int>(scope.context(), all).status(), kStop);
}

// More than any tool that looks at locks allows to be held at once.
TEST(SelectTest, TwoThousandChannels) {
  constexpr size_t kChannels = 2000;
  std::deque<Channel<int>> channels;
  std::vector<Channel<int>*> all;
  for (size_t i = 0; i < kChannels; ++i) {
    all.push_back(&channels.emplace_back());
  }
  // Whoever waits finds what comes, at whichever of them.
  for (const size_t i : {size_t{0}, kChannels / 2, kChannels - 1}) {
    JoiningThread sender(
        [&] { EXPECT_EQ(channels[i].Send(Context(), 1), absl::OkStatus()); });
    const auto received = ReceiveFromAny<int>(Context(), all);
    EXPECT_EQ(received->index, i);
    EXPECT_EQ(received->value.value(), 1);
    sender.Join();
    JoiningThread receiver(
        [&] { EXPECT_EQ(channels[i].Receive(Context()).value(), 2); });
    EXPECT_EQ(SendToAny<int>(Context(), all, 2)->index, i);
  }
  // Two of them meet.
  JoiningThread sender(
      [&] { EXPECT_TRUE(SendToAny<int>(Context(), all, 3).ok()); });
  EXPECT_EQ(ReceiveFromAny<int>(Context(), all)->value.value(), 3);
  CancelScope scope = WithCancel(Context());
  JoiningThread canceller([&scope] { scope.Cancel(kStop); });
  EXPECT_EQ(ReceiveFromAny<int>(scope.context(), all).status(), kStop);
}

}  // namespace
}  // namespace cohort::channel
