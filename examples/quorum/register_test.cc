#include "quorum/register.h"

#include <array>
#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace quorum {
namespace {

namespace sim = cohort::sim;
using cohort::Context;
using cohort::testing::JoiningThread;

class Server {
 public:
  Replica AsReplica() {
    return {.read = [this](const Context&) -> absl::StatusOr<Version> {
              cohort::sync::MutexLock lock(&mutex_);
              if (down_) return absl::UnavailableError("down");
              return version_;
            },
            .write =
                [this](const Context&, const Version& version) {
                  cohort::sync::MutexLock lock(&mutex_);
                  if (down_) return absl::UnavailableError("down");
                  if (version.number > version_.number) version_ = version;
                  return absl::OkStatus();
                }};
  }
  void GoDown() {
    cohort::sync::MutexLock lock(&mutex_);
    down_ = true;
  }

 private:
  cohort::sync::Mutex mutex_;
  Version version_ ABSL_GUARDED_BY(mutex_);
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
};

struct Cluster {
  std::array<Server, 3> servers;
  Register value{
      {servers[0].AsReplica(), servers[1].AsReplica(), servers[2].AsReplica()}};
};

TEST(RegisterTest, WhatWasWrittenIsRead) {
  sim::Explore({.schedules = 2000}, [] {
    Cluster cluster;
    EXPECT_EQ(cluster.value.Write(Context(), {1, "one"}), absl::OkStatus());
    EXPECT_EQ(cluster.value.Read(Context())->value, "one");
  });
}

TEST(RegisterTest, AReadBesideWritesIsOfOneOfThem) {
  sim::Explore({.schedules = 2000}, [] {
    Cluster cluster;
    JoiningThread writer([&cluster] {
      for (const Version& version : {Version{1, "one"}, Version{2, "two"}}) {
        EXPECT_EQ(cluster.value.Write(Context(), version), absl::OkStatus());
      }
    });
    const absl::StatusOr<Version> version = cluster.value.Read(Context());
    ASSERT_TRUE(version.ok());
    const std::array<absl::string_view, 3> values = {"", "one", "two"};
    EXPECT_EQ(version->value, values[static_cast<size_t>(version->number)]);
    writer.Join();
    EXPECT_EQ(cluster.value.Read(Context())->number, 2);
  });
}

TEST(RegisterTest, OneOfThreeMayFailAtAnyTime) {
  sim::Explore({.schedules = 2000}, [] {
    Cluster cluster;
    JoiningThread enemy([&cluster] { cluster.servers[1].GoDown(); });
    EXPECT_EQ(cluster.value.Write(Context(), {1, "one"}), absl::OkStatus());
    EXPECT_EQ(cluster.value.Read(Context())->value, "one");
  });
}

TEST(RegisterTest, TwoOfThreeMayNot) {
  sim::Explore({.schedules = 500}, [] {
    Cluster cluster;
    cluster.servers[0].GoDown();
    cluster.servers[2].GoDown();
    EXPECT_TRUE(
        absl::IsUnavailable(cluster.value.Write(Context(), {1, "one"})));
    EXPECT_TRUE(absl::IsUnavailable(cluster.value.Read(Context()).status()));
  });
}

TEST(RegisterTest, NobodyWaitsForAReplicaThatHangs) {
  sim::Explore({.schedules = 2000, .time = sim::Time::kQuiescent}, [] {
    std::array<Server, 2> servers;
    const Replica hangs = {
        .read =
            [](const Context& context) {
              context.AwaitDone();
              return absl::StatusOr<Version>(context.status());
            },
        .write =
            [](const Context& context, const Version&) {
              context.AwaitDone();
              return context.status();
            }};
    const Register value(
        {servers[0].AsReplica(), hangs, servers[1].AsReplica()});
    EXPECT_EQ(value.Write(Context(), {1, "one"}), absl::OkStatus());
    EXPECT_EQ(value.Read(Context())->value, "one");
  });
}

}  // namespace
}  // namespace quorum
