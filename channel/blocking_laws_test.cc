// The laws of context/blocking_laws.h, for both ends of a channel.

#include "cohort/context/blocking_laws.h"

#include "absl/status/status.h"
#include "cohort/channel/channel.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"

namespace cohort::laws {
namespace {

class Receive {
 public:
  absl::Status Block(const Context& context) {
    return channel_.Receive(context).status();
  }
  void Grant() { EXPECT_TRUE(channel_.TrySend(1).ok()); }

 private:
  channel::Channel<int> channel_{2};
};

// The channel is full at first.
class Send {
 public:
  Send() { EXPECT_TRUE(channel_.TrySend(1).ok()); }
  absl::Status Block(const Context& context) {
    return channel_.Send(context, 1);
  }
  void Grant() { EXPECT_TRUE(channel_.TryReceive().ok()); }

 private:
  channel::Channel<int> channel_{1};
};

using ChannelCalls = ::testing::Types<Receive, Send>;
INSTANTIATE_TYPED_TEST_SUITE_P(Channel, BlockingLaw, ChannelCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(Channel, KeptGrantLaw, ChannelCalls);
INSTANTIATE_TYPED_TEST_SUITE_P(Channel, TakingLaw, ChannelCalls);

}  // namespace
}  // namespace cohort::laws
