// Small programs over errgroup::Group, on any schedule. The input's end is the
// program: who submits what, cancels, waits, fails; its front is the schedule.
//
// No program can hang by what it says: nobody waits for what waits for them,
// and a limit of 0 is raised again by whoever set it. So whatever hangs is the
// library's.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/fuzz/program.h"
#include "cohort/group/types.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/thread.h"

namespace cohort::errgroup {
namespace {

using fuzz::kMoment;
using fuzz::kParentCause;
using fuzz::MakeExecutor;
using fuzz::Note;
using fuzz::Parent;
using fuzz::ParentKind;
using fuzz::RunThreads;
using sim::Check;

constexpr int kMaxTasks = 10;
constexpr int kMaxGroups = 3;
constexpr size_t kMaxOps = 6;  // of a task or thread
// Of the whole program: each may start a thread for each slot, and the
// simulator has 63 in a run.
constexpr int kMaxChangesOfLimit = 12;

// The program.

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kGo,
  kTryGo,
  kGoAbove,     // to the group around this one
  kTryGoAbove,  // the same
  kCancel,
  kCancelParent,
  kSetLimit,
  kPause,  // no limit but 0 for a while
  kWait,
  kWaitParked,
  kWaitUntil,
  kSleep,
  kContextSleep,
  kStats,
  kTakeException,
  kGroup,  // in a task: makes a group, uses it, and ends it
  kCount,
};

enum class End : uint8_t {
  kOk,
  kFail,
  kThrow,
  kStatus,     // whatever the context says
  kCause,      // the same
  kCancelled,  // a CANCELLED of its own
  kCount,
};

struct Task;
struct GroupProgram;

struct Op {
  OpKind kind = OpKind::kEnd;
  int number = 0;
  Task* task = nullptr;
  GroupProgram* group = nullptr;
};

// A task is submitted at most once, so what became of it stands here too.
struct Task {
  int id = 0;
  std::vector<Op> ops;
  End end = End::kOk;

  Note<bool> submitting;
  Note<bool> accepted;
  Note<bool> refused;  // as cancelled
  Note<bool> full;     // refused as full
  Note<bool> started;
  Note<bool> succeeded;
  Note<bool> failed;
  Note<bool> destroyed;  // the functor
  Note<bool> waited;     // for its own group
  Note<bool> late;       // to start
  // Written by the submitter, then by the task; read after Wait.
  sync::RaceChecked<int> data;
};

struct GroupProgram {
  Options options;
  bool has_parent = false;
  bool changes_limit = false;
  bool waits_at_end = false;
  std::vector<Task*> tasks;  // all that are ever submitted to it
  std::vector<std::vector<Op>> threads;
};

struct Program {
  int executor = 0;
  ParentKind parent = ParentKind::kNone;
  GroupProgram* group = nullptr;
  std::deque<Task> tasks;
  std::deque<GroupProgram> groups;

  // At most so many at once, and no promise beyond them.
  bool fixed() const { return executor == 2 || executor == 3; }
};

class Parser {
 public:
  Parser(sim::ByteStream& stream, Program& program)
      : stream_(stream), program_(program) {}

  void Parse() {
    program_.executor = stream_.Below(5);
    program_.parent = static_cast<ParentKind>(stream_.Below(4));
    program_.group = NewGroup(/*above=*/nullptr);
    const int threads = 1 + stream_.Below(3);
    for (int i = 0; i < threads; ++i) {
      program_.group->threads.push_back(
          Ops(program_.group, nullptr, /*in_task=*/false));
    }
  }

 private:
  GroupProgram* NewGroup(GroupProgram* above) {
    GroupProgram& group = program_.groups.emplace_back();
    const uint8_t sizes = stream_.Next();
    const uint8_t flags = stream_.Next();
    constexpr int kLimits[] = {1, kUnlimited, 2, 3, 0};
    constexpr int kQueues[] = {0, 1, 2, kUnlimited};
    group.options.limit = kLimits[sizes % 5];
    group.options.queue = kQueues[sizes / 5 % 4];
    group.options.cancel_on_error = (flags & 1) == 0;
    group.options.run_after_cancel = (flags & 6) == 6;
    group.options.keep_all_errors = (flags & 8) != 0;
    group.has_parent = (flags & 16) == 0;
    group.changes_limit = (flags & 32) != 0;
    group.waits_at_end = (flags & 64) == 0;
    if (above != nullptr && program_.fixed()) {
      // Go would take the thread that it waits for.
      group.options.queue = kUnlimited;
    }
    return &group;
  }

