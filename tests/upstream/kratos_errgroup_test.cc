// What bilibili/kratos's tests of pkg/sync/errgroup say, of ours. Each case has
// the name of the one that it follows; Test*WithCancel is Group(Context()).

#include <stdexcept>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/clock.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore(
      {.schedules = 50, .time = sim::Time::kQuiescent, .stale_loads = false},
      body);
}

// Announced, so that others may use the processor.
void SleepASecond() { Context().SleepFor(absl::Seconds(1)).IgnoreError(); }

TEST(KratosErrgroup, TestNormal) {
  Simulate([] {
    int values[] = {0, 1, 2};
    Group group;
    for (const int i : {1, 2}) {
      group.Go([&values, i](const Context& context) {
        EXPECT_FALSE(context.done());
        ++values[i];
      });
    }
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(values[1] + values[2], 5);
  });
}

TEST(KratosErrgroup, TestGOMAXPROCS) {
  Simulate([] {
    for (const bool limited : {false, true}) {
      Group group(limited ? Gomaxprocs(2) : Options());
      const sync::SteadyTime start = sync::SteadyTime::Now();
      for (int i = 0; i < 4; ++i) group.Go(SleepASecond);
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_EQ(sync::SteadyTime::Now() - start,
                absl::Seconds(limited ? 2 : 1));
    }
  });
}

TEST(KratosErrgroup, TestGOMAXPROCS_contextCanceled) {
  Simulate([] {
    Group group(Context(), Gomaxprocs(2));
    bool cancelled = false;
    // The other way round than there: by law, a task that has not started when
    // the first one fails is skipped.
    CancelScope started = WithCancel(Context());
    group.Go([&](const Context& context) {
      started.Cancel();
      SleepASecond();
      cancelled = context.done();
    });
    group.Go([&] {
      started.context().AwaitDone();
      return absl::InternalError("error for testing errgroup context");
    });
    EXPECT_EQ(group.Wait(),
              absl::InternalError("error for testing errgroup context"));
    EXPECT_TRUE(cancelled);
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

// A null pointer there. In C++ that is no exception; what is, is recovered.
TEST(KratosErrgroup, TestRecover) {
  Simulate([] {
    Group group;
    group.Go([] { throw std::out_of_range("no such element"); });
    EXPECT_TRUE(absl::StrContains(group.Wait().message(), "no such element"));
  });
}

// There, the text for what is no error is "%!s(int=2233)"; see B-7.
TEST(KratosErrgroup, TestRecover2) {
  Simulate([] {
    Group group;
    group.Go([] { throw "2233"; });
    EXPECT_EQ(group.Wait().code(), absl::StatusCode::kInternal);
    try {
      std::rethrow_exception(group.exception());
    } catch (const char* text) {
      EXPECT_STREQ(text, "2233");
    }
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(KratosErrgroup, TestZeroGroup) {
  const absl::Status one = absl::InternalError("1");
  Simulate([&one] {
    Group group;
    group.Go([&one] { return one; });
    EXPECT_EQ(group.Wait(), one);
    // A second Wait, and Go after it: there, a panic once GOMAXPROCS is set.
    EXPECT_EQ(group.Wait(), one);
    group.Go([] {});
    EXPECT_EQ(group.Wait(), one);
  });
}

TEST(KratosErrgroup, TestWithCancel) {
  Simulate([] {
    Group group{Context()};
    absl::Status seen;
    CancelScope started = WithCancel(Context());
    group.Go([&](const Context& context) {
      started.Cancel();
      context.AwaitDone();
      seen = context.status();
      return seen;
    });
    group.Go([&] {
      started.context().AwaitDone();
      sync::SleepFor(absl::Milliseconds(100));
      return absl::InternalError("boom");
    });
    EXPECT_EQ(group.Wait(), absl::InternalError("boom"));
    EXPECT_TRUE(absl::IsCancelled(seen));
  });
}

}  // namespace
}  // namespace cohort::errgroup
