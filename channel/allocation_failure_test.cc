// What holds when memory runs out in a call: either it has done all that it
// does, or it throws and nothing has changed.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/ends.h"
#include "cohort/channel/pipeline.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

#ifdef ABSL_HAVE_EXCEPTIONS

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::Caller;
using ::cohort::testing::WithEachAllocationFailing;

const absl::Status kStop = absl::AbortedError("stop");

using Message = std::unique_ptr<int>;

// Everything in it.
std::vector<int> Rest(Channel<Message>& channel) {
  std::vector<int> values;
  for (;;) {
    Result<Message> value = channel.TryReceive();
    if (!value.ok()) return values;
    values.push_back(**value);
  }
}

TEST(AllocationFailureTest, SendToARoomyChannel) {
  for (const bool blocking : {false, true}) {
    WithEachAllocationFailing([blocking](AllocationFault& fault) {
      Channel<Message> channel(1);
      auto value = std::make_unique<int>(1);
      const bool threw = fault.Strikes([&] {
        EXPECT_EQ(blocking ? channel.Send(Context(), std::move(value))
                           : channel.TrySend(std::move(value)),
                  absl::OkStatus());
      });
      EXPECT_EQ(value != nullptr, threw);
      EXPECT_EQ(channel.size(), threw ? 0 : 1);
    });
  }
}

TEST(AllocationFailureTest, TrySendToAFullChannel) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Channel<Message> channel;
    auto value = std::make_unique<int>(1);
    fault.Strikes(
        [&] { channel.TrySend(std::move(value)).IgnoreError(); });
    EXPECT_NE(value, nullptr);
    EXPECT_EQ(channel.TryReceive().status().code(),
              absl::StatusCode::kUnavailable);
  });
}

TEST(AllocationFailureTest, SendToAClosedChannel) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Channel<Message> channel(1);
    channel.Close();
    auto value = std::make_unique<int>(1);
    fault.Strikes([&] {
      channel.Send(Context(), std::move(value)).IgnoreError();
    });
    EXPECT_NE(value, nullptr);
  });
}

TEST(AllocationFailureTest, ReceiveAndClose) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Channel<Message> channel(2);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(channel.TrySend(std::make_unique<int>(i)), absl::OkStatus());
    }
    std::vector<int> received;
    received.reserve(2);
    bool threw = fault.Strikes(
        [&] { received.push_back(**channel.Receive(Context())); });
    threw |= fault.Strikes(
        [&] { received.push_back(**channel.TryReceive()); });
    EXPECT_FALSE(threw);
    EXPECT_EQ(received, (std::vector<int>{0, 1}));
    EXPECT_FALSE(fault.Strikes([&] { channel.Close(); }));
    fault.Strikes([&] { channel.Receive(Context()).IgnoreError(); });
    EXPECT_TRUE(absl::IsOutOfRange(channel.TryReceive().status()));
  });
}

// It is parked, or would be. Whoever comes later finds it there, or nobody.
TEST(AllocationFailureTest, ReceiveFromAnEmptyChannel) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    Channel<Message> channel(1);
    Caller sender([&] {
      EXPECT_EQ(channel.Send(Context(), std::make_unique<int>(1)),
                absl::OkStatus());
    });
    Message received;
    const bool threw = fault.Strikes(
        [&] { received = *channel.Receive(scope.context()); });
    sender.Join();
    EXPECT_EQ(channel.size(), threw ? 1 : 0);
    EXPECT_EQ(received == nullptr, threw);
  });
}

TEST(AllocationFailureTest, SendToAFullChannel) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    Channel<Message> channel(1);
    EXPECT_EQ(channel.TrySend(std::make_unique<int>(0)), absl::OkStatus());
    auto value = std::make_unique<int>(1);
    Caller receiver([&] { EXPECT_EQ(**channel.Receive(Context()), 0); });
    const bool threw = fault.Strikes([&] {
      EXPECT_EQ(channel.Send(scope.context(), std::move(value)),
                absl::OkStatus());
    });
    receiver.Join();
    EXPECT_EQ(value != nullptr, threw);
    EXPECT_EQ(Rest(channel),
              threw ? std::vector<int>() : std::vector<int>{1});
  });
}

TEST(AllocationFailureTest, ReceiveUntilACancel) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    Channel<int> channel;
    Caller canceller([&] { scope.Cancel(kStop); });
    fault.Strikes([&] {
      EXPECT_EQ(channel.Receive(scope.context()).status(), kStop);
    });
    EXPECT_EQ(channel.TrySend(1).code(), absl::StatusCode::kUnavailable);
  });
}