  Task* NewTask(GroupProgram* group, GroupProgram* above) {
    if (program_.tasks.size() == kMaxTasks) return nullptr;
    Task& task = program_.tasks.emplace_back();
    task.id = static_cast<int>(program_.tasks.size());
    group->tasks.push_back(&task);
    task.end = static_cast<End>(stream_.Below(static_cast<int>(End::kCount)));
    task.ops = Ops(group, above, /*in_task=*/true);
    return &task;
  }

  std::vector<Op> Ops(GroupProgram* group, GroupProgram* above, bool in_task) {
    std::vector<Op> ops;
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream_.Below(static_cast<int>(OpKind::kCount)));
      switch (op.kind) {
        case OpKind::kEnd:
          return ops;
        case OpKind::kGo:
        case OpKind::kTryGo:
          op.task = NewTask(group, above);
          if (op.task == nullptr) return ops;
          break;
        case OpKind::kGoAbove:
        case OpKind::kTryGoAbove:
          if (above == nullptr) continue;
          // Knows of no group above: it may run when this one is gone.
          op.task = NewTask(above, nullptr);
          if (op.task == nullptr) return ops;
          break;
        case OpKind::kGroup:
          if (!in_task || program_.groups.size() == kMaxGroups) continue;
          op.group = NewGroup(group);
          op.group->threads.push_back(Ops(op.group, group, /*in_task=*/false));
          break;
        case OpKind::kSetLimit:
        case OpKind::kPause:
          if (++changes_of_limit_ > kMaxChangesOfLimit) continue;
          op.number = 1 + stream_.Below(3);
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
  int changes_of_limit_ = 0;
};

// The run.

absl::Status Error(int id) {
  return absl::InvalidArgumentError(absl::StrCat("boom ", id, ";"));
}

const absl::Status kCancelCause = absl::AbortedError("cancel");

// A group together with what has to hold for it.
class Model {
 public:
  Model(const Program& program, GroupProgram& group, const Context& parent,
        CancelScope* scope, Executor* executor, Model* above)
      : program_(program),
        spec_(group),
        scope_(scope),
        executor_(executor),
        above_(above) {
    Options options = group.options;
    options.executor = executor;
    max_limit_.Set(options.limit);
    sequential_ = options.limit == 1 && !group.changes_limit;
    if (group.has_parent) {
      owner_ = std::make_unique<Group>(parent, options);
    } else {
      owner_ = std::make_unique<Group>(options);
    }
    group_ = owner_.get();
    watch_ = group_->context().OnDone([this] {
      // Were a lock held here, it would be taken again.
      CheckStats();
      Check(group_->context().done(), "a callback means that it is done");
    });
    if (options.limit == 0) SetLimit(1);
  }

  ~Model() {
    watch_ = DoneCallback();
    if (spec_.waits_at_end) CheckAtEnd();
    owner_.reset();
    gone_.Set(true);
    for (const Task* task : spec_.tasks) CheckOver(*task);
  }

  // What a thread does with the group.
  void RunThread(const std::vector<Op>& ops) {
    for (const Op& op : ops) RunOp(op, nullptr, nullptr);
  }

 private:
  using Token = fuzz::TaskToken<Model, Task>;
  friend Token;

  void Gone(Task& task) {
    Check(!gone_.Get(), "a functor is gone before its group");
    CheckStats();
    task.destroyed.Set(true);
  }

  bool RefusesWhenDone() const { return !spec_.options.run_after_cancel; }

  // It lends its slot, and gets it back whether there is one or not.
  void Lend(Task* self) {
    if (self == nullptr || self->waited.Get()) return;
    self->waited.Set(true);
    now_.Add(-1);
  }

