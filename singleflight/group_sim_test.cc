// singleflight::Group on every schedule that the search comes across. The names
// with numbers are those of docs/immunity.md.

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/linearizable.h"
#include "cohort/sim/sim.h"
#include "cohort/singleflight/group.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::singleflight {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;
using ::cohort::testing::Shelf;

using Numbers = Group<int, int>;

constexpr absl::Duration kMoment = absl::Milliseconds(1);

// One processor makes for one shard: which one a key belongs to is not the same
// in every process.
void Explore(int schedules, absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = schedules, .processors = 1}, body);
}

void ExploreAll(absl::FunctionRef<void()> body) {
  sim::Options options = sim::AllSchedules();
  options.processors = 1;
  sim::ExploreAll(options, body);
}

// Work that is alone, and whose results are told apart.
class Work {
 public:
  int operator()() {
    EXPECT_EQ(++running_, 1);
    const int number = ++calls_;
    --running_;
    return number;
  }

  // Calls for it, and is not given what another caller had before it came.
  void Call(Numbers& group) {
    const int before = returned_;
    const Result<int> result =
        group.Do(Context(), 1, [this] { return (*this)(); });
    ASSERT_TRUE(result.ok());
    EXPECT_GT(*result, before);
    returned_ = *result;
  }

 private:
  sync::Atomic<int> running_ = 0;
  sync::Atomic<int> calls_ = 0;
  sync::Atomic<int> returned_ = 0;
};

TEST(GroupSimTest, CallersShareACallOrFollowOneAnother) {
  Explore(5000, [] {
    Work work;
    Numbers group;
    JoiningThread one([&] { work.Call(group); });
    JoiningThread two([&] { work.Call(group); });
    work.Call(group);
    work.Call(group);
  });
}

TEST(GroupSimTest, CallersShareACallOrFollowOneAnotherProof) {
  ExploreAll([] {
    Work work;
    Numbers group;
    JoiningThread one([&] { work.Call(group); });
    work.Call(group);
  });
}

TEST(GroupSimTest, WhatTheWorkDidIsVisibleToAllCallers) {
  Explore(4000, [] {
    Numbers group;
    sync::RaceChecked<int> before;
    sync::RaceChecked<int> data;
    before.Write() = 1;
    const auto work = [&] {
      ++data.Write();
      return before.Read();
    };
    const auto call = [&] {
      EXPECT_EQ(*group.Do(Context(), 1, work), 1);
      EXPECT_GE(data.Read(), 1);
    };
    // Where these do not share a call, the second one follows the first.
    Call<int> started = group.Start(Context(), 1, work);
    JoiningThread other([&] {
      if (started.Poll().has_value()) return;
      EXPECT_EQ(*started.Wait(), 1);
      EXPECT_GE(data.Read(), 1);
    });
    EXPECT_EQ(*started.Wait(), 1);
    other.Join();
    call();
  });
}

TEST(GroupSimTest, SharedIsTheSameForAllCallers) {
  Explore(4000, [] {
    Numbers group;
    sync::Atomic<int> calls = 0;
    std::optional<bool> shared;
    JoiningThread other([&] {
      shared = group.Do(Context(), 1, [&] { return ++calls; }).shared();
    });
    const bool own = group.Do(Context(), 1, [&] { return ++calls; }).shared();
    other.Join();
    EXPECT_EQ(own, calls == 1);
    EXPECT_EQ(shared, own);
  });
}

TEST(GroupSimTest, B27_AFailureIsForItsCallersAlone) {
  Explore(4000, [] {
    Numbers group;
    sync::Atomic<int> calls = 0;
    const auto fail = [&]() -> absl::StatusOr<int> {
      ++calls;
#ifdef ABSL_HAVE_EXCEPTIONS
      throw std::runtime_error("boom");
#else
      return absl::InternalError("boom");
#endif
    };
    {
      const auto call = [&] {
        EXPECT_TRUE(absl::IsInternal(group.Do(Context(), 1, fail).status()));
      };
      JoiningThread one(call);
      JoiningThread two(call);
      call();
    }
    EXPECT_GE(calls, 1);
    EXPECT_EQ(*group.Do(Context(), 1, [] { return 7; }), 7);
  });
}

