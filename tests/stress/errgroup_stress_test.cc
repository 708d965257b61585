// Random programs on errgroup::Group: several threads, and the tasks
// themselves, submit, cancel, change the limit, wait and fail at once. What is
// checked holds in every one of them. Then errgroup::WaitGroup.

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/errgroup/wait_group.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/test_util.h"
#include "cohort/group/types.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::errgroup {
namespace {

using executor_internal::WorkerPool;
using stress::InParallel;
using stress::Random;
using testing::PoolCase;

absl::Status Cause() { return absl::AbortedError("cancelled by the test"); }

// An error that a task made up itself, rather than passed on.
bool IsOwn(const absl::Status& status) {
  return absl::StrContains(status.message(), "own error");
}

// What a program may do, beside submitting and failing.
struct Powers {
  bool cancels = false;
  bool waits = false;  // inside tasks, which lends their slots
  bool sets_limit = false;
};

// A group, with books kept by its tasks and their callers.
class Program {
 public:
  Program(Random& random, Executor* executor, Powers powers)
      : powers_(powers), options_(RandomOptions(random, executor)) {
    // In one without a context, errors cancel nothing.
    if (random.OneIn(4)) {
      group_.emplace(options_);
    } else {
      group_.emplace(parent_.context(), options_);
    }
  }

  // One step of a thread outside the group.
  void Step(Random& random) {
    switch (random.Below(16)) {
      case 0:
        if (powers_.cancels) Cancel(random);
        break;
      case 1:
        if (powers_.sets_limit) SetLimit(random);
        break;
      case 2:
        // The end of most groups, so not too soon.
        if (!random.OneIn(4)) break;
        NoteResult(group_->Wait(random.OneIn(2) ? WaitPolicy::kHelp
                                                : WaitPolicy::kPark));
        break;
      case 3:
        NoteResult(group_->WaitUntil(sync::Now() +
                                     absl::Microseconds(random.Below(100))));
        break;
      case 4:
        ExpectConsistent(group_->stats());
        break;
      default:
        Submit(random, /*depth=*/2);
    }
  }

  // The end, in an orderly way: Wait returns when all is done, and knows it.
  void ExpectAccounted() {
    const absl::Status status = group_->Wait();
    const Stats stats = group_->stats();
    ExpectConsistent(stats);
    EXPECT_EQ(stats.queued, 0);
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.parked, 0);
    EXPECT_EQ(stats.accepted, accepted_);
    EXPECT_EQ(stats.refused, full_ + cancelled_);
    EXPECT_EQ(stats.succeeded + stats.failed, started_);
    EXPECT_EQ(started_, ended_);
    EXPECT_EQ(alive_, 0) << "a task's captures are alive after Wait";

    const std::vector<TaskError> errors = group_->errors();
    if (own_errors_ == 0) {
      EXPECT_TRUE(errors.empty());
      const bool all_ran =
          stats.skipped == 0 && cancelled_ == 0 && stats.failed == 0;
      EXPECT_EQ(status.ok(), all_ran) << status;
    } else {
      ASSERT_FALSE(errors.empty());
      EXPECT_EQ(status, errors.front().status);
      EXPECT_TRUE(IsOwn(status)) << status;
      const size_t all = static_cast<size_t>(own_errors_);
      EXPECT_EQ(errors.size(), options_.keep_all_errors ? all : 1u);
      EXPECT_GE(stats.failed, own_errors_);
    }
    for (const TaskError& error : errors) {
      EXPECT_GE(error.index, 0);
      EXPECT_LT(error.index, stats.accepted);
    }
    NoteResult(status);
  }

  // The end by destruction, whatever state it is in.
  void Destroy() {
    const Context context = group_->context();
    group_.reset();
    over_ = true;
    EXPECT_TRUE(context.done());
    EXPECT_EQ(started_, ended_);
    EXPECT_EQ(alive_, 0) << "a task's captures outlive the group";
  }

  void CancelParent() { parent_.Cancel(Cause()); }

 private:
  // A task, from its submission to the end of its captures.
  class Captures {
   public:
    explicit Captures(Program* program) : program_(program) {
      ++program_->alive_;
    }
    Captures(Captures&& other) noexcept : Captures(other.program_) {
      ran_ = other.ran_;
    }
    Captures& operator=(Captures&&) = delete;
    ~Captures() {
      EXPECT_FALSE(program_->over_);
      --program_->alive_;
    }

