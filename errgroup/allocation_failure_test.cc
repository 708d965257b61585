// One allocation that fails, or an executor that takes nothing: the call throws
// it, and the group is as before.

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithEachAllocationFailing;

// Too large to be kept without an allocation.
struct Large {
  char bytes[256] = {};
};

void ExpectUsable(Group& group, int already) {
  std::atomic<int> ran{0};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(group.Go([&ran, large = Large()] { ran += 1 + large.bytes[0]; }),
              Admission::kAccepted);
  }
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(ran, 3);
  const Stats stats = group.stats();
  EXPECT_EQ(stats.accepted, already + 3);
  EXPECT_EQ(stats.succeeded, already + 3);
  EXPECT_EQ(stats.queued + stats.running + stats.parked, 0);
}

TEST(AllocationFailure, Constructor) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    std::optional<Group> group;
    if (fault.Strikes([&] {
          group.emplace(scope.context(),
                        Options{.name = "a name that has to be allocated"});
        })) {
      EXPECT_FALSE(group.has_value());
      group.emplace(scope.context());
    }
    ExpectUsable(*group, 0);
  });
}

TEST(AllocationFailure, Go) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group;
    std::atomic<int> ran{0};
    const bool threw = fault.Strikes([&] {
      group.Go([&ran, large = Large()] { ran += 1 + large.bytes[0]; });
    });
    ExpectUsable(group, threw ? 0 : 1);
    EXPECT_EQ(ran, threw ? 0 : 1);
  });
}

TEST(AllocationFailure, GoOnAPoolOfOnesOwn) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    FixedPool pool(1);
    Group group(Options{.limit = 1, .queue = kUnlimited, .executor = &pool});
    const bool threw =
        fault.Strikes([&] { group.Go([large = Large()] { (void)large; }); });
    ExpectUsable(group, threw ? 0 : 1);
  });
}

TEST(AllocationFailure, TryGo) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group(Options{.limit = 3});
    const bool threw = fault.Strikes(
        [&] { (void)group.TryGo([large = Large()] { (void)large; }); });
    ExpectUsable(group, threw ? 0 : 1);
  });
}

// A Go that parks: what it allocates, it allocates before.
TEST(AllocationFailure, GoThatParks) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group(Options{.limit = 1});
    absl::Notification release;
    group.Go([&release] { release.WaitForNotification(); });
    JoiningThread releaser([&] {
      Await([&] { return group.stats().parked == 1; });
      release.Notify();
    });
    if (fault.Strikes([&] { group.Go([large = Large()] { (void)large; }); })) {
      EXPECT_EQ(group.stats().parked, 0);
      EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
    }
    releaser.Join();
    ExpectUsable(group, 2);
  });
}

TEST(AllocationFailure, GoOrHelpInside) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group(Options{.limit = 1});
    bool threw = false;
    group.Go([&] {
      threw = fault.Strikes(
          [&] { group.GoOrHelp([large = Large()] { (void)large; }); });
    });
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    ExpectUsable(group, threw ? 1 : 2);
  });
}

TEST(AllocationFailure, Wait) {
  for (const WaitPolicy policy : {WaitPolicy::kHelp, WaitPolicy::kPark}) {
    WithEachAllocationFailing([policy](AllocationFault& fault) {
      Group group{Context()};
      std::atomic<int> ran{0};
      for (int i = 0; i < 3; ++i) group.Go([&ran] { ++ran; });
      absl::Status status;
      if (fault.Strikes([&] { status = group.Wait(policy); })) {
        status = group.Wait(policy);
      }
      EXPECT_EQ(status, absl::OkStatus());
      EXPECT_EQ(ran, 3);
      EXPECT_TRUE(group.context().done());
    });
  }
}

// What a task that waits lends its slot to has to be sent for.
TEST(AllocationFailure, WaitInside) {
  for (const WaitPolicy policy : {WaitPolicy::kHelp, WaitPolicy::kPark}) {
    WithEachAllocationFailing([policy](AllocationFault& fault) {
      Group group(Options{.limit = 1, .queue = kUnlimited});
      std::atomic<int> ran{0};
      group.Go([&] {
        for (int i = 0; i < 3; ++i) group.Go([&ran] { ++ran; });
        absl::Status status;
        if (fault.Strikes([&] { status = group.Wait(policy); })) {
          status = group.Wait(policy);
        }
        EXPECT_EQ(status, absl::OkStatus());
        EXPECT_EQ(ran, 3);
      });
      EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
      // A wait that allocates nothing holds as well.
      fault.Strikes([] { delete new Large(); });
    });
  }
}

