// What holds when a call of schedgroup::Group finds no memory: it throws, and
// the group is as it was before.

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/group.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::schedgroup {
namespace {

#ifdef ABSL_HAVE_EXCEPTIONS

using ::cohort::testing::AllocationFault;
using ::cohort::testing::WithEachAllocationFailing;

constexpr absl::Duration kNever = absl::Hours(1);
constexpr absl::Duration kSoon = absl::Milliseconds(1);

// A functor too large to be kept without an allocation, which counts itself.
class Counted {
 public:
  explicit Counted(int& alive) : alive_(&alive) { ++alive; }
  Counted(const Counted& other) : Counted(*other.alive_) {}
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive_; }
  void operator()() const {}

 private:
  int* const alive_;
  [[maybe_unused]] char ballast_[64] = {};
};

// The group goes on as if nothing had been.
void ExpectInOrder(Group& group, Stats before) {
  Stats stats = group.stats();
  EXPECT_EQ(stats.accepted, before.accepted);
  EXPECT_EQ(stats.queued, before.queued);
  EXPECT_EQ(stats.skipped, before.skipped);
  EXPECT_EQ(stats.refused, before.refused);
  std::atomic<bool> ran = false;
  group.Delay(kSoon, [&] { ran = true; });
  group.Every(kSoon, [] { return Next::kStop; });
  const TaskId taken_back = group.Delay(kNever, [] {});
  EXPECT_EQ(group.Cancel(taken_back), CancelResult::kCancelled);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_TRUE(ran);
  stats = group.stats();
  EXPECT_EQ(stats.queued + stats.running, 0);
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.skipped);
}

template <class Schedule>
void ExpectAllOrNothing(Schedule schedule) {
  WithEachAllocationFailing([&](AllocationFault& fault) {
    int alive = 0;
    Group group;
    TaskId id;
    const bool threw =
        fault.Strikes([&] { id = schedule(group, Counted(alive)); });
    EXPECT_EQ(alive, threw ? 0 : 1);
    EXPECT_EQ(group.stats().accepted, threw ? 0 : 1);
    EXPECT_EQ(group.stats().queued, threw ? 0 : 1);
    EXPECT_EQ(group.Cancel(id),
              threw ? CancelResult::kFinished : CancelResult::kCancelled);
    EXPECT_EQ(alive, 0);
    ExpectInOrder(group, group.stats());
  });
}

TEST(AllocationFailureTest, Delay) {
  ExpectAllOrNothing([](Group& group, Counted task) {
    return group.Delay(kNever, std::move(task));
  });
}

TEST(AllocationFailureTest, Schedule) {
  ExpectAllOrNothing([](Group& group, Counted task) {
    return group.Schedule(absl::InfiniteFuture(), std::move(task));
  });
}

TEST(AllocationFailureTest, Every) {
  ExpectAllOrNothing([](Group& group, Counted task) {
    return group.Every(kNever, std::move(task));
  });
}

// Where the timers and the executor are there already.
TEST(AllocationFailureTest, DelayInAGroupThatIsInUse) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group;
    std::atomic<int> runs = 0;
    const TaskId every = group.Every(kSoon, [&] { ++runs; });
    testing::Await([&] { return runs > 0; });
    int alive = 0;
    TaskId id;
    const bool threw =
        fault.Strikes([&] { id = group.Delay(kNever, Counted(alive)); });
    EXPECT_EQ(alive, threw ? 0 : 1);
    // The others go on.
    const int before = runs;
    testing::Await([&] { return runs > before; });
    EXPECT_EQ(group.Cancel(id),
              threw ? CancelResult::kFinished : CancelResult::kCancelled);
    group.CancelAndWait(every);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(alive, 0);
  });
}

TEST(AllocationFailureTest, OfAGroupThatIsCancelled) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group;
    group.Cancel(absl::AbortedError("stop"));
    int alive = 0;
    const bool threw =
        fault.Strikes([&] { group.Delay(kNever, Counted(alive)); });
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(group.stats().refused, threw ? 0 : 1);
    EXPECT_EQ(group.Wait(),
              threw ? absl::OkStatus() : absl::AbortedError("stop"));
  });
}