    void Begin() {
      EXPECT_FALSE(program_->over_);
      EXPECT_FALSE(ran_);
      ran_ = true;
      ++program_->started_;
      const int now = ++program_->at_once_;
      if (!program_->powers_.waits && !program_->powers_.sets_limit) {
        EXPECT_LE(now, program_->options_.limit);
      }
    }
    void End() {
      --program_->at_once_;
      ++program_->ended_;
      EXPECT_FALSE(program_->over_);
    }

   private:
    Program* const program_;
    bool ran_ = false;
  };

  static Options RandomOptions(Random& random, Executor* executor) {
    constexpr int kLimits[] = {1, 1, 2, 3, kUnlimited};
    constexpr int kQueues[] = {0, 0, 1, 4, kUnlimited};
    return {.limit = kLimits[random.Below(5)],
            .queue = kQueues[random.Below(5)],
            .cancel_on_error = !random.OneIn(3),
            .run_after_cancel = random.OneIn(4),
            .keep_all_errors = random.OneIn(2),
            .executor = executor,
            .name = "stress"};
  }

  // The account is exact at every moment.
  static void ExpectConsistent(const Stats& stats) {
    EXPECT_EQ(stats.accepted, stats.queued + stats.running + stats.succeeded +
                                  stats.failed + stats.skipped);
  }

  void Submit(Random& random, int depth) {
    auto task = [this, depth, random = Random(random.Next()),
                 captures = Captures(this)](
                    const Context& context) mutable -> absl::Status {
      captures.Begin();
      // Also where it throws.
      struct AtEnd {
        Captures& captures;
        ~AtEnd() { captures.End(); }
      } end{captures};
      return RunTask(random, depth, context);
    };
    const bool may_block = random.OneIn(2);
    const Admission admission = may_block ? group_->Go(std::move(task))
                                          : group_->TryGo(std::move(task));
    switch (admission) {
      case Admission::kAccepted:
        ++accepted_;
        break;
      case Admission::kCancelled:
        ++cancelled_;
        break;
      case Admission::kFull:
        EXPECT_FALSE(may_block);
        ++full_;
        break;
    }
  }

  absl::Status RunTask(Random& random, int depth, const Context& context) {
    switch (random.Below(16)) {
      case 0:
        return absl::InvalidArgumentError(
            absl::StrCat("own error ", ++own_errors_));
      case 1:
#ifdef ABSL_HAVE_EXCEPTIONS
        throw std::runtime_error(absl::StrCat("own error ", ++own_errors_));
#else
        return absl::InternalError(absl::StrCat("own error ", ++own_errors_));
#endif
      case 2:
        // OK, or an echo of the cancellation.
        return context.SleepFor(absl::Microseconds(random.Below(50)));
      case 3:
      case 4:
      case 5:
        // Into a group that may be full, of this very task.
        for (int i = random.Below(4); i > 0 && depth > 0; --i) {
          Submit(random, depth - 1);
        }
        return absl::OkStatus();
      case 6:
        if (powers_.waits) NoteResult(group_->Wait());
        return absl::OkStatus();
      case 7:
        if (powers_.waits) NoteResult(group_->WaitUntil(sync::Now()));
        return absl::OkStatus();
      case 8:
        if (powers_.cancels) Cancel(random);
        return absl::OkStatus();
      case 9:
        return RunInnerGroup(random, context);
      default:
        return absl::OkStatus();
    }
  }

  // It ends before this task does, and takes its cancellation from it. A Go
  // that blocked would need more threads than some pools have.
  absl::Status RunInnerGroup(Random& random, const Context& context) {
    Group inner(context, {.limit = 1 + random.Below(2),
                          .queue = random.Below(2),
                          .executor = options_.executor});
    sync::Atomic<int> ran = 0;
    int accepted = 0;
    for (int i = 0; i < 3; ++i) {
      if (inner.TryGo([&ran] { ++ran; }) == Admission::kAccepted) ++accepted;
    }
    const absl::Status status = inner.Wait();
    if (status.ok()) {
      EXPECT_EQ(ran, accepted);
    } else {
      EXPECT_TRUE(context.done());
    }
    EXPECT_EQ(ran + inner.stats().skipped, accepted);
    // What ended it is known above.
    return absl::OkStatus();
  }