TEST(AllocationFailure, WaitUntil) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group{Context()};
    absl::Notification release;
    group.Go([&release] { release.WaitForNotification(); });
    absl::Status status;
    const auto wait = [&] { status = group.WaitUntil(absl::InfinitePast()); };
    if (fault.Strikes(wait)) wait();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    release.Notify();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(AllocationFailure, SetLimit) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group(Options{.limit = 0, .queue = kUnlimited});
    for (int i = 0; i < 3; ++i) group.Go([] {});
    if (fault.Strikes([&] { group.SetLimit(2); })) group.SetLimit(2);
    ExpectUsable(group, 3);
  });
}

TEST(AllocationFailure, Observers) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Group group(Options{.keep_all_errors = true});
    group.Go([] { return absl::InternalError("boom"); });
    EXPECT_FALSE(group.Wait().ok());
    std::vector<TaskError> errors;
    if (fault.Strikes([&] { errors = group.errors(); })) {
      errors = group.errors();
    }
    EXPECT_EQ(errors.size(), 1u);
  });
}

// The error of a task comes back also where there is no memory to keep it.
TEST(AllocationFailure, TheFirstErrorIsNeverLost) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    absl::Notification release;
    FixedPool pool(1);
    Group group(Options{.keep_all_errors = true, .executor = &pool});
    pool.Submit([&release] { release.WaitForNotification(); });
    const absl::Status error = absl::InternalError("boom");
    for (int i = 0; i < 2; ++i) group.Go([&error] { return error; });
    // Helps: the thread of the pool is busy.
    if (fault.Strikes([&] { group.Wait().IgnoreError(); })) {
      group.Wait().IgnoreError();
    }
    release.Notify();
    EXPECT_EQ(group.Wait(), error);
    EXPECT_EQ(group.errors().at(0).status, error);
    const Stats stats = group.stats();
    EXPECT_EQ(stats.failed, 2);
    EXPECT_EQ(
        static_cast<int64_t>(group.errors().size()) + stats.errors_dropped, 2);
  });
}

TEST(AllocationFailure, WaitGroup) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    CancelScope scope = WithCancel(Context());
    WaitGroup group;
    group.Add(1);
    const absl::Status error = absl::InternalError("boom");
    if (fault.Strikes([&] { group.Error(error); })) {
      EXPECT_TRUE(group.errors().empty());
      group.Error(error);
    }
    group.Done();
    EXPECT_EQ(group.Wait(scope.context()), error);
  });
}

TEST(AllocationFailure, AWaitForTheCountAllocatesNothing) {
  const CancelScope scope = WithCancel(Context());
  WaitGroup group;
  group.Add(1);
  JoiningThread worker([&group] { group.Done(); });
  AllocationFault fault(0);
  absl::Status status;
  EXPECT_FALSE(fault.Strikes([&] { status = group.Wait(scope.context()); }));
  EXPECT_FALSE(fault.struck());
  EXPECT_EQ(status, absl::OkStatus());
}

#ifdef ABSL_HAVE_EXCEPTIONS

struct Refused : std::runtime_error {
  Refused() : std::runtime_error("the executor is full") {}
};

// Takes so many tasks, and then throws for each.
class Choosy : public Executor {
 public:
  void Submit(Task task) override {
    {
      sync::MutexLock lock(&mutex_);
      if (takes_ == 0) throw Refused();
      --takes_;
    }
    pool_.Submit(std::move(task));
  }

  void Take(int tasks) {
    sync::MutexLock lock(&mutex_);
    takes_ = tasks;
  }

 private:
  sync::Mutex mutex_;
  int takes_ = 0;
  FixedPool pool_{2};
};

TEST(ThrowingExecutor, GoThrowsAndHasAcceptedNothing) {
  Choosy executor;
  Group group(Options{.executor = &executor});
  auto alive = std::make_shared<int>(0);
  EXPECT_THROW(group.Go([alive] {}), Refused);
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_EQ(group.stats().accepted, 0);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  executor.Take(1000);
  ExpectUsable(group, 0);
}