// T1 runs, is forgotten, and T2 begins. When T1 ends, T2 is still to be found.
TEST(GroupSimTest, B28_AForgottenCallLeavesItsSuccessorAlone) {
  Explore(5000, [] {
    Numbers group;
    JoiningThread t1(
        [&] { (void)group.Do(Context(), 1, [] { return 1; }).ok(); });
    group.Forget(1);
    sync::Atomic<int> running = 0;
    const auto work = [&] {
      EXPECT_EQ(++running, 1);
      sync::SchedulePoint("working");
      --running;
      return 2;
    };
    JoiningThread t2([&] { (void)group.Do(Context(), 1, work).ok(); });
    (void)group.Do(Context(), 1, work).ok();
  });
}

TEST(GroupSimTest, B28_AForgottenCallLeavesItsSuccessorAloneProof) {
  ExploreAll([] {
    sync::Atomic<int> calls = 0;
    Numbers group;
    const auto work = [&] { return ++calls; };
    JoiningThread other([&] { (void)group.Do(Context(), 1, work).ok(); });
    group.Forget(1);
    const int first = *group.Do(Context(), 1, work);
    EXPECT_GT(*group.Do(Context(), 1, work), first);
  });
}

// As B-27, for those who wait by a handle.
TEST(GroupSimTest, B30_EveryHandleIsGivenOneResult) {
  Explore(3000, [] {
    ThreadPerTask executor;
    Numbers group({.executor = &executor});
    sync::Atomic<int> calls = 0;
    const auto fail = [&]() -> absl::StatusOr<int> {
      ++calls;
#ifdef ABSL_HAVE_EXCEPTIONS
      throw std::runtime_error("boom");
#else
      return absl::InternalError("boom");
#endif
    };
    const auto call = [&] {
      const Call<int> handle = group.Start(Context(), 1, fail);
      const absl::Status status = handle.Wait().status();
      EXPECT_TRUE(absl::IsInternal(status)) << status;
      EXPECT_EQ(handle.Poll()->status(), status);
    };
    JoiningThread other(call);
    call();
    other.Join();
    EXPECT_GE(calls, 1);
  });
}

TEST(GroupSimTest, B31_ACallThatEntersItselfIsTold) {
  Explore(2000, [] {
    Numbers group;
    const auto refused = [&group](const Context& context) {
      EXPECT_TRUE(absl::IsFailedPrecondition(
          group.Do(context, 1, [] { return 0; }).status()));
      return 1;
    };
    EXPECT_EQ(*group.Do(Context(), 1, [&] { return refused(Context()); }), 1);
    EXPECT_EQ(*group
                   .Start(Context(), 1,
                          [&](const Context& context) {
                            JoiningThread([&] { refused(context); }).Join();
                            return 1;
                          })
                   .Wait(),
              1);
    // Over another key.
    EXPECT_EQ(*group.Do(Context(), 1,
                        [&](const Context& context) {
                          return *group.Start(context, 2, refused).Wait();
                        }),
              1);
  });
}

// golang/sync 8fcdb60: whoever has the result of a call has left it.
TEST(GroupSimTest, NoCallOutlivesItsResults) {
  Explore(5000, [] {
    Numbers group;
    sync::Atomic<int> calls = 0;
    const auto work = [&] { return ++calls; };
    JoiningThread other([&] { (void)group.Do(Context(), 1, work).ok(); });
    const int first = *group.Do(Context(), 1, work);
    EXPECT_GT(*group.Do(Context(), 1, work), first);
  });
}