  void Cancel(Random& random) {
    if (!random.OneIn(4)) return;
    if (group_->Cancel(Cause())) {
      EXPECT_EQ(group_->context().cause(), Cause());
    }
    EXPECT_TRUE(group_->context().done());
  }

  void SetLimit(Random& random) {
    // Nothing starts for a moment.
    if (random.OneIn(2)) group_->SetLimit(0);
    group_->SetLimit(1 + random.Below(3));
  }

  // What a Wait has returned: an own error is the group's first, for good, and
  // so the same for all.
  void NoteResult(const absl::Status& status) {
    if (!IsOwn(status)) return;
    sync::MutexLock lock(&mutex_);
    if (noted_.ok()) noted_ = status;
    EXPECT_EQ(noted_, status);
  }

  const Powers powers_;
  const Options options_;
  CancelScope parent_ = WithCancel(Context());

  sync::Atomic<int> accepted_ = 0;
  sync::Atomic<int> full_ = 0;
  sync::Atomic<int> cancelled_ = 0;
  sync::Atomic<int> started_ = 0;
  sync::Atomic<int> ended_ = 0;
  sync::Atomic<int> alive_ = 0;
  sync::Atomic<int> at_once_ = 0;
  sync::Atomic<int> own_errors_ = 0;
  sync::Atomic<bool> over_ = false;

  sync::Mutex mutex_;
  absl::Status noted_ ABSL_GUARDED_BY(mutex_);

  std::optional<Group> group_;
};

constexpr int kThreads = 4;
constexpr int kSteps = 10;

class GroupStressTest : public stress::StressTest,
                        public ::testing::WithParamInterface<PoolCase> {
 protected:
  // Runs programs, and then looks at them with `end`.
  void RunPrograms(Powers powers, void (*end)(Program&, Random&)) {
    const std::shared_ptr<WorkerPool> pool = GetParam().make();
    Repeat(25, [&](Random& round) {
      Program program(round, pool.get(), powers);
      InParallel(round, kThreads, [&](int, Random& random) {
        for (int step = 0; step < kSteps; ++step) program.Step(random);
      });
      end(program, round);
    });
  }
};

std::vector<PoolCase> AllPools() {
  std::vector<PoolCase> pools = testing::PoolsOfOnesOwn();
  for (PoolCase& pool : testing::PoolsWithProgress()) {
    if (pool.name == "Default") pools.push_back(std::move(pool));
  }
  return pools;
}

INSTANTIATE_TEST_SUITE_P(Pools, GroupStressTest,
                         ::testing::ValuesIn(AllPools()), testing::PoolName);

void EndByWait(Program& program, Random&) {
  program.ExpectAccounted();
  program.Destroy();
}

// The threads' last submissions are still on their way.
void EndByDestruction(Program& program, Random& random) {
  if (random.OneIn(2)) program.CancelParent();
  program.Destroy();
}

TEST_P(GroupStressTest, TheLimitHolds) { RunPrograms({}, EndByWait); }

TEST_P(GroupStressTest, TasksLendTheirSlots) {
  RunPrograms({.waits = true}, EndByWait);
}

TEST_P(GroupStressTest, EverythingAtOnce) {
  RunPrograms({.cancels = true, .waits = true, .sets_limit = true}, EndByWait);
}

TEST_P(GroupStressTest, NothingOutlivesTheGroup) {
  RunPrograms({.cancels = true, .waits = true, .sets_limit = true},
              EndByDestruction);
}

// Groups in tasks of groups, whose Go blocks for want of slots.
absl::Status Descend(Executor* executor, Random random, int depth,
                     sync::Atomic<int>& ran) {
  ++ran;
  if (depth == 0) return absl::OkStatus();
  Group group({.limit = 1 + random.Below(2),
               .queue = random.Below(2),
               .executor = executor});
  for (int i = 0; i < 3; ++i) {
    group.Go([&, executor, depth, random = Random(random.Next())] {
      return Descend(executor, random, depth - 1, ran);
    });
  }
  return group.Wait();
}

