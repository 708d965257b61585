#include "cohort/singleflight/group.h"

#include <pthread.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::singleflight {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::Caller;

using Numbers = Group<std::string, int>;

const Context kNone;

int MustNotRun() {
  ADD_FAILURE() << "must not run";
  return 0;
}

TEST(GroupTest, DoRunsTheWorkOnTheCallersThread) {
  Numbers group;
  const sync::ThreadId caller = sync::CurrentThreadId();
  const Result<int> result = group.Do(kNone, "key", [&] {
    EXPECT_EQ(sync::CurrentThreadId(), caller);
    return 7;
  });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, 7);
  EXPECT_EQ(result.status(), absl::OkStatus());
  EXPECT_FALSE(result.shared());
  EXPECT_EQ(result.exception(), nullptr);
}

TEST(GroupTest, AResultIsNotKept) {
  Numbers group;
  int calls = 0;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(*group.Do(kNone, "key", [&] { return ++calls; }), i);
  }
}

TEST(GroupTest, WorkIsOfAnyForm) {
  Numbers group;
  EXPECT_EQ(*group.Do(kNone, "key", [] { return 1; }), 1);
  EXPECT_EQ(*group.Do(kNone, "key", [] { return short{2}; }), 2);
  EXPECT_EQ(*group.Do(kNone, "key", [] { return absl::StatusOr<int>(3); }), 3);
  EXPECT_EQ(*group.Do(kNone, "key", [](const Context&) { return 4; }), 4);
  EXPECT_EQ(*group.Do(kNone, "key",
                      [](const Context&) -> absl::StatusOr<int> { return 5; }),
            5);
  EXPECT_EQ(*group.Do(kNone, "key",
                      [number = std::make_unique<int>(6)] { return *number; }),
            6);
  const std::function<int()> seven = [] { return 7; };
  EXPECT_EQ(*group.Do(kNone, "key", seven), 7);
  EXPECT_EQ(*group.Start(kNone, "key", seven).Wait(), 7);
}

TEST(GroupTest, AnErrorIsTheResult) {
  Numbers group;
  const Result<int> result =
      group.Do(kNone, "key", []() -> absl::StatusOr<int> {
        return absl::NotFoundError("no such number");
      });
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status(), absl::NotFoundError("no such number"));
  EXPECT_EQ(*group.Do(kNone, "key", [] { return 1; }), 1);
}

// One value, however many have it.
TEST(GroupTest, AValueIsSharedRatherThanCopied) {
  std::optional<Result<std::unique_ptr<int>>> outlives;
  {
    Group<int, std::unique_ptr<int>> group;
    const auto result =
        group.Do(kNone, 1, [] { return std::make_unique<int>(7); });
    outlives = result;
    EXPECT_EQ(&**outlives, &*result);
  }
  EXPECT_EQ(***outlives, 7);
  EXPECT_EQ(**outlives->operator->(), 7);
}

TEST(GroupTest, AKeyIsLookedUpAsInAbseilsContainers) {
  Numbers group;
  const std::string key = "key";
  absl::Notification release;
  Call<int> call = group.Start(kNone, "key", [&] {
    release.WaitForNotification();
    return 1;
  });
  std::vector<Call<int>> calls;
  calls.push_back(group.Start(kNone, key, MustNotRun));
  calls.push_back(group.Start(kNone, absl::string_view(key), MustNotRun));
  group.Forget(absl::string_view("another"));
  calls.push_back(group.Start(kNone, key.c_str(), MustNotRun));
  release.Notify();
  for (Call<int>& joined : calls) {
    EXPECT_EQ(*joined.Wait(), 1);
    EXPECT_TRUE(joined.Wait().shared());
  }
  EXPECT_TRUE(call.Wait().shared());
  // Where it is not, a key is converted.
  Group<long, int> longs;
  EXPECT_EQ(*longs.Do(kNone, 1, [] { return 2; }), 2);
  Group<std::pair<int, std::string>, int> pairs;
  EXPECT_EQ(*pairs.Do(kNone, {1, "one"}, [] { return 3; }), 3);
}

