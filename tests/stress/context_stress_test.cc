// Trees of contexts, that several threads grow, end and cut down at once.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort {
namespace {

using stress::InParallel;
using stress::Random;

using ContextStressTest = stress::StressTest;

absl::Status Cause(int number) {
  return absl::AbortedError(absl::StrCat("cause ", number));
}

// A callback on a context, and what became of it.
class Callback {
 public:
  explicit Callback(const Context& context) : context_(context) {
    registration_ = context.OnDone([this, functor = Functor(this)] {
      EXPECT_TRUE(context_.done());
      EXPECT_EQ(++calls_, 1);
      EXPECT_FALSE(withdrawn_);
    });
  }
  ~Callback() { Withdraw(); }
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  // After this it has run, with its functor gone, or never will.
  void Withdraw() {
    registration_ = DoneCallback();
    withdrawn_ = true;
    EXPECT_EQ(functors_, 0);
  }

  int calls() const { return calls_; }

 private:
  // Counts what there is of the functor and its copies.
  class Functor {
   public:
    explicit Functor(Callback* callback) : callback_(callback) {
      ++callback_->functors_;
    }
    Functor(Functor&& other) noexcept : Functor(other.callback_) {}
    Functor& operator=(Functor&&) = delete;
    ~Functor() { --callback_->functors_; }

   private:
    Callback* const callback_;
  };

  const Context context_;
  sync::Atomic<int> calls_ = 0;
  sync::Atomic<int> functors_ = 0;
  sync::Atomic<bool> withdrawn_ = false;
  DoneCallback registration_;
};

// Contexts that threads hand to one another.
class Pool {
 public:
  explicit Pool(Context first) { contexts_.push_back(std::move(first)); }

  void Put(Context context) {
    sync::MutexLock lock(&mutex_);
    contexts_.push_back(std::move(context));
  }
  Context Get(Random& random) {
    sync::MutexLock lock(&mutex_);
    return contexts_[static_cast<size_t>(
        random.Below(static_cast<int>(contexts_.size())))];
  }

