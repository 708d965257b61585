// Small programs over the groups of //sizedgroup, on any schedule. The input's
// end is the program: who submits what, cancels, waits, fails; its front is the
// schedule.
//
// No program can hang by what it says: nobody waits for what waits for them,
// and who takes a slot gives it back without waiting. So whatever hangs is the
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
#include "absl/base/log_severity.h"
#include "absl/log/globals.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/fuzz/program.h"
#include "cohort/group/types.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sizedgroup/sized_group.h"
#include "cohort/sizedgroup/wait_group.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"

namespace cohort::sizedgroup {
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
constexpr size_t kMaxOps = 6;  // of a task or thread

// The program.

enum class Kind : uint8_t { kSized, kErrSized, kWait, kError, kCount };

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kGo,
  kGoTwo,  // with Add: in one call
  kSlot,   // of a WaitGroup: takes one, and gives it back after a while
  kCancel,
  kCancelParent,
  kWait,
  kSleep,
  kContextSleep,
  kStats,
  kCount,
};

enum class End : uint8_t { kOk, kFail, kThrow, kStatus, kCount };

struct Task;

struct Op {
  OpKind kind = OpKind::kEnd;
  Task* task = nullptr;
  Task* second = nullptr;
};

// A task is submitted at most once, so what became of it stands here too.
struct Task {
  int id = 0;
  std::vector<Op> ops;
  End end = End::kOk;

  Note<bool> accepted;
  Note<bool> refused;
  Note<bool> full;
  Note<bool> started;
  Note<bool> succeeded;
  Note<bool> failed;
  Note<bool> destroyed;  // the functor
  Note<bool> waited;     // for its own group
  // Written by the submitter, then by the task; read after Wait.
  sync::RaceChecked<int> data;
};

struct Program {
  int executor = 0;
  Kind kind = Kind::kSized;
  int size = 1;
  Options options;
  ParentKind parent = ParentKind::kNone;
  bool waits_at_end = false;
  std::deque<Task> tasks;
  std::vector<std::vector<Op>> threads;
};

class Parser {
 public:
  Parser(sim::ByteStream& stream, Program& program)
      : stream_(stream), program_(program) {}

  void Parse() {
    program_.kind =
        static_cast<Kind>(stream_.Below(static_cast<int>(Kind::kCount)));
    program_.executor = stream_.Below(4);
    constexpr int kSizes[] = {1, 2, 3, 0, -1};
    program_.size = kSizes[stream_.Below(5)];
    const uint8_t flags = stream_.Next();
    program_.options.when_full = (flags & 6) == 6   ? WhenFull::kRefuse
                                 : (flags & 1) != 0 ? WhenFull::kBlock
                                                    : WhenFull::kQueue;
    program_.options.term_on_error = (flags & 8) != 0;
    program_.waits_at_end = (flags & 16) == 0;
    program_.parent = static_cast<ParentKind>(stream_.Below(4));
    const int threads = 1 + stream_.Below(3);
    for (int i = 0; i < threads; ++i) program_.threads.push_back(Ops());
  }

 private:
  Task* NewTask() {
    if (program_.tasks.size() == kMaxTasks) return nullptr;
    Task& task = program_.tasks.emplace_back();
    task.id = static_cast<int>(program_.tasks.size());
    task.end = static_cast<End>(stream_.Below(static_cast<int>(End::kCount)));
    task.ops = Ops();
    return &task;
  }

