// Small programs over schedgroup::Group, on any schedule. The input's end is
// the program: who schedules what for when, cancels, waits, fails, sets the
// wall clock; its front is the schedule.
//
// The group is kept open by a task that never comes until all threads but the
// one that waits are done, since scheduling after Wait is misuse. No program
// can hang by what it says.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/fuzz/program.h"
#include "cohort/group/types.h"
#include "cohort/schedgroup/group.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"

namespace cohort::schedgroup {
namespace {

using fuzz::kMoment;
using fuzz::kParentCause;
using fuzz::MakeExecutor;
using fuzz::Note;
using fuzz::Parent;
using fuzz::ParentKind;
using fuzz::RunThreads;
using sim::Check;
using sync::SteadyTime;

constexpr int kMaxTasks = 8;
constexpr size_t kMaxOps = 6;  // of a task or thread
constexpr int kMaxRuns = 3;    // of a repeated task

// The same for what publishes something that the model itself has written.
class Publication {
 public:
  void Set() { value_.store(true, std::memory_order_release); }
  bool Get() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> value_ = false;
};

// The program.

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kDelay,
  kSchedule,
  kEvery,
  kCancelTask,
  kCancelTaskAndWait,  // in a thread not for ever
  kCancel,
  kCancelParent,
  kWait,  // in a task
  kSleep,
  kStats,
  kSetClock,
  kCount,
};

// kStop: where it is repeated, the second run is the last.
enum class End : uint8_t { kOk, kFail, kThrow, kStatus, kStop, kCount };

struct Task;

struct Op {
  OpKind kind = OpKind::kEnd;
  int number = 0;
  Task* task = nullptr;
};

// A task is scheduled at most once, so what became of it stands here too.
struct Task {
  int id = 0;
  int scheduler = 0;  // the thread, or the task, that schedules it
  OpKind kind = OpKind::kDelay;
  int moments = 0;
  std::vector<Op> ops;
  End end = End::kOk;

  // Of whoever schedules it, before it does.
  sync::RaceChecked<SteadyTime> earliest;
  sync::RaceChecked<int> runs;
  Publication scheduled;  // the call has returned, and `name` may be read
  TaskId name;
  Note<bool> started;
  Note<int> ended;
  Note<bool> running;
  Note<bool> waited;     // for its group
  Note<bool> failed;     // not by an echo
  Note<bool> destroyed;  // the functor
  Note<bool> cancelling;
  Note<bool> cancelled;
  Note<bool> stopped;
};

struct Program {
  int executor = 0;
  Options options;
  ParentKind parent = ParentKind::kNone;
  bool waits_at_end = false;
  bool sets_clock = false;
  std::deque<Task> tasks;
  std::vector<std::vector<Op>> threads;
};

class Parser {
 public:
  Parser(sim::ByteStream& stream, Program& program)
      : stream_(stream), program_(program) {}

  void Parse() {
    program_.executor = stream_.Below(4);
    constexpr int kLimits[] = {kUnlimited, 1, 2};
    program_.options.limit = kLimits[stream_.Below(3)];
    const uint8_t flags = stream_.Next();
    program_.options.cancel_on_error = (flags & 1) != 0;
    program_.waits_at_end = (flags & 2) == 0;
    program_.parent = static_cast<ParentKind>(stream_.Below(4));
    const int threads = 1 + stream_.Below(3);
    for (int i = 0; i < threads; ++i) program_.threads.push_back(Ops(-i - 1));
  }

 private:
  Task* NewTask(OpKind kind, int scheduler) {
    if (program_.tasks.size() == kMaxTasks) return nullptr;
    Task& task = program_.tasks.emplace_back();
    task.id = static_cast<int>(program_.tasks.size());
    task.scheduler = scheduler;
    task.kind = kind;
    const uint8_t byte = stream_.Next();
    task.moments = byte % 4 - (kind == OpKind::kEvery ? -1 : 1);
    task.end = static_cast<End>(byte / 4 % static_cast<int>(End::kCount));
    // One that is repeated schedules nothing: each task comes once.
    if (kind != OpKind::kEvery) task.ops = Ops(task.id);
    return &task;
  }

