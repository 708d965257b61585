// What holds when memory runs out in a call: either it has done all that it
// does, or it throws and nothing has changed.

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/ends.h"
#include "cohort/channel/pipeline.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

#ifdef ABSL_HAVE_EXCEPTIONS

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;
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
    fault.Strikes([&] { channel.TrySend(std::move(value)).IgnoreError(); });
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
    fault.Strikes(
        [&] { channel.Send(Context(), std::move(value)).IgnoreError(); });
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
    threw |= fault.Strikes([&] { received.push_back(**channel.TryReceive()); });
    EXPECT_FALSE(threw);
    EXPECT_EQ(received, (std::vector<int>{0, 1}));
    EXPECT_FALSE(fault.Strikes([&] { channel.Close(); }));
    fault.Strikes([&] { channel.Receive(Context()).IgnoreError(); });
    EXPECT_TRUE(absl::IsOutOfRange(channel.TryReceive().status()));
  });
}

// The operation of so many cases allocates in any case, and then parks.
class Several {
 public:
  Several() {
    for (int i = 0; i < 6; ++i) all_.push_back(&channels_.emplace_back());
  }
  Channel<Message>& operator[](size_t i) { return *all_[i]; }
  absl::Span<Channel<Message>* const> all() const { return all_; }

 private:
  std::deque<Channel<Message>> channels_;
  std::vector<Channel<Message>*> all_;
};

// Whoever comes later finds it there, or nobody.
TEST(AllocationFailureTest, ReceiveOfWhatIsYetToCome) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const CancelScope scope = WithCancel(Context());
    CancelScope give_up = WithCancel(Context());
    Several channels;
    bool sent = false;
    JoiningThread sender([&] {
      sync::SleepFor(absl::Milliseconds(1));
      sent = channels[3].Send(give_up.context(), std::make_unique<int>(1)).ok();
    });
    Message received;
    const bool threw = fault.Strikes([&] {
      received = *std::move(
          ReceiveFromAny<Message>(scope.context(), channels.all())->value);
    });
    if (threw) give_up.Cancel();
    sender.Join();
    EXPECT_NE(sent, threw);
    EXPECT_EQ(received == nullptr, threw);
  });
}

TEST(AllocationFailureTest, SendToWhoeverIsYetToCome) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const CancelScope scope = WithCancel(Context());
    CancelScope give_up = WithCancel(Context());
    Several channels;
    auto value = std::make_unique<int>(1);
    bool received = false;
    JoiningThread receiver([&] {
      sync::SleepFor(absl::Milliseconds(1));
      received = channels[3].Receive(give_up.context()).ok();
    });
    const bool threw = fault.Strikes([&] {
      EXPECT_TRUE(
          SendToAny<Message>(scope.context(), channels.all(), std::move(value))
              .ok());
    });
    if (threw) give_up.Cancel();
    receiver.Join();
    EXPECT_NE(received, threw);
    EXPECT_EQ(value != nullptr, threw);
  });
}

TEST(AllocationFailureTest, SendToAFullChannel) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    const CancelScope scope = WithCancel(Context());
    Channel<Message> channel(1);
    EXPECT_EQ(channel.TrySend(std::make_unique<int>(0)), absl::OkStatus());
    auto value = std::make_unique<int>(1);
    JoiningThread receiver([&] {
      sync::SleepFor(absl::Milliseconds(1));
      EXPECT_EQ(**channel.Receive(Context()), 0);
    });
    const bool threw = fault.Strikes([&] {
      EXPECT_EQ(channel.Send(scope.context(), std::move(value)),
                absl::OkStatus());
    });
    receiver.Join();
    EXPECT_EQ(value != nullptr, threw);
    EXPECT_EQ(Rest(channel), threw ? std::vector<int>() : std::vector<int>{1});
  });
}

