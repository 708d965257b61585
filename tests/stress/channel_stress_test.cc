// Channels with several threads at each end: nothing is lost or doubled,
// whatever is cancelled and closed meanwhile.

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/pipeline.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::channel {
namespace {

using stress::InParallel;
using stress::Random;

class ChannelStressTest : public stress::StressTest {};

TEST_F(ChannelStressTest, WhatIsSentIsReceived) {
  Repeat(300, [](Random& round) {
    Channel<std::unique_ptr<int>> channel(round.Below(3));
    CancelScope scope = WithCancel(Context());
    sync::Atomic<int> sent = 0;
    sync::Atomic<int> received = 0;
    InParallel(round, 5, [&](int thread, Random& random) {
      if (thread == 0) {
        for (int i = random.Below(20); i > 0; --i) sync::Yield();
        if (random.OneIn(2)) {
          scope.Cancel();
        }
        channel.Close();
        return;
      }
      for (int i = 0; i < 10; ++i) {
        if (thread % 2 == 0) {
          auto value = std::make_unique<int>(i + 1);
          const absl::Status status =
              random.OneIn(3) ? channel.TrySend(std::move(value))
                              : channel.Send(scope.context(), std::move(value));
          EXPECT_EQ(value == nullptr, status.ok());
          if (status.ok()) sent += i + 1;
        } else {
          absl::StatusOr<std::unique_ptr<int>> value =
              random.OneIn(3) ? channel.TryReceive()
                              : channel.Receive(scope.context());
          if (value.ok()) received += **value;
        }
      }
    });
    for (const std::unique_ptr<int>& value : channel) received += *value;
    EXPECT_EQ(sent, received);
  });
}

// Each waits for both channels, in either direction.
TEST_F(ChannelStressTest, SelectsMeet) {
  Repeat(300, [](Random& round) {
    Channel<int> a(round.Below(2));
    Channel<int> b(round.Below(2));
    CancelScope scope = WithCancel(Context());
    sync::Atomic<int> sent = 0;
    sync::Atomic<int> received = 0;
    const auto count = [](sync::Atomic<int>& counter) {
      return [&counter](const auto& result) {
        if (result.ok()) ++counter;
      };
    };
    InParallel(round, 5, [&](int thread, Random& random) {
      if (thread == 0) {
        for (int i = random.Below(50); i > 0; --i) sync::Yield();
        scope.Cancel();
        return;
      }
      Channel<int>& first = random.OneIn(2) ? a : b;
      Channel<int>& second = random.OneIn(2) ? a : b;
      for (int i = 0; i < 10; ++i) {
        if (!Select(scope.context(), SendTo(first, 1, count(sent)),
                    ReceiveFrom(second, count(received)))
                 .ok()) {
          return;
        }
      }
    });
    EXPECT_EQ(sent, received + a.size() + b.size());
  });
}

TEST_F(ChannelStressTest, APipelineEnds) {
  Repeat(100, [](Random& round) {
    CancelScope scope = WithCancel(Context());
    std::vector<int> numbers(20, 1);
    Channel<int> source;
    Channel<int> left(round.Below(2));
    Channel<int> right(round.Below(2));
    Channel<int> all;
    Channel<int> firsts(round.Below(2));
    const bool cancel = round.OneIn(2);
    const int wanted = round.Below(25);
    sync::Atomic<int> sum = 0;
    InParallel(round, 6, [&](int thread, Random& random) {
      const Context& context = scope.context();
      absl::Status status;
      switch (thread) {
        case 0:
          status = Feed(context, numbers, source);
          break;
        case 1:
          status = Distribute(context, source, {&left, &right});
          break;
        case 2:
          status = FanIn(context, {&left, &right}, all);
          break;
        case 3:
          status = TakeN(context, all, wanted, firsts);
          break;
        case 4:
          for (int value : firsts.Values(context)) sum += value;
          break;
        default:
          if (!cancel) return;
          for (int i = random.Below(50); i > 0; --i) sync::Yield();
          scope.Cancel();
      }
      if (!status.ok()) {
        EXPECT_TRUE(cancel);
        EXPECT_EQ(status, absl::CancelledError("context cancelled"));
      }
    });
    if (cancel) {
      EXPECT_LE(sum, wanted);
    } else {
      EXPECT_EQ(sum, wanted < 20 ? wanted : 20);
    }
  });
}

}  // namespace
}  // namespace cohort::channel