TEST(GroupTest, KeysDoNotMeet) {
  Group<int, int> group;
  std::vector<Call<int>> calls;
  absl::Notification release;
  sync::Atomic<int> running = 0;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(group.Start(kNone, i, [&, i] {
      ++running;
      release.WaitForNotification();
      return i;
    }));
  }
  // One call for each.
  Await([&] { return running == 100; });
  release.Notify();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(*calls[static_cast<size_t>(i)].Wait(), i);
    EXPECT_FALSE(calls[static_cast<size_t>(i)].Wait().shared());
  }
}

TEST(GroupTest, CallersOfAKeyShareOneCall) {
  absl::Notification release;
  sync::Atomic<int> calls = 0;
  Numbers group;
  std::vector<Call<int>> started;
  for (int i = 0; i < 10; ++i) {
    started.push_back(group.Start(kNone, "key", [&] {
      ++calls;
      release.WaitForNotification();
      return 7;
    }));
  }
  release.Notify();
  for (const Call<int>& call : started) {
    EXPECT_EQ(*call.Wait(), 7);
    EXPECT_TRUE(call.Wait().shared());
  }
  EXPECT_EQ(calls, 1);
}

TEST(GroupTest, StartRunsTheWorkOnTheExecutor) {
  FixedPool pool(1);
  Numbers group({.executor = &pool});
  EXPECT_EQ(*group
                 .Start(kNone, "key",
                        [&pool] {
                          EXPECT_EQ(Executor::Current(), &pool);
                          return 7;
                        })
                 .Wait(),
            7);
}

TEST(GroupTest, ACallCanBePolledAndWaitedForTwice) {
  Numbers group;
  absl::Notification release;
  const Call<int> call = group.Start(kNone, "key", [&release] {
    release.WaitForNotification();
    return 7;
  });
  EXPECT_FALSE(call.Poll().has_value());
  release.Notify();
  EXPECT_EQ(*call.Wait(), 7);
  EXPECT_EQ(*call.Wait(), 7);
  ASSERT_TRUE(call.Poll().has_value());
  EXPECT_EQ(**call.Poll(), 7);
}

TEST(GroupTest, ACallOutlivesItsGroup) {
  std::optional<Call<int>> call;
  {
    Numbers group;
    call = group.Start(kNone, "key", [] { return 7; });
    call->Wait().status().IgnoreError();
  }
  EXPECT_EQ(*call->Wait(), 7);
}

TEST(GroupTest, ForgetLetsTheNextCallerStartAnew) {
  Numbers group;
  group.Forget("key");  // there is none
  absl::Notification release;
  Call<int> first = group.Start(kNone, "key", [&release] {
    release.WaitForNotification();
    return 1;
  });
  group.Forget("key");
  EXPECT_EQ(*group.Do(kNone, "key", [] { return 2; }), 2);
  EXPECT_FALSE(first.Poll().has_value());
  release.Notify();
  EXPECT_EQ(*first.Wait(), 1);
}

TEST(GroupTest, AContextThatIsDoneStartsNothing) {
  Numbers group;
  CancelScope scope = WithCancel(kNone);
  scope.Cancel(absl::AbortedError("the user has left"));
  const Result<int> result = group.Do(scope.context(), "key", MustNotRun);
  EXPECT_EQ(result.status(), absl::AbortedError("the user has left"));
  EXPECT_FALSE(result.shared());
  const Call<int> call = group.Start(scope.context(), "key", MustNotRun);
  EXPECT_EQ(call.Wait().status(), absl::AbortedError("the user has left"));
  EXPECT_EQ(call.Poll()->status(), absl::AbortedError("the user has left"));
}

TEST(GroupTest, AFollowerLeavesWithItsContextAndTheWorkGoesOn) {
  Numbers group;
  absl::Notification release;
  const Call<int> call =
      group.Start(kNone, "key", [&release](const Context& context) {
        release.WaitForNotification();
        EXPECT_FALSE(context.done());
        return 7;
      });
  CancelScope scope = WithTimeout(kNone, absl::Milliseconds(1));
  EXPECT_EQ(group.Do(scope.context(), "key", MustNotRun).status(),
            absl::DeadlineExceededError("context deadline exceeded"));
  release.Notify();
  EXPECT_EQ(*call.Wait(), 7);
}

