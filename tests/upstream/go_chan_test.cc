// What the tests of Go's own channels (runtime/chan_test.go) say, of ours. Each
// case has the name of the one that it follows.

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 100, .max_steps = 1'000'000}, body);
}

// "Ensure that receive from empty chan blocks", in all the ways there are.
TEST(GoChan, TestChan_ReceiveFromAnEmptyChannelBlocks) {
  for (const int capacity : {0, 1, 10}) {
    sim::Explore({.schedules = 100, .time = sim::Time::kQuiescent}, [&] {
      Channel<int> channel(capacity);
      sync::RaceChecked<bool> received(false);
      JoiningThread receiver([&] {
        EXPECT_EQ(channel.Receive(Context()).value(), 0);
        received.Write() = true;
      });
      JoiningThread selects([&] {
        EXPECT_TRUE(
            Select(Context(), ReceiveFrom(channel, [](absl::StatusOr<int>) {}))
                .ok());
      });
      sync::SleepFor(kMoment);
      EXPECT_FALSE(received.Read());
      EXPECT_TRUE(absl::IsUnavailable(channel.TryReceive().status()));
      EXPECT_EQ(channel.Send(Context(), 0), absl::OkStatus());
      EXPECT_EQ(channel.Send(Context(), 0), absl::OkStatus());
    });
  }
}

TEST(GoChan, TestChan_SendToAFullChannelBlocks) {
  for (const int capacity : {0, 1, 10}) {
    sim::Explore({.schedules = 100, .time = sim::Time::kQuiescent}, [&] {
      Channel<int> channel(capacity);
      for (int i = 0; i < capacity; ++i) {
        EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
      }
      sync::RaceChecked<bool> sent(false);
      JoiningThread sender([&] {
        EXPECT_EQ(channel.Send(Context(), 0), absl::OkStatus());
        sent.Write() = true;
      });
      sync::SleepFor(kMoment);
      EXPECT_FALSE(sent.Read());
      EXPECT_TRUE(absl::IsUnavailable(channel.TrySend(0)));
      EXPECT_EQ(channel.Receive(Context()).value(), 0);
    });
  }
}

TEST(GoChan, TestChan_ReceiveFromAClosedChannelReturnsAtOnce) {
  Simulate([] {
    for (const int capacity : {0, 1, 10}) {
      Channel<int> channel(capacity);
      for (int i = 0; i < capacity; ++i) {
        EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
      }
      channel.Close();
      for (int i = 0; i < capacity; ++i) {
        EXPECT_EQ(channel.Receive(Context()).value(), i);
      }
      // There: the zero value and false.
      EXPECT_TRUE(absl::IsOutOfRange(channel.Receive(Context()).status()));
    }
  });
}

TEST(GoChan, TestChan_CloseUnblocksAReceive) {
  Simulate([] {
    Channel<int> channel;
    JoiningThread receiver([&] {
      EXPECT_TRUE(absl::IsOutOfRange(channel.Receive(Context()).status()));
    });
    channel.Close();
  });
}

TEST(GoChan, TestChan_SendsAreReceivedInOrder) {
  for (const int capacity : {0, 1, 10}) {
    Simulate([&] {
      Channel<int> channel(capacity);
      JoiningThread sender([&] {
        for (int i = 0; i < 30; ++i) {
          EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
        }
      });
      for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(channel.Receive(Context()).value(), i);
      }
    });
  }
}

TEST(GoChan, TestChan_SeveralSendAndReceive) {
  for (const int capacity : {0, 1, 10}) {
    Simulate([&] {
      constexpr int kThreads = 3;
      constexpr int kValues = 10;
      Channel<int> channel(capacity);
      std::array<std::array<int, kValues>, kThreads> counts = {};
      {
        std::deque<JoiningThread> callers;
        for (size_t t = 0; t < kThreads; ++t) {
          callers.emplace_back([&] {
            for (int i = 0; i < kValues; ++i) {
              EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
            }
          });
          callers.emplace_back([&counts, &channel, t] {
            for (int i = 0; i < kValues; ++i) {
              ++counts[t]
                      [static_cast<size_t>(channel.Receive(Context()).value())];
            }
          });
        }
      }
      for (size_t i = 0; i < kValues; ++i) {
        int sum = 0;
        for (const auto& count : counts) sum += count[i];
        EXPECT_EQ(sum, kThreads);
      }
    });
  }
}

