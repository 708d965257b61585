// What the strategies cover, and that nothing is lost by sleep sets.

#include "cohort/sim/strategies.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cohort/kernel/kernel.h"
#include "cohort/sim/check.h"
#include "cohort/sim/random_numbers.h"
#include "cohort/sim/schedule.h"
#include "cohort/sim/search.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::sim {
namespace {

using cohort::testing::JoiningThread;
using kernel::Kernel;
using kernel::KernelOptions;
using kernel::RunReport;

uint64_t Hash(uint64_t a, uint64_t b) { return Random(a * 31 + b).Next(); }

// Sums up which steps of a run came after which: two runs that differ only in
// the order of independent steps have the same sum.
class ClassOf : public kernel::Scheduler {
 public:
  explicit ClassOf(Scheduler& scheduler) : scheduler_(scheduler) {}

  uint64_t sum() const { return sum_; }

  void Begin() override {
    sum_ = 0;
    steps_.clear();
    objects_.clear();
    scheduler_.Begin();
  }
  void Started(int thread, int parent) override {
    scheduler_.Started(thread, parent);
  }
  int PickThread(const View& view) override {
    const int thread = scheduler_.PickThread(view);
    const PendingOp& op = view.pending[thread];
    uint64_t step = Hash(Hash(static_cast<uint64_t>(thread), ++steps_[thread]),
                         static_cast<uint64_t>(op.kind));
    uint64_t before = 0;
    for (const uint32_t id : op.objects) {
      if (id == 0) continue;
      Object& object = objects_[id];
      before += Hash(object.written, op.read ? 0 : object.read_since);
    }
    step = Hash(step, before);
    for (const uint32_t id : op.objects) {
      if (id == 0) continue;
      Object& object = objects_[id];
      if (op.read) {
        object.read_since += step;
      } else {
        object = {.written = step};
      }
    }
    sum_ += step;
    return thread;
  }
  int Choose(ChoiceKind kind, int n, int thread, const PendingOp& op) override {
    const int choice = scheduler_.Choose(kind, n, thread, op);
    sum_ += Hash(Hash(static_cast<uint64_t>(thread), steps_[thread]),
                 static_cast<uint64_t>(choice) + 1'000);
    return choice;
  }

 private:
  struct Object {
    uint64_t written = 0;
    uint64_t read_since = 0;
  };

  Scheduler& scheduler_;
  uint64_t sum_ = 0;
  absl::flat_hash_map<int, uint64_t> steps_;
  absl::flat_hash_map<uint32_t, Object> objects_;
};

struct Classes {
  std::map<uint64_t, int> seen;  // how often each
  int64_t runs = 0;
  bool complete = false;
};

Classes Enumerate(Searcher& searcher, const KernelOptions& options,
                  int64_t limit, absl::FunctionRef<void()> body) {
  Classes classes;
  Kernel kernel(options);
  ClassOf strategy(searcher);
  while (classes.runs < limit) {
    if (!searcher.Next()) {
      classes.complete = true;
      break;
    }
    ++classes.runs;
    const RunReport report = kernel.Run(strategy, body);
    // What ends early has no order of steps to compare.
    EXPECT_EQ(report.verdict, Verdict::kNone) << report.message;
    if (!searcher.redundant()) ++classes.seen[strategy.sum()];
  }
  return classes;
}

// A small body, made of whatever the seed says, that ends on every schedule.
class SmallBody {
 public:
  explicit SmallBody(uint64_t seed) {
    Random random(seed);
    threads_.resize(static_cast<size_t>(2 + random.Below(2)));
    for (std::vector<int>& steps : threads_) {
      steps.resize(
          static_cast<size_t>(1 + random.Below(threads_.size() == 2 ? 3 : 2)));
      for (int& step : steps) step = random.Below(kSteps);
    }
  }

  // The steps of each thread.
  std::string Text() const {
    std::string text;
    for (const std::vector<int>& steps : threads_) {
      absl::StrAppend(&text, " [", absl::StrJoin(steps, " "), "]");
    }
    return text;
  }

  void operator()() const {
    sync::Mutex mutex;
    sync::CondVar changed;
    sync::Atomic<int> x = 0;
    sync::Atomic<int> y = 0;
    bool flag = false;
    const auto run = [&](const std::vector<int>& steps) {
      for (const int step : steps) {
        switch (step) {
          case 0: {
            sync::MutexLock lock(&mutex);
            flag = !flag;
            break;
          }
          case 1:
            x.store(1, sync::kRelease);
            break;
          case 2:
            (void)x.load(sync::kAcquire);
            break;
          case 3:
            y.fetch_add(1, sync::kAcqRel);
            break;
          case 4:
            (void)y.load(sync::kRelaxed);
            break;
          case 5: {
            sync::MutexLock lock(&mutex);
            (void)changed.WaitUntil(&mutex,
                                    sync::SteadyTime::Now() + absl::Seconds(1));
            break;
          }
          case 6:
            changed.Signal();
            break;
          case 7:
            sync::SleepFor(absl::Seconds(1));
            break;
          default:
            if (mutex.TryLock()) mutex.Unlock();
        }
      }
    };
    std::vector<std::unique_ptr<JoiningThread>> callers;
    for (size_t i = 1; i < threads_.size(); ++i) {
      callers.push_back(
          std::make_unique<JoiningThread>([&, i] { run(threads_[i]); }));
    }
    run(threads_[0]);
    callers.clear();
  }

