// Channel and Select on every schedule that the search comes across. The names
// with numbers are those of docs/immunity.md.

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/linearizable.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

constexpr absl::Duration kMoment = absl::Milliseconds(1);
const absl::Status kStop = absl::AbortedError("stop");

void Explore(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 5000 / sim::kCost}, body);
}

// Time passes only when nobody can run.
void ExploreQuiescent(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 2000 / sim::kCost, .time = sim::Time::kQuiescent},
               body);
}

// All of them, or those with at most so many preemptions.
void ExploreAll(absl::FunctionRef<void()> body,
                std::optional<int> preemptions = std::nullopt) {
  sim::Options options =
      preemptions.has_value()
          ? sim::AllSchedules(sim::Strategy::PreemptionBounded(*preemptions))
          : sim::AllSchedules();
  sim::ExploreAllOrSome(options, 2000, body);
}

class ChannelSimTest : public ::testing::TestWithParam<int> {
 protected:
  static int capacity() { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Capacities, ChannelSimTest, ::testing::Values(0, 1, 2),
                         ::testing::PrintToStringParamName());

TEST_P(ChannelSimTest, EveryValueIsReceivedOnceAndInOrder) {
  Explore([] {
    Channel<int> channel(capacity());
    std::vector<std::vector<int>> received(2);
    {
      const auto receive = [&channel](std::vector<int>& values) {
        for (int value : channel.Values(Context())) values.push_back(value);
      };
      JoiningThread first([&] { receive(received[0]); });
      JoiningThread second([&] { receive(received[1]); });
      JoiningThread sender([&] {
        for (int i = 0; i < 2; ++i) {
          EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
        }
      });
      for (int i = 10; i < 12; ++i) {
        EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
      }
      sender.Join();
      channel.Close();
    }
    std::vector<int> count(12);
    for (const std::vector<int>& values : received) {
      std::optional<int> small;
      std::optional<int> large;
      for (int value : values) {
        ++count[static_cast<size_t>(value)];
        std::optional<int>& last = value < 10 ? small : large;
        EXPECT_LT(last.value_or(-1), value);
        last = value;
      }
    }
    for (const int value : {0, 1, 10, 11}) {
      EXPECT_EQ(count[static_cast<size_t>(value)], 1);
    }
  });
}

TEST_P(ChannelSimTest, WhatCameBeforeSendIsVisibleToTheReceiver) {
  Explore([] {
    Channel<sync::RaceChecked<int>*> channel(capacity());
    sync::RaceChecked<int> one(0);
    sync::RaceChecked<int> two(0);
    JoiningThread sender([&] {
      for (sync::RaceChecked<int>* shared : {&one, &two}) {
        shared->Write() = 1;
        EXPECT_EQ(channel.Send(Context(), std::move(shared)), absl::OkStatus());
      }
      channel.Close();
    });
    for (sync::RaceChecked<int>* shared : channel.Values(Context())) {
      EXPECT_EQ(shared->Read(), 1);
    }
  });
}

TEST_P(ChannelSimTest, MayBeLookedAtMeanwhile) {
  Explore([] {
    Channel<int> channel(capacity());
    JoiningThread sender([&channel] {
      const bool sent = channel.TrySend(1).ok();
      EXPECT_EQ(sent, capacity() != 0);
      channel.Close();
    });
    const bool closed = channel.closed();
    const int size = channel.size();
    EXPECT_LE(size, std::min(capacity(), 1));
    if (closed) {
      EXPECT_EQ(size, std::min(capacity(), 1));
    }
    sender.Join();
    EXPECT_TRUE(channel.closed());
    EXPECT_EQ(channel.size(), std::min(capacity(), 1));
  });
}

// The rule of Go's memory model: the nth receive comes before the end of the
// Send that takes its place.
TEST_P(ChannelSimTest, WhatCameBeforeReceiveIsVisibleToWhoTakesThePlace) {
  Explore([] {
    Channel<int> channel(capacity());
    sync::RaceChecked<int> used(0);
    JoiningThread receiver([&] {
      used.Write() = 1;
      EXPECT_TRUE(channel.Receive(Context()).ok());
    });
    for (int i = 0; i <= capacity(); ++i) {
      EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
    }
    EXPECT_EQ(used.Read(), 1);
  });
}

TEST_P(ChannelSimTest, WhatCameBeforeCloseIsVisibleToWhoLearnsOfIt) {
  Explore([] {
    Channel<int> channel(capacity());
    sync::RaceChecked<int> result(0);
    JoiningThread closer([&] {
      result.Write() = 1;
      channel.Close();
    });
    EXPECT_EQ(channel.Receive(Context()).status().code(),
              absl::StatusCode::kOutOfRange);
    EXPECT_EQ(result.Read(), 1);
  });
}

TEST_P(ChannelSimTest, AValueIsReceivedOrStillWithItsSender) {
  Explore([] {
    Channel<std::unique_ptr<int>> channel(capacity());
    CancelScope scope = WithCancel(Context());
    sync::Atomic<int> sent = 0;
    sync::Atomic<int> received = 0;
    {
      JoiningThread sender([&] {
        for (int i = 0; i < 2; ++i) {
          auto value = std::make_unique<int>(i);
          const absl::Status status =
              channel.Send(scope.context(), std::move(value));
          if (status.ok()) ++sent;
          EXPECT_EQ(value == nullptr, status.ok());
          EXPECT_TRUE(status.ok() || status == kStop) << status;
        }
      });
      JoiningThread receiver([&] {
        for (int i = 0; i < 2; ++i) {
          absl::StatusOr<std::unique_ptr<int>> value =
              channel.Receive(scope.context());
          if (value.ok()) {
            EXPECT_NE(*value, nullptr);
            ++received;
          } else {
            EXPECT_EQ(value.status(), kStop);
          }
        }
      });
      scope.Cancel(kStop);
    }
    EXPECT_EQ(sent, received + channel.size());
    EXPECT_LE(channel.size(), capacity());
  });
}

TEST_P(ChannelSimTest, B67_CloseMeetsThoseWhoSendAndReceive) {
  Explore([] {
    Channel<int> channel(capacity());
    sync::Atomic<int> sent = 0;
    int received = 0;
    {
      const auto send = [&] {
        const absl::Status status = channel.Send(Context(), 1);
        if (status.ok()) ++sent;
        if (!status.ok()) {
          EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
        }
      };
      JoiningThread first(send);
      JoiningThread second(send);
      JoiningThread closer([&channel] { channel.Close(); });
      for (int value : channel.Values(Context())) received += value;
    }
    EXPECT_EQ(sent, received);
    EXPECT_EQ(channel.size(), 0);
  });
}

TEST_P(ChannelSimTest, TryMeetsWhoBlocks) {
  Explore([] {
    Channel<int> channel(capacity());
    JoiningThread receiver(
        [&] { EXPECT_EQ(channel.Receive(Context()).value(), 1); });
    while (!channel.TrySend(1).ok()) sync::Yield();
    receiver.Join();
    JoiningThread sender(
        [&] { EXPECT_EQ(channel.Send(Context(), 2), absl::OkStatus()); });
    for (;;) {
      const absl::StatusOr<int> value = channel.TryReceive();
      if (value.ok()) {
        EXPECT_EQ(*value, 2);
        break;
      }
      sync::Yield();
    }
  });
}

// A channel with places, one after the other: what is in it, and whether it is
// closed.
struct Model {
  std::deque<int> values;
  bool closed = false;
  bool operator==(const Model&) const = default;
};

TEST(ChannelLinearizableSimTest, AsAQueueThatIsBounded) {
  for (const int capacity : {1, 2}) {
    Explore([capacity] {
      Channel<int> channel(capacity);
      sim::History<Model> history;
      const auto full = [capacity](const Model& model) {
        return model.values.size() == static_cast<size_t>(capacity);
      };
      const auto send = [&](int value) {
        history.Call(
            "Send", [&, value] { return channel.Send(Context(), value).ok(); },
            [=](Model& model, const bool& sent) {
              if (model.closed) return !sent;
              if (full(model)) return false;
              model.values.push_back(value);
              return sent;
            });
      };
      const auto try_send = [&](int value) {
        history.Call(
            "TrySend", [&, value] { return channel.TrySend(value).code(); },
            [=](Model& model) {
              if (model.closed) return absl::StatusCode::kFailedPrecondition;
              if (full(model)) return absl::StatusCode::kUnavailable;
              model.values.push_back(value);
              return absl::StatusCode::kOk;
            });
      };
      const auto receive = [&] {
        history.Call(
            "Receive", [&] { return channel.Receive(Context()).value_or(-1); },
            [](Model& model, const int& value) {
              if (model.values.empty()) return model.closed && value == -1;
              const int first = model.values.front();
              model.values.pop_front();
              return value == first;
            });
      };
      const auto try_receive = [&] {
        history.Call(
            "TryReceive", [&] { return channel.TryReceive().value_or(-1); },
            [](Model& model) {
              if (model.values.empty()) return -1;
              const int first = model.values.front();
              model.values.pop_front();
              return first;
            });
      };
      {
        JoiningThread one([&] {
          send(1);
          try_send(2);
        });
        JoiningThread two([&] {
          receive();
          try_receive();
        });
        JoiningThread three([&] {
          send(3);
          history.Call(
              "Close", [&] { return channel.Close(); },
              [](Model& model) { return !std::exchange(model.closed, true); });
        });
        receive();
        try_send(4);
        receive();
      }
      history.CheckLinearizable();
    });
  }
}

// Two channels with a place each, as one: what is in them.
struct TwoModels {
  std::array<std::optional<int>, 2> values;
  bool operator==(const TwoModels&) const = default;
};

// A Select looks at one channel after the other, and seems to look at both.
TEST(SelectLinearizableSimTest, AsOneThatSeesAllChannelsAtOnce) {
  Explore([] {
    std::array<Channel<int>, 2> channels = {Channel<int>(1), Channel<int>(1)};
    sim::History<TwoModels> history;
    const auto send = [&](size_t i, int value) {
      history.Call(
          "TrySend", [&, i, value] { return channels[i].TrySend(value).ok(); },
          [i, value](TwoModels& model) {
            if (model.values[i].has_value()) return false;
            model.values[i] = value;
            return true;
          });
    };
    const auto take = [&](bool otherwise) {
      int received = -1;
      const auto handle = [&received](absl::StatusOr<int> value) {
        received = value.value();
      };
      history.Call(
          otherwise ? "Select, Otherwise" : "Select",
          [&, otherwise] {
            if (otherwise) {
              EXPECT_TRUE(Select(Context(), ReceiveFrom(channels[0], handle),
                                 ReceiveFrom(channels[1], handle),
                                 Otherwise([] {}))
                              .ok());
            } else {
              EXPECT_TRUE(Select(Context(), ReceiveFrom(channels[0], handle),
                                 ReceiveFrom(channels[1], handle))
                              .ok());
            }
            return received;
          },
          [otherwise](TwoModels& model, const int& value) {
            if (value == -1) {
              return otherwise && !model.values[0].has_value() &&
                     !model.values[1].has_value();
            }
            for (std::optional<int>& each : model.values) {
              if (each != value) continue;
              each.reset();
              return true;
            }
            return false;
          });
    };
    const auto put = [&](size_t i, int value) {
      EXPECT_TRUE(Select(Context(),
                         SendTo(channels[i], int{value}, [](absl::Status) {}))
                      .ok());
    };
    {
      JoiningThread one([&] {
        send(0, 1);
        take(true);
        send(1, 2);
      });
      JoiningThread two([&] {
        send(1, 3);
        take(true);
      });
      take(true);
      send(0, 4);
      take(true);
    }
    history.CheckLinearizable();
    // The one that blocks has something to wait for.
    JoiningThread sender([&] { put(0, 5); });
    const auto ignore = [](const auto&) {};
    for (bool received = false; !received;) {
      EXPECT_TRUE(Select(Context(), ReceiveFrom(channels[1], ignore),
                         ReceiveFrom(channels[0],
                                     [&](absl::StatusOr<int> value) {
                                       received = value.value() == 5;
                                     }))
                      .ok());
    }
  });
}

TEST(ChannelQuiescentSimTest, WhoBlocksIsServedInTurn) {
  ExploreQuiescent([] {
    Channel<int> channel;
    sync::RaceChecked<std::vector<int>> order;
    {
      JoiningThread first(
          [&] { EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus()); });
      sync::SleepFor(kMoment);
      JoiningThread second([&] {
        // A Select stands in the same line.
        EXPECT_TRUE(
            Select(Context(), SendTo(channel, 2, [](absl::Status) {})).ok());
      });
      sync::SleepFor(kMoment);
      JoiningThread third(
          [&] { EXPECT_EQ(channel.Send(Context(), 3), absl::OkStatus()); });
      sync::SleepFor(kMoment);
      for (int i = 1; i <= 3; ++i) {
        EXPECT_EQ(channel.Receive(Context()).value(), i);
      }
    }
    {
      std::vector<std::unique_ptr<JoiningThread>> receivers;
      for (int i = 1; i <= 3; ++i) {
        receivers.push_back(std::make_unique<JoiningThread>([&channel, i] {
          EXPECT_EQ(channel.Receive(Context()).value(), i);
        }));
        sync::SleepFor(kMoment);
      }
      for (int i = 1; i <= 3; ++i)
        EXPECT_EQ(channel.TrySend(i), absl::OkStatus());
    }
  });
}