TEST(GoChan, TestChan_LenAndCap) {
  Simulate([] {
    Channel<int> channel(10);
    EXPECT_EQ(channel.size(), 0);
    EXPECT_EQ(channel.capacity(), 10);
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
    }
    EXPECT_EQ(channel.size(), 10);
  });
}

// A value is there, and a channel that is closed is ready: nobody goes home
// with nothing.
TEST(GoChan, TestNonblockRecvRace) {
  Simulate([] {
    Channel<int> channel(1);
    EXPECT_EQ(channel.Send(Context(), 1), absl::OkStatus());
    JoiningThread receiver([&] {
      EXPECT_TRUE(Select(Context(), ReceiveFrom(channel, [](const auto&) {}),
                         Otherwise([] { ADD_FAILURE() << "nothing there"; }))
                      .ok());
    });
    channel.Close();
  });
}

TEST(GoChan, TestNonblockSelectRace) {
  Simulate([] {
    Channel<int> one(1);
    Channel<int> two(1);
    Channel<bool> done(1);
    EXPECT_EQ(one.Send(Context(), 1), absl::OkStatus());
    JoiningThread looker([&] {
      EXPECT_TRUE(Select(Context(), ReceiveFrom(one, [](const auto&) {}),
                         ReceiveFrom(two, [](const auto&) {}),
                         Otherwise([] { ADD_FAILURE() << "nothing there"; }))
                      .ok());
    });
    EXPECT_EQ(two.Send(Context(), 1), absl::OkStatus());
    EXPECT_TRUE(Select(Context(), ReceiveFrom(one, [](const auto&) {}),
                       Otherwise([] {}))
                    .ok());
  });
}

// A select that may send to its own channel and receive from it does neither
// with itself.
TEST(GoChan, TestSelfSelect) {
  for (const int capacity : {0, 10}) {
    Simulate([&] {
      Channel<int> channel(capacity);
      const auto turn = [&](int self) {
        for (int i = 0; i < 10; ++i) {
          const auto received = [&, self](absl::StatusOr<int> value) {
            EXPECT_TRUE(capacity > 0 || value.value() != self);
          };
          const auto sent = [](absl::Status status) {
            EXPECT_EQ(status, absl::OkStatus());
          };
          const absl::StatusOr<size_t> chosen =
              i % 2 == 0 ? Select(Context(), SendTo(channel, int{self}, sent),
                                  ReceiveFrom(channel, received))
                         : Select(Context(), ReceiveFrom(channel, received),
                                  SendTo(channel, int{self}, sent));
          EXPECT_TRUE(chosen.ok());
        }
      };
      JoiningThread other([&] { turn(1); });
      turn(0);
    });
  }
}

TEST(GoChan, TestSelectStress) {
  Simulate([] {
    constexpr int kTimes = 5;
    std::deque<Channel<int>> channels;
    for (const int capacity : {0, 0, 2, 3}) channels.emplace_back(capacity);
    std::deque<JoiningThread> callers;
    for (Channel<int>& channel : channels) {
      callers.emplace_back([&channel] {
        for (int i = 0; i < kTimes; ++i) {
          EXPECT_EQ(channel.Send(Context(), i), absl::OkStatus());
        }
      });
      callers.emplace_back([&channel] {
        for (int i = 0; i < kTimes; ++i) {
          EXPECT_EQ(channel.Receive(Context()).value(), i);
        }
      });
    }
    // All of it again through selects, on channels of their own.
    std::deque<Channel<int>> others;
    for (const int capacity : {0, 0, 2, 3}) others.emplace_back(capacity);
    std::vector<Channel<int>*> all;
    for (Channel<int>& channel : others) all.push_back(&channel);
    callers.emplace_back([all] {
      for (int i = 0; i < 4 * kTimes; ++i) {
        EXPECT_EQ(SendToAny<int>(Context(), all, int{i})->status,
                  absl::OkStatus());
      }
    });
    for (int i = 0; i < 4 * kTimes; ++i) {
      EXPECT_TRUE(ReceiveFromAny<int>(Context(), all)->value.ok());
    }
  });
}