  // `self` is the task of this group that does it, if one does.
  void Submit(Task& task, bool may_block, Task* self = nullptr) {
    const bool helps = may_block && self != nullptr && task.id % 2 == 1;
    if (helps) Lend(self);
    const bool was_cancelled =
        RefusesWhenDone() &&
        (cancelled_.Get() || group_->context().done() || over_.Get());
    task.data.Write() = task.id;
    task.submitting.Set(true);
    begun_.Add(1);
    auto call = [token = Token(this, &task)](const Context& context) mutable {
      return token(context);
    };
    const Admission admission = helps       ? group_->GoOrHelp(std::move(call))
                                : may_block ? group_->Go(std::move(call))
                                            : group_->TryGo(std::move(call));
    switch (admission) {
      case Admission::kAccepted:
        Check(!was_cancelled, "nothing is accepted after a cancellation");
        task.accepted.Set(true);
        break;
      case Admission::kFull:
        Check(!may_block, "Go never says full");
        task.full.Set(true);
        break;
      case Admission::kCancelled:
        Check(RefusesWhenDone(), "run_after_cancel refuses nothing");
        Check(group_->context().done() || waiting_.Get() > 0 || over_.Get(),
              "only a group that is done refuses");
        task.refused.Set(true);
        break;
    }
    if (admission != Admission::kAccepted) {
      Check(!task.started.Get(), "what is refused does not run");
      Check(task.destroyed.Get(), "what is refused is gone");
    }
    task.submitting.Set(false);
  }

  absl::Status RunTask(Task& task, const Context& context) {
    Check(!gone_.Get(), "nothing runs after the group");
    Check(!task.started.Get(), "a task runs once");
    Check(!task.late.Get(), "Wait returns after what was parked");
    Check(!over_.Get(), "nothing runs after the Wait that ends the group");
    task.started.Set(true);
    Check(now_.Add(1) <= max_limit_.Get(), "no more tasks than the limit");
    if (sequential_) ++starts_.Write();
    Check(task.data.Read() == task.id, "what was before Go is visible");
    task.data.Write() = -task.id;
    for (const Op& op : task.ops) RunOp(op, &task, &context);
    if (!task.waited.Get()) now_.Add(-1);
    return EndOf(task, context);
  }

  absl::Status EndOf(Task& task, const Context& context) {
    absl::Status status;
    switch (task.end) {
      case End::kOk:
      case End::kCount:
        break;
      case End::kFail:
        status = Error(task.id);
        break;
      case End::kThrow:
#ifdef ABSL_HAVE_EXCEPTIONS
        task.failed.Set(true);
        NoteFailure(task);
        throw std::runtime_error(absl::StrCat("boom ", task.id, ";"));
#else
        break;
#endif
      case End::kStatus:
        status = context.status();
        ambiguous_.Set(true);
        break;
      case End::kCause:
        status = context.cause();
        ambiguous_.Set(true);
        break;
      case End::kCancelled:
        status = absl::CancelledError("of its own");
        ambiguous_.Set(true);
        break;
    }
    (status.ok() ? task.succeeded : task.failed).Set(true);
    if (!status.ok()) NoteFailure(task);
    return status;
  }

  void NoteFailure(const Task& task) {
    if (first_failed_.Get() == 0) first_failed_.Set(task.id);
  }

  // `self` is the task of this group that does it, if one does.
  void RunOp(const Op& op, Task* self, const Context* context) {
    switch (op.kind) {
      case OpKind::kEnd:
      case OpKind::kCount:
        break;
      case OpKind::kGo:
        Submit(*op.task, /*may_block=*/true, self);
        break;
      case OpKind::kTryGo:
        Submit(*op.task, /*may_block=*/false);
        break;
      case OpKind::kGoAbove:
        above_->Submit(*op.task, /*may_block=*/true);
        break;
      case OpKind::kTryGoAbove:
        above_->Submit(*op.task, /*may_block=*/false);
        break;
      case OpKind::kCancel:
        if (group_->Cancel(kCancelCause)) {
          Check(group_->context().cause() == kCancelCause,
                "the cause is that of the call that did it");
          Check(!cancelled_.Get(), "one call cancels the group");
          cancelled_.Set(true);
        }
        Check(group_->context().done(), "after Cancel, the context is done");
        break;
      case OpKind::kCancelParent:
        if (scope_ != nullptr) scope_->Cancel(kParentCause);
        break;
      case OpKind::kSetLimit:
        SetLimit(op.number);
        break;
      case OpKind::kPause:
        if (!spec_.changes_limit) break;
        group_->SetLimit(0);
        sync::SleepFor(kMoment);
        SetLimit(op.number);
        break;
      case OpKind::kWait:
        Wait(self, WaitPolicy::kHelp);
        break;
      case OpKind::kWaitParked:
        // Nobody else may be there to run anything.
        Wait(self, program_.fixed() && (self != nullptr || above_ != nullptr)
                       ? WaitPolicy::kHelp
                       : WaitPolicy::kPark);
        break;
      case OpKind::kWaitUntil:
        Wait(self, std::nullopt);
        break;
      case OpKind::kSleep:
        sync::SleepFor(kMoment);
        break;
      case OpKind::kContextSleep:
        if (context != nullptr) context->SleepFor(kMoment).IgnoreError();
        break;
      case OpKind::kStats:
        CheckStats();
        break;
      case OpKind::kTakeException:
        if (group_->exception() != nullptr) {
          Check(exceptions_.Add(1) == 1, "an exception is handed out once");
        }
        break;
      case OpKind::kGroup: {
        Model inner(program_, *op.group, *context, nullptr, executor_, this);
        inner.RunThread(op.group->threads[0]);
        break;
      }
    }
  }