TEST(ChannelQuiescentSimTest, WhoHasGoneIsNotServed) {
  ExploreQuiescent([] {
    Channel<int> channel;
    CancelScope scope = WithCancel(Context());
    JoiningThread gone(
        [&] { EXPECT_EQ(channel.Receive(scope.context()).status(), kStop); });
    sync::SleepFor(kMoment);
    JoiningThread stays(
        [&] { EXPECT_EQ(channel.Receive(Context()).value(), 1); });
    sync::SleepFor(kMoment);
    scope.Cancel(kStop);
    sync::SleepFor(kMoment);
    EXPECT_EQ(channel.TrySend(1), absl::OkStatus());
  });
}

absl::Duration Elapsed() {
  return sync::SteadyTime::Now() - sync::SteadyTime();
}

// With no executor and no timer that would have to run.
TEST(ChannelQuiescentSimTest, ASelectKeepsTheTimeItself) {
  ExploreQuiescent([] {
    Channel<int> idle;
    const auto never = [](const auto&) { ADD_FAILURE(); };
    EXPECT_EQ(Select(Context(), After(3 * kMoment, [] { ADD_FAILURE(); }),
                     ReceiveFrom(idle, never), After(2 * kMoment, [] {}))
                  .value(),
              2);
    EXPECT_EQ(Elapsed(), 2 * kMoment);
    EXPECT_EQ(Select(Context(), After(kMoment, [] {})).value(), 0);
    EXPECT_EQ(Elapsed(), 3 * kMoment);
    // What comes before is not late.
    JoiningThread sender([&] {
      sync::SleepFor(kMoment);
      EXPECT_EQ(idle.Send(Context(), 1), absl::OkStatus());
    });
    EXPECT_EQ(Select(Context(), After(2 * kMoment, [] { ADD_FAILURE(); }),
                     ReceiveFrom(idle, [](const auto&) {}))
                  .value(),
              1);
    EXPECT_EQ(Elapsed(), 4 * kMoment);
    // The wall clock does not count.
    sync::ShiftWallClock(absl::Hours(2));
    EXPECT_EQ(Select(Context(), After(kMoment, [] {})).value(), 0);
    EXPECT_EQ(Elapsed(), 5 * kMoment);
  });
}

