// sizedgroup's groups with several callers: no task is lost or runs too much,
// never more of them than slots, and slots that were taken by hand count.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::sizedgroup {
namespace {

using stress::InParallel;
using stress::Random;

absl::Status Cause() { return absl::AbortedError("cancelled by the test"); }

// How many are inside at once.
class Meter {
 public:
  void Enter() {
    const int now = ++inside_;
    int most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {
    }
    ++entered_;
  }
  void Leave() { --inside_; }

  int inside() const { return inside_; }
  int most() const { return most_; }
  int entered() const { return entered_; }

 private:
  sync::Atomic<int> inside_ = 0;
  sync::Atomic<int> most_ = 0;
  sync::Atomic<int> entered_ = 0;
};

class SizedGroupStressTest : public stress::StressTest {};

TEST_F(SizedGroupStressTest, EveryTaskIsAccountedFor) {
  Repeat(200, [](Random& round) {
    const int size = 1 + static_cast<int>(round.Below(3));
    const bool cancels = round.OneIn(2);
    CancelScope parent = WithCancel(Context());
    const Options options{.when_full = static_cast<WhenFull>(round.Below(3)),
                          .term_on_error = round.OneIn(3),
                          .context = parent.context()};
    Meter meter;
    sync::Atomic<int64_t> accepted = 0, refused = 0, own_errors = 0;
    ErrSizedGroup group(size, options);
    InParallel(round, 3, [&](int thread, Random& random) {
      for (int i = 0; i < 8; ++i) {
        if (cancels && thread == 0 && i == 4) parent.Cancel(Cause());
        const bool fails = random.OneIn(4);
        const Admission admission = group.Go([&, fails] {
          meter.Enter();
          sync::Yield();
          meter.Leave();
          if (!fails) return absl::OkStatus();
          // One that equals the cause of a cancellation would be no own error.
          return absl::NotFoundError(absl::StrCat("error ", ++own_errors));
        });
        ++(admission == Admission::kAccepted ? accepted : refused);
        if (admission == Admission::kFull) {
          EXPECT_EQ(options.when_full, WhenFull::kRefuse);
        }
        if (random.OneIn(8)) group.Wait().IgnoreError();
      }
    });
    const absl::Status status = group.Wait();
    const Stats stats = group.stats();
    EXPECT_EQ(meter.inside(), 0);
    EXPECT_LE(meter.most(), size);
    EXPECT_EQ(stats.accepted, accepted);
    EXPECT_EQ(stats.refused, refused);
    EXPECT_EQ(stats.queued + stats.running + stats.parked, 0);
    EXPECT_EQ(stats.succeeded + stats.failed, meter.entered());
    EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.skipped);
    EXPECT_EQ(stats.failed, own_errors);
    EXPECT_EQ(group.errors().size(), static_cast<size_t>(own_errors));
    if (status.ok()) {
      EXPECT_EQ(stats.skipped + stats.failed, 0);
    }
    if (own_errors > 0) {
      EXPECT_FALSE(status.ok());
    }
  });
}

TEST_F(SizedGroupStressTest, SlotsByHandAndFunctionsShareTheirNumber) {
  Repeat(300, [](Random& round) {
    const int size = 1 + static_cast<int>(round.Below(3));
    Meter meter;
    WaitGroup group(size);
    sync::Atomic<int> added = 0;
    InParallel(round, 3, [&](int, Random& random) {
      for (int i = 0; i < 6; ++i) {
        ++added;
        if (random.OneIn(2)) {
          Slot slot = group.BlockAdd();
          meter.Enter();
          // Work elsewhere, and sometimes the slot ends there.
          const auto work = [&meter] {
            sync::Yield();
            meter.Leave();
          };
          if (random.OneIn(2)) {
            DefaultExecutor().Submit(
                [work, slot = std::move(slot)] { work(); });
          } else {
            work();
          }
        } else {
          group.Add([&meter] {
            meter.Enter();
            sync::Yield();
            meter.Leave();
          });
        }
        EXPECT_GE(group.PendingCount(), 0);
      }
    });
    group.Wait();
    EXPECT_EQ(group.PendingCount(), 0);
    EXPECT_EQ(meter.inside(), 0);
    EXPECT_LE(meter.most(), size);
    EXPECT_EQ(meter.entered(), added);
  });
}

TEST_F(SizedGroupStressTest, TheFirstErrorEndsAnErrorGroup) {
  Repeat(200, [](Random& round) {
    ErrorGroup group(Context(), 1 + static_cast<int>(round.Below(3)));
    sync::Atomic<int> errors = 0;
    InParallel(round, 3, [&](int, Random& random) {
      for (int i = 0; i < 6; ++i) {
        const bool fails = random.OneIn(6);
        const Admission admission = group.Add([&, fails] {
          if (!fails) return absl::OkStatus();
          ++errors;
          return absl::NotFoundError("own error");
        });
        if (admission == Admission::kCancelled) {
          EXPECT_TRUE(group.context().done());
        }
      }
    });
    const absl::Status status = group.Wait();
    EXPECT_EQ(status.ok(), errors == 0) << status;
    EXPECT_EQ(group.Wait(), status);
    EXPECT_TRUE(group.context().done());
  });
}

}  // namespace
}  // namespace cohort::sizedgroup