class NestedGroupStressTest : public stress::StressTest,
                              public ::testing::WithParamInterface<PoolCase> {};

INSTANTIATE_TEST_SUITE_P(Pools, NestedGroupStressTest,
                         ::testing::ValuesIn(testing::PoolsWithProgress()),
                         testing::PoolName);

TEST_P(NestedGroupStressTest, TheyEnd) {
  const std::shared_ptr<WorkerPool> pool = GetParam().make();
  Repeat(10, [&pool](Random& round) {
    sync::Atomic<int> ran = 0;
    InParallel(round, 2, [&](int, Random& random) {
      EXPECT_EQ(Descend(pool.get(), random, 3, ran), absl::OkStatus());
    });
    EXPECT_EQ(ran, 2 * (1 + 3 + 9 + 27));
  });
}

// Workers that count themselves out of a WaitGroup while others wait for it,
// give up waiting, and destroy it.
using WaitGroupStressTest = stress::StressTest;

TEST_F(WaitGroupStressTest, WaitSeesAllThatWasDone) {
  Repeat(400, [](Random& round) {
    constexpr int kWorkers = 3;
    WaitGroup group;
    std::vector<int> done(kWorkers);  // ordered by the group alone
    sync::Atomic<int> errors = 0;
    group.Add(kWorkers);
    InParallel(round, 2 * kWorkers, [&](int thread, Random& random) {
      if (thread < kWorkers) {
        // More work may come while there is some.
        if (random.OneIn(2)) {
          group.Add(2);
          group.Add(-1);
          group.Done();
        }
        done[static_cast<size_t>(thread)] = 1;
        for (int i = random.Below(3); i > 0; --i) {
          group.Error(absl::UnknownError(absl::StrCat("error ", ++errors)));
        }
        group.Done();
        return;
      }
      const absl::Status status = group.Wait();
      EXPECT_EQ(done, std::vector<int>(kWorkers, 1));
      EXPECT_EQ(status.ok(), errors == 0);
      EXPECT_EQ(status, MultiError(group.errors()));
    });
    EXPECT_EQ(group.errors().size(), static_cast<size_t>(errors));
  });
}

// The one who waits may destroy it at once, while the last Done returns.
TEST_F(WaitGroupStressTest, TheWaiterDestroysIt) {
  Repeat(400, [](Random& round) {
    constexpr int kWorkers = 3;
    auto group = std::make_unique<WaitGroup>();
    WaitGroup* const shared = group.get();
    shared->Add(kWorkers);
    InParallel(round, kWorkers + 1, [&](int thread, Random& random) {
      if (thread < kWorkers) {
        if (random.OneIn(2)) shared->Error(absl::UnknownError("an error"));
        shared->Done();
        return;
      }
      const absl::Status status = group->Wait();
      EXPECT_EQ(status, MultiError(group->errors()));
      group.reset();
    });
  });
}

// A wait that is cancelled takes nothing from the others.
TEST_F(WaitGroupStressTest, SomeGiveUp) {
  const absl::Status cause = absl::AbortedError("no time");
  Repeat(400, [&cause](Random& round) {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    InParallel(round, 5, [&](int thread, Random&) {
      switch (thread) {
        case 0:
          group.Done();
          break;
        case 1:
          scope.Cancel(cause);
          break;
        case 2:
          EXPECT_EQ(group.Wait(), absl::OkStatus());
          break;
        default:
          const absl::Status status = group.Wait(scope.context());
          EXPECT_TRUE(status.ok() || status == cause) << status;
          EXPECT_EQ(group.Wait(), absl::OkStatus());
      }
    });
  });
}

// Nothing but the cancellation wakes those who wait here.
TEST_F(WaitGroupStressTest, ACancellationIsEnough) {
  const absl::Status cause = absl::AbortedError("no time");
  Repeat(1'000, [&cause](Random& round) {
    WaitGroup group;
    CancelScope scope = WithCancel(Context());
    group.Add(1);
    InParallel(round, 3, [&](int thread, Random&) {
      if (thread == 0) {
        scope.Cancel(cause);
      } else {
        EXPECT_EQ(group.Wait(scope.context()), cause);
      }
    });
    group.Done();
  });
}

}  // namespace
}  // namespace cohort::errgroup