TEST(ChannelQuiescentSimTest, ATickerDropsTicksForWhoIsLate) {
  ExploreQuiescent([] {
    Ticker ticker(2 * kMoment);
    const auto tick = [&ticker] {
      EXPECT_TRUE(Select(Context(), Tick(ticker, [] {})).ok());
      return Elapsed();
    };
    EXPECT_EQ(tick(), 2 * kMoment);
    EXPECT_EQ(tick(), 4 * kMoment);
    sync::SleepFor(5 * kMoment);  // misses one, and is late for the next
    EXPECT_EQ(tick(), 9 * kMoment);
    EXPECT_EQ(tick(), 10 * kMoment);
    sync::SleepFor(2 * kMoment);
    EXPECT_EQ(tick(), 12 * kMoment);
    EXPECT_EQ(tick(), 14 * kMoment);
    sync::SleepFor(kMoment);
    ticker.Reset();
    EXPECT_EQ(tick(), 17 * kMoment);
    EXPECT_EQ(Select(Context(), Tick(ticker, [] { ADD_FAILURE(); }),
                     After(kMoment, [] {}))
                  .value(),
              1);
  });
}

TEST(ChannelQuiescentSimTest, EveryWaitIsAnnounced) {
  ExploreQuiescent([] {
    Channel<int> channel;
    {
      ElasticPool pool({.workers = 1});
      pool.Submit([&] { EXPECT_EQ(channel.Receive(Context()).value(), 1); });
      pool.Submit(
          [&] { EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus()); });
    }
    // The pool's monitor would need some to find out.
    EXPECT_EQ(sync::SteadyTime::Now(), sync::SteadyTime());
  });
}

