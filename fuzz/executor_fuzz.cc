// Programs of tasks, blocking and timers on one of the pools. The end of the
// input is the program, the rest is the schedule.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/pools.h"
#include "cohort/executor/test_gate.h"
#include "cohort/executor/timer_queue.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"

namespace cohort {
namespace {

using executor_internal::WorkerPool;
using sim::ByteStream;
using sync::SteadyTime;
using testing::Gate;

constexpr int kLatches = 3;
constexpr int kMaxTasks = 10;
constexpr int kMaxTimers = 4;
constexpr int kMaxSteps = 24;
constexpr absl::Duration kTick = absl::Milliseconds(1);

enum class Do : uint8_t {
  kCompute,
  kPass,    // waits for latch `a`; announced if `b`
  kOpen,    // opens latch `a`
  kSleep,   // `a` ticks; announced if `b`
  kSubmit,  // task `a`
  kAwait,   // submits task `a` and waits for it; announced if `b`
  kArm,     // timer `a`, for `b` ticks from now
  kDisarm,  // timer `a`
  kNested,  // a pool of its own, which submits a task to this one
  kStats,   // looks at the pool
  kLast = kStats,
};

struct Action {
  Do what;
  int a = 0;
  int b = 0;
};

struct Pool {
  int workers = 0;
  int max_threads = std::numeric_limits<int>::max();
  absl::Duration keep_alive = absl::InfiniteDuration();
  bool is_fixed = false;
  bool is_thread_per_task = false;
  // Tasks may wait for tasks that are submitted later.
  bool promises_progress = false;
};

struct Program {
  Pool pool;
  bool awaits_all = false;  // before the pool is destroyed
  std::vector<Action> main;
  std::vector<Action> other;  // a second thread, where it is not empty
  std::deque<std::vector<Action>> tasks;
  std::vector<int> rearms;  // by timer: how often it arms itself again
  bool waits_unannounced = false;
  bool blocks = false;
  bool takes_time = false;
};

class Parser {
 public:
  explicit Parser(ByteStream& bytes) : bytes_(bytes) {}

  Program Parse() {
    ParsePool();
    program_.awaits_all = bytes_.Below(2) == 1;
    program_.main = ParseActions(/*depth=*/0);
    if (bytes_.Below(4) == 1) program_.other = ParseActions(/*depth=*/0);
    // A timer that is still armed must not lose its queue.
    if (!program_.rearms.empty()) program_.awaits_all = true;
    return std::move(program_);
  }

 private:
  void ParsePool() {
    Pool& pool = program_.pool;
    pool.promises_progress = true;
    const int kind = bytes_.Below(8);
    switch (kind) {
      case 0:
      case 1:
        pool.workers = kind + 1;
        break;
      case 2:
      case 3:
        pool.workers = pool.max_threads = kind - 1;
        pool.is_fixed = true;
        pool.promises_progress = false;
        break;
      case 4:
        pool.workers = std::numeric_limits<int>::max();
        pool.is_thread_per_task = true;
        break;
      case 5:
        pool.workers = 1;
        pool.max_threads = 2;
        pool.promises_progress = false;
        break;
      default:
        pool.workers = kind - 5;
        pool.keep_alive = bytes_.Below(3) * kTick;
    }
  }

  std::vector<Action> ParseActions(int depth) {
    std::vector<Action> actions;
    for (int left = bytes_.Below(depth == 0 ? 8 : 4); left > 0; --left) {
      if (++steps_ > kMaxSteps) break;
      actions.push_back(ParseAction(depth));
    }
    return actions;
  }

  Action ParseAction(int depth) {
    const Do what =
        static_cast<Do>(bytes_.Below(static_cast<int>(Do::kLast) + 1));
    switch (what) {
      case Do::kPass:
        // Neither thread may wait before it has submitted what it is to.
        if (depth == 0) break;
        program_.blocks = true;
        return Announced({.what = what, .a = bytes_.Below(kLatches)});
      case Do::kOpen:
        return {.what = what, .a = bytes_.Below(kLatches)};
      case Do::kSleep:
        program_.blocks = true;
        program_.takes_time = true;
        return Announced({.what = what, .a = bytes_.Below(4)});
      case Do::kAwait:
      case Do::kSubmit: {
        if (depth > 2 || program_.tasks.size() == kMaxTasks) break;
        const int task = static_cast<int>(program_.tasks.size());
        program_.tasks.emplace_back();
        std::vector<Action> actions = ParseActions(depth + 1);
        program_.tasks[static_cast<size_t>(task)] = std::move(actions);
        if (what == Do::kSubmit || depth == 0 ||
            !program_.pool.promises_progress) {
          return {.what = Do::kSubmit, .a = task};
        }
        program_.blocks = true;
        return Announced({.what = what, .a = task});
      }
      case Do::kArm: {
        const int timer = static_cast<int>(program_.rearms.size());
        if (timer == kMaxTimers) break;
        program_.takes_time = true;
        program_.rearms.push_back(bytes_.Below(3));
        return {.what = what, .a = timer, .b = bytes_.Below(4)};
      }
      case Do::kDisarm:
        return {.what = what, .a = bytes_.Below(kMaxTimers)};
      case Do::kNested:
        if (std::exchange(nested_, true)) break;
        program_.blocks = true;
        return {.what = what};
      default:
        return {.what = what};
    }
    return {.what = Do::kCompute};
  }