// A waiter that helps may be faster than the executor's refusal.
TEST(ThrowingExecutor, WhatAHelperHasTakenIsAccepted) {
  class Slow : public Executor {
   public:
    void Submit(Task) override {
      refusing.Notify();
      taken.WaitForNotification();
      throw Refused();
    }
    absl::Notification refusing;
    absl::Notification taken;
  };
  Slow executor;
  Group group(Options{.executor = &executor});
  JoiningThread helper([&] {
    executor.refusing.WaitForNotification();
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
  EXPECT_EQ(group.Go([&executor] { executor.taken.Notify(); }),
            Admission::kAccepted);
  helper.Join();
  EXPECT_EQ(group.stats().succeeded, 1);
}

// Those that are taken back leave their place to whoever is parked.
TEST(ThrowingExecutor, ATaskThatIsTakenBackLeavesItsPlace) {
  class Once : public Executor {
   public:
    void Submit(Task task) override {
      if (refused) return pool.Submit(std::move(task));
      refused = true;
      submitted.Notify();
      go_on.WaitForNotification();
      throw Refused();
    }
    std::atomic<bool> refused = false;
    absl::Notification submitted;
    absl::Notification go_on;
    FixedPool pool{1};
  };
  Once executor;
  Group group(Options{.limit = 1, .executor = &executor});
  JoiningThread first([&] { EXPECT_THROW(group.Go([] { FAIL(); }), Refused); });
  executor.submitted.WaitForNotification();
  std::atomic<bool> ran{false};
  JoiningThread second([&] { group.Go([&ran] { ran = true; }); });
  Await([&] { return group.stats().parked == 1; });
  executor.go_on.Notify();
  first.Join();
  second.Join();
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_TRUE(ran);
  EXPECT_EQ(group.stats().accepted, 1);
}

// The thread that ends a task goes on with the others, however many these are.
TEST(ThrowingExecutor, WhatIsQueuedRunsOnTheThreadsThatThereAre) {
  for (int round = 0; round < 50; ++round) {
    Choosy executor;
    Group group(
        Options{.limit = 1, .queue = kUnlimited, .executor = &executor});
    executor.Take(1);
    std::atomic<int> ran{0};
    absl::Notification queued;
    group.Go([&] { queued.WaitForNotification(); });
    for (int i = 0; i < 100; ++i) group.Go([&ran] { ++ran; });
    queued.Notify();
    EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
    EXPECT_EQ(ran, 100);
  }
}

TEST(ThrowingExecutor, SetLimitThrowsAndLeavesTheLimit) {
  Choosy executor;
  Group group(Options{.limit = 0, .queue = kUnlimited, .executor = &executor});
  std::atomic<int> ran{0};
  for (int i = 0; i < 10; ++i) group.Go([&ran] { ++ran; });
  EXPECT_THROW(group.SetLimit(2), Refused);
  executor.Take(1);
  EXPECT_THROW(group.SetLimit(2), Refused);
  EXPECT_EQ(group.stats().running, 0);
  executor.Take(1000);
  group.SetLimit(2);
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(ran, 10);
}

TEST(ThrowingExecutor, AWaitInsideThatParksThrows) {
  Choosy executor;
  Group group(Options{.limit = 1, .queue = kUnlimited, .executor = &executor});
  executor.Take(1);
  std::atomic<int> ran{0};
  group.Go([&] {
    group.Go([&ran] { ++ran; });
    EXPECT_THROW(group.Wait(WaitPolicy::kPark).IgnoreError(), Refused);
    EXPECT_EQ(ran, 0);
    EXPECT_EQ(group.Wait(), absl::OkStatus());  // helps itself
    EXPECT_EQ(ran, 1);
  });
  Await([&group] { return group.stats().succeeded == 2; });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

// One that throws away what it took has broken its promise; a waiter makes up
// for it.
TEST(ThrowingExecutor, WhatAnExecutorDropsIsSentAgain) {
  class Dropping : public Executor {
   public:
    void Submit(Task task) override {
      if (dropped.exchange(true)) pool.Submit(std::move(task));
    }
    std::atomic<bool> dropped = false;
    FixedPool pool{1};
  };
  Dropping executor;
  Group group(Options{.executor = &executor});
  std::atomic<bool> ran{false};
  EXPECT_EQ(group.Go([&ran] { ran = true; }), Admission::kAccepted);
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_TRUE(ran);
}

#endif  // ABSL_HAVE_EXCEPTIONS

}  // namespace
}  // namespace cohort::errgroup