TEST(ChannelQuiescentSimTest, DestructionWithAWaiterDies) {
  const sim::Result result = sim::Search(
      {.schedules = 1, .time = sim::Time::kQuiescent, .shrink = false}, [] {
        auto channel = std::make_unique<Channel<int>>();
        JoiningThread receiver(
            [raw = channel.get()] { raw->Receive(Context()).IgnoreError(); });
        sync::SleepFor(kMoment);
        channel.reset();
      });
  ASSERT_TRUE(result.failure.has_value());
  EXPECT_EQ(result.failure->verdict, sim::Verdict::kCrash);
}

TEST(SelectSimTest, CarriesOutExactlyOneCase) {
  Explore([] {
    Channel<int> a;
    Channel<int> b(1);
    int chosen = 0;
    CancelScope scope = WithCancel(Context());
    const auto send = [&scope](Channel<int>& channel) {
      return [&] { channel.Send(scope.context(), 1).IgnoreError(); };
    };
    {
      JoiningThread to_a(send(a));
      JoiningThread to_b(send(b));
      const auto handle = [&chosen](absl::StatusOr<int> value) {
        EXPECT_EQ(value.value(), 1);
        ++chosen;
      };
      const absl::StatusOr<size_t> index =
          Select(Context(), ReceiveFrom(a, handle), ReceiveFrom(b, handle));
      EXPECT_EQ(chosen, 1);
      // The other one is still there.
      EXPECT_EQ((*index == 0 ? b : a).Receive(Context()).value(), 1);
      scope.Cancel();
    }
    EXPECT_EQ(a.TryReceive().status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(b.size(), 0);
  });
}

// Each locks both channels.
TEST(SelectSimTest, TwoOfThemMeet) {
  Explore([] {
    Channel<int> a;
    Channel<int> b;
    const auto expect = [](absl::StatusOr<int> value) {
      EXPECT_EQ(value.value(), 1);
    };
    const auto sent = [](absl::Status status) {
      EXPECT_EQ(status, absl::OkStatus());
    };
    size_t one = 0;
    JoiningThread other([&] {
      one =
          Select(Context(), SendTo(a, 1, sent), ReceiveFrom(b, expect)).value();
    });
    const size_t two =
        Select(Context(), SendTo(b, 1, sent), ReceiveFrom(a, expect)).value();
    other.Join();
    EXPECT_EQ(one + two, 1);  // one of them sends, the other receives
  });
}

TEST(SelectSimTest, ThreeOfThemInACircle) {
  Explore([] {
    std::vector<std::unique_ptr<Channel<int>>> channels;
    for (int i = 0; i < 3; ++i) {
      channels.push_back(std::make_unique<Channel<int>>());
    }
    CancelScope scope = WithCancel(Context());
    sync::Atomic<int> sent = 0;
    sync::Atomic<int> received = 0;
    const auto turn = [&](size_t i) {
      Select(scope.context(),
             SendTo(*channels[i], 1,
                    [&](absl::Status status) {
                      if (status.ok()) ++sent;
                    }),
             ReceiveFrom(*channels[(i + 1) % 3],
                         [&](absl::StatusOr<int> value) {
                           if (value.ok()) ++received;
                         }))
          .IgnoreError();
    };
    {
      JoiningThread first([&] { turn(0); });
      JoiningThread second([&] { turn(1); });
      JoiningThread third([&] { turn(2); });
      // One pair meets; the one that is left over waits for ever.
      while (received == 0 || sent == 0) sync::Yield();
      scope.Cancel();
    }
    EXPECT_EQ(sent, 1);
    EXPECT_EQ(received, 1);
  });
}

// Whoever waits at two channels takes a value of one of them alone: what comes
// to the other meanwhile is for the next in line.
TEST(SelectSimTest, NoValueIsGivenToWhoHasOne) {
  Explore([] {
    Channel<int> a;
    Channel<int> b;
    sync::Atomic<int> sum = 0;
    const auto add = [&sum](absl::StatusOr<int> value) {
      sum += value.value();
    };
    JoiningThread to_a(
        [&] { EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus()); });
    JoiningThread to_b(
        [&] { EXPECT_EQ(b.Send(Context(), 10), absl::OkStatus()); });
    const auto select = [&] {
      EXPECT_TRUE(
          Select(Context(), ReceiveFrom(a, add), ReceiveFrom(b, add)).ok());
    };
    JoiningThread other(select);
    select();
    other.Join();
    EXPECT_EQ(sum, 11);
  });
}