  void SetLimit(int limit) {
    if (!spec_.changes_limit && spec_.options.limit != 0) return;
    max_limit_.Raise(limit);
    group_->SetLimit(limit);
  }

  // With no policy, for a moment.
  void Wait(Task* self, std::optional<WaitPolicy> policy) {
    if (self != nullptr && !self->waited.Get()) ambiguous_.Set(true);
    Lend(self);
    const bool outside = self == nullptr;
    std::vector<Task*> accepted;
    std::vector<Task*> in_flight;
    bool refused = false;
    for (Task* task : spec_.tasks) {
      if (task->refused.Get()) refused = true;
      if (task->submitting.Get()) in_flight.push_back(task);
      if (task->accepted.Get()) accepted.push_back(task);
    }
    // Where all that were being submitted were parked at one moment, this waits
    // for them too.
    const int begun = begun_.Get();
    const int64_t parked = group_->stats().parked;
    if (begun != begun_.Get() ||
        parked != static_cast<int64_t>(in_flight.size())) {
      in_flight.clear();
    }
    const std::vector<TaskError> errors = group_->errors();
    waiting_.Add(1);
    absl::Time deadline = absl::InfiniteFuture();
    absl::Status status;
    if (policy.has_value()) {
      status = group_->Wait(*policy);
    } else {
      deadline = sync::Now() + kMoment;
      status = group_->WaitUntil(deadline);
    }
    const bool expired =
        !policy.has_value() && absl::IsDeadlineExceeded(status) &&
        absl::StrContains(status.message(), "still outstanding");
    const bool ends = outside && !expired && spec_.has_parent;
    if (ends && RefusesWhenDone()) over_.Set(true);
    if (ends) Check(group_->context().done(), "after Wait, it is done");
    waiting_.Add(-1);
    if (expired) {
      Check(sync::Now() >= deadline, "a Wait does not end early");
      return;
    }
    if (outside) {
      for (const Task* task : accepted) CheckAfterWait(*task, status);
      for (Task* task : in_flight) {
        // If it is still there it was refused, which its thread will say.
        Check(!task->started.Get() || task->destroyed.Get(),
              "Wait returns after what was parked");
        task->late.Set(true);
      }
    }
    if (ends && RefusesWhenDone()) {
      for (const Task* task : spec_.tasks) {
        if (task->started.Get()) CheckOver(*task);
      }
    }
    if (status.ok()) {
      Check(!refused, "a refusal is no success");
      Check(errors.empty(), "an error is not forgotten");
    } else {
      CheckError(status, errors);
    }
  }

  void CheckAfterWait(const Task& task, const absl::Status& status) {
    CheckOver(task);
    if (!task.started.Get()) {
      Check(!status.ok(), "what is skipped is no success");
      return;
    }
    Check(!status.ok() || task.succeeded.Get(), "no error is lost");
    Check(task.data.Read() == -task.id, "what a task did is visible");
  }

  // That a task is none, or ended in one of the ways there are.
  void CheckOver(const Task& task) {
    if (!task.accepted.Get() && !task.started.Get()) return;
    Check(task.destroyed.Get(), "the functor of a task is gone with it");
    Check(!task.started.Get() || task.succeeded.Get() || task.failed.Get(),
          "a task that has started has ended");
  }

  // That `status` is what a Wait may return that began after `errors`.
  void CheckError(const absl::Status& status,
                  const std::vector<TaskError>& errors) {
    if (!errors.empty()) {
      Check(status == errors[0].status, "the first error is the first error");
      CheckReal(status);
      return;
    }
    const std::vector<TaskError> now = group_->errors();
    if (!now.empty() && status == now[0].status) return CheckReal(status);
    const absl::Status cause = group_->context().cause();
    Check(
        status == cause || absl::StrContains(status.message(), "has returned"),
        "an error is a task's, or the cause");
  }