// Beyond what fits into the frame as well.
TEST(AllocationFailureTest, SelectsThatPark) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    std::vector<std::unique_ptr<Channel<Message>>> channels;
    std::vector<Channel<Message>*> all;
    for (int i = 0; i < 6; ++i) {
      channels.push_back(std::make_unique<Channel<Message>>());
      all.push_back(channels.back().get());
    }
    auto value = std::make_unique<int>(1);
    Channel<Message> last;
    Caller canceller([&] {
      sync::SleepFor(absl::Milliseconds(1));
      scope.Cancel(kStop);
    });
    const auto never = [](const auto&) { ADD_FAILURE(); };
    fault.Strikes([&] {
      EXPECT_FALSE(Select(scope.context(),
                          SendTo(*all[0], std::move(value), never),
                          ReceiveFrom(*all[1], never),
                          ReceiveFrom(*all[2], never),
                          SendTo(*all[3], std::move(value), never),
                          ReceiveFrom(*all[4], never), ReceiveFrom(last, never))
                       .ok());
    });
    EXPECT_NE(value, nullptr);
    fault.Strikes([&] {
      EXPECT_FALSE(ReceiveFromAny<Message>(scope.context(), all).ok());
    });
    fault.Strikes([&] {
      EXPECT_FALSE(
          SendToAny<Message>(scope.context(), all, std::move(value)).ok());
    });
    EXPECT_NE(value, nullptr);
    // Nobody is left in a queue: whoever were, would be served.
    for (Channel<Message>* channel : all) {
      EXPECT_FALSE(channel->TryReceive().ok());
      EXPECT_FALSE(channel->TrySend(std::make_unique<int>(2)).ok());
    }
  });
}

TEST(AllocationFailureTest, SelectsThatDoNotPark) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Channel<Message> a(1);
    Channel<Message> b(1);
    auto value = std::make_unique<int>(1);
    bool sent = false;
    const auto never = [](const auto&) { ADD_FAILURE(); };
    fault.Strikes([&] {
      EXPECT_TRUE(
          Select(Context(), ReceiveFrom(a, never),
                 SendTo(b, std::move(value),
                        [&](absl::Status status) { sent = status.ok(); }))
              .ok());
    });
    EXPECT_EQ(value == nullptr, sent);
    EXPECT_EQ(b.size(), sent ? 1 : 0);
    bool otherwise = false;
    const bool threw = fault.Strikes([&] {
      EXPECT_TRUE(Select(Context(), ReceiveFrom(a, never),
                         After(absl::Hours(1), [] { ADD_FAILURE(); }),
                         Otherwise([&] { otherwise = true; }))
                      .ok());
    });
    EXPECT_NE(threw, otherwise);
  });
}

TEST(AllocationFailureTest, HandlesAndIteration) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    std::optional<Ends<int>> ends;
    if (fault.Strikes([&] { ends.emplace(MakeChannel<int>(2)); })) {
      EXPECT_FALSE(ends.has_value());
      return;
    }
    EXPECT_EQ(ends->sender.TrySend(1), absl::OkStatus());
    ends->sender.Close();
    int sum = 0;
    fault.Strikes([&] {
      for (int value : ends->receiver) sum += value;
    });
    EXPECT_EQ(sum, 1);
  });
}

// However a stage ends, it closes its channels, and leaves nobody in them.
void ExpectClosed(Channel<int>& channel) {
  EXPECT_TRUE(channel.closed());
  while (channel.TryReceive().ok()) {
  }
}

TEST(AllocationFailureTest, Stages) {
  using Run = std::function<absl::Status(const Context&, Channel<int>&,
                                         Channel<int>&, Channel<int>&)>;
  using In = Channel<int>;
  const std::vector<Run> stages = {
      [](const Context& c, In& in, In& out, In&) {
        return Map(c, in, out, std::negate<>());
      },
      [](const Context& c, In& in, In& out, In& other) {
        return FanIn<int>(c, {&in, &other}, out);
      },
      [](const Context& c, In& in, In& out, In& other) {
        return Tee(c, in, out, other);
      },
      [](const Context& c, In& in, In& out, In& other) {
        return FanOutDeal<int>(c, in, {&out, &other});
      },
      [](const Context& c, In& in, In& out, In&) {
        return Map(c, in, out, std::negate<>(), {.workers = 3});
      },
      [](const Context& c, In& in, In& out, In&) {
        return Filter(
            c, in, out, [](int) { return true; },
            {.workers = 3, .ordered = false});
      },
      [](const Context& c, In& in, In&, In&) {
        return MapReduce(c, in, std::negate<>(), 0, std::plus<>(),
                         {.workers = 2})
            .status();
      },
  };
  for (const Run& stage : stages) {
    WithEachAllocationFailing([&stage](AllocationFault& fault) {
      const CancelScope scope = WithCancel(Context());
      Channel<int> in(10);
      Channel<int> out(10);
      Channel<int> other(10);
      for (int i = 0; i < 3; ++i) EXPECT_EQ(in.TrySend(i), absl::OkStatus());
      Caller closer([&] {
        sync::SleepFor(absl::Milliseconds(1));
        in.Close();
        other.Close();
      });
      bool began = false;
      const bool threw = fault.Strikes([&] {
        EXPECT_EQ(stage(scope.context(), in, out, other), absl::OkStatus());
        began = true;
      });
      EXPECT_NE(threw, began);
      closer.Join();
      ExpectClosed(in);
      while (out.TryReceive().ok() || other.TryReceive().ok()) {
      }
    });
  }
}

#endif  // ABSL_HAVE_EXCEPTIONS

}  // namespace
}  // namespace cohort::channel