TEST(GroupSimTest, ACallerWhoLeavesTakesNothingFromTheOthers) {
  Explore(5000, [] {
    Numbers group;
    CancelScope scope = WithCancel(Context());
    const auto work = [](const Context& context) -> absl::StatusOr<int> {
      sync::SchedulePoint("working");
      if (context.done()) return context.status();
      return 7;
    };
    JoiningThread leaver([&] {
      const Result<int> result = group.Do(scope.context(), 1, work);
      // Also where it was alone, and the work ended with it.
      EXPECT_TRUE(result.ok() || absl::IsAborted(result.status()))
          << result.status();
    });
    JoiningThread canceller([&] { scope.Cancel(absl::AbortedError("left")); });
    const Result<int> result = group.Do(Context(), 1, work);
    EXPECT_TRUE(result.ok()) << result.status();
  });
}

TEST(GroupSimTest, ACallerWhoLeavesTakesNothingFromTheOthersProof) {
  ExploreAll([] {
    CancelScope scope = WithCancel(Context());
    Numbers group;
    const auto work = [](const Context& context) -> absl::StatusOr<int> {
      if (context.done()) return context.status();
      return 7;
    };
    JoiningThread leaver([&] {
      (void)group.Do(scope.context(), 1, work).ok();
      scope.Cancel();
    });
    const Result<int> result = group.Do(Context(), 1, work);
    EXPECT_TRUE(result.ok()) << result.status();
  });
}

TEST(GroupSimTest, AFollowerWhoLeavesRacesWithTheEndProof) {
  ExploreAll([] {
    CancelScope scope = WithCancel(Context());
    Numbers group;
    JoiningThread leader([&] {
      EXPECT_EQ(*group.Do(Context(), 1, [] { return 7; }), 7);
      scope.Cancel(absl::AbortedError("left"));
    });
    const Result<int> result = group.Do(scope.context(), 1, [] { return 7; });
    EXPECT_EQ(result.status(),
              result.ok() ? absl::OkStatus() : absl::AbortedError("left"));
  });
}

TEST(GroupSimTest, AFollowerLeavesWhileTheWorkGoesOn) {
  Explore(3000, [] {
    CancelScope release = WithCancel(Context());
    CancelScope scope = WithCancel(Context());
    Numbers group;
    JoiningThread leader([&] {
      (void)group
          .Do(Context(), 1,
              [&release] {
                release.context().AwaitDone();
                return 1;
              })
          .ok();
    });
    JoiningThread canceller([&] { scope.Cancel(absl::AbortedError("left")); });
    (void)group.Do(scope.context(), 1, [] { return 2; }).ok();
    release.Cancel();
  });
}

TEST(GroupSimTest, WhenAllHaveLeftTheWorkIsTold) {
  Explore(3000, [] {
    CancelScope one = WithCancel(Context());
    CancelScope two = WithCancel(Context());
    Numbers group;
    const auto call = [&group](const Context& own) {
      const Result<int> result =
          group.Do(own, 1, [](const Context& context) -> absl::StatusOr<int> {
            context.AwaitDone();
            return context.status();
          });
      EXPECT_TRUE(absl::IsAborted(result.status())) << result.status();
    };
    JoiningThread first([&] { call(one.context()); });
    JoiningThread second([&] { call(two.context()); });
    one.Cancel(absl::AbortedError("left"));
    two.Cancel(absl::AbortedError("left"));
  });
}

TEST(GroupSimTest, WhoHasBeenToldHasLeft) {
  Explore(3000, [] {
    CancelScope scope = WithCancel(Context());
    Numbers group;
    const Call<int> call =
        group.Start(scope.context(), 1, [](const Context& context) {
          context.AwaitDone();
          return 1;
        });
    JoiningThread canceller([&] { scope.Cancel(absl::AbortedError("left")); });
    if (call.Wait().ok()) return;
    EXPECT_EQ(*group.Do(Context(), 1, [] { return 2; }), 2);
  });
}

// Nobody is left behind, and nobody wakes the work by mistake.
TEST(GroupSimTest, TheWorkIsToldWhenTheLastCallerHasLeft) {
  Explore(3000, [] {
    sync::Atomic<int> callers = 2;
    Numbers group;
    const auto work = [&](const Context& context) {
      context.AwaitDone();
      EXPECT_EQ(callers, 0);
      return 0;
    };
    std::optional<Call<int>> first = group.Start(Context(), 1, work);
    std::optional<Call<int>> second = group.Start(Context(), 1, work);
    JoiningThread other([&] {
      --callers;
      first.reset();
    });
    --callers;
    second.reset();
  });
}