  Action Announced(Action action) {
    action.b = bytes_.Below(2);
    if (action.b == 0) program_.waits_unannounced = true;
    return action;
  }

  ByteStream& bytes_;
  Program program_;
  int steps_ = 0;
  bool nested_ = false;
};

void Pass(Gate& gate, bool announced) {
  announced ? PassAnnounced(gate) : gate.Pass();
}

class Run {
 public:
  Run(Program program, bool quiescent)
      : program_(std::move(program)), quiescent_(quiescent) {
    for (size_t i = 0; i < program_.rearms.size(); ++i) {
      timers_.emplace_back(*this, program_.rearms[i]);
    }
    // The openers of the latches come on top.
    for (size_t i = 0; i < program_.tasks.size() + kLatches; ++i) {
      tasks_.emplace_back();
    }
  }

  void Execute() {
    {
      const std::unique_ptr<WorkerPool> pool = MakePool();
      pool_ = pool.get();
      TimerQueue queue(*pool_);
      queue_ = &queue;
      {
        std::optional<testing::JoiningThread> other;
        if (!program_.other.empty()) {
          other.emplace([this] { Perform(program_.other); });
        }
        Perform(program_.main);
        OpenAllLatches();
      }
      // Less the one that stands for this thread.
      if (program_.awaits_all) {
        outstanding_.Open();
        outstanding_.Pass();
      }
    }
    Judge();
  }

 private:
  struct Task {
    sync::RaceChecked<bool> submitted;
    sync::RaceChecked<int> runs;
    Gate done;
  };

  class Timer final : public TimerQueue::Timer {
   public:
    Timer(Run& run, int rearms) : run_(run), rearms_(rearms) {}

    // Not for two threads at once.
    void Arm(absl::Duration delay) {
      run_.outstanding_.Add();
      const SteadyTime due = SteadyTime::Now() + delay;
      {
        sync::MutexLock lock(&mutex_);
        ++armed_;
        due_ = due;
      }
      run_.queue_->Arm(*this, due);
    }

    void Disarm() {
      if (!run_.queue_->Disarm(*this)) return;
      {
        sync::MutexLock lock(&mutex_);
        ++disarmed_;
      }
      run_.outstanding_.Open();
    }

    void Judge() {
      sync::MutexLock lock(&mutex_);
      sim::Check(armed_ == disarmed_ + ran_,
                 absl::StrCat("a timer armed ", armed_, " times was disarmed ",
                              disarmed_, " times and ran ", ran_, " times"));
    }

   private:
    void OnDue() override {
      SteadyTime due;
      {
        sync::MutexLock lock(&mutex_);
        ++ran_;
        due = due_;
      }
      sim::Check(SteadyTime::Now() >= due, "a timer runs at its time or later");
      if (rearms_-- > 0) Arm(kTick);
      run_.outstanding_.Open();
    }

    Run& run_;
    int rearms_;  // what OnDue does is ordered by Arm
    sync::Mutex mutex_;
    SteadyTime due_;
    int armed_ = 0;
    int disarmed_ = 0;
    int ran_ = 0;
  };

  std::unique_ptr<WorkerPool> MakePool() const {
    const Pool& pool = program_.pool;
    if (pool.is_fixed) return std::make_unique<FixedPool>(pool.workers);
    if (pool.is_thread_per_task) return std::make_unique<ThreadPerTask>();
    return std::make_unique<ElasticPool>(
        ElasticPool::Options{.workers = pool.workers,
                             .max_threads = pool.max_threads,
                             .keep_alive = pool.keep_alive});
  }

  // Where tasks may wait for later ones, these are tasks: it is the pool's
  // promise that they start.
  void OpenAllLatches() {
    for (size_t i = 0; i < kLatches; ++i) {
      if (program_.pool.promises_progress) {
        Submit(program_.tasks.size() + i, [this, i] { latches_[i].Open(); });
      } else {
        latches_[i].Open();
      }
    }
  }