 private:
  sync::Mutex mutex_;
  std::vector<Context> contexts_ ABSL_GUARDED_BY(mutex_);
};

// A cause stays what it was when the context was first seen done.
void ExpectDoneForGood(const Context& context) {
  ASSERT_TRUE(context.done());
  const absl::Status cause = context.cause();
  EXPECT_FALSE(cause.ok());
  EXPECT_FALSE(context.status().ok());
  context.AwaitDone();
  EXPECT_TRUE(context.AwaitDoneUntil(absl::InfiniteFuture()));
  EXPECT_EQ(context.cause(), cause);
}

TEST_F(ContextStressTest, AnEndReachesTheWholeTree) {
  Repeat(150, [](Random& round) {
    std::optional<CancelScope> root(WithCancel(Context()));
    Pool pool(root->context());
    sync::Atomic<int> winners = 0;
    InParallel(round, 4, [&](int thread, Random& random) {
      std::vector<CancelScope> scopes;
      std::vector<std::unique_ptr<Callback>> callbacks;
      for (int step = 0; step < 24; ++step) {
        const Context parent = pool.Get(random);
        switch (random.Below(8)) {
          case 0:
          case 1:
          case 2:
            scopes.push_back(WithCancel(parent));
            pool.Put(scopes.back().context());
            break;
          case 3:
          case 4:
            callbacks.push_back(std::make_unique<Callback>(parent));
            break;
          case 5:
            if (!callbacks.empty()) callbacks.pop_back();
            break;
          case 6:
            if (!scopes.empty()) {
              CancelScope& scope = scopes[static_cast<size_t>(
                  random.Below(static_cast<int>(scopes.size())))];
              const Context context = scope.context();
              const bool was_done = context.done();
              const bool first = scope.Cancel(Cause(thread));
              EXPECT_FALSE(first && was_done);
              if (first) {
                EXPECT_EQ(context.cause(), Cause(thread));
              }
              ExpectDoneForGood(context);
            }
            break;
          case 7:
            if (!scopes.empty()) scopes.pop_back();
            break;
        }
      }
      if (random.OneIn(2) && root->Cancel(Cause(100 + thread))) ++winners;
      // Their parents, children and callbacks are still others' business.
      const bool ended = root->context().done();
      for (CancelScope& scope : scopes) {
        if (ended) scope.context().AwaitDone();
      }
    });
    EXPECT_LE(winners, 1);
    root->Cancel();
    ExpectDoneForGood(root->context());
  });
}

// Each callback runs once if nobody took it back, and at most once if somebody
// did; never afterwards.
TEST_F(ContextStressTest, WithdrawalRacesTheEnd) {
  Repeat(600, [](Random& round) {
    CancelScope outer = WithCancel(Context());
    CancelScope inner = WithCancel(outer.context());
    constexpr int kKept = 2;
    std::vector<std::unique_ptr<Callback>> kept;
    for (int i = 0; i < kKept; ++i) {
      kept.push_back(std::make_unique<Callback>(inner.context()));
    }
    const bool cancels_outer = round.OneIn(2);
    InParallel(round, 4, [&](int thread, Random& random) {
      if (thread == 0) {
        (cancels_outer ? outer : inner).Cancel(Cause(0));
        // What this thread ended has been told.
        for (const auto& callback : kept) EXPECT_EQ(callback->calls(), 1);
        return;
      }
      for (int i = 0; i < 4; ++i) {
        Callback mine(random.OneIn(2) ? inner.context() : outer.context());
        if (random.OneIn(2)) mine.Withdraw();
      }
    });
    EXPECT_EQ(inner.context().cause(), Cause(0));
    for (const auto& callback : kept) EXPECT_EQ(callback->calls(), 1);
  });
}

// A parent's end meets children that come and go.
TEST_F(ContextStressTest, ShortLivedChildren) {
  Repeat(300, [](Random& round) {
    CancelScope parent = WithCancel(Context());
    sync::Atomic<int> winners = 0;
    InParallel(round, 4, [&](int thread, Random& random) {
      for (int i = 0; i < 16; ++i) {
        if (thread == 0 && i == 8 && parent.Cancel(Cause(0))) ++winners;
        CancelScope child = WithCancel(parent.context());
        CancelScope grandchild = WithCancel(child.context());
        if (random.OneIn(4)) child = WithCancel(grandchild.context());
        Callback callback(grandchild.context());
        if (random.OneIn(2)) grandchild.Cancel(Cause(thread));
        if (grandchild.context().done()) {
          const absl::Status cause = grandchild.context().cause();
          EXPECT_TRUE(cause == Cause(0) || cause == Cause(thread) ||
                      absl::IsCancelled(cause))
              << cause;
        }
      }
    });
    EXPECT_EQ(winners, 1);
    const CancelScope late = WithCancel(parent.context());
    EXPECT_TRUE(late.context().done());
  });
}

// Deadlines race cancellations, waits and the end of their scopes.
TEST_F(ContextStressTest, Deadlines) {
  Repeat(150, [](Random& round) {
    CancelScope parent =
        WithTimeout(Context(), absl::Microseconds(round.Below(400)), Cause(0));
    InParallel(round, 4, [&](int thread, Random& random) {
      for (int i = 0; i < 6; ++i) {
        const absl::Duration timeout = absl::Microseconds(random.Below(200));
        const sync::SteadyTime begin = sync::SteadyTime::Now();
        CancelScope scope =
            WithTimeout(parent.context(), timeout, Cause(10 + thread));
        const Context context = scope.context();
        Callback callback(context);
        switch (random.Below(4)) {
          case 0:
            scope.Cancel(Cause(20 + thread));
            break;
          case 1:
            context.AwaitDone();
            break;
          case 2: {
            const absl::Status woken = context.SleepFor(absl::Hours(1));
            EXPECT_EQ(woken, context.status());
            break;
          }
          case 3:
            continue;  // gone while it fires
        }
        const sync::SteadyTime end = sync::SteadyTime::Now();
        ExpectDoneForGood(context);
        const absl::Status cause = context.cause();
        if (cause == Cause(10 + thread)) {
          EXPECT_TRUE(absl::IsDeadlineExceeded(context.status()));
          EXPECT_GE(end - begin, timeout) << "fired early";
        } else if (cause == Cause(20 + thread)) {
          EXPECT_TRUE(absl::IsCancelled(context.status()));
        } else {
          EXPECT_EQ(cause, Cause(0));
          EXPECT_TRUE(absl::IsDeadlineExceeded(context.status()));
        }
      }
    });
    parent.context().AwaitDone();
    EXPECT_EQ(parent.context().cause(), Cause(0));
  });
}

}  // namespace
}  // namespace cohort