// A cancel that has returned is final, and so is the end of a call, whoever
// wakes when.

TEST(GroupSimTest, NoResultComesAfterACancelThatHasReturned) {
  Explore(3000, [] {
    CancelScope release = WithCancel(Context());
    CancelScope scope = WithCancel(Context());
    Numbers group;
    const Call<int> stays = group.Start(Context(), 1, [&release] {
      release.context().AwaitDone();
      return 7;
    });
    const Call<int> leaves = group.Start(scope.context(), 1, [] { return 8; });
    JoiningThread waits(
        [&] { EXPECT_EQ(leaves.Wait().status(), absl::AbortedError("left")); });
    scope.Cancel(absl::AbortedError("left"));
    release.Cancel();
    EXPECT_EQ(*stays.Wait(), 7);
    EXPECT_EQ(leaves.Poll()->status(), absl::AbortedError("left"));
  });
}

// Time passes when nobody can do anything else: all wait by then.
TEST(GroupSimTest, NoResultComesToADoAfterACancelThatHasReturned) {
  sim::Explore(
      {.schedules = 3000, .time = sim::Time::kQuiescent, .processors = 1}, [] {
        CancelScope release = WithCancel(Context());
        CancelScope scope = WithCancel(Context());
        Numbers group;
        const Call<int> stays = group.Start(Context(), 1, [&release] {
          release.context().AwaitDone();
          return 7;
        });
        JoiningThread leaves([&] {
          EXPECT_EQ(group.Do(scope.context(), 1, [] { return 8; }).status(),
                    absl::AbortedError("left"));
        });
        sync::SleepFor(kMoment);
        scope.Cancel(absl::AbortedError("left"));
        release.Cancel();
        EXPECT_EQ(*stays.Wait(), 7);
      });
}

void NoCancelComesAfterAResult() {
  Shelf executor;
  CancelScope scope = WithCancel(Context());
  Numbers group({.executor = &executor});
  const Call<int> cancels = group.Start(Context(), 1, [] { return 7; });
  const Call<int> late = group.Start(scope.context(), 1, [] { return 8; });
  JoiningThread runs([&executor] { executor.RunAll(); });
  EXPECT_EQ(*cancels.Wait(), 7);
  scope.Cancel(absl::AbortedError("left"));
  EXPECT_EQ(*late.Wait(), 7);
}

TEST(GroupSimTest, NoCancelTakesAwayAResult) {
  Explore(3000, NoCancelComesAfterAResult);
}

TEST(GroupSimTest, NoCancelTakesAwayAResultProof) {
  ExploreAll(NoCancelComesAfterAResult);
}

// For each of two callers: nothing yet, the value, or the cause.
struct Outcomes {
  std::array<int, 2> of = {0, 0};
  bool operator==(const Outcomes&) const = default;
  void Decide(size_t who, int outcome) {
    if (of[who] == 0) of[who] = outcome;
  }
};

TEST(GroupSimTest, OutcomesAreLinearizable) {
  Explore(10'000, [] {
    Shelf executor;
    Numbers group({.executor = &executor});
    std::vector<CancelScope> scopes;
    std::vector<Call<int>> calls;
    for (int i = 0; i < 2; ++i) {
      scopes.push_back(WithCancel(Context()));
      calls.push_back(
          group.Start(scopes.back().context(), 1, [] { return 1; }));
    }
    sim::History<Outcomes> history;
    const auto cancel = [&](size_t who) {
      history.Call(
          "Cancel", [&] { scopes[who].Cancel(absl::AbortedError("left")); },
          [who](Outcomes& model) { model.Decide(who, 2); });
    };
    const auto poll = [&](size_t who) {
      history.Call(
          "Poll",
          [&] {
            const std::optional<Result<int>> result = calls[who].Poll();
            return !result.has_value() ? 0 : result->ok() ? 1 : 2;
          },
          [who](Outcomes& model) { return model.of[who]; });
    };
    {
      JoiningThread one([&] {
        poll(0);
        cancel(1);
        poll(1);
      });
      JoiningThread two([&] {
        cancel(0);
        poll(0);
        poll(1);
      });
      history.Call(
          "Run", [&] { executor.RunAll(); },
          [](Outcomes& model) {
            model.Decide(0, 1);
            model.Decide(1, 1);
          });
      poll(0);
    }
    history.CheckLinearizable();
  });
}

