// What a task costs that waits for its time, and that a group of many of them
// comes to an end.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cohort/schedgroup/group.h"
#include "gtest/gtest.h"

namespace {

// Bytes that were asked for. Counted here rather than asked of the allocator,
// since each sanitizer brings one of its own.
std::atomic<int64_t> allocated{0};

void* Allocate(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  allocated += static_cast<int64_t>(size);
  return memory;
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
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace cohort::schedgroup {
namespace {

#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr int kTasks = 100'000;
#else
constexpr int kTasks = 1'000'000;
#endif

constexpr absl::Duration kNever = absl::Hours(1);

class Counted {
 public:
  explicit Counted(std::atomic<int>& alive) : alive_(&alive) { ++alive; }
  Counted(Counted&& other) noexcept
      : alive_(std::exchange(other.alive_, nullptr)) {}
  ~Counted() {
    if (alive_ != nullptr) --*alive_;
  }
  void operator()() const { ADD_FAILURE() << "must not run"; }

 private:
  std::atomic<int>* alive_;
};

TEST(MemoryTest, AGroupIsDestroyedWithAMillionTasksToCome) {
  // Abseil's check of lock orders, on in debug builds, would be most of the
  // time that so many tasks take.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::atomic<int> alive = 0;
  {
    Group group;
    const int64_t before = allocated;
    for (int i = 0; i < kTasks; ++i) {
      group.Delay(kNever + absl::Microseconds(i * 7919LL % kTasks),
                  Counted(alive));
    }
    // One block, with the timer and the closure in it.
    EXPECT_LE((allocated - before) / kTasks, 192);
    EXPECT_EQ(alive, kTasks);
    EXPECT_EQ(group.stats().queued, kTasks);
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace cohort::schedgroup
