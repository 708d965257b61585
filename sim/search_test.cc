#include "cohort/sim/search.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/sim/check.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cohort::sim {
namespace {

using cohort::testing::JoiningThread;
using ::testing::HasSubstr;

// What the search says of `body`, and what it shows.
Failure Found(absl::FunctionRef<void()> body, const Options& options = {}) {
  const Result result = Search(options, body);
  EXPECT_TRUE(result.failure.has_value());
  return result.failure.value_or(Failure{});
}

void TwoLocksInEitherOrder() {
  sync::Mutex a;
  sync::Mutex b;
  JoiningThread other([&] {
    sync::MutexLock lock_b(&b);
    sync::MutexLock lock_a(&a);
  });
  sync::MutexLock lock_a(&a);
  sync::MutexLock lock_b(&b);
}

TEST(VerdictTest, Deadlock) {
  const Failure failure = Found(TwoLocksInEitherOrder);
  EXPECT_EQ(failure.verdict, Verdict::kDeadlock);
  EXPECT_THAT(failure.message, HasSubstr("T0 'main' waits for mutex#1"));
  EXPECT_THAT(failure.message, HasSubstr("T1 waits for mutex#0"));
  EXPECT_THAT(failure.message, HasSubstr("held by T1 since search_test.cc"));
  EXPECT_EQ(failure.deviations, 2);
}

TEST(VerdictTest, ALockTakenTwiceIsADeadlock) {
  const Failure failure = Found([]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    sync::Mutex mutex;
    sync::MutexLock outer(&mutex);
    sync::MutexLock inner(&mutex);
  });
  EXPECT_EQ(failure.verdict, Verdict::kDeadlock);
  EXPECT_THAT(failure.message, HasSubstr("held by itself"));
  EXPECT_EQ(failure.deviations, 0);
}

// The flag is set and signalled without the mutex, between the waiter's look at
// it and its wait.
void SignalWithoutTheMutex() {
  sync::Mutex mutex;
  sync::CondVar changed;
  sync::Atomic<bool> flag = false;
  JoiningThread waiter([&] {
    sync::MutexLock lock(&mutex);
    while (!flag.load()) changed.Wait(&mutex);
  });
  flag.store(true);
  changed.Signal();
}

TEST(VerdictTest, LostWakeUp) {
  const Failure failure =
      Found(SignalWithoutTheMutex, {.spurious_wake_ups = 0});
  EXPECT_EQ(failure.verdict, Verdict::kLostWakeUp);
  EXPECT_THAT(failure.message,
              HasSubstr("last signalled before it waited, by T0"));
  EXPECT_THAT(failure.picture, HasSubstr("nobody waits"));
}

TEST(VerdictTest, ADaemonThatTicksHidesNoDeadlock) {
  const Failure failure = Found([] {
    sync::Mutex mutex;
    sync::CondVar never;
    sync::CondVar tick;
    JoiningThread monitor([&] {
      sync::MutexLock lock(&mutex);
      while (true) {
        tick.WaitUntil(&mutex, sync::SteadyTime::Now() + absl::Milliseconds(1),
                       sync::WaitKind::kDaemon);
      }
    });
    sync::MutexLock lock(&mutex);
    while (true) never.Wait(&mutex);
  });
  EXPECT_EQ(failure.verdict, Verdict::kDeadlock);
}

TEST(VerdictTest, Livelock) {
  const Failure failure = Found([] {
    sync::Atomic<bool> never = false;
    while (!never.load()) sync::Yield();
  });
  EXPECT_EQ(failure.verdict, Verdict::kLivelock);
}

TEST(VerdictTest, AThreadThatOutlivesTheBodyIsALeak) {
  struct State {
    sync::Mutex mutex;
    sync::CondVar never;
  };
  const Failure failure = Found([] {
    auto* const state = new State;  // which its thread needs for ever
    sync::Thread thread = *sync::Thread::Start({.name = "stray"}, [state] {
      sync::MutexLock lock(&state->mutex);
      while (true) state->never.Wait(&state->mutex);
    });
    thread.Detach();
  });
  EXPECT_EQ(failure.verdict, Verdict::kLeak);
  EXPECT_THAT(failure.message, HasSubstr("T1 'stray' waits for condvar#0"));
}

