#include "cohort/singleflight/group.h"

#include <pthread.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
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
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::singleflight {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::Shelf;

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
  EXPECT_EQ(
      *group.Do(kNone, "key",
                [&](const Context& context) {
                  JoiningThread([&] {
                    expect_refused(WithoutCancel(context));
                  }).Join();
                  return *group.Do(context, "other", [&](const Context& inner) {
                    JoiningThread([&] { expect_refused(inner); }).Join();
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

// Whether or not the waiter has noticed yet.
TEST(GroupTest, ACancelThatHasReturnedIsNotFollowedByAResult) {
  for (int i = 0; i < 200; ++i) {
    absl::Notification release;
    Numbers group;
    const Call<int> stays = group.Start(kNone, "key", [&release] {
      release.WaitForNotification();
      return 7;
    });
    CancelScope scope = WithCancel(kNone);
    const Call<int> leaves = group.Start(scope.context(), "key", MustNotRun);
    JoiningThread waits([&leaves] {
      EXPECT_EQ(leaves.Wait().status(), absl::AbortedError("left"));
    });
    scope.Cancel(absl::AbortedError("left"));
    release.Notify();
    EXPECT_EQ(*stays.Wait(), 7);
  }
}

TEST(GroupTest, ACancelAfterTheEndTakesNothingAway) {
  Numbers group;
  CancelScope scope = WithCancel(kNone);
  const Call<int> call = group.Start(scope.context(), "key", [] { return 7; });
  Await([&call] { return call.Poll().has_value(); });
  scope.Cancel();
  EXPECT_EQ(*call.Wait(), 7);
  EXPECT_EQ(**call.Poll(), 7);
}

// Also where the executor comes before what the end of the context calls.
TEST(GroupTest, WhatAllHaveLeftDoesNotStart) {
  Shelf shelf;
  Numbers group({.executor = &shelf});
  CancelScope scope = WithCancel(kNone);
  const DoneCallback first =
      scope.context().OnDone([&shelf] { shelf.RunAll(); });
  const Call<int> one = group.Start(scope.context(), "key", MustNotRun);
  const Call<int> two = group.Start(scope.context(), "key", MustNotRun);
  scope.Cancel(absl::AbortedError("left"));
  EXPECT_EQ(one.Wait().status(), absl::AbortedError("left"));
  EXPECT_EQ(two.Poll()->status(), absl::AbortedError("left"));
  const Call<int> next = group.Start(kNone, "key", [] { return 3; });
  shelf.RunAll();
  EXPECT_EQ(*next.Wait(), 3);
}

// The work of either key waits for the other's, and hands its context on or
// does not.
TEST(GroupTest, ACircleOfTwoCallsIsTold) {
  for (const bool hands_on : {false, true}) {
    Numbers pages({.name = "pages"});
    Group<int, int> links;
    absl::Notification in_page, in_link;
    CancelScope scope = WithTimeout(kNone, absl::Milliseconds(100));
    absl::Status told;
    JoiningThread other([&] {
      const Result<int> link =
          links.Do(scope.context(), 7,
                   [&](const Context& context) -> absl::StatusOr<int> {
                     in_link.Notify();
                     in_page.WaitForNotification();
                     const Result<int> page =
                         pages.Do(hands_on ? context : kNone, "a", MustNotRun);
                     if (!page.ok()) return page.status();
                     return *page;
                   });
      if (!link.ok()) told = link.status();
    });
    const Result<int> page =
        pages.Do(scope.context(), "a",
                 [&](const Context& context) -> absl::StatusOr<int> {
                   in_page.Notify();
                   in_link.WaitForNotification();
                   const Result<int> link =
                       links.Do(hands_on ? context : kNone, 7, MustNotRun);
                   if (!link.ok()) return link.status();
                   return *link;
                 });
    other.Join();
    // Whichever comes second is told, and tells the other.
    EXPECT_EQ(page.status(), told);
    EXPECT_TRUE(absl::IsFailedPrecondition(told)) << told;
    EXPECT_TRUE(absl::StrContains(told.message(), "key \"a\" of 'pages'"));
    EXPECT_TRUE(absl::StrContains(told.message(), "key 7"));
  }
}

// The caller of a Start is free at its deadline, whatever the calls do.
TEST(GroupTest, ADeadlineFreesWhoWaitsForCallsThatWaitForEachOther) {
  absl::Notification release;
  Numbers group;
  // Nobody can see that these wait for each other.
  const auto work = [&release] {
    release.WaitForNotification();
    return 1;
  };
  CancelScope scope = WithTimeout(kNone, absl::Milliseconds(1));
  const Call<int> a = group.Start(scope.context(), "a", work);
  const Call<int> b = group.Start(scope.context(), "b", work);
  EXPECT_TRUE(absl::IsDeadlineExceeded(a.Wait().status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(b.Wait().status()));
  release.Notify();
}

struct Plain {
  int number;
  friend bool operator==(const Plain&, const Plain&) = default;
  template <class H>
  friend H AbslHashValue(H hash, const Plain& plain) {
    return H::combine(std::move(hash), plain.number);
  }
};

TEST(GroupTest, AKeyNeedsNoText) {
  Group<Plain, int> group;
  std::optional<Call<int>> call;
  absl::Notification set;
  call = group.Start(kNone, Plain{1}, [&]() -> absl::StatusOr<int> {
    set.WaitForNotification();
    return call->Wait().status();
  });
  set.Notify();
  EXPECT_EQ(call->Wait().status(),
            absl::FailedPreconditionError(
                "singleflight: a wait for the call of key (it has no text) "
                "inside that of key (it has no text), for which it waits "
                "itself"));
}

// Types that do not say where they are.
struct Shy : Plain {
  void operator&() const = delete;
  template <class H>
  friend H AbslHashValue(H hash, const Shy& shy) {
    return H::combine(std::move(hash), shy.number);
  }
};

struct ShyWork {
  void operator&() const = delete;
  Shy operator()() const { return Shy{{7}}; }
};

TEST(GroupTest, NothingAsksATypeForItsAddress) {
  Group<Shy, Shy> group;
  const Result<Shy> result = group.Do(kNone, Shy{{1}}, ShyWork());
  EXPECT_EQ(result->number, 7);
  EXPECT_EQ((*result).number, 7);
  const Call<Shy> call = group.Start(kNone, Shy{{1}}, ShyWork());
  const Result<Shy> started = call.Wait();
  EXPECT_EQ(started->number, 7);
  group.Forget(Shy{{1}});
}

// What would be a reference to nothing is a copy.
TEST(GroupTest, TheValueOfATemporaryIsACopy) {
  Group<int, std::string> group;
  const auto text = [] {
    return std::string("longer than what a string holds");
  };
  const std::string& value = *group.Do(kNone, 1, text);
  EXPECT_EQ(value, text());
  const absl::Status& status =
      group
          .Do(kNone, 1,
              []() -> absl::StatusOr<std::string> {
                return absl::NotFoundError("no such text");
              })
          .status();
  EXPECT_EQ(status, absl::NotFoundError("no such text"));
}

TEST(GroupTest, WorkWithoutAValueHasAMonostate) {
  Group<int, std::monostate> group;
  EXPECT_TRUE(group.Do(kNone, 1, [] { return std::monostate(); }).ok());
  EXPECT_EQ(group
                .Do(kNone, 1,
                    []() -> absl::StatusOr<std::monostate> {
                      return absl::NotFoundError("no such number");
                    })
                .status(),
            absl::NotFoundError("no such number"));
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
  JoiningThread leader([&group] {
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
