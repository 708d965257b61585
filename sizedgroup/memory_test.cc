// What a task costs that waits for a slot.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <new>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "cohort/executor/executor.h"
#include "cohort/group/types.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
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

namespace cohort::sizedgroup {
namespace {

using ::cohort::testing::Await;

#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr int64_t kTasks = 100'000;
#else
constexpr int64_t kTasks = 1'000'000;
#endif
constexpr int kSize = 10;

int Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

TEST(MemoryTest, AQueuedTaskCostsASmallClosureAndNoThread) {
  // Abseil's check of lock orders, on in debug builds, would be most of the
  // time that a million tasks take.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  absl::Notification release;
  std::atomic<int64_t> ran = 0;
  SizedGroup group(kSize);
  for (int i = 0; i < kSize; ++i) {
    group.Go([&] {
      BlockingScope blocking;
      release.WaitForNotification();
    });
  }
  Await([&] { return group.stats().running == kSize; });
  const int64_t before = allocated;
  for (int64_t i = 0; i < kTasks; ++i) {
    group.Go([&ran, i] { ran += i >= 0 ? 1 : 0; });
  }
  // The closure, an index, and what a list has for each element.
  EXPECT_LE((allocated - before) / kTasks, 64);
  EXPECT_EQ(group.stats().queued, kTasks);
#ifdef __linux__
  // Those that run, those that the executor keeps busy, its two of its own.
  EXPECT_LE(Threads(), kSize + sync::HardwareConcurrency() + 4);
#endif
  const int64_t queued = allocated;
  release.Notify();
  group.Wait();
  EXPECT_EQ(ran, kTasks);
  // Nor does a task cost more when its turn comes.
  EXPECT_LE((allocated - queued) / kTasks, 16);
}

}  // namespace
}  // namespace cohort::sizedgroup