TEST(GroupTest, TheLastCallerEndsTheContextOfTheWork) {
  Numbers group;
  for (const bool by_context : {false, true}) {
    CancelScope scope = WithCancel(kNone);
    absl::Notification started, told;
    const auto work = [&](const Context& context) {
      started.Notify();
      context.AwaitDone();
      EXPECT_TRUE(absl::IsCancelled(context.status()));
      told.Notify();
      return 1;
    };
    Call<int> first = group.Start(scope.context(), "key", work);
    std::optional<Call<int>> second =
        group.Start(scope.context(), "key", MustNotRun);
    started.WaitForNotification();
    second.reset();
    EXPECT_FALSE(told.HasBeenNotified());
    if (by_context) {
      scope.Cancel(absl::AbortedError("the user has left"));
    } else {
      first.Abandon();
    }
    // The old one may still run.
    EXPECT_EQ(*group.Do(kNone, "key", [] { return 2; }), 2);
    told.WaitForNotification();
  }
}

TEST(GroupTest, ALeaderWhoLeavesIsGivenWhatItsWorkReturns) {
  Numbers group;
  CancelScope scope = WithCancel(kNone);
  const Result<int> result =
      group.Do(scope.context(), "key", [&scope](const Context& context) {
        EXPECT_FALSE(context.done());
        scope.Cancel();
        EXPECT_TRUE(context.done());
        return 7;
      });
  EXPECT_EQ(*result, 7);
}

TEST(GroupTest, WhoComesAfterAllHaveLeftSharesTheNewCall) {
  for (int key = 0; key < 20; ++key) {
    absl::Notification release;
    Group<int, int> group;
    const auto work = [&release] {
      release.WaitForNotification();
      return 1;
    };
    Call<int> left = group.Start(kNone, key, work);
    left.Abandon();
    const Call<int> first = group.Start(kNone, key, work);
    const Call<int> second = group.Start(kNone, key, MustNotRun);
    release.Notify();
    EXPECT_EQ(*second.Wait(), 1);
    EXPECT_TRUE(first.Wait().shared());
  }
}

// The work is cancelled, but it was the deadline that did it.
TEST(GroupTest, AnEchoDoesNotHideTheCause) {
  Numbers group;
  const auto work = [](const Context& context) -> absl::StatusOr<int> {
    context.AwaitDone();
    return context.status();
  };
  const absl::Status late = absl::DeadlineExceededError("late");
  CancelScope scope = WithTimeout(kNone, absl::Milliseconds(1), late);
  EXPECT_EQ(group.Do(scope.context(), "key", work).status(), late);
  scope = WithTimeout(kNone, absl::Milliseconds(1), late);
  const Call<int> call = group.Start(scope.context(), "key", work);
  EXPECT_EQ(call.Wait().status(), late);
  Await([&call] { return call.Poll().has_value(); });
  EXPECT_EQ(call.Poll()->status(), late);
  // An error of its own is no echo.
  scope = WithCancel(kNone);
  EXPECT_EQ(group
                .Do(scope.context(), "key",
                    [&scope]() -> absl::StatusOr<int> {
                      scope.Cancel();
                      return absl::NotFoundError("no such number");
                    })
                .status(),
            absl::NotFoundError("no such number"));
  EXPECT_EQ(group
                .Do(kNone, "key",
                    []() -> absl::StatusOr<int> {
                      return absl::CancelledError("by somebody else");
                    })
                .status(),
            absl::CancelledError("by somebody else"));
}

TEST(GroupTest, TheWorkHasTheValuesOfItsCallerAndNoDeadline) {
  struct Name {
    using Type = std::string;
  };
  Numbers group;
  CancelScope scope =
      WithTimeout(WithValue<Name>(kNone, "gopher"), absl::Hours(1));
  std::optional<Context> kept;
  const Result<int> result =
      group.Do(scope.context(), "key", [&kept](const Context& context) {
        EXPECT_EQ(*context.value<Name>(), "gopher");
        EXPECT_EQ(context.deadline(), absl::InfiniteFuture());
        kept = context;
        return 1;
      });
  EXPECT_EQ(*result, 1);
  EXPECT_TRUE(kept->done());
}