  // That a task of the group has returned `status`.
  void CheckReal(const absl::Status& status) {
    for (const Task* task : spec_.tasks) {
      if (!task->failed.Get()) continue;
      const bool own = task->end == End::kFail || task->end == End::kThrow;
      if (!own || absl::StrContains(status.message(),
                                    absl::StrCat("boom ", task->id, ";"))) {
        return;
      }
    }
    Check(false, "the error is one that a task returned");
  }

  void CheckStats() {
    const Stats stats = group_->stats();
    Check(stats.accepted == stats.queued + stats.running + stats.succeeded +
                                stats.failed + stats.skipped,
          "stats add up");
    if (stats.failed > 0 && spec_.has_parent && spec_.options.cancel_on_error) {
      Check(group_->context().done(), "siblings are cancelled first");
    }
  }

  // Nobody else uses the group any more, but for its tasks.
  void CheckAtEnd() {
    Wait(nullptr, WaitPolicy::kHelp);
    const Stats stats = group_->stats();
    int64_t accepted = 0;
    int64_t refused = 0;
    int64_t succeeded = 0;
    int64_t failed = 0;
    for (const Task* task : spec_.tasks) {
      CheckOver(*task);
      accepted += task->accepted.Get();
      refused += task->refused.Get() + task->full.Get();
      succeeded += task->succeeded.Get();
      failed += task->failed.Get();
    }
    Check(stats.queued == 0 && stats.running == 0 && stats.parked == 0,
          "nothing is left");
    Check(stats.accepted == accepted, "accepted is exact");
    Check(stats.refused == refused, "refused is exact");
    Check(stats.succeeded == succeeded, "succeeded is exact");
    Check(stats.failed == failed, "failed is exact");
    Check(stats.skipped == accepted - succeeded - failed, "skipped is exact");
    const std::vector<TaskError> errors = group_->errors();
    Check(errors.size() <= (spec_.options.keep_all_errors ? kMaxTasks : 1),
          "errors are kept as asked for");
    if (sequential_ && !ambiguous_.Get() && first_failed_.Get() != 0) {
      Check(!errors.empty() &&
                absl::StrContains(
                    errors[0].status.message(),
                    absl::StrCat("boom ", first_failed_.Get(), ";")),
            "the first error is that of the first task to fail");
    }
    if (cancelled_.Get()) {
      Check(group_->context().cause() == kCancelCause, "a cause stays");
    }
    // The slots are free.
    const bool takes = !RefusesWhenDone() || !group_->context().done();
    for (int i = std::min(max_limit_.Get(), 3); i > 0 && takes; --i) {
      if (spec_.changes_limit) group_->SetLimit(i);
      Check(group_->TryGo([] {}) == Admission::kAccepted, "a slot is free");
      group_->Wait().IgnoreError();
    }
  }

  const Program& program_;
  GroupProgram& spec_;
  CancelScope* const scope_;
  Executor* const executor_;
  Model* const above_;
  bool sequential_ = false;
  std::unique_ptr<Group> owner_;
  Group* group_ = nullptr;  // also while it is being destroyed
  DoneCallback watch_;

  Note<int> now_;  // in their code, and never waited for the group
  Note<int> max_limit_;
  Note<int> waiting_;
  Note<int> begun_;  // submissions
  Note<int> exceptions_;
  Note<int> first_failed_;
  Note<bool> ambiguous_;  // which error is the first
  Note<bool> cancelled_;  // by a call that has returned
  Note<bool> over_;       // a Wait has ended it
  Note<bool> gone_;
  sync::RaceChecked<int> starts_;
};

void Run(sim::ByteStream& stream) {
  Program program;
  Parser(stream, program).Parse();
  const std::unique_ptr<Executor> executor = MakeExecutor(program.executor);
  Parent parent(program.parent);
  Model model(program, *program.group, parent.context(), parent.scope(),
              executor.get(), nullptr);
  const std::vector<std::vector<Op>>& threads = program.group->threads;
  RunThreads(threads.size(),
             [&](size_t index) { model.RunThread(threads[index]); });
}

}  // namespace
}  // namespace cohort::errgroup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.max_steps = 50'000}, absl::MakeConstSpan(data, size),
                       cohort::errgroup::Run);
  return 0;
}