  template <class Body>
  void Submit(size_t index, Body body) {
    Task& task = tasks_[index];
    outstanding_.Add();
    task.submitted.Write() = true;
    pool_->Submit([this, &task, body = std::move(body)] {
      sim::Check(Executor::Current() == pool_, "a task runs on its executor");
      sim::Check(task.submitted.Read(), "a task sees what was before Submit");
      ++task.runs.Write();
      Enter();
      body();
      Exit();
      task.done.Open();
      outstanding_.Open();
    });
  }

  void Enter() {
    const Pool& pool = program_.pool;
    sync::MutexLock lock(&mutex_);
    ++running_;
    sim::Check(running_ <= pool.max_threads, "no more tasks than threads");
    // Where nobody blocks, the monitor has nothing to do, and where only that
    // makes time pass, it does not lose patience either.
    if (quiescent_ && !program_.blocks && !program_.takes_time) {
      sim::Check(running_ <= pool.workers, "no more tasks than workers");
    }
  }

  void Exit() {
    sync::MutexLock lock(&mutex_);
    --running_;
  }

  void Perform(const std::vector<Action>& actions) {
    for (const Action& action : actions) Perform(action);
  }

  void Perform(const Action& action) {
    const auto index = static_cast<size_t>(action.a);
    switch (action.what) {
      case Do::kCompute:
        sync::Yield();
        break;
      case Do::kPass:
        Pass(latches_[index], action.b != 0);
        break;
      case Do::kOpen:
        latches_[index].Open();
        break;
      case Do::kSleep: {
        std::optional<BlockingScope> blocking;
        if (action.b != 0) blocking.emplace();
        sync::SleepFor(action.a * kTick);
        break;
      }
      case Do::kSubmit:
      case Do::kAwait:
        Submit(index, [this, index] { Perform(program_.tasks[index]); });
        if (action.what == Do::kAwait) Pass(tasks_[index].done, action.b != 0);
        break;
      case Do::kArm:
        timers_[index].Arm(action.b * kTick);
        break;
      case Do::kDisarm:
        if (index < timers_.size()) timers_[index].Disarm();
        break;
      case Do::kNested:
        Nest();
        break;
      case Do::kStats:
        JudgeStats();
        break;
    }
  }

  void Nest() {
    sync::RaceChecked<int> runs;
    {
      ElasticPool inner({.workers = 1, .keep_alive = kTick});
      inner.Submit([&] {
        inner.Submit([&] { ++runs.Write(); });
        JudgeStats();
      });
    }
    sim::Check(runs.Read() == 1, "a pool's destructor runs what it was given");
  }

  void JudgeStats() {
    const PoolStats stats = pool_->stats();
    sim::Check(stats.threads <= program_.pool.max_threads,
               "no more threads than the cap");
    sim::Check(0 <= stats.blocked && 0 <= stats.idle &&
                   stats.blocked + stats.idle <= stats.threads,
               "the parts of stats() add up");
  }

  void Judge() {
    for (Task& task : tasks_) {
      const int expected = task.submitted.Read() ? 1 : 0;
      sim::Check(task.runs.Read() == expected,
                 absl::StrCat("a task ran ", task.runs.Read(),
                              " times instead of ", expected));
    }
    for (Timer& timer : timers_) timer.Judge();
    // Nothing but the monitor takes time here, and it is not needed where all
    // waits are announced.
    if (quiescent_ && !program_.takes_time && !program_.waits_unannounced &&
        program_.pool.promises_progress) {
      sim::Check(SteadyTime::Now() == SteadyTime(),
                 "announced blocking takes no time");
    }
  }

  const Program program_;
  const bool quiescent_;
  WorkerPool* pool_ = nullptr;
  TimerQueue* queue_ = nullptr;
  std::deque<Task> tasks_;
  std::deque<Timer> timers_;
  std::array<Gate, kLatches> latches_;
  Gate outstanding_;  // tasks, timers, and the thread that waits for them
  sync::Mutex mutex_;
  int running_ = 0;
};

}  // namespace
}  // namespace cohort

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // A pool that is at its cap says so: once, but there are many pools here.
  absl::SetMinLogLevel(absl::LogSeverityAtLeast::kError);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The program's first byte, which is the input's last.
  const bool quiescent = size > 0 && data[size - 1] % 2 == 1;
  cohort::sim::FuzzOne(
      {.time = quiescent ? cohort::sim::Time::kQuiescent
                         : cohort::sim::Time::kRacing},
      absl::MakeConstSpan(data, size), [&](cohort::sim::ByteStream& bytes) {
        bytes.Next();
        cohort::Run(cohort::Parser(bytes).Parse(), quiescent).Execute();
      });
  return 0;
}
