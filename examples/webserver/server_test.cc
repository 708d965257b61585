#include "webserver/server.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace webserver {
namespace {

using ::cohort::Context;
using ::cohort::errgroup::Group;
using ::cohort::testing::Await;

const absl::Status kEnough = absl::CancelledError("enough");

// A server in a group, as it would be beside others.
class Running {
 public:
  explicit Running(Server& server) : port_(*server.Listen(0)) {
    group_.Go(
        [&server](const Context& context) { return server.Serve(context); });
  }

  absl::Status Cancel() {
    group_.Cancel(kEnough);
    return group_.Wait();
  }
  Group& group() { return group_; }

  httplib::Client Connect() const {
    httplib::Client client("127.0.0.1", port_);
    client.set_keep_alive(true);
    return client;
  }
  // The status of the answer, 0 without any.
  int Get(const std::string& path) const {
    httplib::Client client = Connect();
    const httplib::Result result = client.Get(path);
    return result ? result->status : 0;
  }

 private:
  const int port_;
  Group group_{Context()};
};

void Nothing(const Context&, const httplib::Request&, httplib::Response&) {}

TEST(ServerTest, ServesUntilItsContextEnds) {
  Server server({});
  server.Get("/", Nothing);
  Running running(server);
  EXPECT_EQ(running.Get("/"), 200);
  EXPECT_EQ(running.Get("/nowhere"), 404);
  EXPECT_EQ(running.Cancel(), kEnough);
  EXPECT_EQ(running.Get("/"), 0);
  EXPECT_EQ(server.stats().answered, 1);
}

TEST(ServerTest, EndsAtOnceUnderAContextThatHasEnded) {
  Server server({});
  ASSERT_TRUE(server.Listen(0).ok());
  cohort::CancelScope scope = cohort::WithCancel(Context());
  scope.Cancel(kEnough);
  EXPECT_EQ(server.Serve(scope.context()), kEnough);
}

TEST(ServerTest, MayBeStoppedBeforeItServes) {
  Server server({});
  ASSERT_TRUE(server.Listen(0).ok());
  server.Stop(kEnough);
  EXPECT_EQ(server.Serve(Context()), kEnough);
}

TEST(ServerTest, APortThatIsTaken) {
  Server one({});
  Server two({.name = "two"});
  const absl::StatusOr<int> port = one.Listen(0);
  ASSERT_TRUE(port.ok());
  EXPECT_TRUE(absl::IsUnavailable(two.Listen(*port).status()));
  one.Stop(kEnough);
  EXPECT_EQ(one.Serve(Context()), kEnough);
}

TEST(ServerTest, FinishesWhatHasBegun) {
  absl::Notification begun;
  absl::Notification ending;
  Server server({.drain = absl::InfiniteDuration()});
  server.Get("/", [&](const Context& context, const httplib::Request&,
                      httplib::Response& response) {
    begun.Notify();
    ending.WaitForNotification();
    EXPECT_FALSE(context.done());
    response.set_content("all of it", "text/plain");
  });
  Running running(server);
  Group clients;
  clients.Go([&running] {
    httplib::Client client = running.Connect();
    const httplib::Result result = client.Get("/");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->body, "all of it");
    EXPECT_EQ(result->get_header_value("Connection"), "close");
  });
  begun.WaitForNotification();
  running.group().Cancel(kEnough);
  ending.Notify();
  EXPECT_EQ(running.group().Wait(), kEnough);
  EXPECT_EQ(clients.Wait(), absl::OkStatus());
  EXPECT_EQ(server.stats().late, 0);
}

TEST(ServerTest, CutsShortWhatTakesTooLong) {
  Server server({.name = "busy", .drain = absl::ZeroDuration()});
  server.Get("/", [](const Context& context, const httplib::Request&,
                     httplib::Response& response) {
    context.AwaitDone();
    response.status = httplib::ServiceUnavailable_503;
  });
  Running running(server);
  Group clients;
  clients.Go([&running] { EXPECT_EQ(running.Get("/"), 503); });
  Await([&server] { return server.stats().in_flight == 1; });
  server.Stop(kEnough);
  EXPECT_EQ(running.group().Wait(),
            absl::DeadlineExceededError("busy: late answers to 1"));
  EXPECT_EQ(clients.Wait(), absl::OkStatus());
}

TEST(ServerTest, IfOneStopsAllDo) {
  Server one({});
  Server two({});
  one.Get("/stop", [&one](const Context&, const httplib::Request&,
                          httplib::Response&) { one.Stop(kEnough); });
  Running running(one);
  ASSERT_TRUE(two.Listen(0).ok());
  running.group().Go(
      [&two](const Context& context) { return two.Serve(context); });
  EXPECT_EQ(running.Get("/stop"), 200);
  EXPECT_EQ(running.group().Wait(), kEnough);
}

TEST(ServerTest, ServesSoManyConnectionsAtOnceAndTheOthersLater) {
  static constexpr int kConnections = 2;
  std::atomic<int> now{0};
  Server server({.connections = kConnections});
  server.Get("/", [&now](const Context& context, const httplib::Request&,
                         httplib::Response&) {
    EXPECT_LE(++now, kConnections);
    EXPECT_EQ(context.SleepFor(absl::Milliseconds(1)), absl::OkStatus());
    --now;
  });
  Running running(server);
  Group clients;
  for (int i = 0; i < 20; ++i) {
    clients.Go([&running] { EXPECT_EQ(running.Get("/"), 200); });
  }
  EXPECT_EQ(clients.Wait(), absl::OkStatus());
  EXPECT_EQ(running.Cancel(), kEnough);
  EXPECT_EQ(server.stats().answered, 20);
}

TEST(ServerTest, WhatItAnswersUnderLoadArrives) {
  Server server({});
  server.Get("/", Nothing);
  Running running(server);
  std::atomic<int> arrived{0};
  Group clients;
  for (int i = 0; i < 8; ++i) {
    clients.Go([&] {
      httplib::Client client = running.Connect();
      while (client.Get("/")) ++arrived;
    });
  }
  Await([&arrived] { return arrived > 200; });
  EXPECT_EQ(running.Cancel(), kEnough);
  EXPECT_EQ(clients.Wait(), absl::OkStatus());
  EXPECT_EQ(server.stats().answered, arrived);
}

}  // namespace
}  // namespace webserver