// Calls that wait for each other.

// The work of `key` waits for that of the next one, of `keys`.
absl::Status EnterCircle(Numbers& group, int key, int keys) {
  return group
      .Do(Context(), key,
          [&](const Context& context) -> absl::StatusOr<int> {
            const Result<int> next =
                group.Do(context, (key + 1) % keys, [] { return 7; });
            if (!next.ok()) return next.status();
            return *next;
          })
      .status();
}

// One is told at most: the others are given what comes of that.
void CircleOf(int keys) {
  Numbers group;
  {
    std::deque<JoiningThread> callers;
    for (int key = 0; key < keys; ++key) {
      callers.emplace_back([&group, key, keys] {
        const absl::Status status = EnterCircle(group, key, keys);
        EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status))
            << status;
      });
    }
  }
  // And nothing of it is left.
  EXPECT_EQ(EnterCircle(group, 0, 2), absl::OkStatus());
}

TEST(GroupSimTest, ACircleOfCallsIsTold) {
  Explore(5000, [] { CircleOf(2); });
  Explore(5000, [] { CircleOf(3); });
  Explore(2000, [] { CircleOf(5); });
}

TEST(GroupSimTest, ACircleOfTwoProof) {
  sim::Options options = sim::AllSchedules(sim::Strategy::PreemptionBounded(2));
  options.processors = 1;
  sim::ExploreAll(options, [] { CircleOf(2); });
}

TEST(GroupSimTest, ACircleOfThreeProof) {
  sim::Options options = sim::AllSchedules(sim::Strategy::PreemptionBounded(1));
  options.processors = 1;
  sim::ExploreAll(options, [] { CircleOf(3); });
}

// Over groups of several types, handles, and threads of the work's own.
TEST(GroupSimTest, ACircleOfSeveralKindsIsTold) {
  Explore(4000, [] {
    Group<char, bool> flags;
    Numbers group;
    Call<int> one = group.Start(
        Context(), 1, [&](const Context& context) -> absl::StatusOr<int> {
          const absl::Status status =
              flags.Start(context, 'x', [] { return true; }).Wait().status();
          if (!status.ok()) return status;
          return 1;
        });
    const Result<bool> x = flags.Do(
        Context(), 'x', [&](const Context& context) -> absl::StatusOr<bool> {
          absl::Status status;
          JoiningThread([&] {
            status = group.Do(context, 1, [] { return 2; }).status();
          }).Join();
          if (!status.ok()) return status;
          return false;
        });
    for (const absl::Status& status : {one.Wait().status(), x.status()}) {
      EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status)) << status;
    }
  });
}

TEST(GroupSimTest, ACallDoesNotWaitForItself) {
  Explore(1000, [] {
    std::optional<Call<int>> call;
    sync::Atomic<bool> set = false;
    Numbers group;
    call = group.Start(Context(), 1, [&]() -> absl::StatusOr<int> {
      Await([&set] { return set.load(); });
      return call->Wait().status();
    });
    set = true;
    EXPECT_TRUE(absl::IsFailedPrecondition(call->Wait().status()));
  });
}