// The one allocation within `call` that there is: whatever comes before it has
// needed none.
void NeedsNoMemory(AllocationFault& fault, absl::FunctionRef<void()> call) {
  bool done = false;
  std::unique_ptr<int> the_first;
  fault.Strikes([&] {
    call();
    done = true;
    the_first = std::make_unique<int>(1);
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(the_first == nullptr, fault.struck());
}

TEST(AllocationFailureTest, CancelNeedsNoMemory) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group({}, {.limit = 0});
    int alive = 0;
    const TaskId due = group.Delay(absl::ZeroDuration(), Counted(alive));
    const TaskId waits = group.Delay(kNever, Counted(alive));
    const TaskId repeats = group.Every(kNever, Counted(alive));
    {
      Group other;
      absl::Notification handed;
      other.Delay(absl::ZeroDuration(), [&] { handed.Notify(); });
      handed.WaitForNotification();
    }
    NeedsNoMemory(fault, [&] {
      group.Cancel(due);
      group.CancelAndWait(waits);
      group.CancelAndWaitUntil(repeats, absl::InfiniteFuture());
      group.Cancel(due);
    });
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(group.stats().skipped, 3);
  });
}

TEST(AllocationFailureTest, CancelAndWaitForWhatRuns) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group;
    absl::Notification started;
    absl::Notification release;
    const TaskId id = group.Delay(absl::ZeroDuration(), [&] {
      started.Notify();
      release.WaitForNotification();
    });
    started.WaitForNotification();
    NeedsNoMemory(fault, [&] {
      EXPECT_EQ(group.CancelAndWaitUntil(id, absl::Now() + kSoon),
                CancelResult::kRunning);
    });
    release.Notify();
    EXPECT_EQ(group.CancelAndWait(id), CancelResult::kFinished);
    ExpectInOrder(group, group.stats());
  });
}

// The group that waits, and what it skips when it is cancelled.
TEST(AllocationFailureTest, Wait) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group;
    std::atomic<int> ran = 0;
    group.Delay(kSoon, [&] { ++ran; });
    absl::Status status;
    const bool threw = fault.Strikes([&] { status = group.Wait(); });
    if (threw) status = group.Wait();
    EXPECT_EQ(status, absl::OkStatus());
    EXPECT_EQ(ran, 1);
    EXPECT_TRUE(group.context().done());
  });
}

TEST(AllocationFailureTest, CancelOfTheGroup) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group({}, {.limit = 0});
    int alive = 0;
    group.Delay(absl::ZeroDuration(), Counted(alive));
    group.Delay(kNever, Counted(alive));
    group.Every(kNever, Counted(alive));
    const bool threw =
        fault.Strikes([&] { group.Cancel(absl::AbortedError("stop")); });
    EXPECT_EQ(alive, threw ? 3 : 0);
    if (threw) {
      EXPECT_FALSE(group.context().done());
      group.Cancel(absl::AbortedError("stop"));
    }
    EXPECT_EQ(group.Wait(), absl::AbortedError("stop"));
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(group.stats().skipped, 3);
  });
}

TEST(AllocationFailureTest, AGroupThatIsMade) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    std::optional<Group> group;
    const bool threw = fault.Strikes([&] {
      group.emplace(scope.context(),
                    Options{.name = "a name that is too long for its string"});
    });
    EXPECT_EQ(group.has_value(), !threw);
    if (threw) group.emplace(scope.context());
    ExpectInOrder(*group, Stats());
  });
}

// On the thread of the task, from within one run to the next.
TEST(AllocationFailureTest, ToWaitForItsNextRunNeedsNoMemory) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    FixedPool pool(1);
    // Its thread has been idle once, and needs nothing to be so again.
    pool.Submit([] {});
    testing::Await([&] { return pool.stats().idle == 1; });
    Group group({}, {.executor = &pool});
    int runs = 0;
    std::unique_ptr<int> the_first;
    group.Every(kSoon, [&] {
      if (++runs == 1) fault.Arm();
      if (runs == 2) {
        try {
          the_first = std::make_unique<int>(1);
        } catch (const std::bad_alloc&) {
        }
        fault.Disarm();
      }
      return runs == 3 ? Next::kStop : Next::kAgain;
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(runs, 3);
    EXPECT_EQ(group.stats().succeeded, 3);
    EXPECT_EQ(the_first == nullptr, fault.struck());
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

}  // namespace
}  // namespace cohort::schedgroup
