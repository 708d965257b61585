// What neilotoole/errgroup's own tests say, of ours, beyond those it has from
// x/sync, which are in x_sync_errgroup_test.cc. Each case has the name of the
// one that it follows.

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

constexpr uint64_t Fib(int n) {
  uint64_t a = 0;
  uint64_t b = 1;
  for (; n > 0; --n) {
    const uint64_t sum = a + b;
    a = b;
    b = sum;
  }
  return a;
}

struct Case {
  Options options;
  bool has_context;
};

std::vector<Case> Cases() {
  return {{Options(), false},         {Options(), true},
          {WithContextN(0, 0), true}, {WithContextN(1, 0), true},
          {WithContextN(1, 1), true}, {WithContextN(4, 16), true},
          {WithContextN(16, 4), true}};
}

// `body` says what it does with a group twice: by law, one with a context
// refuses the second time, and says so. (There, and in x/sync, the tasks run
// with a context that is dead from the start; see B-69.)
void ForEachCase(absl::FunctionRef<void(Group&, bool refuses)> body) {
  sim::Explore(
      {.schedules = 30, .time = sim::Time::kQuiescent, .max_steps = 1'000'000},
      [&body] {
        for (const Case& c : Cases()) {
          if (c.has_context) {
            Group group(Context(), c.options);
            body(group, true);
            // Go's behaviour is an option.
            Options options = c.options;
            options.run_after_cancel = true;
            Group as_there(Context(), options);
            body(as_there, false);
          } else {
            Group group(c.options);
            body(group, false);
          }
        }
      });
}

TEST(NeilotooleErrgroup, TestGroup) {
  ForEachCase([](Group& group, bool refuses) {
    constexpr int kMax = 50;
    for (const bool again : {false, true}) {
      std::vector<uint64_t> values(kMax);
      for (int i = 0; i < kMax; ++i) {
        const Admission admission =
            group.Go([&values, i] { values[static_cast<size_t>(i)] = Fib(i); });
        EXPECT_EQ(admission, again && refuses ? Admission::kCancelled
                                              : Admission::kAccepted);
      }
      EXPECT_EQ(group.Wait().ok(), !(again && refuses));
      for (int i = 0; i < kMax; ++i) {
        EXPECT_EQ(values[static_cast<size_t>(i)],
                  again && refuses ? 0 : Fib(i));
      }
    }
  });
}

TEST(NeilotooleErrgroup, TestEquivalence_GoWaitThenGoAgain) {
  ForEachCase([](Group& group, bool refuses) {
    int actions = 0;
    group.Go([&] { ++actions; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(actions, 1);
    group.Go([&] { ++actions; });
    EXPECT_EQ(group.Wait().ok(), !refuses);
    EXPECT_EQ(actions, refuses ? 1 : 2);
  });
}

TEST(NeilotooleErrgroup, TestEquivalence_WaitThenGo) {
  ForEachCase([](Group& group, bool refuses) {
    int actions = 0;
    sync::SleepFor(absl::Seconds(1));
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(actions, 0);
    group.Go([&] { ++actions; });
    sync::SleepFor(absl::Seconds(1));
    EXPECT_EQ(group.Wait().ok(), !refuses);
    EXPECT_EQ(actions, refuses ? 0 : 1);
  });
}

}  // namespace
}  // namespace cohort::errgroup