TEST(GroupSimTest, AWaiterThatHasLeftIsNoPartOfACircle) {
  Explore(4000, [] {
    CancelScope scope = WithCancel(Context());
    Numbers group;
    JoiningThread leaves([&] {
      EXPECT_EQ(
          *group.Do(
              Context(), 1,
              [&] {
                const absl::Status status =
                    group.Do(scope.context(), 2, [] { return 3; }).status();
                EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status;
                return 1;
              }),
          1);
    });
    EXPECT_TRUE(group
                    .Do(Context(), 2,
                        [&] {
                          scope.Cancel(absl::AbortedError("left"));
                          return *group.Do(Context(), 1, [] { return 1; });
                        })
                    .ok());
  });
}

TEST(GroupSimTest, CallsThatMeetInOneAreNoCircle) {
  Explore(4000, [] {
    Numbers group;
    const auto last = [] { return 1; };
    const auto middle = [&](const Context& context) {
      return *group.Do(context, 3, last);
    };
    const auto both = [&](const Context& context) {
      return *group.Do(context, 3, last) + *group.Do(context, 2, middle);
    };
    JoiningThread one([&] { EXPECT_EQ(*group.Do(Context(), 1, both), 2); });
    JoiningThread two([&] { EXPECT_EQ(*group.Do(Context(), 2, middle), 1); });
    JoiningThread three([&] { EXPECT_EQ(*group.Do(Context(), 3, last), 1); });
    EXPECT_EQ(*group.Do(Context(), 1, both), 2);
  });
}

// It has started a call of the circle, and does not wait for it.
TEST(GroupSimTest, WhoStartsACallDoesNotWaitForIt) {
  Explore(4000, [] {
    std::optional<Call<int>> child;
    Numbers group;
    const auto grandchild = [&](const Context&) {
      return *group.Do(Context(), 1, [] { return 1; });
    };
    JoiningThread other(
        [&] { EXPECT_TRUE(group.Do(Context(), 3, grandchild).ok()); });
    EXPECT_EQ(*group.Do(Context(), 1,
                        [&](const Context& context) {
                          child = group.Start(WithoutCancel(context), 2,
                                              [&](const Context& own) {
                                                return *group.Do(
                                                    own, 3, [] { return 3; });
                                              });
                          return 1;
                        }),
              1);
    if (!child.has_value()) return;  // the other one's work was here before
    EXPECT_TRUE(child->Wait().ok());
  });
}

TEST(GroupSimTest, ADeadlineRacesWithTheEndOfTheWork) {
  Explore(4000, [] {
    Numbers group;
    const auto work = [](const Context& context) -> absl::StatusOr<int> {
      const absl::Status slept = context.SleepFor(kMoment);
      if (!slept.ok()) return slept;
      return 7;
    };
    Call<int> call = group.Start(Context(), 1, work);
    CancelScope scope =
        WithTimeout(Context(), kMoment, absl::AbortedError("late"));
    const Result<int> result = group.Do(scope.context(), 1, work);
    EXPECT_TRUE(result.ok() || absl::IsAborted(result.status()))
        << result.status();
    EXPECT_EQ(*call.Wait(), 7);
  });
}

TEST(GroupSimTest, TheDestructorEndsAllCalls) {
  for (const bool thread_per_task : {false, true}) {
    Explore(3000, [thread_per_task] {
      std::unique_ptr<Executor> executor;
      if (thread_per_task) {
        executor = std::make_unique<ThreadPerTask>();
      } else {
        executor = std::make_unique<FixedPool>(1);
      }
      std::vector<Call<int>> calls;
      sync::Atomic<int> running = 0;
      {
        Numbers group({.executor = executor.get()});
        const auto work = [&](const Context& context) -> absl::StatusOr<int> {
          ++running;
          context.AwaitDone();
          --running;
          return context.status();
        };
        calls.push_back(group.Start(Context(), 1, work));
        group.Forget(1);
        calls.push_back(group.Start(Context(), 1, work));
        (void)group.Start(Context(), 2, work);
      }
      EXPECT_EQ(running, 0);
      for (const Call<int>& call : calls) {
        ASSERT_TRUE(call.Poll().has_value());
        EXPECT_TRUE(absl::IsCancelled(call.Poll()->status()));
      }
    });
  }
}