// The other way round: whoever has sent to one of them is still in line at the
// other for a moment.
TEST(SelectSimTest, WhoHasSentIsPassedOver) {
  Explore([] {
    Channel<int> a;
    Channel<int> b;
    const auto ignore = [](const auto&) {};
    JoiningThread selects([&] {
      EXPECT_TRUE(
          Select(Context(), SendTo(a, 1, ignore), SendTo(b, 1, ignore)).ok());
    });
    JoiningThread sends(
        [&] { EXPECT_EQ(b.Send(Context(), 10), absl::OkStatus()); });
    int sum = 0;
    const auto add = [&sum](absl::StatusOr<int> value) {
      sum += value.value();
    };
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(
          Select(Context(), ReceiveFrom(a, add), ReceiveFrom(b, add)).ok());
    }
    EXPECT_EQ(sum, 11);
  });
}

TEST(SelectSimTest, CancellationLeavesNothingBehind) {
  Explore([] {
    auto a = std::make_unique<Channel<std::unique_ptr<int>>>();
    auto b = std::make_unique<Channel<int>>(1);
    CancelScope scope = WithCancel(Context());
    JoiningThread canceller([&scope] { scope.Cancel(kStop); });
    auto value = std::make_unique<int>(1);
    const absl::StatusOr<size_t> index = Select(
        scope.context(),
        SendTo(*a, std::move(value), [](absl::Status) { ADD_FAILURE(); }),
        ReceiveFrom(*b, [](absl::StatusOr<int>) { ADD_FAILURE(); }));
    EXPECT_EQ(index.status(), kStop);
    EXPECT_NE(value, nullptr);
    // They die if somebody is still in their queues.
    a.reset();
    b.reset();
  });
}

