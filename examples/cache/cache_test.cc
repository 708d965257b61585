#include "cache/cache.h"

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cache {
namespace {

using ::cohort::CancelScope;
using ::cohort::Context;
using ::cohort::WithCancel;
using ::cohort::sim::Time;
using ::cohort::sync::Atomic;
using ::cohort::testing::JoiningThread;

// On every schedule that the search comes across.
void Simulate(absl::FunctionRef<void()> body, Time time = Time::kRacing) {
  cohort::sim::Explore({.schedules = 2000, .time = time, .processors = 1},
                       body);
}

TEST(CacheTest, AStampedeLoadsOnce) {
  Simulate([] {
    Atomic<int> loads = 0;
    Cache cache(
        [&](const Context&, const std::string& key) {
          ++loads;
          return "value of " + key;
        },
        absl::InfiniteDuration());
    const auto get = [&cache] {
      EXPECT_EQ(*cache.Get(Context(), "key"), "value of key");
    };
    {
      JoiningThread one(get);
      JoiningThread two(get);
      get();
      get();
    }
    EXPECT_EQ(loads, 1);
  });
}

TEST(CacheTest, AnEntryGrowsOld) {
  Simulate(
      [] {
        Atomic<int> loads = 0;
        Cache cache([&](const Context&,
                        const std::string&) { return std::to_string(++loads); },
                    absl::Seconds(10));
        EXPECT_EQ(*cache.Get(Context(), "key"), "1");
        cohort::sync::SleepFor(absl::Seconds(9));
        EXPECT_EQ(*cache.Get(Context(), "key"), "1");
        cohort::sync::SleepFor(absl::Seconds(1));
        EXPECT_EQ(*cache.Get(Context(), "key"), "2");
      },
      // It passes where somebody sleeps, and only then.
      Time::kQuiescent);
}

TEST(CacheTest, AnErrorIsNotKept) {
  Simulate([] {
    Atomic<bool> down = true;
    Cache cache(
        [&](const Context&, const std::string&) -> absl::StatusOr<std::string> {
          if (down) return absl::UnavailableError("down");
          return "value";
        },
        absl::InfiniteDuration());
    EXPECT_EQ(cache.Get(Context(), "key").status(),
              absl::UnavailableError("down"));
    down = false;
    EXPECT_EQ(*cache.Get(Context(), "key"), "value");
  });
}

TEST(CacheTest, WhoeverGivesUpTakesNothingFromTheOthers) {
  Simulate([] {
    CancelScope hurry = WithCancel(Context());
    CancelScope slow = WithCancel(Context());
    Cache cache(
        [&](const Context& context,
            const std::string&) -> absl::StatusOr<std::string> {
          slow.context().AwaitDone();
          if (context.done()) return context.status();
          return "value";
        },
        absl::InfiniteDuration());
    JoiningThread patient(
        [&] { EXPECT_EQ(*cache.Get(Context(), "key"), "value"); });
    JoiningThread in_a_hurry([&] {
      // Long before the load ends.
      EXPECT_EQ(cache.Get(hurry.context(), "key").status(),
                absl::DeadlineExceededError("too long"));
      slow.Cancel();
    });
    hurry.Cancel(absl::DeadlineExceededError("too long"));
  });
}

TEST(CacheTest, ALoadThatNobodyWaitsForIsTold) {
  Simulate([] {
    CancelScope hurry = WithCancel(Context());
    Cache cache(
        [](const Context& context,
           const std::string&) -> absl::StatusOr<std::string> {
          context.AwaitDone();
          return context.status();
        },
        absl::InfiniteDuration());
    JoiningThread other([&] { hurry.Cancel(); });
    EXPECT_TRUE(absl::IsCancelled(cache.Get(hurry.context(), "key").status()));
  });
}

TEST(CacheTest, NothingOldIsKeptAfterAnInvalidation) {
  Simulate([] {
    Atomic<int> version = 1;
    Cache cache([&](const Context&,
                    const std::string&) { return std::to_string(version); },
                absl::InfiniteDuration());
    JoiningThread reader(
        [&] { EXPECT_TRUE(cache.Get(Context(), "key").ok()); });
    version = 2;
    cache.Invalidate("key");
    EXPECT_EQ(*cache.Get(Context(), "key"), "2");
    reader.Join();
    EXPECT_EQ(*cache.Get(Context(), "key"), "2");
  });
}

}  // namespace
}  // namespace cache
