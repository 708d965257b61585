// Time is never late for want of a thread, as all primitives see it: each call
// that waits under a deadline ends at it, also where the system has no thread
// to give, and where all threads wait for one. Nothing here ends without that,
// so what fails shows as a timeout.

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/errgroup/group.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_util.h"
#include "cohort/group/types.h"
#include "cohort/hunch/hunch.h"
#include "cohort/schedgroup/group.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/singleflight/group.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using testing::Scaled;
using testing::ThreadLimit;

constexpr absl::Duration kSoon = absl::Milliseconds(20);

struct WaitCase {
  std::string name;
  // Waits for what never comes, and returns how that ended.
  std::function<absl::Status(const Context&)> wait;
};

// A task that waits for its context, and one that has to be skipped.
template <class G>
void Fill(G& group) {
  group.Go([](const Context& context) {
    context.AwaitDone();
    return context.status();
  });
  group.Go([] { return absl::InternalError("must not run"); });
}

const WaitCase kWaits[] = {
    {"AwaitDone",
     [](const Context& context) {
       context.AwaitDone();
       return context.status();
     }},
    {"SleepFor",
     [](const Context& context) { return context.SleepFor(absl::Hours(1)); }},
    {"ABelowIt",
     [](const Context& context) {
       const CancelScope child = WithTimeout(context, absl::Hours(1));
       const CancelScope other = WithCancel(Context());
       const CancelScope any = WithAnyOf({other.context(), child.context()});
       return any.context().SleepFor(absl::Hours(1));
     }},
    {"SemaphoreAcquire",
     [](const Context& context) {
       semaphore::Weighted semaphore(1);
       ABSL_CHECK(semaphore.TryAcquire());
       return semaphore.Acquire(context);
     }},
    {"ChannelReceive",
     [](const Context& context) {
       channel::Channel<int> channel;
       return channel.Receive(context).status();
     }},
    {"ChannelSend",
     [](const Context& context) {
       channel::Channel<int> channel;
       return channel.Send(context, 1);
     }},
    {"Select",
     [](const Context& context) {
       channel::Channel<int> first;
       channel::Channel<int> second;
       return channel::Select(
                  context,
                  channel::ReceiveFrom(first, [](absl::StatusOr<int>) {}),
                  channel::SendTo(second, 1, [](absl::Status) {}))
           .status();
     }},
    {"BarrierAwait",
     [](const Context& context) {
       cyclicbarrier::CyclicBarrier barrier(2);
       return barrier.Await(context).status();
     }},
    {"WaitGroupWait",
     [](const Context& context) {
       errgroup::WaitGroup group;
       group.Add(1);
       absl::Status status = group.Wait(context);
       group.Done();
       return status;
     }},
    {"SingleflightWait",
     [](const Context& context) {
       // Its destructor would wait for the executor to have a thread.
       static auto& group = *new singleflight::Group<int, int>();
       auto call = group.Start(context, 1, [] { return 1; });
       return call.Wait().status();
     }},
    {"GroupWait",
     [](const Context& context) {
       errgroup::Group group(context, {.limit = 1, .queue = kUnlimited});
       Fill(group);
       return group.Wait();
     }},
    // No thread runs the tasks, and this one lends none.
    {"GroupWaitWithoutHelp",
     [](const Context& context) {
       errgroup::Group group(context, {.limit = 1, .queue = kUnlimited});
       group.Go([] { return absl::InternalError("must not run"); });
       return group.Wait(WaitPolicy::kPark);
     }},
    {"GroupGo",
     [](const Context& context) {
       errgroup::Group group(context, {.limit = 1});
       ABSL_CHECK(group.Go([] {
         return absl::InternalError("must not run");
       }) == Admission::kAccepted);
       ABSL_CHECK(group.Go([] {}) == Admission::kCancelled);
       return group.Wait();
     }},
    {"GroupBelow",
     [](const Context& context) {
       errgroup::Group group(context);
       group.Go([](const Context& inner) {
         errgroup::Group below(inner, {.limit = 1, .queue = kUnlimited});
         Fill(below);
         return below.Wait();
       });
       return group.Wait();
     }},
    {"ErrSizedGroupWait",
     [](const Context& context) {
       sizedgroup::ErrSizedGroup group(1, {.context = context});
       Fill(group);
       return group.Wait();
     }},
    {"ErrorGroupAdd",
     [](const Context& context) {
       sizedgroup::ErrorGroup group(context, 1);
       group.Add([] { return absl::InternalError("must not run"); });
       ABSL_CHECK(group.Add([] {}) == Admission::kCancelled);
       return group.Wait();
     }},
    {"TimedGroupWait",
     [](const Context& context) {
       schedgroup::Group group(context);
       group.Delay(absl::Hours(1), [] {});
       group.Every(absl::Hours(1), [] {});
       return group.Wait();
     }},
    {"CallbacksAll",
     [](const Context& context) {
       auto [slow] = callbacks::All(context, [](const Context& own) {
         own.AwaitDone();
         return absl::StatusOr<int>(own.status());
       });
       return slow.status();
     }},
    {"RaceDetached",
     [](const Context& context) {
       return callbacks::RaceDetached(context, [] { return 1; }).status();
     }},
    {"TakeDetached",
     [](const Context& context) {
       return hunch::TakeDetached(context, 1, [] { return 1; }).status();
     }},
    {"Retry",
     [](const Context& context) {
       return callbacks::Retry(
                  context, {.backoff = absl::Hours(1)},
                  [] {
                    return absl::StatusOr<int>(absl::InternalError("again"));
                  })
           .result.status();
     }},
};