// Beyond what fits into the frame as well.
TEST(AllocationFailureTest, SelectsThatPark) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    Several channels;
    Channel<Message> last;
    auto one = std::make_unique<int>(1);
    auto two = std::make_unique<int>(2);
    JoiningThread canceller([&] {
      sync::SleepFor(absl::Milliseconds(1));
      scope.Cancel(kStop);
    });
    const auto never = [](const auto&) { ADD_FAILURE(); };
    fault.Strikes([&] {
      EXPECT_FALSE(
          Select(scope.context(), SendTo(channels[0], std::move(one), never),
                 ReceiveFrom(channels[1], never),
                 ReceiveFrom(channels[2], never),
                 SendTo(channels[3], std::move(two), never),
                 ReceiveFrom(channels[4], never), ReceiveFrom(last, never))
              .ok());
    });
    EXPECT_NE(one, nullptr);
    EXPECT_NE(two, nullptr);
    fault.Strikes([&] {
      EXPECT_FALSE(
          ReceiveFromAny<Message>(scope.context(), channels.all()).ok());
    });
    fault.Strikes([&] {
      EXPECT_FALSE(
          SendToAny<Message>(scope.context(), channels.all(), std::move(one))
              .ok());
    });
    EXPECT_NE(one, nullptr);
    // Nobody is left in a queue: whoever were, would be served.
    for (Channel<Message>* channel : channels.all()) {
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

// However a stage ends, it closes its channels, leaves nobody in their queues,
// and no worker at work.
TEST(AllocationFailureTest, Stages) {
  using In = Channel<int>;
  using Run =
      std::function<absl::Status(const Context&, Executor*, In&, In&, In&)>;
  const std::vector<Run> stages = {
      [](const Context& c, Executor*, In& in, In& out, In&) {
        return Map(c, in, out, std::negate<>());
      },
      [](const Context& c, Executor*, In& in, In& out, In& other) {
        return FanIn<int>(c, {&in, &other}, out);
      },
      [](const Context& c, Executor*, In& in, In& out, In& other) {
        return Tee(c, in, out, other);
      },
      [](const Context& c, Executor*, In& in, In& out, In& other) {
        return Distribute<int>(c, in, {&out, &other});
      },
      [](const Context& c, Executor* pool, In& in, In& out, In&) {
        return Map(c, in, out, std::negate<>(),
                   {.workers = 3, .executor = pool});
      },
      [](const Context& c, Executor* pool, In& in, In& out, In&) {
        return Filter(c, in, out, [](int) { return true; },
                      {.workers = 3, .ordered = false, .executor = pool});
      },
      [](const Context& c, Executor* pool, In& in, In&, In&) {
        return MapReduce(c, in, std::negate<>(), 0, std::plus<>(),
                         {.workers = 2, .executor = pool})
            .status();
      },
  };
  for (const Run& stage : stages) {
    WithEachAllocationFailing([&stage](AllocationFault& fault) {
      const CancelScope scope = WithCancel(Context());
      // With its threads, which are none of the stage's business.
      FixedPool pool(2);
      std::atomic<int> started = 0;
      for (int i = 0; i < 2; ++i) {
        pool.Submit([&started] {
          ++started;
          Await([&started] { return started == 2; });
        });
      }
      Await([&started] { return started == 2; });
      In in(10);
      In out(10);
      In other(10);
      for (int i = 0; i < 3; ++i) EXPECT_EQ(in.TrySend(i), absl::OkStatus());
      JoiningThread closer([&] {
        sync::SleepFor(absl::Milliseconds(1));
        in.Close();
        other.Close();
      });
      bool returned = false;
      const bool threw = fault.Strikes([&] {
        EXPECT_EQ(stage(scope.context(), &pool, in, out, other),
                  absl::OkStatus());
        returned = true;
      });
      EXPECT_NE(threw, returned);
      closer.Join();
      for (In* channel : {&in, &out, &other}) {
        while (channel->TryReceive().ok()) {
        }
      }
    });
  }
}

#endif  // ABSL_HAVE_EXCEPTIONS

}  // namespace
}  // namespace cohort::channel