 private:
  static constexpr int kSteps = 9;
  std::vector<std::vector<int>> threads_;
};

TEST(DepthFirstTest, SleepSetsLoseNoClassOfSchedules) {
  const KernelOptions options = {.spurious_wake_ups = 0};
  int compared = 0;
  int64_t plain_runs = 0;
  int64_t sleep_set_runs = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const SmallBody body(seed);
    DepthFirst all(/*sleep_sets=*/false, DepthFirst::kUnbounded);
    const Classes plain = Enumerate(all, options, 20'000, body);
    if (!plain.complete) continue;  // too large to know
    DepthFirst reduced(/*sleep_sets=*/true, DepthFirst::kUnbounded);
    const Classes sleep_sets = Enumerate(reduced, options, 20'000, body);
    ASSERT_TRUE(sleep_sets.complete) << seed;
    std::set<uint64_t> expected;
    for (const auto& [sum, times] : plain.seen) expected.insert(sum);
    std::set<uint64_t> actual;
    for (const auto& [sum, times] : sleep_sets.seen) {
      actual.insert(sum);
      EXPECT_EQ(times, 1) << seed;
    }
    EXPECT_EQ(actual, expected)
        << "of the body of seed " << seed << body.Text();
    ++compared;
    plain_runs += plain.runs;
    sleep_set_runs += sleep_sets.runs;
  }
  EXPECT_GE(compared, 40);
  EXPECT_LT(sleep_set_runs * 2, plain_runs);
}

TEST(DepthFirstTest, APreemptionBoundIsASubset) {
  const KernelOptions options = {.spurious_wake_ups = 0};
  const auto body = [] {
    sync::Atomic<int> x = 0;
    JoiningThread other([&] {
      for (int i = 0; i < 3; ++i) ++x;
    });
    for (int i = 0; i < 3; ++i) ++x;
  };
  size_t before = 0;
  for (const int bound : {0, 1, 2, 3}) {
    DepthFirst search(/*sleep_sets=*/false, bound);
    const Classes classes = Enumerate(search, options, 100'000, body);
    EXPECT_TRUE(classes.complete);
    EXPECT_GT(classes.seen.size(), before);
    before = classes.seen.size();
  }
  DepthFirst search(/*sleep_sets=*/false, DepthFirst::kUnbounded);
  EXPECT_GE(Enumerate(search, options, 100'000, body).seen.size(), before);
}

// Whoever waits for somebody else in a loop lets him get on, and so does a
// clock whose daemon sets it again and again.
TEST(FairnessTest, NobodyIsKeptOutForEver) {
  const auto spin_for_a_sleeper = [] {
    sync::Atomic<bool> stop = false;
    JoiningThread sleeper([&] {
      sync::SleepFor(absl::Milliseconds(1));
      stop.store(true);
    });
    while (!stop.load()) sync::Yield();
  };
  const auto poll_for_a_thread = [] {
    sync::Atomic<bool> stop = false;
    JoiningThread other([&] { stop.store(true); });
    while (!stop.load()) sync::SleepFor(absl::Milliseconds(1));
  };
  const auto two_spin_for_a_third = [] {
    sync::Atomic<bool> stop = false;
    const auto spin = [&] {
      while (!stop.load()) sync::Yield();
    };
    JoiningThread a(spin);
    JoiningThread b(spin);
    stop.store(true);
  };
  const auto stop_a_ticking_daemon = [] {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool stop = false;
    JoiningThread daemon([&] {
      sync::MutexLock lock(&mutex);
      while (!stop) {
        changed.WaitUntil(&mutex,
                          sync::SteadyTime::Now() + absl::Milliseconds(1),
                          sync::WaitKind::kDaemon);
      }
    });
    sync::MutexLock lock(&mutex);
    stop = true;
    changed.Signal();
  };
  for (const cohort::sim::Strategy& strategy :
       {cohort::sim::Strategy::RandomWalk(), cohort::sim::Strategy::Pct(3),
        cohort::sim::Strategy::Pos(),
        cohort::sim::Strategy::UniformRandomWalk()}) {
    const Options options = {.strategy = strategy, .schedules = 3'000};
    // Who draws once that he comes late must not be late for ever; which is
    // seldom drawn.
    const Options more = {.strategy = strategy, .schedules = 50'000};
    for (const auto& result :
         {Search(options, spin_for_a_sleeper), Search(more, poll_for_a_thread),
          Search(options, two_spin_for_a_third),
          Search(options, stop_a_ticking_daemon)}) {
      EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
    }
  }
}

// Each choice that there is, in bodies of all kinds: a schedule says all of it.
TEST(ReplayTest, IsExact) {
#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
  constexpr int kSchedules = 50;
#else
  constexpr int kSchedules = 1'000;
#endif
  Kernel kernel({});
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const SmallBody body(seed);
    std::vector<std::unique_ptr<Searcher>> parts;
    parts.push_back(std::make_unique<RandomWalk>(seed));
    parts.push_back(std::make_unique<Pct>(seed, 3));
    parts.push_back(std::make_unique<Pos>(seed));
    parts.push_back(std::make_unique<UniformRandomWalk>(seed));
    Mix searcher(std::move(parts));
    RawRecorder recorder(searcher);
    for (int i = 0; i < kSchedules; ++i) {
      ASSERT_TRUE(searcher.Next());
      const RunReport report = kernel.Run(recorder, body);
      ASSERT_EQ(report.verdict, Verdict::kNone) << report.message;
      Translator translator(recorder.choices());
      ASSERT_EQ(kernel.Run(translator, body).trace_hash, report.trace_hash);
      ASSERT_TRUE(translator.fits());
      // The usual choices left out, and as text.
      const absl::StatusOr<Schedule> schedule =
          ParseSchedule(FormatSchedule(translator.schedule()));
      ASSERT_TRUE(schedule.ok()) << schedule.status();
      Replay replay(*schedule);
      ASSERT_EQ(kernel.Run(replay, body).trace_hash, report.trace_hash)
          << FormatSchedule(*schedule);
      ASSERT_TRUE(replay.fits());
    }
  }
}

// Eight updates of one thread and two of another: 45 orders.
void EightAndTwo() {
  sync::Atomic<int> x = 0;
  JoiningThread other([&] {
    for (int i = 0; i < 8; ++i) ++x;
  });
  for (int i = 0; i < 2; ++i) ++x;
}

constexpr int kOrders = 45;

TEST(UniformRandomWalkTest, IsAboutUniform) {
  UniformRandomWalk search(1);
  const Classes classes =
      Enumerate(search, {.spurious_wake_ups = 0}, 20'000, EightAndTwo);
  EXPECT_EQ(classes.seen.size(), kOrders);
  for (const auto& [sum, times] : classes.seen) {
    EXPECT_GE(times, 20'000 / kOrders / 6);
    EXPECT_LE(times, 20'000 / kOrders * 6);
  }
}

TEST(RandomWalkTest, ComesToEveryOrder) {
  RandomWalk search(1);
  EXPECT_EQ(Enumerate(search, {.spurious_wake_ups = 0}, 20'000, EightAndTwo)
                .seen.size(),
            kOrders);
}

TEST(PosTest, ComesToEveryOrder) {
  Pos search(1);
  EXPECT_EQ(Enumerate(search, {.spurious_wake_ups = 0}, 20'000, EightAndTwo)
                .seen.size(),
            kOrders);
}

// An error of depth d: d - 1 switches have to come at the right places.
template <int kDepth>
void ErrorOfDepth() {
  sync::Atomic<int> turn = 0;
  const auto play = [&](int player) {
    for (int i = 0; i < 4; ++i) {
      int expected = 2 * i + player;
      if (expected < kDepth) {
        turn.compare_exchange_strong(expected, expected + 1);
      } else {
        (void)turn.load();
      }
    }
  };
  JoiningThread other([&] { play(1); });
  play(0);
  other.Join();
  Check(turn.load() < kDepth, "turns taken in order");
}

template <int kDepth>
void ExpectPctToKeepItsPromise() {
  // Threads, and steps that a run has at most.
  constexpr double kThreads = 3;  // with the clock
  constexpr double kSteps = 24;
  const double promised = 1 / (kThreads * std::pow(kSteps, kDepth - 1));
  const int64_t runs = static_cast<int64_t>(30 / promised);
  Pct search(1, kDepth);
  Kernel kernel({.spurious_wake_ups = 0});
  int64_t found = 0;
  for (int64_t i = 0; i < runs && search.Next(); ++i) {
    const RunReport report = kernel.Run(search, ErrorOfDepth<kDepth>);
    EXPECT_LE(report.steps, kSteps);
    if (report.verdict != Verdict::kNone) ++found;
  }
  EXPECT_GE(static_cast<double>(found), promised * static_cast<double>(runs));
}

TEST(PctTest, FindsAnErrorAsOftenAsPromised) {
  ExpectPctToKeepItsPromise<1>();
  ExpectPctToKeepItsPromise<2>();
  ExpectPctToKeepItsPromise<3>();
  ExpectPctToKeepItsPromise<4>();
}

}  // namespace
}  // namespace cohort::sim