// The work, what it returned, and whom it was for.
TEST(GroupSimTest, NothingOfACallOutlivesTheGroup) {
  Explore(4000, [] {
    struct Token {
      explicit Token(sync::RaceChecked<bool>* flag)
          : gone(flag,
                 [](sync::RaceChecked<bool>* it) { it->Write() = true; }) {}
      std::shared_ptr<sync::RaceChecked<bool>> gone;
    };
    struct Key {
      using Type = Token;
    };
    sync::RaceChecked<bool> value_gone, work_gone, context_gone;
    bool ran = false;
    {
      Group<int, Token> group;
      (void)group.Start(WithValue<Key>(Context(), Token(&context_gone)), 1,
                        [&, held = Token(&work_gone)](const Context&) {
                          ran = true;
                          return Token(&value_gone);
                        });
    }
    EXPECT_TRUE(work_gone.Read());
    EXPECT_TRUE(context_gone.Read());
    EXPECT_EQ(value_gone.Read(), ran);
  });
}

// Work that is copied where other work is moved.
struct CopiedWork {
  explicit CopiedWork(sync::RaceChecked<bool>* gone)
      : held(gone,
             [](sync::RaceChecked<bool>* flag) { flag->Write() = true; }) {}
  CopiedWork(const CopiedWork&) = default;
  int operator()() const { return 1; }
  std::shared_ptr<sync::RaceChecked<bool>> held;
};

TEST(GroupSimTest, TheWorkIsGoneBeforeItsResultIsThere) {
  Explore(2000, [] {
    sync::RaceChecked<bool> moved_is_gone, copied_is_gone;
    Numbers group;
    const Call<int> moved = group.Start(
        Context(), 1, [held = CopiedWork(&moved_is_gone).held] { return 1; });
    const Call<int> copied =
        group.Start(Context(), 2, CopiedWork(&copied_is_gone));
    EXPECT_EQ(*moved.Wait(), 1);
    EXPECT_TRUE(moved_is_gone.Read());
    EXPECT_EQ(*copied.Wait(), 1);
    EXPECT_TRUE(copied_is_gone.Read());
  });
}

// What a group is to its callers.
struct Model {
  int current = 0;  // the call that can be joined, if any
  std::vector<int> callers = {0};
  std::vector<int> joined = {0, 0, 0};  // by whom
  bool operator==(const Model&) const = default;

  bool Start(size_t who) {
    const bool leads = current == 0;
    if (leads) {
      current = static_cast<int>(callers.size());
      callers.push_back(0);
    }
    joined[who] = current;
    ++callers[static_cast<size_t>(current)];
    return leads;
  }
  void Abandon(size_t who) {
    const int call = std::exchange(joined[who], 0);
    if (--callers[static_cast<size_t>(call)] == 0 && current == call) {
      current = 0;
    }
  }
};

TEST(GroupSimTest, IsLinearizable) {
  Explore(5000, [] {
    Shelf executor;
    Numbers group({.executor = &executor});
    sim::History<Model> history;
    const auto come_and_go = [&](size_t who, bool forgets) {
      // Work that is not needed is gone at once.
      auto token = std::make_shared<int>();
      const std::weak_ptr<int> watch = token;
      std::optional<Call<int>> call;
      history.Call(
          "Start",
          [&] {
            call = group.Start(Context(), 1,
                               [token = std::move(token)] { return 0; });
            return !watch.expired();
          },
          [who](Model& model) { return model.Start(who); });
      if (forgets) {
        history.Call(
            "Forget", [&] { group.Forget(1); },
            [](Model& model) { model.current = 0; });
      }
      history.Call(
          "Abandon", [&] { call.reset(); },
          [who](Model& model) { model.Abandon(who); });
    };
    {
      JoiningThread one([&] { come_and_go(1, false); });
      JoiningThread two([&] { come_and_go(2, true); });
      come_and_go(0, false);
    }
    history.CheckLinearizable();
    executor.RunAll();
  });
}

}  // namespace
}  // namespace cohort::singleflight
