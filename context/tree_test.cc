// Large, deep and busy trees.

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "absl/status/status.h"
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

using ::cohort::testing::Caller;

const absl::Status kCause = absl::AbortedError("because");
constexpr int kMany = 100'000;

TEST(TreeTest, ADefaultContextAllocatesNothing) {
  const int64_t before = made;
  {
    Context context;
    Context copy = context;
    const Context shielded = WithoutCancel(copy);
    if (context.done() || !shielded.status().ok()) FAIL();
    DoneCallback none;
  }
  EXPECT_EQ(made, before);
}

TEST(TreeTest, AnEndReachesAHundredThousandChildren) {
  CancelScope parent = WithCancel(Context());
  std::vector<CancelScope> children;
  for (int i = 0; i < kMany; ++i) {
    children.push_back(WithCancel(parent.context()));
  }
  const int64_t before = made;
  parent.Cancel(kCause);
  // Nothing is allocated for a child: not in a list, not for a callback.
  EXPECT_LT(made - before, 100);
  for (const CancelScope& child : children) {
    ASSERT_EQ(child.context().cause(), kCause);
  }
}

// Recursion over this depth would overflow the stack many times.
TEST(TreeTest, AnEndReachesTheBottomOfADeepChain) {
  CancelScope root = WithCancel(Context());
  std::vector<CancelScope> chain;
  chain.push_back(WithCancel(root.context()));
  for (int i = 1; i < kMany; ++i) {
    chain.push_back(WithCancel(chain.back().context()));
  }
  root.Cancel(kCause);
  EXPECT_EQ(chain.back().context().cause(), kCause);
}

TEST(TreeTest, ADeepChainThatItsLastContextKeepsAliveIsDestroyed) {
  Context last;
  {
    std::vector<CancelScope> chain;
    chain.push_back(WithCancel(Context()));
    for (int i = 1; i < kMany; ++i) {
      chain.push_back(WithCancel(chain.back().context()));
    }
    last = chain.back().context();
  }
  EXPECT_TRUE(last.done());
  last = Context();
}

TEST(TreeTest, AParentDoesNotGrowWithItsFormerChildren) {
  CancelScope parent = WithCancel(Context());
  { CancelScope first = WithTimeout(parent.context(), absl::Hours(1)); }
  const int64_t before = live;
  for (int i = 0; i < 1'000'000; ++i) {
    CancelScope child = WithCancel(parent.context());
  }
  for (int i = 0; i < kMany; ++i) {
    CancelScope child = WithTimeout(parent.context(), absl::Hours(1));
  }
  // Some of Abseil's and the executor's own may have come meanwhile.
  EXPECT_LT(live - before, 1000);
}

TEST(TreeTest, AChildThatWasCancelledLeavesThoughItsContextLives) {
  CancelScope parent = WithCancel(Context());
  std::vector<Context> copies;
  for (int i = 0; i < 1000; ++i) {
    CancelScope child = WithCancel(parent.context());
    copies.push_back(child.context());
  }
  parent.Cancel(kCause);
  for (const Context& copy : copies) {
    ASSERT_TRUE(copy.done());
    ASSERT_NE(copy.cause(), kCause);
  }
}

TEST(TreeTest, ChildrenComeAndGoWhileTheParentEnds) {
  for (int round = 0; round < 200; ++round) {
    CancelScope parent = WithCancel(Context());
    {
      std::optional<Caller> callers[3];
      for (auto& caller : callers) {
        caller.emplace([&parent] {
          for (int i = 0; i < 20; ++i) {
            CancelScope child = WithCancel(parent.context());
            CancelScope grandchild =
                WithTimeout(child.context(), absl::Hours(1));
            if (parent.context().done()) {
              // Marked before anyone can see its parent done and make a
              // child, so a child made after that is done as well.
              CancelScope late = WithCancel(parent.context());
              EXPECT_TRUE(late.context().done());
            }
            if (i % 3 == 0) child.Cancel();
          }
        });
      }
      Caller canceller([&parent] { parent.Cancel(kCause); });
    }
    CancelScope late = WithCancel(parent.context());
    ASSERT_EQ(late.context().cause(), kCause);
  }
}

TEST(TreeTest, DeadlinesComeWhileTheParentEnds) {
  for (int round = 0; round < 300; ++round) {
    std::optional<CancelScope> parent(WithCancel(Context()));
    std::vector<CancelScope> children;
    for (int i = 0; i < 10; ++i) {
      children.push_back(
          WithTimeout(parent->context(), absl::Microseconds(20 * i)));
    }
    Caller canceller([&parent] { parent.reset(); });
    for (const CancelScope& child : children) child.context().AwaitDone();
  }
}

}  // namespace
}  // namespace cohort