TEST(GroupTest, B31_ReentryIsAnError) {
  Numbers group({.name = "pages"});
  const auto expect_refused = [&group](const Context& context) {
    const Result<int> result = group.Do(context, "key", MustNotRun);
    EXPECT_EQ(result.status(),
              absl::FailedPreconditionError("singleflight::Group 'pages': Do "
                                            "inside the call of the same key"));
    EXPECT_TRUE(absl::IsFailedPrecondition(
        group.Start(context, "key", MustNotRun).Wait().status()));
  };
  // On its thread, whatever the context.
  EXPECT_EQ(*group.Do(kNone, "key",
                      [&] {
                        expect_refused(kNone);
                        return *group.Do(kNone, "other", [&] {
                          expect_refused(kNone);
                          return 7;
                        });
                      }),
            7);
  // On another one, with its context, or one that was made from it.
  EXPECT_EQ(*group.Do(kNone, "key",
                      [&](const Context& context) {
                        Caller([&] {
                          expect_refused(WithoutCancel(context));
                        }).Join();
                        return *group.Do(
                            context, "other", [&](const Context& inner) {
                              Caller([&] { expect_refused(inner); }).Join();
                              return 8;
                            });
                      }),
            8);
  EXPECT_EQ(*group
                 .Start(kNone, "key",
                        [&] {
                          expect_refused(kNone);
                          return 9;
                        })
                 .Wait(),
            9);
}

TEST(GroupTest, ReentryIsOfACallThatRuns) {
  absl::Notification release;
  Numbers group;
  Numbers another;
  const auto five = [&release] {
    release.WaitForNotification();
    return 5;
  };
  const Call<int> elsewhere = another.Start(kNone, "key", five);
  std::optional<Context> kept;
  std::optional<Call<int>> joined;
  EXPECT_EQ(
      *group.Do(kNone, "key",
                [&](const Context& context) {
                  kept = context;
                  joined =
                      another.Start(WithoutCancel(context), "key", MustNotRun);
                  EXPECT_EQ(*group.Do(context, "other", [] { return 2; }), 2);
                  group.Forget("key");
                  EXPECT_EQ(*group.Do(context, "key", [] { return 3; }), 3);
                  return 4;
                }),
      4);
  // A context of a call that is over is one like any other.
  const Call<int> first = group.Start(kNone, "key", five);
  const Call<int> second = group.Start(WithoutCancel(*kept), "key", MustNotRun);
  release.Notify();
  EXPECT_EQ(*elsewhere.Wait(), 5);
  EXPECT_EQ(*joined->Wait(), 5);
  EXPECT_EQ(*first.Wait(), 5);
  EXPECT_EQ(*second.Wait(), 5);
}

TEST(GroupTest, TheWorkIsDestroyedBeforeTheCallEnds) {
  Numbers group;
  auto token = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = token;
  const Call<int> call =
      group.Start(kNone, "key", [token = std::move(token)] { return *token; });
  EXPECT_EQ(*call.Wait(), 7);
  EXPECT_TRUE(watch.expired());
}

TEST(GroupTest, TheDestructorCancelsAndWaits) {
  sync::Atomic<bool> ended = false;
  std::optional<Call<int>> running, queued, forgotten;
  FixedPool pool(2);
  sync::Atomic<int> started = 0;
  {
    Numbers group({.executor = &pool, .name = "pages"});
    const auto work = [&](const Context& context) -> absl::StatusOr<int> {
      ++started;
      context.AwaitDone();
      sync::SleepFor(absl::Milliseconds(1));
      ended = true;
      return context.cause();
    };
    forgotten = group.Start(kNone, "key", work);
    group.Forget("key");
    running = group.Start(kNone, "key", work);
    queued = group.Start(kNone, "other", MustNotRun);
    Await([&] { return started == 2; });
  }
  EXPECT_TRUE(ended);
  for (const auto& call : {&running, &queued, &forgotten}) {
    EXPECT_EQ((*call)->Poll()->status(),
              absl::CancelledError("singleflight::Group 'pages': destroyed"));
  }
}