// One of two that are always ready is not passed over. There: within ten times
// of what it should be, over 10,000 rounds; here: on some schedule.
TEST(GoChan, TestSelectFairness) {
  std::array<int, 2> chosen = {};
  Simulate([&chosen] {
    Channel<int> one(1);
    Channel<int> two(1);
    EXPECT_EQ(one.Send(Context(), 1), absl::OkStatus());
    EXPECT_EQ(two.Send(Context(), 1), absl::OkStatus());
    const auto ignore = [](const auto&) {};
    ++chosen[Select(Context(), ReceiveFrom(one, ignore),
                    ReceiveFrom(two, ignore))
                 .value()];
  });
  EXPECT_GT(chosen[0], 0);
  EXPECT_GT(chosen[1], 0);
}

TEST(GoChan, TestChanSendInterface) {
  Simulate([] {
    struct Mt {
      virtual ~Mt() = default;
      virtual std::string m() { return "m"; }
    };
    Channel<std::unique_ptr<Mt>> channel(1);
    EXPECT_EQ(channel.Send(Context(), std::make_unique<Mt>()),
              absl::OkStatus());
    EXPECT_TRUE(
        Select(Context(),
               SendTo(channel, std::make_unique<Mt>(),
                      [](const auto&) { ADD_FAILURE() << "it is full"; }),
               Otherwise([] {}))
            .ok());
    EXPECT_EQ((*channel.Receive(Context()))->m(), "m");
  });
}

// Both zeros and ones come out of a select between sending one and the other.
TEST(GoChan, TestPseudoRandomSend) {
  std::array<int, 2> received = {};
  for (const int capacity : {0, 100}) {
    Simulate([&] {
      Channel<int> channel(capacity);
      constexpr int kValues = 5;
      JoiningThread receiver([&] {
        for (int i = 0; i < kValues; ++i) {
          ++received[static_cast<size_t>(channel.Receive(Context()).value())];
        }
      });
      for (int i = 0; i < kValues; ++i) {
        const auto ignore = [](const auto&) {};
        EXPECT_TRUE(Select(Context(), SendTo(channel, 0, ignore),
                           SendTo(channel, 1, ignore))
                        .ok());
      }
    });
  }
  EXPECT_GT(received[0], 0);
  EXPECT_GT(received[1], 0);
}

TEST(GoChan, TestMultiConsumer) {
  Simulate([] {
    constexpr int kConsumers = 4;
    constexpr std::array<int, 6> kPrimes = {2, 3, 5, 7, 11, 13};
    Channel<int> queue(2);
    Channel<int> results(2);
    std::deque<JoiningThread> callers;
    for (int i = 0; i < kConsumers; ++i) {
      callers.emplace_back([&] {
        for (int value : queue) {
          EXPECT_EQ(results.Send(Context(), value), absl::OkStatus());
        }
      });
    }
    int expected = 0;
    for (const int prime : kPrimes) expected += prime;
    callers.emplace_back([&] {
      for (const int prime : kPrimes) {
        EXPECT_EQ(queue.Send(Context(), prime), absl::OkStatus());
      }
      queue.Close();
    });
    int sum = 0;
    for (size_t i = 0; i < kPrimes.size(); ++i) {
      sum += results.Receive(Context()).value();
    }
    EXPECT_EQ(sum, expected);
  });
}

TEST(GoChan, TestSelectDuplicateChannel) {
  sim::Explore({.schedules = 100, .time = sim::Time::kQuiescent}, [] {
    Channel<int> c;
    Channel<int> d;
    Channel<int> e;
    const auto ignore = [](const auto&) {};
    // In the queue of c twice.
    JoiningThread first([&] {
      EXPECT_EQ(Select(Context(), ReceiveFrom(c, ignore),
                       ReceiveFrom(c, ignore), ReceiveFrom(d, ignore))
                    .value(),
                2);
      EXPECT_EQ(e.Send(Context(), 9), absl::OkStatus());
    });
    sync::SleepFor(kMoment);
    // Behind it.
    JoiningThread second([&] { EXPECT_EQ(c.Receive(Context()).value(), 8); });
    sync::SleepFor(kMoment);
    EXPECT_EQ(d.Send(Context(), 7), absl::OkStatus());
    EXPECT_EQ(e.Receive(Context()).value(), 9);
    EXPECT_EQ(c.Send(Context(), 8), absl::OkStatus());
  });
}

}  // namespace
}  // namespace cohort::channel
