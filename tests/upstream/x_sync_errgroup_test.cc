// What golang.org/x/sync/errgroup's own tests say, of ours. Each case has the
// name of the one that it follows. ExampleGroup_pipeline is in
// scenarios_test.cc.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/group/types.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore(
      {.schedules = 20, .time = sim::Time::kQuiescent, .max_steps = 10'000'000},
      body);
}

const absl::Status kOk = absl::OkStatus();
const absl::Status kOne = absl::InternalError("errgroup_test: 1");
const absl::Status kTwo = absl::InternalError("errgroup_test: 2");
const absl::Status kDoom = absl::InternalError("group_test: doomed");

TEST(XSyncErrgroup, ExampleGroup_justErrors) {
  Simulate([] {
    Group group;
    for (const char* host : {"one", "two", "nonsense"}) {
      group.Go([host] {
        return std::string(host) == "nonsense"
                   ? absl::NotFoundError("no such host")
                   : absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(), absl::NotFoundError("no such host"));
  });
}

TEST(XSyncErrgroup, ExampleGroup_parallel) {
  Simulate([] {
    std::vector<std::string> results(3);
    Group group{Context()};
    const char* const kinds[] = {"web", "image", "video"};
    for (size_t i = 0; i < 3; ++i) {
      group.Go([&results, &kinds, i](const Context& context) {
        results[i] = absl::StrCat(kinds[i], " result for \"golang\"");
        return context.status();
      });
    }
    EXPECT_EQ(group.Wait(), kOk);
    EXPECT_EQ(results, (std::vector<std::string>{
                           "web result for \"golang\"",
                           "image result for \"golang\"",
                           "video result for \"golang\"",
                       }));
  });
}

TEST(XSyncErrgroup, TestZeroGroup) {
  for (const std::vector<absl::Status>& errors :
       std::vector<std::vector<absl::Status>>{
           {}, {kOk}, {kOne}, {kOne, kOk}, {kOne, kOk, kTwo}}) {
    Simulate([&errors] {
      Group group;
      absl::Status first;
      for (const absl::Status& error : errors) {
        group.Go([&error] { return error; });
        if (first.ok()) first = error;
        EXPECT_EQ(group.Wait(), first);
      }
    });
  }
}

TEST(XSyncErrgroup, TestWithContext) {
  for (const std::vector<absl::Status>& errors :
       std::vector<std::vector<absl::Status>>{
           {}, {kOk}, {kDoom}, {kDoom, kOk}}) {
    Simulate([&errors] {
      Group group{Context()};
      absl::Status want;
      for (const absl::Status& error : errors) {
        group.Go([&error] { return error; });
        if (want.ok()) want = error;
      }
      EXPECT_EQ(group.Wait(), want);
      EXPECT_TRUE(group.context().done());
    });
  }
}

TEST(XSyncErrgroup, TestTryGo) {
  Simulate([] {
    constexpr int kLimit = 42;
    Group group(Options{.limit = kLimit});
    std::optional<CancelScope> hold = WithCancel(Context());
    const auto task = [&hold] { hold->context().AwaitDone(); };
    for (int i = 0; i < kLimit; ++i) {
      EXPECT_EQ(group.TryGo(task), Admission::kAccepted);
    }
    EXPECT_EQ(group.TryGo(task), Admission::kFull);
    hold->Cancel();
    EXPECT_EQ(group.Wait(), kOk);

    EXPECT_EQ(group.TryGo(task), Admission::kAccepted);
    EXPECT_EQ(group.Wait(), kOk);

    hold = WithCancel(Context());
    group.SetLimit(1);
    EXPECT_EQ(group.TryGo(task), Admission::kAccepted);
    EXPECT_EQ(group.TryGo(task), Admission::kFull);
    hold->Cancel();
    EXPECT_EQ(group.Wait(), kOk);

    group.SetLimit(0);
    for (int i = 0; i < 1 << 10; ++i) {
      EXPECT_EQ(group.TryGo(task), Admission::kFull);
    }
    EXPECT_EQ(group.Wait(), kOk);
  });
}

// There, SetLimit with tasks running panics. Here it may be called at any time.
TEST(XSyncErrgroup, TestTryGo_SetLimitWhileTasksRun) {
  Simulate([] {
    Group group(Options{.limit = 1});
    CancelScope hold = WithCancel(Context());
    group.Go([&] { hold.context().AwaitDone(); });
    EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
    group.SetLimit(2);
    EXPECT_EQ(group.TryGo([&] { hold.Cancel(); }), Admission::kAccepted);
    EXPECT_EQ(group.Wait(), kOk);
  });
}

TEST(XSyncErrgroup, TestGoLimit) {
  Simulate([] {
    constexpr int kLimit = 10;
    Group group(Options{.limit = kLimit});
    sync::Atomic<int> active = 0;
    for (int i = 0; i <= 1 << 10; ++i) {
      group.Go([&]() -> absl::Status {
        const int now = ++active;
        if (now > kLimit) {
          return absl::InternalError(absl::StrCat("saw ", now));
        }
        sync::SleepFor(absl::Microseconds(1));
        --active;
        return absl::OkStatus();
      });
    }
    EXPECT_EQ(group.Wait(), kOk);
  });
}

// There, the cause of a group that ended well is context.Canceled.
TEST(XSyncErrgroup, TestCancelCause) {
  for (const std::vector<absl::Status>& errors :
       std::vector<std::vector<absl::Status>>{
           {}, {kOk}, {kDoom}, {kDoom, kOk}}) {
    Simulate([&errors] {
      Group group{Context()};
      absl::Status want;
      for (const absl::Status& error : errors) {
        // By law a task that has not started when the group is cancelled is
        // refused, or skipped. (There, it runs.)
        const Admission admission = group.TryGo([&error] { return error; });
        EXPECT_NE(admission, Admission::kFull);
        if (want.ok()) want = error;
      }
      EXPECT_EQ(group.Wait(), want);
      const absl::Status cause = group.context().cause();
      if (want.ok()) {
        EXPECT_EQ(cause.code(), absl::StatusCode::kCancelled);
      } else {
        EXPECT_EQ(cause, want);
      }
    });
  }
}

}  // namespace
}  // namespace cohort::errgroup
