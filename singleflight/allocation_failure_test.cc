// What holds when one allocation of a call fails, or its executor does.

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/singleflight/group.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::singleflight {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::WithEachAllocationFailing;

using Numbers = Group<std::string, int>;

constexpr absl::Duration kMoment = absl::Milliseconds(1);
constexpr char kKey[] = "a key that is too long to stand in the string itself";

// No call of the key is left over.
void ExpectUsable(Numbers& group) {
  EXPECT_EQ(*group.Do(Context(), kKey, [](const Context&) { return 1; }), 1);
  const Call<int> call =
      group.Start(Context(), kKey, [](const Context&) { return 2; });
  EXPECT_EQ(*call.Wait(), 2);
}

TEST(SingleflightAllocationFailure, ADoThatLeads) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Numbers group;
    bool ran = false;
    std::optional<CancelScope> scope;
    const bool threw = fault.Strikes([&] {
      scope = WithCancel(Context());
      const Result<int> result = group.Do(scope->context(), kKey, [&ran] {
        ran = true;
        return 7;
      });
      EXPECT_EQ(*result, 7);
    });
    EXPECT_EQ(ran, !threw);
    ExpectUsable(group);
  });
}

// Where the context of the work is what fails, it is as if the work had thrown.
TEST(SingleflightAllocationFailure, ADoThatLeadsWithAContext) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Numbers group;
    bool ran = false;
    absl::Status status = absl::OkStatus();
    const bool threw = fault.Strikes([&] {
      status = group
                   .Do(Context(), kKey,
                       [&](const Context& context) {
                         fault.Disarm();  // the end of a context is its own
                         EXPECT_FALSE(context.done());
                         ran = true;
                         return 7;
                       })
                   .status();
    });
    EXPECT_EQ(ran, !threw && status.ok());
    EXPECT_TRUE(status.ok() || absl::IsInternal(status)) << status;
    ExpectUsable(group);
  });
}

TEST(SingleflightAllocationFailure, ADoThatJoins) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    absl::Notification release;
    Numbers group;
    const Call<int> call = group.Start(Context(), kKey, [&release] {
      release.WaitForNotification();
      return 7;
    });
    JoiningThread releases([&release] {
      sync::SleepFor(kMoment);
      release.Notify();
    });
    std::optional<CancelScope> scope;
    (void)fault.Strikes([&] {
      scope = WithCancel(Context());
      EXPECT_EQ(*group.Do(scope->context(), kKey, [] { return 7; }), 7);
    });
    EXPECT_EQ(*call.Wait(), 7);
    ExpectUsable(group);
  });
}

TEST(SingleflightAllocationFailure, ADoInsideACall) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    absl::Notification release;
    Numbers group;
    const Call<int> call = group.Start(Context(), kKey, [&release] {
      release.WaitForNotification();
      return 7;
    });
    JoiningThread releases([&release] {
      sync::SleepFor(kMoment);
      release.Notify();
    });
    EXPECT_EQ(*group.Do(Context(), "outer",
                        [&](const Context& context) {
                          (void)fault.Strikes([&] {
                            EXPECT_TRUE(
                                group.Do(context, kKey, [] { return 7; }).ok());
                          });
                          return 8;
                        }),
              8);
    EXPECT_EQ(*call.Wait(), 7);
    ExpectUsable(group);
  });
}

TEST(SingleflightAllocationFailure, AStart) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Numbers group;
    std::optional<Call<int>> call;
    const CancelScope scope = WithCancel(Context());
    const bool threw = fault.Strikes([&] {
      call =
          group.Start(scope.context(), kKey,
                      [text = std::string(kKey)](const Context&) { return 7; });
    });
    EXPECT_EQ(call.has_value(), !threw);
    if (call.has_value()) {
      EXPECT_EQ(*call->Wait(), 7);
    }
    ExpectUsable(group);
  });
}

TEST(SingleflightAllocationFailure, AStartThatJoinsAndItsWait) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    absl::Notification release;
    Numbers group;
    const Call<int> call = group.Start(Context(), kKey, [&release] {
      release.WaitForNotification();
      return 7;
    });
    JoiningThread releases([&release] {
      sync::SleepFor(kMoment);
      release.Notify();
    });
    std::optional<CancelScope> scope;
    (void)fault.Strikes([&] {
      scope = WithCancel(Context());
      const Call<int> joined =
          group.Start(scope->context(), kKey, [] { return 7; });
      (void)joined.Poll();
      EXPECT_EQ(*joined.Wait(), 7);
    });
    EXPECT_EQ(*call.Wait(), 7);
    ExpectUsable(group);
  });
}

TEST(SingleflightAllocationFailure, Forget) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    absl::Notification release;
    Numbers group;
    const Call<int> call = group.Start(Context(), kKey, [&release] {
      release.WaitForNotification();
      return 7;
    });
    (void)fault.Strikes([&] { group.Forget(std::string(kKey)); });
    group.Forget(kKey);
    ExpectUsable(group);
    release.Notify();
    EXPECT_EQ(*call.Wait(), 7);
  });
}

TEST(SingleflightAllocationFailure, AConstructor) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    std::optional<Numbers> group;
    (void)fault.Strikes([&] { group.emplace(Options{.name = kKey}); });
    if (!group.has_value()) group.emplace();
    ExpectUsable(*group);
  });
}

// An executor that has other things to do.
class Unwilling : public Executor {
 public:
  std::function<void(Task&)> meanwhile;
  bool throws = false;

  void Submit(Task task) override {
    meanwhile(task);
#ifdef ABSL_HAVE_EXCEPTIONS
    if (throws) throw std::runtime_error("no");
#endif
  }
};

// Whoever joins a call in the time that its executor takes to refuse it.
TEST(SingleflightFailingExecutor, NobodyWaitsForACallThatIsNotStarted) {
#ifdef ABSL_HAVE_EXCEPTIONS
  const bool kinds[] = {false, true};
#else
  const bool kinds[] = {false};
#endif
  for (const bool throws : kinds) {
    Unwilling executor;
    executor.throws = throws;
    Numbers group({.executor = &executor, .name = "pages"});
    std::optional<Call<int>> joined;
    executor.meanwhile = [&](Executor::Task&) {
      joined = group.Start(Context(), "key", [] { return 1; });
    };
    bool threw = false;
#ifdef ABSL_HAVE_EXCEPTIONS
    try {
#endif
      const Call<int> call = group.Start(Context(), "key", [] { return 2; });
      EXPECT_TRUE(absl::IsInternal(call.Wait().status()));
#ifdef ABSL_HAVE_EXCEPTIONS
    } catch (const std::runtime_error&) {
      threw = true;
    }
#endif
    EXPECT_EQ(threw, throws);
    ASSERT_TRUE(joined.has_value());
    EXPECT_EQ(joined->Wait().status(),
              absl::InternalError("singleflight::Group 'pages': a call was not "
                                  "started by its executor"));
    executor.throws = false;
    executor.meanwhile = [](Executor::Task& task) { std::move(task)(); };
    EXPECT_EQ(*group.Start(Context(), "key", [] { return 3; }).Wait(), 3);
  }
}

}  // namespace
}  // namespace cohort::singleflight