TEST(SelectSimTest, AClosedChannelIsReady) {
  Explore([] {
    Channel<int> from;
    Channel<int> to;
    Channel<int> other;
    const auto never = [](const auto&) { ADD_FAILURE(); };
    JoiningThread closer([&] {
      to.Close();
      from.Close();
    });
    JoiningThread sender([&] {
      EXPECT_EQ(Select(Context(), ReceiveFrom(other, never),
                       SendTo(to, 1,
                              [](absl::Status status) {
                                EXPECT_TRUE(absl::IsFailedPrecondition(status));
                              }))
                    .value(),
                1);
    });
    EXPECT_EQ(
        Select(Context(),
               ReceiveFrom(from,
                           [](absl::StatusOr<int> value) {
                             EXPECT_TRUE(absl::IsOutOfRange(value.status()));
                           }),
               ReceiveFrom(other, never))
            .value(),
        0);
  });
}

TEST(SelectSimTest, OtherwiseNeverBlocks) {
  Explore([] {
    Channel<int> channel;
    CancelScope scope = WithCancel(Context());
    JoiningThread sender(
        [&] { channel.Send(scope.context(), 1).IgnoreError(); });
    int received = 0;
    int otherwise = 0;
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(Select(Context(),
                         ReceiveFrom(channel,
                                     [&](absl::StatusOr<int> value) {
                                       received += value.value();
                                     }),
                         Otherwise([&otherwise] { ++otherwise; }))
                      .ok());
    }
    EXPECT_EQ(received + otherwise, 2);
    EXPECT_LE(received, 1);
    scope.Cancel();
  });
}