// Also of a call that nobody wants any more.
TEST(GroupTest, NothingOfACallOutlivesTheGroup) {
  struct Slow {
    explicit Slow(sync::Atomic<bool>* flag) : gone(flag) {}
    Slow(Slow&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
    ~Slow() {
      if (gone == nullptr) return;
      sync::SleepFor(absl::Milliseconds(1));
      *gone = true;
    }
    sync::Atomic<bool>* gone;
  };
  sync::Atomic<bool> gone = false;
  {
    Group<int, Slow> group;
    absl::Notification started;
    Call<Slow> call = group.Start(kNone, 1, [&] {
      started.Notify();
      return Slow(&gone);
    });
    started.WaitForNotification();
    call.Abandon();
  }
  EXPECT_TRUE(gone);
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(GroupTest, AnExceptionIsAnErrorForAll) {
  Numbers group({.name = "pages"});
  absl::Notification release;
  std::vector<Call<int>> calls;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(group.Start(kNone, "key", [&release]() -> int {
      release.WaitForNotification();
      throw std::runtime_error("boom");
    }));
  }
  release.Notify();
  int exceptions = 0;
  for (const Call<int>& call : calls) {
    const Result<int> result = call.Wait();
    EXPECT_EQ(result.status(),
              absl::InternalError("singleflight::Group 'pages': a call threw "
                                  "std::runtime_error: boom"));
    const std::exception_ptr exception = result.exception();
    exceptions += exception != nullptr;
  }
  EXPECT_EQ(exceptions, 1);
  EXPECT_EQ(*group.Do(kNone, "key", [] { return 1; }), 1);
}

TEST(GroupTest, B30_WorkThatEndsItsThreadEndsItsCall) {
  Numbers group;
  Caller leader([&group] {
    group.Do(kNone, "key", []() -> int { pthread_exit(nullptr); })
        .status()
        .IgnoreError();
    ADD_FAILURE() << "has no thread to return to";
  });
  leader.Join();
  EXPECT_EQ(*group.Do(kNone, "key", [] { return 1; }), 1);
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watch = token;
  const Call<int> call = group.Start(
      kNone, "key",
      [token = std::move(token)]() -> int { pthread_exit(nullptr); });
  EXPECT_EQ(
      call.Wait().status(),
      absl::InternalError("singleflight::Group: a call ended its thread"));
  EXPECT_TRUE(watch.expired());
}

#endif  // ABSL_HAVE_EXCEPTIONS

TEST(GroupDeathTest, NullWork) {
  Numbers group;
  EXPECT_DEATH((void)group.Do(kNone, "key", std::function<int()>()),
               "singleflight::Group::Do: null work");
  EXPECT_DEATH((void)group.Start(kNone, "key", static_cast<int (*)()>(nullptr)),
               "singleflight::Group::Start: null work");
}

TEST(GroupDeathTest, DestroyedInsideOneOfItsCalls) {
  auto group = std::make_unique<Numbers>();
  EXPECT_DEATH((void)group->Do(kNone, "key",
                               [&group] {
                                 group.reset();
                                 return 1;
                               }),
               "singleflight::Group: destroyed inside one of its calls");
}

TEST(GroupDeathTest, AnErrorHasNoValue) {
  Numbers group;
  EXPECT_DEATH((void)*group.Do(kNone, "key",
                               []() -> absl::StatusOr<int> {
                                 return absl::NotFoundError("no such number");
                               }),
               "no such number. singleflight::Result: no value");
}

TEST(GroupDeathTest, AnAbandonedCallIsNotWaitedFor) {
  Numbers group;
  Call<int> call = group.Start(kNone, "key", [] { return 1; });
  call.Abandon();
  EXPECT_DEATH((void)call.Wait(), "singleflight::Call::Wait: abandoned");
  EXPECT_DEATH((void)call.Poll(), "singleflight::Call::Poll: abandoned");
}

}  // namespace
}  // namespace cohort::singleflight