  std::vector<Op> Ops() {
    std::vector<Op> ops;
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream_.Below(static_cast<int>(OpKind::kCount)));
      if (op.kind == OpKind::kEnd) break;
      if (op.kind == OpKind::kGo || op.kind == OpKind::kGoTwo) {
        op.task = NewTask();
        if (op.task == nullptr) break;
        if (op.kind == OpKind::kGoTwo) op.second = NewTask();
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

std::string ErrorText(int id) { return absl::StrCat("boom ", id, ";"); }

// A group of any of the four kinds, together with what has to hold for it.
class Model {
 public:
  Model(Program& program, CancelScope* scope, Executor* executor)
      : program_(program), scope_(scope) {
    const Context parent = scope == nullptr ? Context() : scope->context();
    Options options = program.options;
    options.executor = executor;
    options.context = parent;
    switch (program.kind) {
      case Kind::kSized:
        sized_owner_ = std::make_unique<SizedGroup>(program.size, options);
        break;
      case Kind::kErrSized:
      case Kind::kCount:
        err_sized_owner_ =
            std::make_unique<ErrSizedGroup>(program.size, options);
        break;
      case Kind::kWait:
        wait_owner_ = std::make_unique<WaitGroup>(program.size);
        break;
      case Kind::kError:
        error_owner_ = std::make_unique<ErrorGroup>(parent, program.size);
        break;
    }
    sized_ = sized_owner_.get();
    err_sized_ = err_sized_owner_.get();
    wait_ = wait_owner_.get();
    error_ = error_owner_.get();
    const bool unbounded_below_one = wait_ != nullptr || error_ != nullptr;
    if (program.size > 0) {
      bound_ = program.size;
    } else {
      bound_ = unbounded_below_one ? kUnlimited : 1;
    }
    ends_with_error_ =
        error_ != nullptr || (!unbounded_below_one && options.term_on_error);
  }

  ~Model() {
    if (program_.waits_at_end) CheckAtEnd();
    ending_.Set(true);
    sized_owner_.reset();
    err_sized_owner_.reset();
    wait_owner_.reset();
    error_owner_.reset();
    gone_.Set(true);
    for (const Task& task : program_.tasks) CheckOver(task);
  }

  void RunThread(const std::vector<Op>& ops) {
    for (const Op& op : ops) RunOp(op, nullptr, nullptr);
  }

 private:
  using Token = fuzz::TaskToken<Model, Task>;
  friend Token;

  void Gone(Task& task) {
    Check(!gone_.Get(), "a functor is gone before its group");
    task.destroyed.Set(true);
  }

  Admission Go(Task& task, Task* second) {
    if (sized_ != nullptr) return sized_->Go(Token(this, &task));
    if (err_sized_ != nullptr) return err_sized_->Go(Token(this, &task));
    if (wait_ != nullptr) {
      return second == nullptr
                 ? wait_->Add(Token(this, &task))
                 : wait_->Add(Token(this, &task), Token(this, second));
    }
    return second == nullptr
               ? error_->Add(Token(this, &task))
               : error_->Add(Token(this, &task), Token(this, second));
  }

  // None of a group that returns none.
  std::optional<absl::Status> DoWait(WaitPolicy policy) {
    if (sized_ != nullptr) sized_->Wait(policy);
    if (wait_ != nullptr) wait_->Wait(policy);
    if (err_sized_ != nullptr) return err_sized_->Wait(policy);
    if (error_ != nullptr) return error_->Wait(policy);
    return std::nullopt;
  }

  Stats GetStats() const {
    if (sized_ != nullptr) return sized_->stats();
    if (err_sized_ != nullptr) return err_sized_->stats();
    if (wait_ != nullptr) return wait_->stats();
    return error_->stats();
  }

  // Null of a group that has none.
  const Context* GetContext() const {
    if (sized_ != nullptr) return &sized_->context();
    if (err_sized_ != nullptr) return &err_sized_->context();
    if (error_ != nullptr) return &error_->context();
    return nullptr;
  }

  bool Cancelled() const {
    const Context* const context = GetContext();
    return context != nullptr && context->done();
  }

  void Submit(Task& task, Task* second) {
    const bool in_one_call = wait_ != nullptr || error_ != nullptr;
    if (!in_one_call && second != nullptr) {
      Submit(task, nullptr);
      Submit(*second, nullptr);
      return;
    }
    const bool was_cancelled = Cancelled();
    task.data.Write() = task.id;
    if (second != nullptr) second->data.Write() = second->id;
    const Admission admission = Go(task, second);
    Check(admission != Admission::kFull ||
              program_.options.when_full == WhenFull::kRefuse,
          "only a group that refuses is full");
    Check(admission != Admission::kCancelled || Cancelled() || waiting_.Get() ||
              ending_.Get(),
          "only a group that is done refuses");
    Check(!was_cancelled || admission != Admission::kAccepted,
          "nothing is accepted after a cancellation");
    for (Task* each : {&task, second}) {
      if (each == nullptr) continue;
      // Of two in one call, the first may have been accepted.
      const bool other = second != nullptr && each == &task;
      const bool accepted = admission == Admission::kAccepted;
      if (!accepted && !other) {
        Check(!each->started.Get(), "what is refused does not run");
        Check(each->destroyed.Get(), "what is refused is gone");
      }
      if (admission == Admission::kFull) full_.Add(1);
      if (accepted) each->accepted.Set(true);
    }
  }

  absl::Status RunTask(Task& task, const Context& context) {
    Check(!gone_.Get(), "nothing runs after the group");
    Check(!task.started.Get(), "a task runs once");
    task.started.Set(true);
    Check(now_.Add(1) <= bound_, "no more tasks than the size");
    if (bound_ == 1 && ends_with_error_) {
      Check(!failed_.Get(), "nothing starts after the error that ends it");
    }
    Check(task.data.Read() == task.id, "what was before Go is visible");
    task.data.Write() = -task.id;
    for (const Op& op : task.ops) RunOp(op, &task, &context);
    if (!task.waited.Get()) now_.Add(-1);
    absl::Status status;
    if (task.end == End::kFail) {
      status = absl::InternalError(ErrorText(task.id));
    } else if (task.end == End::kStatus) {
      status = context.status();
      if (!status.ok()) echo_.Set(true);
#ifdef ABSL_HAVE_EXCEPTIONS
    } else if (task.end == End::kThrow) {
      Fail(task);
      throw std::runtime_error(ErrorText(task.id));
#endif
    }
    if (status.ok()) {
      task.succeeded.Set(true);
    } else {
      Fail(task);
    }
    return status;
  }

  void Fail(Task& task) {
    task.failed.Set(true);
    if (task.end != End::kStatus) failed_.Set(true);
  }

  // `self` is the task that does it, if one does.
  void RunOp(const Op& op, Task* self, const Context* context) {
    switch (op.kind) {
      case OpKind::kEnd:
      case OpKind::kCount:
        break;
      case OpKind::kGo:
      case OpKind::kGoTwo:
        Submit(*op.task, op.second);
        break;
      case OpKind::kSlot:
        if (wait_ != nullptr) {
          const Slot slot = wait_->BlockAdd();
          Check(slot || ending_.Get(), "a slot is given before the end");
          if (!slot) break;
          slots_.Add(1);
          Check(wait_->PendingCount() > 0, "a slot is pending");
          sync::SleepFor(kMoment);
        }
        break;
      case OpKind::kCancel:
        if (sized_ != nullptr) sized_->Cancel(kCancelCause);
        if (err_sized_ != nullptr) err_sized_->Cancel(kCancelCause);
        break;
      case OpKind::kCancelParent:
        if (scope_ != nullptr) scope_->Cancel(kParentCause);
        break;
      case OpKind::kWait:
        Wait(self);
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
    }
  }

  void Wait(Task* self) {
    if (self != nullptr && !self->waited.Get()) {
      // It lends its slot, and gets it back whether there is one or not.
      self->waited.Set(true);
      now_.Add(-1);
    }
    std::vector<Task*> accepted;
    for (Task& task : program_.tasks) {
      if (task.accepted.Get()) accepted.push_back(&task);
    }
    if (self == nullptr && error_ != nullptr) waiting_.Set(true);
    const std::optional<absl::Status> status = DoWait(WaitPolicy::kHelp);
    if (self != nullptr) return;
    for (const Task* task : accepted) {
      CheckOver(*task);
      if (!status.has_value()) continue;
      Check(!status->ok() || task->succeeded.Get(), "no error is lost");
    }
    for (const Task* task : accepted) {
      if (!task->started.Get()) continue;
      Check(task->data.Read() == -task->id, "what a task did is visible");
    }
  }

  // That a task is none, or ended in one of the ways there are.
  void CheckOver(const Task& task) {
    if (!task.accepted.Get() && !task.started.Get()) return;
    Check(task.destroyed.Get(), "the functor of a task is gone with it");
    Check(!task.started.Get() || task.succeeded.Get() || task.failed.Get(),
          "a task that has started has ended");
  }

  void CheckStats() {
    const Stats stats = GetStats();
    Check(stats.accepted == stats.queued + stats.running + stats.succeeded +
                                stats.failed + stats.skipped,
          "stats add up");
    if (wait_ != nullptr) {
      Check(wait_->PendingCount() >= 0, "pending is a number");
    }
  }

  // Nobody else uses the group any more, but for its tasks.
  void CheckAtEnd() {
    const std::optional<absl::Status> status = DoWait(WaitPolicy::kHelp);
    const Stats stats = GetStats();
    int64_t submitted = slots_.Get();
    int64_t succeeded = slots_.Get();
    int64_t failed = 0;
    for (const Task& task : program_.tasks) {
      CheckOver(task);
      succeeded += task.succeeded.Get();
      failed += task.failed.Get();
      submitted += task.destroyed.Get();
    }
    Check(stats.queued == 0 && stats.running == 0 && stats.parked == 0,
          "nothing is left");
    Check(stats.accepted + stats.refused == submitted, "all is accounted for");
    Check(stats.succeeded == succeeded, "succeeded is exact");
    Check(stats.failed == failed, "failed is exact");
    Check(stats.skipped == stats.accepted - succeeded - failed,
          "skipped is exact");
    if (wait_ != nullptr) {
      Check(stats.refused == 0 && stats.skipped == 0, "nothing cancels it");
      Check(wait_->PendingCount() == 0, "nothing is pending");
    }
    if (status.has_value()) CheckOutcome(*status, stats);
    // The slots are free. (The context may have ended, or end just now.)
    if (program_.options.when_full == WhenFull::kRefuse && sized_ != nullptr) {
      Check(sized_->Go([] {}) != Admission::kFull, "a slot is free");
    }
  }

  void CheckOutcome(const absl::Status& status, const Stats& stats) {
    const bool cut_short =
        stats.skipped > 0 || stats.refused > full_.Get() || echo_.Get();
    int errors = 0;
    for (const Task& task : program_.tasks) {
      const bool own = task.failed.Get() && task.end != End::kStatus;
      errors += own;
      if (err_sized_ != nullptr && own) {
        Check(absl::StrContains(status.message(), ErrorText(task.id)),
              "every error is told");
      }
    }
    Check(status.ok() == (errors == 0 && !cut_short), "the outcome is right");
    if (status.ok()) return;
    if (err_sized_ != nullptr) {
      const bool by_error =
          err_sized_->context().done() &&
          absl::StrContains(err_sized_->context().cause().message(), "boom");
      const int cause = cut_short && !by_error ? 1 : 0;
      Check(absl::StartsWith(
                status.message(),
                absl::StrCat(errors + cause, " error(s) occurred: [0] {")),
            "the errors are counted");
    } else if (errors == 0) {
      Check(status == error_->context().cause() ||
                absl::StrContains(status.message(), "has returned"),
            "the outcome is the cause");
    } else {
      Check(absl::StrContains(status.message(), "boom"), "errors go first");
    }
  }

  Program& program_;
  CancelScope* const scope_;
  std::unique_ptr<SizedGroup> sized_owner_;
  std::unique_ptr<ErrSizedGroup> err_sized_owner_;
  std::unique_ptr<WaitGroup> wait_owner_;
  std::unique_ptr<ErrorGroup> error_owner_;
  // One of these, also while it is being destroyed.
  SizedGroup* sized_ = nullptr;
  ErrSizedGroup* err_sized_ = nullptr;
  WaitGroup* wait_ = nullptr;
  ErrorGroup* error_ = nullptr;
  int bound_ = kUnlimited;
  bool ends_with_error_ = false;

  Note<int> now_;  // in their code, and never waited for the group
  Note<int> full_;
  Note<int> slots_;
  Note<bool> failed_;
  Note<bool> echo_;
  Note<bool> waiting_;  // for an ErrorGroup, which then ends
  Note<bool> ending_;
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
}  // namespace cohort::sizedgroup

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // Errors that nobody is told of are written to the log.
  absl::SetMinLogLevel(absl::LogSeverityAtLeast::kFatal);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.max_steps = 50'000}, absl::MakeConstSpan(data, size),
                       cohort::sizedgroup::Run);
  return 0;
}