  std::vector<Op> Ops(int owner) {
    std::vector<Op> ops;
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream_.Below(static_cast<int>(OpKind::kCount)));
      switch (op.kind) {
        case OpKind::kEnd:
          return ops;
        case OpKind::kDelay:
        case OpKind::kSchedule:
        case OpKind::kEvery:
          op.task = NewTask(op.kind, owner);
          if (op.task == nullptr) return ops;
          break;
        case OpKind::kCancelTask:
        case OpKind::kCancelTaskAndWait:
          op.number = stream_.Below(kMaxTasks);
          break;
        case OpKind::kSetClock:
          op.number = stream_.Below(3) - 1;
          program_.sets_clock = true;
          break;
        default:
          break;
      }
      ops.push_back(op);
    }
    return ops;
  }

  sim::ByteStream& stream_;
  Program& program_;
};

// The run.

const absl::Status kCancelCause = absl::AbortedError("cancel");

// The group together with what has to hold for it.
class Model {
 public:
  Model(Program& program, CancelScope* scope, Executor* executor)
      : program_(program), scope_(scope) {
    Options options = program.options;
    options.executor = executor;
    start_ = sync::Now();
    owner_ = std::make_unique<Group>(
        scope == nullptr ? Context() : scope->context(), options);
    group_ = owner_.get();
    busy_.Set(static_cast<int>(program.threads.size()));
    keeps_open_ = group_->Delay(absl::InfiniteDuration(), [] {
      Check(false, "what never comes does not run");
    });
  }

  ~Model() {
    if (program_.waits_at_end) CheckAtEnd();
    owner_.reset();
    gone_.Set(true);
    for (const Task& task : program_.tasks) CheckOver(task);
  }

  void RunThread(const std::vector<Op>& ops) {
    for (const Op& op : ops) RunOp(op, nullptr);
    if (busy_.Add(-1) == 0) group_->Cancel(keeps_open_);
  }

 private:
  using Token = fuzz::TaskToken<Model, Task>;
  friend Token;

  void Gone(Task& task) {
    Check(!gone_.Get(), "a functor is gone before its group");
    Check(!task.running.Get(), "a functor is not gone while it runs");
    CheckStats();  // were a lock held, it would be taken again
    task.destroyed.Set(true);
  }

  // The same for a task that says whether it is to be repeated.
  class Repeated {
   public:
    Repeated(Token token, Task* task) : token_(std::move(token)), task_(task) {}
    absl::StatusOr<Next> operator()(const Context& context) {
      const absl::Status status = token_(context);
      if (!status.ok()) return status;
      if (task_->runs.Read() < 2) return Next::kAgain;
      task_->stopped.Set(true);
      return Next::kStop;
    }

   private:
    Token token_;
    Task* task_;
  };

  void Schedule(Task& task) {
    const absl::Duration delay = task.moments * kMoment;
    // Where the clock is set nothing follows from wall times.
    const absl::Time time = start_ + delay;
    SteadyTime& earliest = task.earliest.Write();
    earliest = SteadyTime::Now() + delay;
    if (task.kind == OpKind::kSchedule) {
      earliest = program_.sets_clock ? SteadyTime() : SteadyTime() + delay;
    }
    switch (task.kind) {
      case OpKind::kDelay:
        task.name = group_->Delay(delay, Token(this, &task));
        break;
      case OpKind::kSchedule:
        task.name = group_->Schedule(time, Token(this, &task));
        break;
      default:
        if (task.end == End::kStop) {
          task.name = group_->Every(delay, Repeated(Token(this, &task), &task));
        } else {
          task.name = group_->Every(delay, Token(this, &task));
        }
        break;
    }
    task.scheduled.Set();
  }