TEST(VerdictTest, Race) {
  const Failure failure = Found([] {
    sync::RaceChecked<int> number;
    JoiningThread other([&] { ++number.Write(); });
    ++number.Write();
  });
  EXPECT_EQ(failure.verdict, Verdict::kRace);
}

TEST(VerdictTest, WhatIsOrderedIsNoRace) {
  // By a mutex, by release and acquire, by start and join.
  const Result result = Search({}, [] {
    sync::Mutex mutex;
    sync::RaceChecked<int> guarded;
    sync::RaceChecked<int> published;
    sync::RaceChecked<int> handed_over(1);
    sync::Atomic<bool> ready = false;
    {
      JoiningThread other([&] {
        handed_over.Write() = 2;
        published.Write() = 1;
        ready.store(true, sync::kRelease);
        sync::MutexLock lock(&mutex);
        ++guarded.Write();
      });
      if (ready.load(sync::kAcquire)) Check(published.Read() == 1, "published");
      sync::MutexLock lock(&mutex);
      ++guarded.Write();
    }
    Check(handed_over.Read() == 2, "joined");
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

TEST(VerdictTest, ARelaxedStorePublishesNothing) {
  const Failure failure = Found([] {
    sync::RaceChecked<int> published;
    sync::Atomic<bool> ready = false;
    JoiningThread other([&] {
      published.Write() = 1;
      ready.store(true, sync::kRelaxed);
    });
    if (ready.load(sync::kAcquire)) (void)published.Read();
  });
  EXPECT_EQ(failure.verdict, Verdict::kRace);
}

TEST(VerdictTest, UseAfterDestruction) {
  const Failure failure = Found([] {
    std::optional<sync::Atomic<int>> number(std::in_place, 0);
    JoiningThread other([&] { number->store(1); });
    number.reset();
  });
  EXPECT_EQ(failure.verdict, Verdict::kUseAfterDestruction);
}

TEST(VerdictTest, AMutexDestroyedWhileItIsHeld) {
  const Failure failure = Found([] {
    std::optional<sync::Mutex> mutex(std::in_place);
    JoiningThread other([&] {
      mutex->Lock();
      mutex->Unlock();
    });
    mutex.reset();
  });
  EXPECT_EQ(failure.verdict, Verdict::kUseAfterDestruction);
}

TEST(VerdictTest, UnlockingWhatAnotherThreadHolds) {
  const Failure failure = Found([] {
    sync::Mutex mutex;
    mutex.Lock();
    JoiningThread([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      mutex.Unlock();
    }).Join();
    mutex.Unlock();
  });
  EXPECT_EQ(failure.verdict, Verdict::kMisuse);
  EXPECT_THAT(failure.message, HasSubstr("which it does not hold"));
}

#ifdef ABSL_HAVE_EXCEPTIONS
TEST(VerdictTest, AnExceptionThatEscapes) {
  const Failure failure = Found(
      [] { JoiningThread thrower([] { throw std::runtime_error("oops"); }); });
  EXPECT_EQ(failure.verdict, Verdict::kException);
  EXPECT_THAT(failure.message, HasSubstr("oops"));
}

// What the run time knows of a thread's exceptions is the thread's own.
TEST(VerdictTest, AHandlerKeepsItsExceptionAcrossSwitches) {
  const Result result = Search({}, [] {
    const auto thrower = [](const std::string& what) {
      try {
        throw std::runtime_error(what);
      } catch (const std::exception& error) {
        sync::Yield();
        Check(error.what() == what, "the exception that was caught");
        try {
          throw std::logic_error("inner");
        } catch (...) {
          sync::Yield();
        }
        Check(std::uncaught_exceptions() == 0, "nothing is being unwound");
        sync::Yield();
        Check(error.what() == what, "the exception that was caught, again");
      }
    };
    JoiningThread a([&] { thrower("a long message of the first thread"); });
    JoiningThread b([&] { thrower("a long message of the second thread"); });
    thrower("a long message of the body itself");
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}
#endif

TEST(VerdictTest, AFailedCheckOfTheCodeUnderTestIsACrash) {
  const Failure failure = Found([] {
    sync::Atomic<int> number = 0;
    JoiningThread other([&] { number = 1; });
    ABSL_CHECK_EQ(number.load(), 0);
  });
  EXPECT_EQ(failure.verdict, Verdict::kCrash);
}

TEST(VerdictTest, ABodyThatDependsOnSomethingElse) {
  int runs = 0;
  const Failure failure = Found([&runs] {
    sync::Atomic<int> number = 0;
    JoiningThread other([&] { number = 1; });
    if (++runs % 2 == 0) number = 2;
  });
  EXPECT_EQ(failure.verdict, Verdict::kNondeterminism);
}

TEST(VerdictTest, ABodyThatDependsOnTheOrderOfAHashTable) {
  std::vector<absl::flat_hash_set<int>> kept;  // each elsewhere in memory
  const Failure failure = Found([&kept] {
    sync::Atomic<int> number = 0;
    JoiningThread other([&] { number = 1; });
    for (const int i : kept.emplace_back(absl::flat_hash_set<int>{
             1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})) {
      if (i == 1) break;
      number = i;
    }
  });
  EXPECT_EQ(failure.verdict, Verdict::kNondeterminism);
}

// What waits for ever is ended all the same, and says where it waits.
class WatchdogDeathTest : public ::testing::Test {
 protected:
  WatchdogDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

ABSL_ATTRIBUTE_NOINLINE void WaitForTheRealWorld() {
  int ends[2];
  ABSL_CHECK_EQ(pipe(ends), 0);
  char byte;
  ABSL_CHECK_EQ(read(ends[0], &byte, 1), 1);
}

TEST_F(WatchdogDeathTest, ASystemCallThatBlocks) {
  EXPECT_DEATH((void)Search({},
                            [] {
                              sync::Mutex mutex;
                              JoiningThread other([&] {
                                sync::MutexLock lock(&mutex);
                                WaitForTheRealWorld();
                              });
                            }),
               "T1 has made no step for 2 seconds: it waits(.|\n)*"
               "last step: lock, at search_test.cc(.|\n)*"
               "WaitForTheRealWorld");
}

TEST_F(WatchdogDeathTest, ASleepOfARealThread) {
  EXPECT_DEATH(
      (void)Search({},
                   [] {
                     while (true) {
                       std::this_thread::sleep_for(std::chrono::hours(1));
                     }
                   }),
      "T0 'main' has made no step for 2 seconds: it waits");
}

TEST_F(WatchdogDeathTest, ALockThatIsNotSimulated) {
  EXPECT_DEATH((void)Search({},
                            [] {
                              std::mutex mutex;
                              std::lock_guard<std::mutex> lock(mutex);
                              JoiningThread other([&] {
                                std::lock_guard<std::mutex> again(mutex);
                              });
                            }),
               "T1 has made no step for 2 seconds: it waits");
}

int Deep(int n) {
  volatile char large[4096];
  large[0] = static_cast<char>(n);
  return n == 0 ? 0 : Deep(n - 1) + large[0];
}

TEST_F(WatchdogDeathTest, AStackThatOverflows) {
  EXPECT_DEATH(
      (void)Search({}, [] { JoiningThread deep([] { Deep(1'000'000); }); }),
      "raise stack_size");
}

TEST(StackTest, MayBeLarger) {
  const Result result = Search({.schedules = 3, .stack_size = 16 << 20},
                               [] { JoiningThread deep([] { Deep(1'000); }); });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

TEST(TimeTest, IsVirtualAndExact) {
  const Result result = Search({}, [] {
    const sync::SteadyTime start = sync::SteadyTime::Now();
    const absl::Time wall = sync::Now();
    sync::SleepFor(absl::Hours(1));
    Check(sync::SteadyTime::Now() == start + absl::Hours(1), "an hour");
    Check(sync::Now() == wall + absl::Hours(1), "an hour on the wall");
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

TEST(TimeTest, TheWallClockMayBeSet) {
  const auto body = [] {
    const absl::Time wall = sync::Now();
    const sync::SteadyTime steady = sync::SteadyTime::Now();
    sync::ShiftWallClock(-absl::Hours(1));
    sync::ShiftWallClock(-absl::Hours(1));
    Check(sync::Now() == wall - absl::Hours(2), "it is set");
    sync::SleepFor(absl::Hours(1));
    Check(sync::Now() == wall - absl::Hours(1), "and goes on");
    Check(sync::SteadyTime::Now() == steady + absl::Hours(1), "not the other");
  };
  // Each run has a clock of its own.
  const Result result = Search({.schedules = 10}, [&body] {
    Check(sync::Now() == absl::FromUnixSeconds(1'000'000'000), "as ever");
    body();
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

// A timeout that comes before what was to be done in no time.
void TimeoutAgainstCompletion() {
  sync::Mutex mutex;
  sync::CondVar changed;
  bool ready = false;
  JoiningThread other([&] {
    sync::MutexLock lock(&mutex);
    ready = true;
    changed.Signal();
  });
  sync::MutexLock lock(&mutex);
  const sync::SteadyTime deadline = sync::SteadyTime::Now() + absl::Seconds(1);
  bool expired = false;
  while (!ready && !expired) expired = changed.WaitUntil(&mutex, deadline);
  Check(ready, "in time");
}

TEST(TimeTest, ATimerMayComeFirst) {
  EXPECT_EQ(Found(TimeoutAgainstCompletion).verdict, Verdict::kAssertion);
}

TEST(TimeTest, UnlessTimePassesOnlyWhenNothingCanRun) {
  const Result result =
      Search({.time = Time::kQuiescent}, TimeoutAgainstCompletion);
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

// Dekker's: with release and acquire both may read 0.
template <std::memory_order kLoad, std::memory_order kStore>
void StoreBuffering() {
  sync::Atomic<int> x = 0;
  sync::Atomic<int> y = 0;
  int seen_y = -1;
  int seen_x = -1;
  {
    JoiningThread other([&] {
      x.store(1, kStore);
      seen_y = y.load(kLoad);
    });
    y.store(1, kStore);
    seen_x = x.load(kLoad);
  }
  Check(seen_x == 1 || seen_y == 1, "one sees the other");
}

TEST(MemoryTest, AcquireAndReleaseAreNotSequentiallyConsistent) {
  EXPECT_EQ(Found(StoreBuffering<sync::kAcquire, sync::kRelease>).verdict,
            Verdict::kAssertion);
}

TEST(MemoryTest, SequentialConsistency) {
  const Result result =
      Search({.strategy = Strategy::DepthFirst(), .spurious_wake_ups = 0},
             StoreBuffering<sync::kSeqCst, sync::kSeqCst>);
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
  EXPECT_TRUE(result.complete);
}

TEST(MemoryTest, WithoutStaleLoadsNothingIsSeenOfIt) {
  const Result result = Search({.stale_loads = false},
                               StoreBuffering<sync::kAcquire, sync::kRelease>);
  EXPECT_FALSE(result.failure.has_value());
}

TEST(MemoryTest, AnAtomicNeverGoesBack) {
  const Result result = Search({.schedules = 5'000}, [] {
    sync::Atomic<int> number = 0;
    JoiningThread writer([&] {
      for (int i = 1; i <= 3; ++i) number.store(i, sync::kRelaxed);
    });
    int before = 0;
    for (int i = 0; i < 3; ++i) {
      const int now = number.load(sync::kRelaxed);
      Check(now >= before, "coherence");
      before = now;
    }
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

// Two threads, one after the other, see no older value the second time.
TEST(MemoryTest, WhatOneHasReadIsTheLeastThatTheNextOneReads) {
  const Result result = Search({.schedules = 20'000}, [] {
    sync::Atomic<int> number = 0;
    sync::Atomic<bool> seen = false;
    JoiningThread writer([&] { number.store(1, sync::kRelaxed); });
    JoiningThread reader([&] {
      if (number.load(sync::kRelaxed) == 1) seen.store(true, sync::kRelease);
      (void)number.load(sync::kRelaxed);
    });
    if (seen.load(sync::kAcquire)) {
      Check(number.load(sync::kRelaxed) == 1, "read-read coherence");
    }
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

TEST(MemoryTest, AnUpdateContinuesAReleaseSequence) {
  const Result result = Search({.schedules = 5'000}, [] {
    sync::RaceChecked<int> data;
    sync::Atomic<int> number = 0;
    JoiningThread writer([&] {
      data.Write() = 1;
      number.store(1, sync::kRelease);
    });
    JoiningThread updater([&] { number.fetch_add(1, sync::kRelaxed); });
    if (number.load(sync::kAcquire) == 2) (void)data.Read();
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

// `if` where there should be a `while`.
void WaitsOnce() {
  sync::Mutex mutex;
  sync::CondVar changed;
  bool ready = false;
  JoiningThread other([&] {
    sync::MutexLock lock(&mutex);
    ready = true;
    changed.Signal();
  });
  sync::MutexLock lock(&mutex);
  if (!ready) changed.Wait(&mutex);
  Check(ready, "ready");
}

TEST(SpuriousWakeUpTest, HappenAndCanBeSwitchedOff) {
  EXPECT_EQ(Found(WaitsOnce).verdict, Verdict::kAssertion);
  EXPECT_FALSE(Search({.spurious_wake_ups = 0}, WaitsOnce).failure);
}

TEST(RefusalTest, IsAChoiceThatCanBeSwitchedOn) {
  const auto starts = [](int expected) {
    return [expected] {
      int refused = 0;
      for (int i = 0; i < 3; ++i) {
        absl::StatusOr<sync::Thread> thread = sync::Thread::Start({}, [] {});
        if (thread.ok()) {
          thread->Join();
        } else {
          Check(absl::IsResourceExhausted(thread.status()), "as a real one");
          ++refused;
        }
      }
      Check(refused <= expected, "refused");
    };
  };
  EXPECT_FALSE(Search({}, starts(0)).failure);
  EXPECT_FALSE(Search({.refused_starts = 2}, starts(2)).failure);
  const Options options = {.refused_starts = 2};
  const Failure failure = Found(starts(1), options);
  EXPECT_EQ(failure.verdict, Verdict::kAssertion);
  EXPECT_EQ(failure.deviations, 2);
  EXPECT_THAT(failure.picture, HasSubstr("refused"));
}

TEST(ReplayTest, IsExact) {
  const Failure failure = Found(TwoLocksInEitherOrder);
  const Failure again =
      Found(TwoLocksInEitherOrder,
            {.strategy = Strategy::Replay(failure.replay), .shrink = false});
  EXPECT_EQ(again.verdict, failure.verdict);
  EXPECT_EQ(again.picture, failure.picture);
  EXPECT_EQ(again.replay, failure.replay);
}

TEST(ReplayTest, SaysThatItDoesNotFit) {
  const Failure failure = Found(TwoLocksInEitherOrder);
  const Failure unfit =
      Found([] {}, {.strategy = Strategy::Replay(failure.replay)});
  EXPECT_EQ(unfit.verdict, Verdict::kUnfit);
}

// One of each kind of choice: a thread, a value, the clock.
TEST(ReplayTest, EveryFailureOfManySeedsIsFoundAgain) {
  const auto body = [] {
    sync::Atomic<int> a = 0;
    sync::Atomic<int> b = 0;
    JoiningThread other([&] {
      a.store(1, sync::kRelaxed);
      b.store(1, sync::kRelaxed);
      sync::SleepFor(absl::Seconds(1));
      a.store(2, sync::kRelaxed);
    });
    const int seen_b = b.load(sync::kRelaxed);
    const int seen_a = a.load(sync::kRelaxed);
    Check(!(seen_b == 1 && seen_a == 0) && seen_a != 2, "neither");
  };
  std::set<std::string> schedules;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Failure failure = Found(body, {.seed = seed});
    schedules.insert(failure.replay);
    EXPECT_EQ(
        Found(body, {.strategy = Strategy::Replay(failure.replay)}).verdict,
        failure.verdict)
        << failure.replay;
  }
  EXPECT_GE(schedules.size(), 2);
}

// What ThreadSanitizer sees of plain memory, and that a long search needs no
// more memory than a short one.
template <bool kLocked>
void TwoIncrements() {
  sync::Mutex mutex;
  int number = 0;
  const auto increment = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (kLocked) mutex.Lock();
    ++number;
    if (kLocked) mutex.Unlock();
  };
  JoiningThread other(increment);
  increment();
  other.Join();
  Check(number == 2, "both");
}

#ifdef ABSL_HAVE_THREAD_SANITIZER
TEST(PlainMemoryDeathTest, ARaceIsSeen) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        (void)Search({.schedules = 100}, TwoIncrements</*kLocked=*/false>);
        std::exit(0);
      },
      ::testing::ExitedWithCode(66), "data race");
}
#endif

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(PlainMemoryTest, ALongSearchIsSilentAndDoesNotGrow) {
  int64_t runs = 0;
  int64_t resident = 0;
  const Result result = Search({.schedules = 100'000}, [&] {
    if (++runs == 20'000) resident = ResidentBytes();
    TwoIncrements</*kLocked=*/true>();
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
  EXPECT_GT(resident, 0);
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  constexpr int64_t kFreed = 256 << 20;  // which it keeps for a while
#else
  constexpr int64_t kFreed = 0;
#endif
  EXPECT_LT(ResidentBytes() - resident, kFreed + (16 << 20));
}

TEST(ScriptTest, StopsAThreadAtAPoint) {
  const auto body = [] {
    sync::Atomic<int> tickets = 1;
    sync::Atomic<int> taken = 0;
    const auto take = [&] {
      if (tickets.load() > 0) {
        sync::SchedulePoint("checked");
        --tickets;
        ++taken;
      }
    };
    JoiningThread a(take);
    JoiningThread b(take);
    a.Join();
    b.Join();
    Check(taken.load() == 1, "one ticket, one taker");
  };
  const Failure failure =
      Found(body, {.strategy = Strategy::Script(
                       {{0, ""}, {1, "checked"}, {2, ""}, {1, ""}})});
  EXPECT_EQ(failure.verdict, Verdict::kAssertion);
  EXPECT_FALSE(
      Search({.strategy = Strategy::Script({{0, ""}, {1, ""}})}, body).failure);
  EXPECT_EQ(Found(body, {.strategy =
                             Strategy::Script({{0, ""}, {1, "no such place"}})})
                .verdict,
            Verdict::kUnfit);
}

TEST(SeedTest, NeighboursHaveNothingInCommon) {
  const auto schedules_of = [](uint64_t seed) {
    std::vector<std::string> orders;
    (void)Search(
        {.strategy = Strategy::RandomWalk(), .schedules = 20, .seed = seed},
        [&] {
          sync::Mutex mutex;
          std::string order;
          const auto append = [&](char letter) {
            for (int i = 0; i < 10; ++i) {
              sync::MutexLock lock(&mutex);
              order += letter;
            }
          };
          {
            JoiningThread a([&] { append('a'); });
            append('b');
          }
          orders.push_back(order);
        });
    return std::set<std::string>(orders.begin(), orders.end());
  };
  const std::set<std::string> first = schedules_of(1);
  EXPECT_GE(first.size(), 15);
  int common = 0;
  for (const std::string& order : schedules_of(2))
    common += first.contains(order);
  EXPECT_LE(common, 2);
  EXPECT_EQ(schedules_of(1), first);
}

TEST(ThreadLocalTest, IsOfASimulatedThread) {
  struct Tag;
  struct Counted {
    ~Counted() {
      if (destroyed != nullptr) ++*destroyed;
    }
    int value = 0;
    sync::Atomic<int>* destroyed = nullptr;
  };
  const Result result = Search({.schedules = 500}, [] {
    using Local = sync::ThreadLocal<Counted, Tag>;
    sync::Atomic<int> destroyed = 0;
    {
      const auto count = [&] {
        Local::Get().destroyed = &destroyed;
        for (int i = 0; i < 3; ++i) {
          ++Local::Get().value;
          sync::Yield();
        }
        Check(Local::Get().value == 3, "its own");
      };
      JoiningThread a(count);
      JoiningThread b(count);
    }
    Check(destroyed.load() == 2, "destroyed at the ends of their threads");
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

struct MadeOnce {
  MadeOnce() { value.Write() = 1; }
  sync::RaceChecked<int> value;
};
MadeOnce* Make() { return new MadeOnce; }

TEST(ProcessWideTest, IsMadeBeforeAnybodyUsesIt) {
  const Result result = Search({.schedules = 500}, [] {
    const auto use = [] {
      Check(sync::ProcessWide<Make>().value.Read() == 1, "made");
    };
    JoiningThread other(use);
    use();
  });
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

TEST(PictureTest, IsAPageOfItsOwn) {
  const Failure failure = Found(TwoLocksInEitherOrder);
  EXPECT_TRUE(absl::StartsWith(failure.html, "<!DOCTYPE html>"));
  EXPECT_THAT(failure.html, HasSubstr("lock mutex1"));
  EXPECT_THAT(failure.html, Not(HasSubstr("http")));
}

// Where a run fails, its threads stand in the middle of their frames. Nothing
// of them is unwound, and their stacks serve the next run.
TEST(AbandonedTest, FramesAreLeftAndTheirStacksUsedAgain) {
  struct Guard {
    ~Guard() { ++*count; }
    int* count;
  };
  // Under AddressSanitizer, with red zones all over the stack.
  struct Waiter {
    void Descend(int depth) {
      const Guard guard{&unwound};
      char frame[16];
      std::fill(std::begin(frame), std::end(frame), 'x');
      if (depth > 0) return Descend(depth - 1);
      while (!never.load() && frame[15] == 'x') sync::Yield();
    }
    int& unwound;
    sync::Atomic<bool> never = false;
  };
  for (int i = 0; i < 50; ++i) {
    int unwound = 0;
    const Result failed = Search({.schedules = 1, .shrink = false}, [&unwound] {
      Waiter waiter{unwound};
      JoiningThread one([&waiter] { waiter.Descend(50); });
      JoiningThread two([&waiter] { waiter.Descend(50); });
      sync::Yield();
      Check(false, "fails");
    });
    ASSERT_TRUE(failed.failure.has_value());
    EXPECT_EQ(failed.failure->verdict, Verdict::kAssertion);
    EXPECT_EQ(unwound, 0);
    const Result passed = Search({.schedules = 5}, [] {
      // Through code that is not instrumented, and so does not clear its part
      // of the stack.
      const auto print = [] {
        std::ostringstream text;
        text << 1234.5 << 1e300;
        Check(text.str() == "1234.51e+300", "what was printed");
      };
      JoiningThread one(print);
      JoiningThread two(print);
      print();
    });
    ASSERT_FALSE(passed.failure.has_value()) << Report(*passed.failure);
  }
}

TEST(BytesTest, AreTheSchedule) {
  // From the front: go on or not; from the back: the program.
  bool two = false;
  const auto body = [&](ByteStream& program) {
    if (program.Next() == 2) {
      two = true;
      TwoLocksInEitherOrder();
    }
  };
  EXPECT_FALSE(SearchBytes({}, std::vector<uint8_t>{}, body).failure);
  EXPECT_FALSE(SearchBytes({}, std::vector<uint8_t>{0, 0, 2}, body).failure);
  EXPECT_TRUE(two);
  int found = 0;
  for (int tail = 1; tail < 256; ++tail) {
    const std::vector<uint8_t> bytes = {0, static_cast<uint8_t>(tail), 2};
    const Result result = SearchBytes({}, bytes, body);
    if (result.failure.has_value()) ++found;
  }
  EXPECT_GE(found, 5);
  EXPECT_LE(found, 250);
}

TEST(BytesTest, AreAStrategyLikeOthers) {
  int found = 0;
  for (int tail = 0; tail < 256; ++tail) {
    const std::vector<uint8_t> bytes = {0, static_cast<uint8_t>(tail)};
    const Result fuzzed =
        SearchBytes({}, bytes, [](ByteStream&) { TwoLocksInEitherOrder(); });
    const Result result =
        Search({.strategy = Strategy::Bytes(bytes)}, TwoLocksInEitherOrder);
    ASSERT_EQ(result.failure.has_value(), fuzzed.failure.has_value());
    if (!result.failure.has_value()) continue;
    EXPECT_EQ(result.failure->replay, fuzzed.failure->replay);
    ++found;
  }
  EXPECT_GE(found, 5);
}

}  // namespace
}  // namespace cohort::sim
