// What go-pkgz/syncs' own tests say, of ours. Each case has the name of the one
// that it follows. Numbers of goroutines are numbers of threads here, and
// sizedgroup/memory_test.cc counts those. ExampleSizedGroup_go and
// ExampleErrSizedGroup_go are TestSizedGroup and TestErrorSizedGroup_NoError
// once more.

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/types.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sim/sim.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::sizedgroup {
namespace {

using ::cohort::semaphore::Weighted;
using ::cohort::testing::JoiningThread;

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 10,
                .time = sim::Time::kQuiescent,
                .stale_loads = false,
                .max_steps = 10'000'000},
               body);
}

// Announced, so that others may use the processor.
void Pause(absl::Duration duration) {
  Context().SleepFor(duration).IgnoreError();
}

absl::Status Error(const std::string& text) {
  return absl::InternalError(text);
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup) {
  Simulate([] {
    ErrSizedGroup group(10);
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 1000; ++i) {
      group.Go([&count, i] {
        Pause(absl::Milliseconds(10));
        ++count;
        if (i == 100) return Error("err1");
        if (i == 200) return Error("err2");
        return absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(),
              Error("2 error(s) occurred: [0] {err1}, [1] {err2}"));
    EXPECT_EQ(count, 1000);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_Preemptive) {
  Simulate([] {
    ErrSizedGroup group(10, {.when_full = WhenFull::kBlock});
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 100; ++i) {
      group.Go([&count, i] {
        ++count;
        if (i == 10) return Error("err1");
        if (i == 20) return Error("err2");
        Pause(absl::Milliseconds(1));
        return absl::OkStatus();
      });
      const Stats stats = group.stats();
      EXPECT_LE(stats.queued + stats.running, 10);
    }
    EXPECT_TRUE(
        absl::StartsWith(group.Wait().message(), "2 error(s) occurred:"));
    EXPECT_EQ(count, 100);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_Discard) {
  Simulate([] {
    ErrSizedGroup group(10, {.when_full = WhenFull::kRefuse});
    sync::Atomic<int> count = 0;
    int full = 0;
    for (int i = 0; i < 1000; ++i) {
      const Admission admission = group.Go([&count] {
        ++count;
        Pause(absl::Milliseconds(10));
      });
      if (admission == Admission::kFull) ++full;
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(count, 10);
    EXPECT_EQ(full, 990);  // there, nobody is told
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_NoError) {
  Simulate([] {
    ErrSizedGroup group(10);
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 1000; ++i) group.Go([&count] { ++count; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(count, 1000);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_Term) {
  Simulate([] {
    ErrSizedGroup group(10, {.term_on_error = true});
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 1000; ++i) {
      group.Go([&count, i] {
        ++count;
        Pause(absl::Milliseconds(1));
        return i == 100 ? Error("err") : absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(), Error("1 error(s) occurred: [0] {err}"));
    // By law none starts once it is known. (There, all that wait run.)
    EXPECT_LE(count, 200);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_TermOnErr) {
  Simulate([] {
    constexpr int kFails = 100;
    ErrSizedGroup group(10, {.term_on_error = true});
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 1000; ++i) {
      group.Go([&count, i] {
        const int value = ++count;
        return i == kFails || value > kFails + 1
                   ? Error(absl::StrCat("err from function ", i))
                   : absl::OkStatus();
      });
    }
    EXPECT_TRUE(
        absl::StrContains(group.Wait().message(), "err from function "));
    EXPECT_LE(count, kFails + 100);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_WaitWithoutGo) {
  Simulate([] {
    ErrSizedGroup group(10);
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_TermAndPreemptive) {
  Simulate([] {
    ErrSizedGroup group(10,
                        {.when_full = WhenFull::kBlock, .term_on_error = true});
    sync::Atomic<int> count = 0;
    int refused = 0;
    for (int i = 0; i < 1000; ++i) {
      const Admission admission = group.Go([&count, i] {
        Pause(absl::Milliseconds(10));
        ++count;
        return i == 100 ? Error("err") : absl::OkStatus();
      });
      if (admission == Admission::kCancelled) ++refused;
    }
    EXPECT_EQ(group.Wait(), Error("1 error(s) occurred: [0] {err}"));
    EXPECT_LE(count, 200);
    EXPECT_GE(refused, 800);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_ConcurrencyLimit) {
  Simulate([] {
    ErrSizedGroup group(5);
    sync::Atomic<int> now = 0;
    sync::Atomic<int> most = 0;
    for (int i = 0; i < 100; ++i) {
      group.Go([&] {
        most = std::max(most.load(), ++now);
        Pause(absl::Milliseconds(50));
        --now;
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(most, 5);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_MultiError) {
  Simulate([] {
    ErrSizedGroup group(10);
    for (int i = 0; i < 10; ++i) {
      group.Go([i] { return Error(absl::StrCat("error from task ", i)); });
    }
    const absl::Status all = group.Wait();
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(absl::StrContains(all.message(),
                                    absl::StrCat("error from task ", i)));
    }
    EXPECT_EQ(group.errors().size(), 10u);
  });
}

TEST(SyncsErrSizedGroup, TestErrorSizedGroup_Cancel) {
  for (const WhenFull when_full :
       {WhenFull::kQueue, WhenFull::kBlock}) {  // _CancelWithPreemptive
    Simulate([when_full] {
      CancelScope scope = WithCancel(Context());
      ErrSizedGroup group(10,
                          {.when_full = when_full, .context = scope.context()});
      sync::Atomic<int> count = 0;
      for (int i = 0; i < 1000; ++i) {
        if (when_full == WhenFull::kQueue)
          Pause(absl::Milliseconds(1));  // so that few wait
        group.Go([&, i] {
          ++count;
          if (i == 100) scope.Cancel(absl::CancelledError("context canceled"));
          Pause(absl::Milliseconds(1));
        });
      }
      EXPECT_EQ(
          group.Wait(),
          absl::CancelledError("1 error(s) occurred: [0] {context canceled}"));
      // Those before it, itself, and at most those that start beside it.
      EXPECT_GE(count, 101);
      EXPECT_LE(count, when_full == WhenFull::kBlock ? 110 : 101);
    });
  }
}

TEST(SyncsSizedGroup, TestSizedGroup) {
  for (const WhenFull when_full :
       {WhenFull::kQueue, WhenFull::kBlock}) {  // TestSizedGroup_Preemptive
    Simulate([when_full] {
      SizedGroup group(10, {.when_full = when_full});
      sync::Atomic<int> count = 0;
      const int tasks = when_full == WhenFull::kBlock ? 100 : 1000;
      for (int i = 0; i < tasks; ++i) {
        group.Go([&count](const Context&) {
          Pause(absl::Milliseconds(5));
          ++count;
        });
      }
      group.Wait();
      EXPECT_EQ(count, tasks);
    });
  }
}

TEST(SyncsSizedGroup, TestSizedGroup_Discard) {
  Simulate([] {
    SizedGroup group(10, {.when_full = WhenFull::kRefuse});
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 100; ++i) {
      group.Go([&count] {
        Pause(absl::Milliseconds(5));
        ++count;
      });
    }
    group.Wait();
    EXPECT_EQ(count, 10);
  });
}

TEST(SyncsSizedGroup, TestSizedGroup_Canceled) {
  Simulate([] {
    CancelScope scope = WithTimeout(Context(), absl::Milliseconds(12));
    SizedGroup group(
        10, {.when_full = WhenFull::kBlock, .context = scope.context()});
    sync::Atomic<int> count = 0;
    for (int i = 0; i < 100; ++i) {
      group.Go([&count](const Context& context) {
        if (context.SleepFor(absl::Milliseconds(5)).ok()) ++count;
      });
    }
    group.Wait();
    EXPECT_EQ(count, 20);  // two rounds of ten
  });
}

// There, a capacity of 0 means 1; here it means 0.
TEST(SyncsSemaphore, TestSemaphore) {
  for (const auto& [capacity, locks] :
       {std::pair(0, 0), std::pair(1, 1), std::pair(2, 2), std::pair(2, 3)}) {
    Simulate([capacity, locks] {
      Weighted semaphore(capacity);
      sync::Atomic<int> locked = 0;
      std::deque<JoiningThread> callers;
      for (int i = 0; i < locks; ++i) {
        callers.emplace_back([&] {
          EXPECT_EQ(semaphore.Acquire(Context()), absl::OkStatus());
          ++locked;
        });
      }
      Pause(absl::Milliseconds(10));
      EXPECT_EQ(locked, std::min(capacity, locks));
      if (locks <= capacity) return;
      semaphore.Release();
      Pause(absl::Milliseconds(10));
      EXPECT_EQ(locked, capacity + 1);
    });
  }
}

TEST(SyncsSemaphore, TestSemaphore_TryLock) {
  for (const auto& [capacity, locks] :
       {std::pair(0, 1), std::pair(1, 1), std::pair(2, 2), std::pair(2, 3)}) {
    Weighted semaphore(capacity);
    int locked = 0;
    for (int i = 0; i < locks; ++i) {
      if (semaphore.TryAcquire()) ++locked;
    }
    EXPECT_EQ(locked, std::min(capacity, locks));
  }
}

}  // namespace
}  // namespace cohort::sizedgroup
