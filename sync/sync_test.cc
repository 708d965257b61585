#include <atomic>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::sync {
namespace {

#ifndef COHORT_SYNC_JITTERED
// Real mode puts nothing between the library and what it stands for.
static_assert(sizeof(Mutex) == sizeof(absl::Mutex));
static_assert(std::is_same_v<Atomic<int>, std::atomic<int>>);
static_assert(sizeof(CondVar) == sizeof(absl::CondVar));
#endif

TEST(SteadyTimeTest, AdditionSaturates) {
  const SteadyTime now = SteadyTime::Now();
  EXPECT_EQ(now + absl::InfiniteDuration(), SteadyTime::InfiniteFuture());
  EXPECT_EQ(SteadyTime::InfiniteFuture() + absl::Seconds(1),
            SteadyTime::InfiniteFuture());
  EXPECT_LT(now + -absl::InfiniteDuration(), now);
  EXPECT_EQ(SteadyTime::InfiniteFuture() - now, absl::InfiniteDuration());
  EXPECT_EQ((now + absl::Milliseconds(5)) - now, absl::Milliseconds(5));
}

TEST(SteadyTimeTest, AtFollowsTheWallClock) {
  EXPECT_EQ(SteadyTime::At(absl::InfiniteFuture()),
            SteadyTime::InfiniteFuture());
  EXPECT_LT(SteadyTime::At(absl::InfinitePast()), SteadyTime::Now());
  const SteadyTime before = SteadyTime::Now();
  EXPECT_GT(SteadyTime::At(Now() + absl::Hours(1)), before + absl::Minutes(59));
}

TEST(ThreadTest, JoinSeesWhatTheThreadDid) {
  int value = 0;
  absl::StatusOr<Thread> thread =
      Thread::Start({.name = "writer"}, [&value] { value = 7; });
  ASSERT_TRUE(thread.ok()) << thread.status();
  EXPECT_TRUE(thread->joinable());
  thread->Join();
  EXPECT_FALSE(thread->joinable());
  EXPECT_EQ(value, 7);
}

TEST(ThreadTest, MovesItsHandle) {
  absl::StatusOr<Thread> started = Thread::Start({}, [] {});
  ASSERT_TRUE(started.ok());
  Thread thread = std::move(*started);
  EXPECT_FALSE(started->joinable());
  ASSERT_TRUE(thread.joinable());
  thread.Join();
}

TEST(ThreadDeathTest, MisuseDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      { Thread thread = *Thread::Start({}, [] {}); },
      "destroyed without Join or Detach");
  EXPECT_DEATH(Thread().Join(), "Thread::Join: no thread");
}

TEST(ThreadLocalTest, IsPerThreadAndPerTag) {
  struct A;
  struct B;
  ThreadLocal<int, A>::Get() = 1;
  ThreadLocal<int, B>::Get() = 2;
  int seen = -1;
  absl::StatusOr<Thread> thread =
      Thread::Start({}, [&seen] { seen = ThreadLocal<int, A>::Get(); });
  ASSERT_TRUE(thread.ok());
  thread->Join();
  EXPECT_EQ(seen, 0);
  EXPECT_EQ((ThreadLocal<int, A>::Get()), 1);
  EXPECT_EQ((ThreadLocal<int, B>::Get()), 2);
}

#ifdef __linux__
TEST(ThreadProbeTest, TellsASleeperFromARunner) {
  Mutex mutex;
  CondVar changed;
  std::optional<ThreadProbe> probe;
  bool released = false;
  absl::StatusOr<Thread> thread = Thread::Start({}, [&] {
    MutexLock lock(&mutex);
    probe = ThreadProbe::OfCurrentThread();
    changed.SignalAll();
    while (!released) changed.Wait(&mutex);
  });
  ASSERT_TRUE(thread.ok());
  {
    MutexLock lock(&mutex);
    while (!probe.has_value()) changed.Wait(&mutex);
  }
  while (!probe->LooksBlocked()) Yield();
  EXPECT_FALSE(ThreadProbe::OfCurrentThread().LooksBlocked());
  {
    MutexLock lock(&mutex);
    released = true;
    changed.SignalAll();
  }
  thread->Join();
  EXPECT_FALSE(probe->LooksBlocked());
}
#endif

TEST(CondVarTest, WaitUntilReportsItsDeadline) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  // A wake-up may be spurious; only the deadline ends this for good.
  while (!never.WaitUntil(&mutex, SteadyTime::Now())) {
  }
  EXPECT_GE(HardwareConcurrency(), 1);
}

}  // namespace
}  // namespace cohort::sync
