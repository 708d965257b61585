// The laws that every group of cohort obeys, each with a test of its name.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/group/types.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::errgroup {
namespace {

using ::cohort::testing::AtEnd;
using ::cohort::testing::Await;
using ::cohort::testing::Fail;
using ::cohort::testing::JoiningThread;

TEST(LawAccounted, SubmissionSaysWhatHappened) {
  absl::Notification release;
  Group group(Context(), {.limit = 1});
  EXPECT_EQ(group.Go([&release] { release.WaitForNotification(); }),
            Admission::kAccepted);
  EXPECT_EQ(group.TryGo([] {}), Admission::kFull);
  group.Cancel();
  EXPECT_EQ(group.Go([] {}), Admission::kCancelled);
  release.Notify();
  group.Wait().IgnoreError();
}

TEST(LawAccounted, EveryAcceptedTaskIsRunOrSkipped) {
  for (int round = 0; round < 200; ++round) {
    Group group(Context(), {.limit = 2, .queue = 8});
    std::atomic<int> ran{0};
    std::atomic<int> accepted{0};
    std::optional<JoiningThread> producers[3];
    for (auto& producer : producers) {
      producer.emplace([&] {
        for (int i = 0; i < 20; ++i) {
          const bool try_go = i % 2 == 0;
          auto task = [&ran] { ++ran; };
          const Admission admission =
              try_go ? group.TryGo(task) : group.Go(task);
          if (admission == Admission::kAccepted) ++accepted;
        }
      });
    }
    JoiningThread canceller([&group] { group.Cancel(Fail("enough")); });
    for (auto& producer : producers) producer->Join();
    canceller.Join();
    const absl::Status status = group.Wait();
    const Stats stats = group.stats();
    EXPECT_EQ(stats.accepted, accepted);
    EXPECT_EQ(stats.succeeded, ran);
    EXPECT_EQ(stats.accepted, stats.succeeded + stats.skipped);
    EXPECT_EQ(stats.accepted + stats.refused, 60);
    EXPECT_EQ(status.ok() || status == Fail("enough"), true) << status;
  }
}

TEST(LawStructured, TheDestructorCancelsThenWaits) {
  std::atomic<bool> ended{false};
  absl::Notification started;
  {
    Group group{Context()};
    group.Go([&](const Context& context) {
      started.Notify();
      context.AwaitDone();
      ended = true;
    });
    started.WaitForNotification();
  }
  EXPECT_TRUE(ended);
}

TEST(LawStructured, AGroupMayBeDestroyedWhileItAnswersAParkedGo) {
  for (int round = 0; round < 500; ++round) {
    auto group = std::make_unique<Group>(Options{.limit = 0});
    JoiningThread producer([raw = group.get()] {
      EXPECT_EQ(raw->Go([] {}), Admission::kCancelled);
    });
    Await([&group] { return group->stats().parked == 1; });
    group.reset();
  }
}

TEST(LawStructured, NoTaskIsAcceptedAndThenNotWaitedFor) {
  CancelScope scope = WithCancel(Context());
  for (int round = 0; round < 100; ++round) {
    Group group(scope.context());
    std::atomic<bool> started{false};
    JoiningThread producer([&] {
      started = true;
      while (group.Go([] {}) == Admission::kAccepted) {
      }
    });
    while (!started) {
    }
    group.Wait().IgnoreError();
    const Stats stats = group.stats();
    ASSERT_EQ(stats.queued + stats.running + stats.skipped, 0);
  }
}

TEST(LawStructured, TheDestructorWaitsForNothingThatNobodyCanStart) {
  std::atomic<bool> ran{false};
  {
    Group group(
        Options{.limit = 0, .queue = kUnlimited, .run_after_cancel = true});
    group.Go([&ran] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

TEST(LawStructured, AGroupMayBeDestroyedByACallbackOfItsContext) {
  auto group = std::make_unique<Group>();
  std::optional<DoneCallback> callback;
  callback = group->context().OnDone([&] {
    callback.reset();
    group.reset();
  });
  Group* raw = group.get();
  raw->Cancel();
  EXPECT_EQ(group, nullptr);
}

TEST(LawStructuredDeathTest, ASkippedTaskThatOwnsItsGroupDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        CancelScope scope = WithCancel(Context());
        auto group = std::make_shared<Group>(
            scope.context(), Options{.limit = 0, .queue = kUnlimited});
        group->Go([group] {});
        group.reset();
        scope.Cancel();
      },
      "by the destructor of a task that is being skipped");
}

TEST(LawStructured, CapturesAreGoneWhenWaitReturns) {
  auto alive = std::make_shared<int>(0);
  Group group(Context(), {.limit = 1, .queue = kUnlimited});
  absl::Notification queued;
  group.Go([alive, &queued] {
    queued.WaitForNotification();
    return Fail("boom");
  });
  for (int i = 0; i < 10; ++i) group.Go([alive] {});  // skipped
  queued.Notify();
  EXPECT_EQ(group.Wait(), Fail("boom"));
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(LawOrderAtATasksEnd, TheErrorIsRecordedBeforeSiblingsAreCancelled) {
  Group group{Context()};
  absl::Status at_cancel;
  DoneCallback callback =
      group.context().OnDone([&] { at_cancel = group.errors().at(0).status; });
  group.Go([] { return Fail("cause"); });
  EXPECT_EQ(group.Wait(), Fail("cause"));
  EXPECT_EQ(at_cancel, Fail("cause"));
}

TEST(LawOrderAtATasksEnd, SiblingsAreCancelledBeforeTheSlotIsFreed) {
  Group group(Context(), {.limit = 1});
  Admission at_cancel = Admission::kAccepted;
  int64_t running = 0;
  DoneCallback callback = group.context().OnDone([&] {
    running = group.stats().running;
    at_cancel = group.TryGo([] {});
  });
  group.Go([] { return Fail("cause"); });
  group.Wait().IgnoreError();
  EXPECT_EQ(running, 1);
  EXPECT_EQ(at_cancel, Admission::kCancelled);
}

TEST(LawFirstError, AnEchoOfTheCancellationNeverMasksItsCause) {
  CancelScope scope = WithCancel(Context());
  Group group(scope.context(), {.keep_all_errors = true});
  absl::BlockingCounter started(4);
  for (int i = 0; i < 4; ++i) {
    group.Go([i, &started](const Context& context) {
      started.DecrementCount();
      context.AwaitDone();
      return i % 2 == 0 ? context.status() : context.cause();
    });
  }
  started.Wait();
  scope.Cancel(Fail("the cause"));
  EXPECT_EQ(group.Wait(), Fail("the cause"));
  EXPECT_TRUE(group.errors().empty());
  EXPECT_EQ(group.stats().failed, 4);
}

// An error of a task's own is none the less for being that of another.
TEST(LawFirstError, EqualErrorsAreAllErrors) {
  Group group(Context(), {.limit = 1,
                          .queue = kUnlimited,
                          .run_after_cancel = true,
                          .keep_all_errors = true});
  for (int i = 0; i < 10; ++i) group.Go([] { return Fail("same"); });
  EXPECT_EQ(group.Wait(), Fail("same"));
  EXPECT_EQ(group.stats().failed, 10);
  EXPECT_EQ(group.stats().errors_dropped, 0);
  const std::vector<TaskError> errors = group.errors();
  ASSERT_EQ(errors.size(), 10u);
  for (int64_t next = 0; const TaskError& error : errors) {
    EXPECT_EQ(error.index, next++);
    EXPECT_EQ(error.status, Fail("same"));
  }
}

TEST(LawFirstError, ACauseFromOutsideIsAnEcho) {
  Group group(Context(), {.limit = 1,
                          .queue = kUnlimited,
                          .run_after_cancel = true,
                          .keep_all_errors = true});
  group.Cancel(Fail("outside"));
  for (int i = 0; i < 3; ++i) {
    group.Go([](const Context& context) { return context.cause(); });
  }
  EXPECT_EQ(group.Wait(), Fail("outside"));
  EXPECT_TRUE(group.errors().empty());
}

TEST(LawFirstError, ACancelledTaskDoesNotMaskADeadline) {
  CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1));
  Group group(scope.context());
  group.Go([](const Context& context) {
    context.AwaitDone();
    return absl::CancelledError("stopped");
  });
  EXPECT_EQ(group.Wait().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(LawCancellation, AParkedGoWakesAlthoughACallbackAboveIsSlow) {
  CancelScope scope = WithCancel(Context());
  std::optional<Group> group;
  // Runs before the group itself learns of the cancellation.
  DoneCallback callback = scope.context().OnDone([&group] {
    EXPECT_EQ(group->Wait().code(), absl::StatusCode::kAborted);
  });
  group.emplace(scope.context(), Options{.limit = 0});
  JoiningThread producer(
      [&group] { EXPECT_EQ(group->Go([] {}), Admission::kCancelled); });
  Await([&group] { return group->stats().parked == 1; });
  scope.Cancel(absl::AbortedError("outside"));
}

TEST(LawCancellation, TheContextIsDoneWhenAnyWaitHasReturned) {
  for (int round = 0; round < 300; ++round) {
    Group group{Context()};
    absl::Notification release;
    group.Go([&release] { release.WaitForNotification(); });
    auto wait = [&group] {
      EXPECT_EQ(group.Wait(), absl::OkStatus());
      EXPECT_TRUE(group.context().done());
    };
    JoiningThread first(wait);
    JoiningThread second(wait);
    release.Notify();
  }
}

TEST(LawCancellation, AParkedGoWakesAtTheDeadline) {
  CancelScope scope = WithTimeout(Context(), absl::Milliseconds(1));
  Group group(scope.context(), {.limit = 1});
  group.Go([](const Context& context) { context.AwaitDone(); });
  EXPECT_EQ(group.Go([] { ADD_FAILURE() << "must not run"; }),
            Admission::kCancelled);
  EXPECT_EQ(group.Wait().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(LawCancellation, QueuedTasksAreSkippedWithTheCause) {
  absl::Notification release;
  Group group(Context(), {.limit = 1, .queue = kUnlimited});
  group.Go([&release] { release.WaitForNotification(); });
  Await([&group] { return group.stats().running == 1; });
  for (int i = 0; i < 10; ++i) {
    group.Go([] { ADD_FAILURE() << "must not run"; });
  }
  group.Cancel(Fail("stop"));
  EXPECT_EQ(group.stats().skipped, 10);
  release.Notify();
  EXPECT_EQ(group.Wait(), Fail("stop"));
}

// The task that runs ends only when its context does.
TEST(LawTimeIsNeverLate, ADeadlineStopsWhatItIsFor) {
  const CancelScope scope = WithTimeout(Context(), absl::Milliseconds(20));
  Group group(scope.context(), {.limit = 1, .queue = kUnlimited});
  for (int i = 0; i < 10; ++i) {
    group.Go([](const Context& context) {
      while (!context.done()) continue;
    });
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(group.Wait()));
  EXPECT_EQ(group.stats().succeeded, 1);
  EXPECT_EQ(group.stats().skipped, 9);
}

TEST(LawACancelThatHasReturnedIsFinal, NothingStartsAfterIt) {
  absl::Notification started;
  absl::Notification release;
  Group group(Context(), {.limit = 1, .queue = kUnlimited});
  group.Go([&] {
    started.Notify();
    release.WaitForNotification();
  });
  std::atomic<int> late{0};
  for (int i = 0; i < 10; ++i) group.Go([&late] { ++late; });
  started.WaitForNotification();
  group.Cancel();
  release.Notify();
  group.Wait().IgnoreError();
  EXPECT_EQ(late, 0);
  EXPECT_EQ(group.stats().skipped, 10);
}

#ifdef ABSL_HAVE_EXCEPTIONS
TEST(LawAFailureInsideChangesNothingOutside, AnExecutorThatThrows) {
  class Full final : public Executor {
   public:
    void Submit(Task task) override {
      if (full) throw std::runtime_error("full");
      DefaultExecutor().Submit(std::move(task));
    }
    bool full = true;
  } executor;
  Group group(Options{.executor = &executor});
  EXPECT_THROW(group.Go([] {}), std::runtime_error);
  EXPECT_EQ(group.stats().accepted, 0);
  executor.full = false;
  EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(group.stats().succeeded, 1);
}
#endif

// Each waits within the wait of the one before, and the pool has one thread.
TEST(LawBoundedStacks, TasksThatWaitForTheirGroup) {
  constexpr int kMany = 5'000;
  FixedPool pool(1);
  Group group(Options{.executor = &pool});
  std::atomic<int> ended{0};
  for (int i = 0; i < kMany; ++i) {
    group.Go([&] {
      const absl::Status status = group.Wait();
      ++ended;
      return status;
    });
  }
  EXPECT_EQ(group.Wait(), absl::OkStatus());
  EXPECT_EQ(ended, kMany);
}

TEST(LawNoUserCodeUnderALock, TasksAndTheirCapturesMayUseTheGroup) {
  Group group(Context(), {.limit = 1, .queue = kUnlimited});
  std::atomic<int> destroyed{0};
  auto use_group = [&group, &destroyed] {
    // Any lock held here would be taken again.
    group.stats();
    group.errors();
    group.SetLimit(1);
    ++destroyed;
  };
  absl::Notification queued;
  group.Go([&queued, &use_group, at_end = AtEnd(use_group)] {
    queued.WaitForNotification();
    use_group();
    return Fail("boom");
  });
  for (int i = 0; i < 3; ++i) group.Go([at_end = AtEnd(use_group)] {});
  JoiningThread parked([&] {
    group.SetLimit(1);
    group.Go([at_end = AtEnd(use_group)] {});
  });
  queued.Notify();
  EXPECT_EQ(group.Wait(), Fail("boom"));
  parked.Join();
  EXPECT_EQ(group.Go([at_end = AtEnd(use_group)] {}), Admission::kCancelled);
  EXPECT_EQ(destroyed, 7);
}

TEST(LawSafeNesting, SubmittingToTheOwnFullGroupNeverBlocks) {
  for (int limit : {1, 2}) {
    Group group(Options{.limit = limit});
    std::atomic<int> ran{0};
    std::function<void(int)> fork = [&](int depth) {
      ++ran;
      if (depth == 0) return;
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(group.Go([&fork, depth] { fork(depth - 1); }),
                  Admission::kAccepted);
      }
    };
    group.Go([&fork] { fork(6); });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_EQ(ran, 127);
  }
}

TEST(LawSafeNesting, AProducerInsideHelpsRatherThanOutgrowTheQueue) {
  FixedPool pool(2);
  Group group(Options{.limit = 2, .queue = 3, .executor = &pool});
  std::atomic<int> at_once{0};
  std::atomic<int> most_at_once{0};
  std::atomic<int64_t> most_queued{0};
  group.Go([&] {
    for (int i = 0; i < 20'000; ++i) {
      ASSERT_EQ(group.GoOrHelp([&] {
        const int now = ++at_once;
        if (now > most_at_once) most_at_once = now;
        --at_once;
      }),
                Admission::kAccepted);
      most_queued = std::max<int64_t>(most_queued, group.stats().queued);
    }
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(group.stats().succeeded, 20'001);
  EXPECT_LE(most_queued, 4);  // one of them with a slot
  EXPECT_LE(most_at_once, 2);
}

TEST(LawSafeNesting, GoOrHelpRunsTheOldestInTheCallersSlot) {
  FixedPool pool(1);
  Group group(Options{.limit = 1, .queue = 1, .executor = &pool});
  std::vector<int> order;
  group.Go([&] {
    for (int i = 0; i < 3; ++i) {
      group.GoOrHelp([&order, i] { order.push_back(i); });
      order.push_back(10 + i);
    }
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
  EXPECT_EQ(order, (std::vector<int>{10, 0, 11, 1, 12, 2}));
}

TEST(LawSafeNesting, GoOrHelpBlocksOutside) {
  absl::Notification release;
  Group group(Options{.limit = 1});
  group.Go([&release] { release.WaitForNotification(); });
  JoiningThread producer(
      [&] { EXPECT_EQ(group.GoOrHelp([] {}), Admission::kAccepted); });
  Await([&group] { return group.stats().parked == 1; });
  release.Notify();
  producer.Join();
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(LawSafeNesting, ATaskOfAGroupMadeInsideATaskCountsAsInside) {
  // The only slot is held by a task that waits for whoever submits.
  ThreadPerTask elsewhere;  // so that no frame is shared through helping
  Group outer(Options{.limit = 1});
  std::atomic<int> ran{0};
  outer.Go([&] {
    Group middle(Options{.executor = &elsewhere});
    middle.Go([&] {
      Group inner(Options{.executor = &elsewhere});
      inner.Go([&] {
        EXPECT_EQ(outer.Go([&ran] { ++ran; }), Admission::kAccepted);
      });
      EXPECT_EQ(inner.Wait(WaitPolicy::kPark), absl::OkStatus());
    });
    EXPECT_EQ(middle.Wait(WaitPolicy::kPark), absl::OkStatus());
  });
  EXPECT_EQ(outer.Wait(), absl::OkStatus());
  EXPECT_EQ(ran, 1);
}

TEST(LawSafeNesting, ATaskOfAGroupThatOutlivesItsMakerIsOutside) {
  absl::Notification release;
  absl::Notification maker_ended;
  Group outer(Options{.limit = 1});
  std::unique_ptr<Group> made;
  outer.Go([&] {
    made = std::make_unique<Group>();
    made->Go([&] {
      maker_ended.WaitForNotification();
      EXPECT_EQ(outer.Go([] {}), Admission::kAccepted);  // as anyone: parks
    });
  });
  EXPECT_EQ(outer.Wait(), absl::OkStatus());
  outer.Go([&release] { release.WaitForNotification(); });
  maker_ended.Notify();
  Await([&outer] { return outer.stats().parked == 1; });
  release.Notify();
  EXPECT_EQ(made->Wait(), absl::OkStatus());
  EXPECT_EQ(outer.Wait(), absl::OkStatus());
}

TEST(LawSafeNesting, WaitInsideATaskOfAnotherGroup) {
  for (int threads : {1, 2}) {
    FixedPool pool(threads);
    std::function<absl::Status(int)> nest = [&](int depth) -> absl::Status {
      if (depth == 0) return absl::OkStatus();
      Group inner(Options{.executor = &pool});
      for (int i = 0; i < 2; ++i) {
        inner.Go([&nest, depth] { return nest(depth - 1); });
      }
      return inner.Wait();
    };
    Group outer(Options{.executor = &pool});
    outer.Go([&nest] { return nest(6); });
    EXPECT_EQ(outer.Wait(WaitPolicy::kPark), absl::OkStatus());
  }
}

TEST(LawSafeNesting, ATaskThatWaitsLendsItsSlot) {
  Group group(Options{.limit = 1, .queue = kUnlimited});
  bool ran = false;
  group.Go([&] {
    group.Go([&ran] { ran = true; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    EXPECT_TRUE(ran);
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST(LawSafeNesting, ATaskThatWaitsLetsAParkedSubmissionIn) {
  Group group(Options{.limit = 1});
  absl::Notification started;
  group.Go([&] {
    started.Notify();
    Await([&group] { return group.stats().parked == 1; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
  });
  started.WaitForNotification();
  EXPECT_EQ(group.Go([] {}), Admission::kAccepted);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

TEST(LawSafeNesting, TasksThatWaitForTheirGroupAreReleasedTogether) {
  Group group;
  std::atomic<int> inside{0};
  std::atomic<int> released{0};
  auto meet = [&] {
    ++inside;
    Await([&inside] { return inside == 2; });
    EXPECT_EQ(group.Wait(), absl::OkStatus());
    ++released;
    Await([&released] { return released == 2; });
  };
  group.Go(meet);
  group.Go(meet);
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST(LawSafeNesting, WaitUntilInsideATaskOfTheSameGroup) {
  Group group;
  group.Go([&group] {
    EXPECT_EQ(group.WaitUntil(absl::InfiniteFuture()), absl::OkStatus());
  });
  EXPECT_EQ(group.Wait(WaitPolicy::kPark), absl::OkStatus());
}

TEST(LawSafeNesting, AHelperWakesForWorkThatComesLate) {
  FixedPool pool(1);
  Group inner(Options{.executor = &pool});
  Group outer(Options{.executor = &pool});
  absl::Notification inner_runs;
  absl::Notification pool_waits;
  absl::Notification late_ran;
  outer.Go([&] {  // takes the pool's one thread
    inner_runs.WaitForNotification();
    pool_waits.Notify();
    EXPECT_EQ(inner.Wait(), absl::OkStatus());
  });
  inner.Go([&] {
    inner_runs.Notify();
    pool_waits.WaitForNotification();
    // Only the pool's thread, inside its Wait, is left to run this.
    inner.Go([&late_ran] { late_ran.Notify(); });
    late_ran.WaitForNotification();
  });
  EXPECT_EQ(inner.Wait(), absl::OkStatus());
  EXPECT_EQ(outer.Wait(), absl::OkStatus());
}

}  // namespace
}  // namespace cohort::errgroup