// Somebody comes when the time does: served or late, not both.
TEST(SelectSimTest, AMeetingAndATimeout) {
  Explore([] {
    Channel<int> channel;
    Channel<int> other;
    CancelScope scope = WithCancel(Context());
    int received = 0;
    int late = 0;
    bool sent = false;
    JoiningThread sender([&] { sent = channel.Send(scope.context(), 1).ok(); });
    EXPECT_TRUE(Select(Context(),
                       ReceiveFrom(other, [](const auto&) { ADD_FAILURE(); }),
                       ReceiveFrom(channel,
                                   [&](absl::StatusOr<int> value) {
                                     received += value.value();
                                   }),
                       After(kMoment, [&late] { ++late; }))
                    .ok());
    scope.Cancel();
    sender.Join();
    EXPECT_EQ(received + late, 1);
    EXPECT_EQ(received, sent ? 1 : 0);
  });
}

// All that are ready may be chosen: none of them is passed over for ever.
TEST(SelectSimTest, EachReadyCaseIsChosenOnSomeSchedule) {
  std::vector<int> chosen(3);
  Explore([&chosen] {
    Channel<int> a(1);
    Channel<int> b(1);
    Channel<int> c(1);
    for (Channel<int>* channel : {&a, &b}) {
      EXPECT_EQ(channel->TrySend(1), absl::OkStatus());
    }
    const auto ignore = [](const auto&) {};
    ++chosen[Select(Context(), ReceiveFrom(a, ignore), ReceiveFrom(b, ignore),
                    SendTo(c, 1, ignore))
                 .value()];
  });
  for (const int count : chosen) EXPECT_GT(count, 0);
}

TEST(ChannelProof, OneSenderAndOneReceiver) {
  for (const int capacity : {0, 1}) {
    ExploreAll([capacity] {
      Channel<int> channel(capacity);
      JoiningThread sender([&] {
        EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus());
        channel.Close();
      });
      EXPECT_EQ(channel.Receive(Context()).value(), 1);
      EXPECT_TRUE(absl::IsOutOfRange(channel.Receive(Context()).status()));
    });
  }
}

TEST(ChannelProof, AMeetingAndACancel) {
  ExploreAll([] {
    Channel<int> channel;
    CancelScope scope = WithCancel(Context());
    absl::Status sent;
    JoiningThread sender([&] { sent = channel.Send(scope.context(), 1); });
    JoiningThread canceller([&] { scope.Cancel(kStop); });
    const absl::StatusOr<int> received = channel.Receive(scope.context());
    sender.Join();
    EXPECT_EQ(sent, received.status());
    EXPECT_TRUE(sent.ok() || sent == kStop);
  });
}

// Cancel has returned: nobody who waits with that context gets anything, and
// nobody loses anything to him.
TEST(ChannelProof, NobodyIsServedAfterACancel) {
  ExploreAll([] {
    Channel<int> channel;
    CancelScope scope = WithCancel(Context());
    JoiningThread receiver(
        [&] { EXPECT_EQ(channel.Receive(scope.context()).status(), kStop); });
    scope.Cancel(kStop);
    EXPECT_TRUE(absl::IsUnavailable(channel.TrySend(1)));
  });
  ExploreAll([] {
    Channel<int> channel(1);
    CancelScope scope = WithCancel(Context());
    JoiningThread receiver(
        [&] { EXPECT_EQ(channel.Receive(scope.context()).status(), kStop); });
    scope.Cancel(kStop);
    EXPECT_EQ(channel.TrySend(1), absl::OkStatus());
    receiver.Join();
    EXPECT_EQ(channel.size(), 1);
  });
  ExploreAll([] {
    Channel<int> channel;
    CancelScope scope = WithCancel(Context());
    JoiningThread sender(
        [&] { EXPECT_EQ(channel.Send(scope.context(), 1), kStop); });
    scope.Cancel(kStop);
    EXPECT_TRUE(absl::IsUnavailable(channel.TryReceive().status()));
  });
  ExploreAll([] {
    Channel<int> channel;
    CancelScope scope = WithCancel(Context());
    JoiningThread sender(
        [&] { EXPECT_EQ(channel.Send(scope.context(), 1), kStop); });
    scope.Cancel(kStop);
    channel.Close();
  });
  ExploreAll([] {
    Channel<int> a;
    Channel<int> b;
    CancelScope scope = WithCancel(Context());
    const auto never = [](const auto&) { ADD_FAILURE(); };
    JoiningThread selects([&] {
      EXPECT_EQ(
          Select(scope.context(), ReceiveFrom(a, never), SendTo(b, 1, never))
              .status(),
          kStop);
    });
    scope.Cancel(kStop);
    EXPECT_TRUE(absl::IsUnavailable(a.TrySend(1)));
    b.Close();
  });
}