  absl::Status RunTask(Task& task, const Context& context) {
    Check(!gone_.Get(), "nothing runs after the group");
    Check(!task.destroyed.Get() && !task.cancelled.Get(),
          "what was taken back does not run");
    Check(!task.stopped.Get(), "what has said stop does not run again");
    Check(!task.running.Get(), "runs of one task do not overlap");
    const int run = ++task.runs.Write();
    Check(task.kind == OpKind::kEvery || run == 1, "a task runs once");
    Check(SteadyTime::Now() >=
              task.earliest.Read() + (run - 1) * task.moments * kMoment,
          "nothing runs early");
    Check(now_.Add(1) <= program_.options.limit, "no more than the limit");
    if (program_.options.limit == 1) CheckOrder(task);
    task.started.Set(true);
    task.running.Set(true);
    for (const Op& op : task.ops) RunOp(op, &task);
    if (run == kMaxRuns) {
      // The scheduling call may not have returned: its result is not known.
      group_->Cancel(kCancelCause);
    }
    if (!task.waited.Get()) now_.Add(-1);
    return EndOf(task, context);
  }

  // With one slot, tasks that one thread has scheduled in the same way start in
  // the order of their times, equal ones in that in which they were scheduled.
  void CheckOrder(const Task& task) {
    if (task.kind == OpKind::kEvery || program_.sets_clock) return;
    for (const Task& other : program_.tasks) {
      if (other.id >= task.id) break;
      if (other.scheduler != task.scheduler || other.kind != task.kind ||
          other.moments > task.moments || !other.scheduled.Get()) {
        continue;
      }
      Check(other.started.Get() || other.cancelling.Get() ||
                group_->context().done(),
            "times are kept in order");
    }
  }

  absl::Status EndOf(Task& task, const Context& context) {
    task.ended.Add(1);
    absl::Status status;
    if (task.end == End::kFail) {
      task.failed.Set(true);
      status = absl::InternalError(absl::StrCat("boom ", task.id, ";"));
    } else if (task.end == End::kStatus) {
      status = context.status();
      if (!status.ok()) echoes_.Add(1);
#ifdef ABSL_HAVE_EXCEPTIONS
    } else if (task.end == End::kThrow) {
      task.failed.Set(true);
      failures_.Add(1);
      task.running.Set(false);
      throw std::runtime_error(absl::StrCat("boom ", task.id, ";"));
#endif
    }
    if (!status.ok()) failures_.Add(1);
    task.running.Set(false);
    return status;
  }

  // `self` is the task that does it, if one does.
  void RunOp(const Op& op, Task* self) {
    switch (op.kind) {
      case OpKind::kEnd:
      case OpKind::kCount:
        break;
      case OpKind::kDelay:
      case OpKind::kSchedule:
      case OpKind::kEvery:
        Schedule(*op.task);
        break;
      case OpKind::kCancelTask:
        CancelTask(op.number,
                   [this](const TaskId& id) { return group_->Cancel(id); });
        break;
      case OpKind::kCancelTaskAndWait:
        if (self != nullptr) {
          Lend(*self);
          CancelTask(op.number, [this](const TaskId& id) {
            return group_->CancelAndWait(id);
          });
        } else {
          // The task may be one that waits for the end of this thread.
          CancelTask(op.number, [this](const TaskId& id) {
            return group_->CancelAndWaitUntil(id, sync::Now() + kMoment);
          });
        }
        break;
      case OpKind::kCancel:
        group_->Cancel(kCancelCause);
        Check(group_->context().done(), "after Cancel, the context is done");
        break;
      case OpKind::kCancelParent:
        if (scope_ != nullptr) scope_->Cancel(kParentCause);
        break;
      case OpKind::kWait:
        if (self == nullptr) break;
        Lend(*self);
        group_->Wait().IgnoreError();
        break;
      case OpKind::kSleep:
        sync::SleepFor(kMoment);
        break;
      case OpKind::kStats:
        CheckStats();
        break;
      case OpKind::kSetClock:
        sync::ShiftWallClock(op.number * 2 * kMoment);
        break;
    }
  }

