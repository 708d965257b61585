// What contexts allocate, and that they give it back.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <vector>
#include <version>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace {

// Live allocations of the process. Counted here rather than asked of the
// allocator, since each sanitizer brings one of its own.
std::atomic<int64_t> live{0};
std::atomic<int64_t> made{0};

void* Allocate(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  ++live;
  ++made;
  return memory;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  --live;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t) noexcept { Free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { Free(memory); }

namespace cohort {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr int kScale = 10;
#else
constexpr int kScale = 1;
#endif

class AllocationTest : public ::testing::Test {
 protected:
  // Abseil's check of lock orders, on in debug builds, allocates for locks that
  // it sees, and is most of the time that a million contexts take.
  AllocationTest() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  }

 private:
  // Whatever comes with the first timer stays. None of the tests' own is the
  // next one due, for which the timers' thread would have to wake up.
  const CancelScope first_timer_ = WithTimeout(Context(), absl::Minutes(30));
};

// Some of Abseil's, the executor's and the timers' own may come meanwhile.
constexpr int64_t kSlack = 1000;

TEST_F(AllocationTest, ADefaultContextAllocatesNothing) {
  struct Key {
    using Type = int;
  };
  const int64_t before = made;
  {
    Context context;
    Context copy = context;
    const Context shielded = WithoutCancel(copy);
    const DoneCallback none = context.OnDone([] {});
    const bool as_it_should = !context.done() && context.status().ok() &&
                              shielded.cause().ok() &&
                              shielded.deadline() == absl::InfiniteFuture() &&
                              copy.value<Key>() == nullptr &&
                              !copy.AwaitDoneUntil(absl::InfinitePast()) &&
                              copy.SleepFor(absl::ZeroDuration()).ok();
    if (!as_it_should) FAIL();
  }
  EXPECT_EQ(made, before);
}

TEST_F(AllocationTest, ACopyAllocatesNothing) {
  CancelScope scope = WithTimeout(Context(), absl::Hours(1));
  const int64_t before = made;
  {
    Context copy = scope.context();
    const Context second = copy;
    const Context shielded = WithoutCancel(second);
    if (copy.done() || !second.status().ok() || shielded.done()) FAIL();
  }
  EXPECT_EQ(made, before);
}

TEST_F(AllocationTest, AParentDoesNotGrowWithItsFormerChildren) {
  CancelScope parent = WithCancel(Context());
  const int64_t before = live;
  for (int i = 0; i < 1'000'000 / kScale; ++i) {
    CancelScope child = WithCancel(parent.context());
  }
  EXPECT_LT(live - before, kSlack);
}

TEST_F(AllocationTest, AParentDoesNotGrowWithChildrenThatWereCancelled) {
  CancelScope parent = WithCancel(Context());
  const int64_t before = live;
  for (int i = 0; i < 100'000 / kScale; ++i) {
    CancelScope child = WithCancel(parent.context());
    CancelScope grandchild = WithCancel(child.context());
    DoneCallback callback = grandchild.context().OnDone([] {});
    child.Cancel();
  }
  EXPECT_LT(live - before, kSlack);
}

TEST_F(AllocationTest, ACancelledDeadlineFreesItsTimer) {
  CancelScope parent = WithCancel(Context());
  const int64_t before = live;
  for (int i = 0; i < 100'000 / kScale; ++i) {
    CancelScope child = WithTimeout(parent.context(), absl::Hours(1));
    if (i % 2 == 0) child.Cancel();
  }
  EXPECT_LT(live - before, kSlack);
}

TEST_F(AllocationTest, AParentsEndFreesTheTimersOfItsChildren) {
  const int64_t before = live;
  std::vector<Context> contexts;
  contexts.reserve(10'000 / kScale);
  {
    CancelScope parent = WithCancel(Context());
    std::vector<CancelScope> children;
    for (int i = 0; i < 10'000 / kScale; ++i) {
      children.push_back(WithTimeout(parent.context(), absl::Hours(1)));
      contexts.push_back(children.back().context());
    }
    parent.Cancel();
    // A timer still armed would keep its context for an hour.
    children.clear();
    contexts.clear();
  }
  EXPECT_LT(live - before, kSlack / kScale);
}

// The parent may end between the child's look at it and the start of the timer.
TEST_F(AllocationTest, ADeadlineThatIsSetWhileTheParentEndsFreesItsTimer) {
  constexpr int kRounds = 20'000 / kScale;
  const int64_t before = live;
  {
    std::optional<CancelScope> parent;
    std::atomic<int> round{-1};
    std::atomic<int> ended{-1};
    JoiningThread caller([&] {
      for (int i = 0; i < kRounds; ++i) {
        Await([&] { return round == i; });
        bool done = false;
        while (!done) {
          CancelScope child = WithTimeout(parent->context(), absl::Hours(1));
          done = child.context().done();
        }
        ended = i;
      }
    });
    for (int i = 0; i < kRounds; ++i) {
      parent = WithCancel(Context());
      round = i;
      for (std::atomic<int> spin{0}; spin < i % 300; ++spin) continue;
      parent->Cancel();
      Await([&] { return ended == i; });
    }
  }
  EXPECT_LT(live - before, 30);
}

TEST_F(AllocationTest, ADeadlineThatFiredFreesEverything) {
  const int64_t before = live;
  {
    std::vector<CancelScope> scopes;
    for (int i = 0; i < 1000; ++i) {
      scopes.push_back(WithTimeout(Context(), absl::Microseconds(10 * i)));
    }
    for (const CancelScope& scope : scopes) scope.context().AwaitDone();
  }
  // The timer lets go of its context last. Hangs if it does not.
  Await([before] { return live - before < 500; });
}

TEST_F(AllocationTest, AContextDoesNotGrowWithWithdrawnCallbacks) {
  CancelScope scope = WithCancel(Context());
  const int64_t before = live;
  for (int i = 0; i < 300'000 / kScale; ++i) {
    DoneCallback callback = scope.context().OnDone([] {});
  }
  EXPECT_LT(live - before, kSlack);
}

#ifdef __cpp_lib_jthread
TEST_F(AllocationTest, AContextDoesNotGrowWithTheTokensItGave) {
  CancelScope scope = WithCancel(Context());
  const int64_t before = live;
  for (int i = 0; i < 100'000 / kScale; ++i) {
    CancelScope other = WithStopToken(Context(), scope.context().stop_token());
  }
  EXPECT_LT(live - before, kSlack);
}
#endif

// So its cost is that of marking them, whatever their number.
TEST_F(AllocationTest, AnEndAllocatesNothingForTheContextsBelow) {
  CancelScope parent = WithCancel(Context());
  std::vector<CancelScope> children;
  for (int i = 0; i < 100'000 / kScale; ++i) {
    children.push_back(WithCancel(parent.context()));
  }
  const int64_t before = made;
  parent.Cancel();
  EXPECT_LT(made - before, 100);
}

}  // namespace
}  // namespace cohort