// A value is in one of them at any time, if not in the one that was looked at
// first.
TEST(ChannelProof, OtherwiseMeansThatNothingWasReady) {
  ExploreAll([] {
    Channel<int> one(1);
    Channel<int> two(1);
    EXPECT_EQ(one.TrySend(1), absl::OkStatus());
    const auto ignore = [](const auto&) {};
    JoiningThread looker([&] {
      EXPECT_TRUE(Select(Context(), ReceiveFrom(one, ignore),
                         ReceiveFrom(two, ignore),
                         Otherwise([] { ADD_FAILURE() << "nothing there"; }))
                      .ok());
    });
    EXPECT_EQ(two.TrySend(2), absl::OkStatus());
    one.TryReceive().IgnoreError();
  });
}

TEST(ChannelProof, ASelectAndTwoWhoSend) {
  ExploreAll([] {
    Channel<int> a;
    Channel<int> b;
    int sum = 0;
    const auto add = [&sum](absl::StatusOr<int> value) {
      sum += value.value();
    };
    JoiningThread to_a(
        [&] { EXPECT_EQ(a.Send(Context(), 1), absl::OkStatus()); });
    JoiningThread to_b(
        [&] { EXPECT_EQ(b.Send(Context(), 10), absl::OkStatus()); });
    const size_t first =
        Select(Context(), ReceiveFrom(a, add), ReceiveFrom(b, add)).value();
    EXPECT_EQ(sum, first == 0 ? 1 : 10);
    add((first == 0 ? b : a).Receive(Context()));
    EXPECT_EQ(sum, 11);
  });
}

TEST(ChannelProof, TwoSelectsThatFaceEachOther) {
  ExploreAll([] {
    Channel<int> a;
    Channel<int> b;
    const auto ignore = [](const auto&) {};
    size_t one = 0;
    JoiningThread other([&] {
      one = Select(Context(), SendTo(a, 1, ignore), ReceiveFrom(b, ignore))
                .value();
    });
    const size_t two =
        Select(Context(), SendTo(b, 1, ignore), ReceiveFrom(a, ignore)).value();
    other.Join();
    EXPECT_EQ(one + two, 1);
  });
}

// Two who face each other may be joined by a third: one pair meets.
TEST(ChannelProof, ThreeSelectsInACircle) {
  ExploreAll(
      [] {
        std::deque<Channel<int>> channels(3);
        CancelScope scope = WithCancel(Context());
        int sent = 0;
        int received = 0;
        const auto turn = [&](size_t i) {
          const absl::Status status =
              Select(scope.context(),
                     SendTo(channels[i], 1, [&](absl::Status) { ++sent; }),
                     ReceiveFrom(channels[(i + 1) % 3],
                                 [&](absl::StatusOr<int> value) {
                                   received += value.value();
                                 }))
                  .status();
          EXPECT_TRUE(status.ok() || status == kStop);
          scope.Cancel(kStop);  // the one that is left over
        };
        JoiningThread first([&] { turn(0); });
        JoiningThread second([&] { turn(1); });
        turn(2);
        first.Join();
        second.Join();
        EXPECT_EQ(sent, 1);
        EXPECT_EQ(received, 1);
      },
      1);
}

}  // namespace
}  // namespace cohort::channel