  // A task that waits lends its slot, and gets it back whether there is one or
  // not.
  void Lend(Task& self) {
    if (self.waited.Get()) return;
    self.waited.Set(true);
    now_.Add(-1);
  }

  void CancelTask(int number,
                  absl::FunctionRef<CancelResult(const TaskId&)> cancel) {
    if (number >= static_cast<int>(program_.tasks.size())) return;
    Task& task = program_.tasks[static_cast<size_t>(number)];
    if (!task.scheduled.Get()) return;
    task.cancelling.Set(true);
    switch (cancel(task.name)) {
      case CancelResult::kCancelled:
        Check(task.destroyed.Get(), "what is taken back is gone");
        Check(!task.running.Get(), "what is taken back does not run");
        Check(task.kind == OpKind::kEvery || !task.started.Get(),
              "what has started is not taken back");
        task.cancelled.Set(true);
        taken_back_.Add(1);
        break;
      case CancelResult::kRunning:
        break;
      case CancelResult::kFinished:
        Check(task.destroyed.Get(), "what is over is gone");
        Check(!task.running.Get(), "what is over does not run");
        break;
    }
  }

  void CheckStats() {
    const Stats stats = group_->stats();
    Check(stats.accepted == stats.queued + stats.running + stats.succeeded +
                                stats.failed + stats.skipped,
          "stats add up");
  }

  void CheckOver(const Task& task) {
    if (!task.scheduled.Get()) return;
    Check(task.destroyed.Get(), "the functor of a task is gone with it");
    Check(!task.running.Get(), "a task that has started has ended");
  }

  // Nobody else uses the group any more, but for its tasks.
  void CheckAtEnd() {
    const absl::Status status = group_->Wait();
    Check(group_->context().done(), "after Wait, it is done");
    const Stats stats = group_->stats();
    int64_t ended = 0;
    bool failed = false;
    for (const Task& task : program_.tasks) {
      CheckOver(task);
      ended += task.ended.Get();
      failed |= task.failed.Get();
    }
    Check(stats.queued == 0 && stats.running == 0 && stats.parked == 0,
          "nothing is left");
    Check(stats.failed == failures_.Get(), "failed is exact");
    Check(stats.succeeded == ended - failures_.Get(), "succeeded is exact");
    Check(stats.skipped == stats.accepted - ended, "skipped is exact");
    if (failed) {
      Check(absl::StrContains(status.message(), "boom"), "errors go first");
    } else if (stats.refused > 0 || echoes_.Get() > 0) {
      Check(status == group_->context().cause(), "then the cause");
    } else if (status.ok()) {
      Check(stats.skipped <= taken_back_.Get() + 1, "what is skipped is told");
    } else {
      Check(status == group_->context().cause(), "then the cause");
      Check(stats.skipped > 0, "nothing was lost to it");
    }
  }

  Program& program_;
  CancelScope* const scope_;
  absl::Time start_;
  std::unique_ptr<Group> owner_;
  Group* group_ = nullptr;  // also while it is being destroyed
  TaskId keeps_open_;

  Note<int> busy_;  // threads that may still schedule
  Note<int> now_;   // in their code, and never waited for the group
  Note<int> failures_;
  Note<int> echoes_;
  Note<int> taken_back_;
  Note<bool> gone_;
};

void Run(sim::ByteStream& stream) {
  Program program;
  Parser(stream, program).Parse();
  const std::unique_ptr<Executor> executor = MakeExecutor(program.executor);
  Parent parent(program.parent);
  Model model(program, parent.scope(), executor.get());
  RunThreads(program.threads.size(),
             [&](size_t index) { model.RunThread(program.threads[index]); });
}

}  // namespace
}  // namespace cohort::schedgroup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.max_steps = 50'000}, absl::MakeConstSpan(data, size),
                       cohort::schedgroup::Run);
  return 0;
}
