// Sender and Receiver: handles of a channel.

#include "cohort/channel/ends.h"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/pipeline.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

static_assert(std::is_copy_constructible_v<Sender<int>>);
static_assert(std::is_nothrow_move_constructible_v<Receiver<int>>);
static_assert(std::is_move_assignable_v<Receiver<int>>);

TEST(EndsTest, WhatTheOneSendsTheOtherReceives) {
  auto [sender, receiver] = MakeChannel<int>(2);
  EXPECT_EQ(sender.Send(Context(), 1), absl::OkStatus());
  EXPECT_EQ(sender.TrySend(2), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnavailable(sender.TrySend(3)));
  EXPECT_EQ(receiver.Receive(Context()).value(), 1);
  EXPECT_EQ(receiver.TryReceive().value(), 2);
  EXPECT_TRUE(sender.Close());
  EXPECT_FALSE(sender.Close());
  EXPECT_TRUE(absl::IsOutOfRange(receiver.TryReceive().status()));
}

// As a future.
Receiver<std::unique_ptr<int>> Start(
    std::vector<std::unique_ptr<JoiningThread>>& callers) {
  auto ends = MakeChannel<std::unique_ptr<int>>(1);
  callers.push_back(
      std::make_unique<JoiningThread>([sender = std::move(ends.sender)] {
        EXPECT_EQ(sender.TrySend(std::make_unique<int>(7)), absl::OkStatus());
        sender.Close();
      }));
  return std::move(ends.receiver);
}

TEST(EndsTest, AHandleCanBeStoredAndHandedOn) {
  std::vector<std::unique_ptr<JoiningThread>> callers;
  std::vector<Receiver<std::unique_ptr<int>>> results;
  results.push_back(Start(callers));
  results.push_back(Start(callers));
  for (auto& result : results) {
    EXPECT_EQ(**result.Receive(Context()), 7);
    for (auto& rest : result) ADD_FAILURE() << *rest;
  }
}

TEST(EndsTest, TheChannelLivesAsLongAsAHandle) {
  const auto counted = std::make_shared<int>(0);
  auto ends = MakeChannel<std::shared_ptr<int>>(2);
  EXPECT_EQ(ends.sender.TrySend(counted), absl::OkStatus());
  Receiver<std::shared_ptr<int>> copy = ends.receiver;
  EXPECT_EQ(copy, ends.receiver);
  ends.sender = {};
  ends.receiver = {};
  EXPECT_NE(copy, ends.receiver);
  EXPECT_EQ(counted.use_count(), 2);
  EXPECT_EQ(copy.Receive(Context()).value(), counted);
  const Receiver<std::shared_ptr<int>> last = std::move(copy);
  EXPECT_TRUE(last);
  EXPECT_FALSE(copy);
}

TEST(EndsTest, InASelect) {
  auto [sender, receiver] = MakeChannel<std::string>(1);
  const auto never = [](const auto&) { ADD_FAILURE(); };
  EXPECT_EQ(Select(Context(), ReceiveFrom(receiver, never),
                   SendTo(sender, "a",
                          [](absl::Status status) {
                            EXPECT_EQ(status, absl::OkStatus());
                          }))
                .value(),
            1);
  EXPECT_EQ(Select(Context(), SendTo(sender, "b", never),
                   ReceiveFrom(receiver,
                               [](absl::StatusOr<std::string> value) {
                                 EXPECT_EQ(value.value(), "a");
                               }))
                .value(),
            1);
  // One that has no channel is never ready.
  EXPECT_EQ(Select(Context(), ReceiveFrom(Receiver<int>(), never),
                   SendTo(Sender<int>(), 1, never), Otherwise([] {}))
                .value(),
            2);
}

TEST(EndsTest, InAStage) {
  auto [sender, receiver] = MakeChannel<int>(3);
  EXPECT_EQ(Feed(Context(), std::vector<int>{1, 2, 3}, *sender),
            absl::OkStatus());
  int sum = 0;
  auto values = receiver.Values(Context());
  for (int value : values) sum += value;
  EXPECT_EQ(sum, 6);
  EXPECT_EQ(values.status(), absl::OkStatus());
}

TEST(EndsDeathTest, AHandleWithoutAChannelDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Sender<int>().Close(), "the handle has no channel");
  EXPECT_DEATH(Receiver<int>().TryReceive().IgnoreError(),
               "the handle has no channel");
  EXPECT_DEATH(MakeChannel<int>(-1), "channel::Channel: capacity is -1");
}

}  // namespace
}  // namespace cohort::channel
