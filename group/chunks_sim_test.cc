// How elements become chunks, in virtual time and on every schedule that the
// search comes across.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/chunks.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::group_internal {
namespace {

using ::cohort::testing::JoiningThread;

absl::Status No(const std::string& text) { return absl::NotFoundError(text); }

// The chunks that one runner takes of elements that take `cost` each.
template <class Cost>
std::vector<size_t> Sizes(size_t count, Cost cost) {
  std::vector<size_t> sizes;
  sim::Explore({.schedules = 5, .time = sim::Time::kQuiescent}, [&] {
    sizes.clear();
    EXPECT_EQ(RunChunks(Context(), {.caller = "test", .count = count},
                        [&](const Context&, Chunk& chunk) {
                          sizes.push_back(chunk.end - chunk.next);
                          for (; !chunk.empty(); ++chunk.next) {
                            const absl::Duration time = cost(chunk.next);
                            if (time > absl::ZeroDuration()) {
                              sync::SleepFor(time);
                            }
                          }
                          return absl::OkStatus();
                        }),
              absl::OkStatus());
  });
  return sizes;
}

TEST(ChunksSimTest, CheapElementsComeInGrowingChunksAndShrinkTowardsTheEnd) {
  EXPECT_EQ(Sizes(100, [](size_t) { return absl::ZeroDuration(); }),
            (std::vector<size_t>{1, 2, 4, 8, 16, 32, 18, 9, 5, 2, 1, 1, 1}));
}

TEST(ChunksSimTest, ARunnerIsStuckWithNoMoreThanSoManyElements) {
  const std::vector<size_t> sizes =
      Sizes(10'000, [](size_t) { return absl::ZeroDuration(); });
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), 1024u);
}

TEST(ChunksSimTest, DearElementsComeOneByOne) {
  EXPECT_EQ(Sizes(10, [](size_t) { return absl::Microseconds(50); }),
            std::vector<size_t>(10, 1));
}

TEST(ChunksSimTest, ChunksAreOfACertainCost) {
  // 1, 2, 4, 8 of them cost 2, 4, 8, 16 us, which is not cheap any more.
  std::vector<size_t> sizes =
      Sizes(1000, [](size_t) { return absl::Microseconds(2); });
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), 8u);
  // They become dear: what has grown shrinks.
  sizes = Sizes(1000, [](size_t i) {
    return i < 500 ? absl::ZeroDuration() : absl::Microseconds(50);
  });
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), 256u);
  EXPECT_EQ(std::vector<size_t>(sizes.end() - 100, sizes.end()),
            std::vector<size_t>(100, 1));
}

// What each of the runners does on one schedule is not much; so these are few.

TEST(ChunksSimTest, EachElementIsRunOnce) {
  sim::Explore({.schedules = 3000}, [] {
    constexpr size_t kCount = 7;
    std::vector<sync::Atomic<int>> calls(kCount);
    sync::Atomic<int> inside = 0;
    EXPECT_EQ(
        RunChunks(Context(), {.caller = "test", .limit = 2, .count = kCount},
                  [&](const Context&, Chunk& chunk) {
                    EXPECT_LE(++inside, 2);
                    for (; !chunk.empty(); ++chunk.next) {
                      ++calls[chunk.next];
                    }
                    --inside;
                    return absl::OkStatus();
                  }),
        absl::OkStatus());
    for (const sync::Atomic<int>& count : calls) EXPECT_EQ(count, 1);
  });
}

TEST(ChunksSimTest, TheFirstFailureEndsItAll) {
  sim::Explore({.schedules = 3000}, [] {
    sync::Atomic<int> failures = 0;
    const absl::Status status =
        RunChunks(Context(), {.caller = "test", .limit = 2, .count = 6},
                  [&](const Context& context, Chunk& chunk) -> absl::Status {
                    for (; !chunk.empty() && !context.done(); ++chunk.next) {
                      if (chunk.next % 2 == 1) {
                        ++failures;
                        return No(std::to_string(chunk.next));
                      }
                    }
                    return absl::OkStatus();
                  });
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_LE(failures, 2);  // one for each runner
  });
}

// Accounted: it has succeeded, failed, or has the cause.
TEST(ChunksSimTest, ACancellationAgainstTheElements) {
  for (const bool each : {false, true}) {
    sim::Explore({.schedules = 3000}, [each] {
      constexpr size_t kCount = 5;
      CancelScope scope = WithCancel(Context());
      sync::Atomic<bool> cancelled = false;
      JoiningThread canceller([&] {
        scope.Cancel(No("enough"));
        cancelled = true;
      });
      std::vector<sync::Atomic<int>> told(kCount);
      sync::Atomic<int> successes = 0;
      sync::Atomic<int> late = 0;
      ChunkOptions options = {.caller = "test", .limit = 2, .count = kCount};
      if (each) {
        options.on_failure = [&](size_t i, const absl::Status& status) {
          EXPECT_EQ(status, No("enough"));
          ++told[i];
        };
      }
      const absl::Status status = RunChunks(
          scope.context(), options, [&](const Context& context, Chunk& chunk) {
            for (; !chunk.empty() && !context.done(); ++chunk.next) {
              late += cancelled ? 1 : 0;
              ++successes;
              if (each) ++told[chunk.next];
            }
            return absl::OkStatus();
          });
      // Each runner may have been between its look and its element.
      EXPECT_LE(late, 2);
      EXPECT_EQ(status, successes == kCount ? absl::OkStatus() : No("enough"));
      for (const sync::Atomic<int>& count : told) {
        EXPECT_EQ(count, each ? 1 : 0);
      }
    });
  }
}

TEST(ChunksSimTest, EveryScheduleOfThreeElementsRunsThem) {
  sim::Options options = sim::AllSchedules(sim::Strategy::PreemptionBounded(1));
  options.time = sim::Time::kQuiescent;
  sim::ExploreAll(options, [] {
    sync::Atomic<int> calls = 0;
    EXPECT_EQ(RunChunks(Context(), {.caller = "test", .limit = 2, .count = 3},
                        [&](const Context&, Chunk& chunk) {
                          for (; !chunk.empty(); ++chunk.next) ++calls;
                          return absl::OkStatus();
                        }),
              absl::OkStatus());
    EXPECT_EQ(calls, 3);
  });
}

}  // namespace
}  // namespace cohort::group_internal