class DeadlineDeathTest : public ::testing::TestWithParam<WaitCase> {};

INSTANTIATE_TEST_SUITE_P(Waits, DeadlineDeathTest, ::testing::ValuesIn(kWaits),
                         [](const auto& test) { return test.param.name; });

TEST_P(DeadlineDeathTest, NeedsNoThread) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ThreadLimit limit;
        limit.Refuse();
        const CancelScope scope = WithTimeout(Context(), kSoon);
        const absl::Status status = GetParam().wait(scope.context());
        ABSL_CHECK(absl::IsDeadlineExceeded(status)) << status;
        limit.Lift();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// More of them than the default executor has threads at most.
TEST(DeadlineTest, ComesThoughEveryThreadWaitsForOne) {
  const int count = Scaled(4'200);
  channel::Channel<int> silent;
  std::atomic<int> timed_out = 0;
  errgroup::Group group;
  for (int i = 0; i < count; ++i) {
    group.Go([&] {
      const CancelScope scope = WithTimeout(Context(), absl::Milliseconds(300));
      if (absl::IsDeadlineExceeded(silent.Receive(scope.context()).status())) {
        ++timed_out;
      }
    });
  }
  EXPECT_TRUE(group.Wait(WaitPolicy::kPark).ok());
  EXPECT_EQ(timed_out, count);
  const CancelScope next = WithTimeout(Context(), kSoon);
  next.context().AwaitDone();
}

// It is to stop them, and none of them ends before it comes.
TEST(DeadlineTest, ComesThoughEveryThreadIsBusyWithWhatItIsToStop) {
  const CancelScope scope = WithTimeout(Context(), absl::Milliseconds(50));
  errgroup::Group group(scope.context());
  std::atomic<int> begun = 0;
  for (int i = 0; i < 20'000; ++i) {
    group.Go([&begun](const Context& context) {
      ++begun;
      while (!context.done()) continue;
    });
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(group.Wait()));
  const Stats stats = group.stats();
  EXPECT_EQ(stats.succeeded, begun);
  EXPECT_EQ(stats.skipped, stats.accepted - begun);
  EXPECT_GT(stats.skipped + stats.refused, 0);
}

}  // namespace
}  // namespace cohort
