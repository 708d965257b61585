#include "cohort/group/internal/core.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/executor/catch.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/group/internal/lineage.h"
#include "cohort/group/types.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"
#include "cohort/task/capture.h"
#include "cohort/task/task.h"

namespace cohort::group_internal {
namespace {

// How many tasks a runner takes before it queues up behind the executor's other
// work.
constexpr int kTasksPerRunner = 16;

// How much stack nested tasks may use on a thread before further tasks that it
// helps with run on another stack. In bytes, not tasks, since a task uses as
// much as it likes.
constexpr uintptr_t kMostStack = 128 << 10;

// The calling thread's position on its stack.
uintptr_t StackPosition() {
#if defined(__GNUC__)
  return reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
#else
  const char here = 0;
  return reinterpret_cast<uintptr_t>(&here);
#endif
}

// False if enough errors are kept already, including the first one, or if there
// is no memory.
bool Keep(std::vector<TaskError>& errors, TaskError error) {
  return errors.size() + 1 < kMaxErrors && executor_internal::Catch([&] {
                                             errors.push_back(std::move(error));
                                           }) == nullptr;
}

}  // namespace

bool IsEcho(const absl::Status& status, const Context& context,
            const absl::Status& own_error) {
  const absl::Status cancelled = context.status();
  if (cancelled.ok()) return false;
  if (absl::IsCancelled(status) || status.code() == cancelled.code()) {
    return true;
  }
  return status == context.cause() && status != own_error;
}

struct Core::Parked {
  Entries entry;
  Admission answer = Admission::kFull;  // kFull: no answer yet
  sync::CondVar answered;
};

// Counts as coming until it runs. If the executor drops it instead, or throws
// rather than take it, it does not count as coming any more.
class Core::Runner {
 public:
  explicit Runner(sync::RefPtr<Core> core) : core_(std::move(core)) {}
  Runner(Runner&&) noexcept = default;
  Runner& operator=(Runner&&) = delete;
  ~Runner() {
    if (core_ != nullptr) core_->LoseRunners(1);
  }

  void operator()() && {
    const sync::RefPtr<Core> core = std::move(core_);
    core->Run();
  }

 private:
  sync::RefPtr<Core> core_;
};

// The frames of a thread form a stack of their own, since a task may wait for a
// group and so run tasks within it. On a helper thread, this stack continues
// below with that of the thread that it helps. The destructor is the end of the
// task, even if the task ends its thread (pthread_exit).
class Core::Frame {
 public:
  Frame(Core* core, Entries* entry);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  enum class Fate { kRan, kSkipped };

  Core* core() const { return core_; }
  int64_t index() const { return index_; }
  Frame* below() const { return below_; }
  const Lineage* lineage() const { return lineage_.get(); }
  static Frame* Top() { return ThisThread().top; }
  static sync::RefPtr<Lineage> TopLineage();

  // Whether the calling thread should nest no further task in those that it
  // runs.
  static bool StackIsUsedUp();
  // Calls `f` inside the same tasks, on the stack of a new thread, and waits
  // for the end of `f`, which may be the end of that thread. False if no thread
  // can be started.
  static bool OnAnotherStack(absl::FunctionRef<void()> f);

  Fate fate = Fate::kRan;
  std::optional<absl::Status> status;  // none if the task ended its thread
  std::exception_ptr exception;
  // Both are counted in core->self_waiting_. `waiting`: the task waits for the
  // group, as do all frames of the group below it. `lending`: it waits for one
  // task, to which it lends its slot.
  bool waiting = false;
  bool lending = false;
  Frame* host = nullptr;  // the frame that lends its slot to this one
  // Set to true if the caller must continue with another task. Null if no
  // caller can.
  bool* go_on = nullptr;

 private:
  struct Thread {
    Frame* top = nullptr;
    uintptr_t stack_begin = 0;  // of the part that its tasks use
  };
  static Thread& ThisThread() {
    return sync::ThreadLocal<Thread, Thread>::Get();
  }

  Core* const core_;
  Entries* const entry_;
  const int64_t index_;
  Frame* const below_;
  sync::RefPtr<Lineage> lineage_;  // created for the first group inside the
                                   // task
};

Core::Frame::Frame(Core* core, Entries* entry)
    : core_(core), entry_(entry), index_(entry->front().index), below_(Top()) {
  Thread& thread = ThisThread();
  if (thread.top == nullptr) thread.stack_begin = StackPosition();
  thread.top = this;
}

bool Core::Frame::StackIsUsedUp() {
  const Thread& thread = ThisThread();
  if (thread.top == nullptr) return false;
  const uintptr_t here = StackPosition();
  return std::max(here, thread.stack_begin) -
             std::min(here, thread.stack_begin) >
         kMostStack;
}

bool Core::Frame::OnAnotherStack(absl::FunctionRef<void()> f) {
  struct Call {
    absl::FunctionRef<void()> f;
    Frame* const top;
  };
  Call call = {.f = f, .top = Top()};
  absl::StatusOr<sync::Thread> thread =
      sync::Thread::Start({.name = "helper"}, [&call] {
        ThisThread() = {.top = call.top, .stack_begin = StackPosition()};
        call.f();
      });
  if (!thread.ok()) return false;
  BlockingScope blocking;
  thread->Join();
  return true;
}

sync::RefPtr<Lineage> Core::Frame::TopLineage() {
  Frame* const top = Top();
  if (top == nullptr) return nullptr;
  if (top->lineage_ == nullptr) {
    top->lineage_ = sync::RefPtr<Lineage>::Adopt(
        new Lineage(top->core_, top->core_->maker_));
  }
  return top->lineage_;
}

Core::Frame::~Frame() {
  const int64_t index = entry_->front().index;
  entry_->clear();  // the functor is destroyed before any thread may learn of
                    // the end
  sync::SchedulePoint("task.end");
  Core* const core = core_;
  if (fate == Fate::kSkipped) {
    status.emplace();
  } else if (!status.has_value()) {
    go_on = nullptr;  // the caller never continues
    status = absl::InternalError(
        absl::StrCat(core->Label(), ": task ", index, " ended its thread"));
  }
  const bool failed = !status->ok();
  absl::Status first;
  if (failed) first = core->RecordError(index, *status, exception);
  exception = nullptr;  // destroyed before the end is visible, like the functor
  sync::SchedulePoint("task.recorded");
  // Also after a later error: the task with the first error may not have
  // reached this line yet, and nothing must start in the slot that is freed
  // below.
  if (!first.ok() && core->policy_.cancel_on_error) {
    core->scope_.Cancel(std::move(first));
  }
  sync::SchedulePoint("cancel.fired");
  if (lineage_ != nullptr) lineage_->End();
  ThisThread().top = below_;
  int64_t runners = 0;
  {
    sync::MutexLock lock(&core->mutex_);
    --core->running_;
    if (host != nullptr) {
      host->lending = false;
      --core->self_waiting_;
    }
    if (fate == Fate::kSkipped) {
      ++core->skipped_;
      core->cut_short_ = true;
    } else {
      ++(failed ? core->failed_ : core->succeeded_);
    }
    core->AcceptParked();
    int64_t here = 0;
    if (go_on != nullptr && core->Startable() > core->RunnersToRelyOn()) {
      *go_on = true;
      here = 1;
      core->runners_coming_ += here;
    }
    runners = core->ClaimRunners(here);
    core->WakeIfFinished();
  }
  sync::SchedulePoint("task.uncounted");
  // If the executor takes no runner, the caller continues with one task after
  // the other.
  if (runners > 0) TrySendRunners(sync::RefPtr<Core>::Share(core), runners);
}

absl::Status Core::RecordError(int64_t index, const absl::Status& status,
                               std::exception_ptr& exception) {
  sync::MutexLock lock(&mutex_);
  if (IsEcho(status, context(), first_error_)) {
    cut_short_ = true;
    return absl::OkStatus();
  }
  if (exception != nullptr && !std::exchange(had_exception_, true)) {
    exception_.swap(exception);
  }
  if (first_error_.ok()) {
    first_error_ = status;
    first_index_ = index;
  } else if (policy_.keep_all_errors &&
             !Keep(more_errors_, {.index = index, .status = status})) {
    ++errors_dropped_;
  }
  return first_error_;
}

sync::RefPtr<Core> Core::Create(const Context& parent, Policy policy) {
  return sync::RefPtr<Core>::Adopt(new Core(parent, std::move(policy)));
}

Core::Core(const Context& parent, Policy policy)
    : policy_(std::move(policy)),
      executor_(policy_.executor == nullptr ? DefaultExecutor()
                                            : *policy_.executor),
      maker_(Frame::TopLineage()),
      limit_(policy_.limit),
      scope_(WithCancel(parent)),
      watch_(scope_.context(), [this] { OnDone(); }) {
  CheckSize("limit", policy_.limit);
  CheckSize("queue", policy_.queue);
  on_cancelled_ = scope_.context().OnDone([this] { OnCancelled(); });
}

void Core::Unref() {
  if (references_.Unref()) delete this;
}

std::string Core::Label() const {
  return policy_.name.empty()
             ? policy_.type
             : absl::StrCat(policy_.type, " '", policy_.name, "'");
}

void Core::CheckSize(const char* what, int size) const {
  ABSL_CHECK_GE(size, 0) << Label() << ": " << what << " is " << size
                         << "; the name for no bound is kUnlimited";
}

Core::Frame* Core::OwnFrame(Frame* from) const {
  for (Frame* frame = from; frame != nullptr; frame = frame->below()) {
    if (frame->core() == this) return frame;
    // All frames below are older than this group.
    if (maker_ != nullptr && frame->lineage() == maker_.get()) return nullptr;
  }
  return nullptr;
}

bool Core::InsideTask() const { return OwnFrame(Frame::Top()) != nullptr; }

bool Core::InsideTaskTree() const {
  for (const Frame* frame = Frame::Top(); frame != nullptr;
       frame = frame->below()) {
    if (frame->core() == this) return true;
    if (Lineage::Includes(frame->core()->maker_, this)) return true;
  }
  return false;
}

bool Core::HeldByCaller() const {
  {
    sync::MutexLock lock(&mutex_);
    if (DropsHere()) return true;
    if (Outstanding() == 0) return false;
  }
  return InsideTaskTree();
}

bool Core::RefusesWork() const {
  if (closed_) return true;
  return !policy_.run_after_cancel && (ended_ || context().done());
}

bool Core::HasPlace() const {
  if (limit_ == kUnlimited || policy_.queue == kUnlimited) return true;
  const int64_t taken =
      running_ - self_waiting_ + static_cast<int64_t>(queue_.size());
  return taken < int64_t{limit_} + policy_.queue;
}

void Core::Accept(Entries& entry) {
  ++accepted_;
  const int64_t index = next_index_++;
  if (entry.empty()) {
    ++running_;
  } else {
    entry.front().index = index;
    queue_.splice(queue_.end(), entry);
  }
}

bool Core::TakeBack(int64_t index, Entries& entry) {
  sync::RefPtr<Core> self;
  int64_t runners = 0;
  {
    sync::MutexLock lock(&mutex_);
    const auto place = absl::c_find_if(
        queue_, [index](const Entry& queued) { return queued.index == index; });
    if (place == queue_.end()) return false;
    entry.splice(entry.begin(), queue_, place);
    --accepted_;
    AcceptParked();
    runners = ClaimRunners();
    WakeIfFinished();
    if (runners > 0) self = sync::RefPtr<Core>::Share(this);
  }
  TrySendRunners(std::move(self), runners);
  return true;
}

void Core::AcceptParked() {
  // Once the group is cancelled, OnCancelled answers them.
  while (!parked_.empty() && !RefusesWork() && HasPlace()) {
    Parked* const parked = parked_.front();
    parked_.pop_front();
    Accept(parked->entry);
    parked->answer = Admission::kAccepted;
    parked->answered.Signal();
  }
}

Admission Core::Submit(const char* method, Task task, WhenFull when_full) {
  ABSL_CHECK(task) << Label() << "::" << method << ": null task";
  Entries entry;
  entry.push_back({.task = std::move(task)});
  return Admit(std::move(entry), when_full);
}

Admission Core::Enter(WhenFull when_full) { return Admit({}, when_full); }

Admission Core::Admit(Entries entry, WhenFull when_full) {
  Parked submission;
  submission.entry = std::move(entry);
  sync::SchedulePoint("submit.checked");
  // The group may be destroyed as soon as the task has run, or the parked
  // submission has its answer.
  sync::RefPtr<Core> self;
  bool parked = false;
  bool helps = false;
  int64_t index = -1;  // of the queued task
  int64_t runners = 0;
  Entries next;
  Frame* host = nullptr;
  {
    sync::MutexLock lock(&mutex_);
    if (RefusesWork()) {
      ++refused_;
      cut_short_ = true;
      return Admission::kCancelled;
    }
    // Parked submissions come first: while there is one, there is no place.
    const bool has_place = HasPlace();
    if (!has_place && when_full == WhenFull::kRefuse) {
      ++refused_;
      return Admission::kFull;
    }
    // Inside a task of the group, waiting here could be waiting for oneself;
    // and running a task here could be waiting for a lock that the caller
    // holds.
    parked = !has_place && !InsideTaskTree();
    if (parked) {
      parked_.push_back(&submission);
    } else {
      if (!submission.entry.empty()) index = next_index_;
      Accept(submission.entry);
      helps = !has_place && when_full == WhenFull::kHelp &&
              TakeForOneself(next, &host);
      runners = ClaimRunners();
    }
    if (parked || runners > 0) self = sync::RefPtr<Core>::Share(this);
  }
  if (!parked) {
    const std::exception_ptr refused = TrySendRunners(self, runners);
    if (helps) Help(next, host);
    // If another thread has taken the task, the submission did not fail.
    if (refused == nullptr || !TakeBack(index, submission.entry)) {
      return Admission::kAccepted;
    }
    std::rethrow_exception(refused);
  }
  sync::SchedulePoint("submit.park");
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  while (submission.answer == Admission::kFull) {
    const sync::SteadyTime due =
        context().done() ? sync::SteadyTime::InfiniteFuture() : watch_.due();
    if (submission.answered.WaitUntil(&mutex_, due)) {
      WithoutLock([this] { watch_.EndIfDue(); });
    }
  }
  return submission.answer;
}

void Core::Leave() {
  sync::RefPtr<Core> self;  // as in Admit
  int64_t runners = 0;
  {
    sync::MutexLock lock(&mutex_);
    --running_;
    ++succeeded_;
    AcceptParked();
    runners = ClaimRunners();
    WakeIfFinished();
    if (runners > 0) self = sync::RefPtr<Core>::Share(this);
  }
  TrySendRunners(std::move(self), runners);
}

std::optional<int64_t> Core::Expect() {
  sync::MutexLock lock(&mutex_);
  if (RefusesWork()) {
    ++refused_;
    cut_short_ = true;
    return std::nullopt;
  }
  ++expected_;
  ++accepted_;
  return next_index_++;
}

bool Core::Deliver(Entries& entry, absl::FunctionRef<Task()> task,
                   int64_t* runners) {
  sync::MutexLock lock(&mutex_);
  if (RefusesWork()) return false;
  entry.front().task = task();
  entry.front().queued = true;
  --expected_;
  queue_.splice(queue_.end(), entry);
  *runners = ClaimRunners();
  if (*runners > 0) ++delivering_;
  return true;
}

void Core::SendDelivered(int64_t runners) {
  if (runners == 0) return;
  // The delivering thread is not one that the user waits for, so the group, and
  // with it the executor, must stay until this is done.
  const auto self = sync::RefPtr<Core>::Share(this);
  TrySendRunners(self, runners, /*urgent=*/true);
  sync::MutexLock lock(&mutex_);
  --delivering_;
  WakeIfFinished();
}

void Core::Withdraw(Skipped& skipped) {
  sync::MutexLock lock(&mutex_);
  --expected_;
  BeginDrop(skipped, 1);
}

void Core::Skip(Skipped& skipped) {
  sync::MutexLock lock(&mutex_);
  --expected_;
  BeginDrop(skipped, 1);
  cut_short_ = true;
}

bool Core::WithdrawDelivered(Entries::iterator task, Skipped& skipped) {
  sync::MutexLock lock(&mutex_);
  // Tasks leave the queue one by one, except in OnCancelled: that takes them
  // all, and nothing is queued afterwards.
  if (!task->queued || queue_.empty()) return false;
  skipped.tasks_.splice(skipped.tasks_.end(), queue_, task);
  BeginDrop(skipped, 1);
  return true;
}

bool Core::Skips() const {
  sync::MutexLock lock(&mutex_);
  return DropsHere();
}

const Core::Frame* Core::Innermost() { return Frame::Top(); }

bool Core::Includes(const Frame* innermost, int64_t index) const {
  for (const Frame* frame = innermost; frame != nullptr;
       frame = frame->below()) {
    if (frame->core() == this && frame->index() == index) return true;
  }
  return false;
}

void Core::LendSlots(absl::FunctionRef<void()> wait) {
  int64_t lent = 0;
  int64_t runners = 0;
  {
    sync::MutexLock lock(&mutex_);
    lent = EnterSelfWait();
    if (lent > 0) runners = ClaimRunners();
  }
  const absl::Cleanup leave = [&] {
    sync::MutexLock lock(&mutex_);
    LeaveSelfWait(lent);
  };
  TrySendRunners(sync::RefPtr<Core>::Share(this), runners);
  wait();
}

int64_t Core::Startable() const {
  const int64_t queued = static_cast<int64_t>(queue_.size());
  if (limit_ == kUnlimited) return queued;
  return std::clamp<int64_t>(limit_ - running_ + self_waiting_, 0, queued);
}

bool Core::Abandoned() const {
  return runners_coming_ == 0 && helpers_ == 0 && running_ == self_waiting_ &&
         Startable() > 0;
}

int64_t Core::RunnersToRelyOn() const {
  return runners_coming_ - handing_over_;
}

int64_t Core::ClaimRunners(int64_t here) {
  ABSL_DCHECK_GE(runners_coming_, 0) << Label();
  const int64_t startable = Startable();
  // Even if runners are coming: these may be stuck in the executor behind the
  // very tasks that wait.
  for (int64_t i = std::min(startable - here, helpers_); i > 0; --i) {
    work_.Signal();
  }
  const int64_t missing = std::max<int64_t>(0, startable - RunnersToRelyOn());
  runners_coming_ += missing;
  return missing;
}

void Core::SendRunners(sync::RefPtr<Core> self, int64_t count, bool urgent) {
  if (count == 0) return;
  Executor& executor = self->executor_;
  const auto send = [&executor, urgent](Runner runner) {
    if (urgent) {
      executor.SubmitUrgent(std::move(runner));
    } else {
      executor.Submit(std::move(runner));
    }
  };
  for (; count > 1; --count) {
    absl::Cleanup rest = [&] { self->LoseRunners(count - 1); };
    send(Runner(self));
    std::move(rest).Cancel();
  }
  send(Runner(std::move(self)));
}

std::exception_ptr Core::TrySendRunners(sync::RefPtr<Core> self, int64_t count,
                                        bool urgent) {
  if (count == 0) return nullptr;
  return executor_internal::Catch(
      [&] { SendRunners(std::move(self), count, urgent); });
}

void Core::LoseRunners(int64_t count) {
  sync::MutexLock lock(&mutex_);
  runners_coming_ -= count;
  if (Abandoned()) finished_.SignalAll();
}

bool Core::Take(Entries& entry) {
  if (Startable() == 0) return false;
  entry.splice(entry.begin(), queue_, queue_.begin());
  entry.front().queued = false;
  ++running_;
  return true;
}

bool Core::TakeForOneself(Entries& entry, Frame** host) {
  Frame* const lender = OwnFrame(Frame::Top());
  if (lender != nullptr) ++self_waiting_;
  if (!Take(entry)) {
    if (lender != nullptr) --self_waiting_;
    return false;
  }
  if (lender != nullptr) lender->lending = true;
  *host = lender;
  return true;
}

void Core::Help(Entries& entry, Frame* host) {
  const auto run = [&] { RunTaken(entry, host); };
  if (!Frame::StackIsUsedUp() || !Frame::OnAnotherStack(run)) run();
}

void Core::Run() {
  Entries entry;
  int left = kTasksPerRunner;
  while (true) {
    {
      sync::MutexLock lock(&mutex_);
      --runners_coming_;
      if (!Take(entry)) return;
    }
    if (!RunTaken(entry)) return;
    if (--left <= 0 && HandOver()) return;
  }
}

bool Core::HandOver() {
  {
    sync::MutexLock lock(&mutex_);
    ++runners_coming_;
    ++handing_over_;
  }
  const bool sent =
      TrySendRunners(sync::RefPtr<Core>::Share(this), 1) == nullptr;
  sync::MutexLock lock(&mutex_);
  --handing_over_;
  if (sent) --runners_coming_;
  return sent;
}

bool Core::RunTaken(Entries& entry, Frame* host) {
  bool go_on = false;
  {
    Frame frame(this, &entry);
    if (host == nullptr) frame.go_on = &go_on;
    frame.host = host;
    sync::SchedulePoint("task.begin");
    if (!policy_.run_after_cancel && context().done()) {
      frame.fate = Frame::Fate::kSkipped;
    } else {
      frame.status = Invoke(entry.front(), frame.exception);
    }
  }
  return go_on;
}

absl::Status Core::Invoke(Entry& entry, std::exception_ptr& exception) {
  auto body = [&] { return std::move(entry.task)(context()); };
  if (policy_.exceptions == Exceptions::kTerminate) {
    return [&]() noexcept { return body(); }();
  }
  return task_internal::InvokeCapturing(
      body, [&] { return absl::StrCat(Label(), ": task ", entry.index); },
      &exception);
}

void Core::OnCancelled() {
  if (policy_.run_after_cancel) return;
  if (policy_.skip_expected != nullptr) policy_.skip_expected();
  DropQueued();
}

void Core::OnDone() {
  sync::MutexLock lock(&mutex_);
  if (!policy_.run_after_cancel) RefuseParked();
  work_.SignalAll();
  finished_.SignalAll();
}

void Core::RefuseParked() {
  if (parked_.empty()) return;
  cut_short_ = true;
  refused_ += static_cast<int64_t>(parked_.size());
  for (Parked* parked : parked_) {
    parked->answer = Admission::kCancelled;
    parked->answered.Signal();
  }
  parked_.clear();
  WakeIfFinished();  // if only these were outstanding
}

void Core::DropQueued() {
  Skipped skipped(*this);
  sync::MutexLock lock(&mutex_);
  skipped.tasks_.swap(queue_);
  const int64_t count = static_cast<int64_t>(skipped.tasks_.size());
  if (count > 0) {
    BeginDrop(skipped, count);
    cut_short_ = true;
  }
  RefuseParked();
}

void Core::BeginDrop(Skipped& skipped, int64_t count) {
  dropping_ += count;
  skipped.count_ = count;
  drops_.PushBack(&skipped);
}

Core::Skipped::~Skipped() {
  if (count_ == 0) return;
  tasks_.clear();
  sync::MutexLock lock(&core_.mutex_);
  core_.drops_.Remove(this);
  core_.dropping_ -= count_;
  core_.skipped_ += count_;
  core_.WakeIfFinished();
}

bool Core::DropsHere() const {
  const sync::ThreadId here = sync::CurrentThreadId();
  for (const Skipped* skipped = drops_.front(); skipped != nullptr;
       skipped = sync::LinkedList<Skipped>::Next(skipped)) {
    if (skipped->thread_ == here) return true;
  }
  return false;
}

int64_t Core::Outstanding() const {
  return running_ + expected_ + delivering_ + dropping_ +
         static_cast<int64_t>(queue_.size()) +
         static_cast<int64_t>(parked_.size());
}

bool Core::Finished(bool inside, int64_t round) const {
  if (!inside) return Outstanding() == 0 || Stranded();
  return Outstanding() == self_waiting_ || rounds_ != round;
}

bool Core::Stranded() const {
  return closing_ && limit_ == 0 && running_ == self_waiting_ &&
         !(queue_.empty() && parked_.empty());
}

void Core::WakeIfFinished() {
  if (Outstanding() > self_waiting_) {
    if (!Stranded()) return;
  } else {
    ++rounds_;
  }
  finished_.SignalAll();
  work_.SignalAll();
}

int64_t Core::EnterSelfWait() {
  int64_t count = 0;
  for (Frame* frame = OwnFrame(Frame::Top());
       frame != nullptr && !frame->waiting; frame = OwnFrame(frame->below())) {
    frame->waiting = true;
    if (!frame->lending) ++self_waiting_;
    ++count;
  }
  if (count > 0) {
    AcceptParked();
    WakeIfFinished();
  }
  return count;
}

void Core::LeaveSelfWait(int64_t count) {
  for (Frame* frame = OwnFrame(Frame::Top()); count > 0;
       frame = OwnFrame(frame->below())) {
    frame->waiting = false;
    if (!frame->lending) --self_waiting_;
    --count;
  }
}

absl::Status Core::Wait(WaitPolicy policy) {
  return DoWait(policy == WaitPolicy::kHelp,
                sync::SteadyTime::InfiniteFuture());
}

absl::Status Core::WaitUntil(sync::SteadyTime deadline) {
  return DoWait(/*help=*/false, deadline);
}

absl::Status Core::DoWait(bool help, sync::SteadyTime deadline) {
  const bool inside = InsideTask();
  sync::SchedulePoint("wait.checked");
  // Callbacks of parent contexts run before the one that calls OnCancelled, and
  // this call may be inside one of them.
  if (context().done()) OnCancelled();
  int64_t entered = 0;
  // Also if the executor takes no runner, or a task ends this thread.
  absl::Cleanup leave = [&] {
    if (entered == 0) return;
    sync::MutexLock lock(&mutex_);
    LeaveSelfWait(entered);
  };
  bool finished = false;
  absl::Status result;
  absl::Status cause;
  sync::RefPtr<Core> self;
  int64_t left = 0;
  {
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK(!DropsHere())
        << Label() << ": waited for, or destroyed, by the destructor of a task "
        << "that is being skipped";
    entered = EnterSelfWait();
    const int64_t round = rounds_;
    const int64_t runners = ClaimRunners();  // for the slots that were lent
    if (runners > 0) WithoutLock([&] { SendFromWait(runners, help); });
    AwaitEnd(inside, round, help, deadline);
    finished = Finished(inside, round);
    result = Result();
    // A task that waits for its own group cannot know that the group is over.
    if (finished && !inside && policy_.wait_ends_group) {
      cause = result.ok() ? EndedByWait() : result;
      ended_ = true;
    }
    LeaveSelfWait(std::exchange(entered, 0));
    // This thread may have been the one that was to take the next task.
    left = ClaimRunners();
    if (left > 0) self = sync::RefPtr<Core>::Share(this);
  }
  TrySendRunners(std::move(self), left);
  if (!finished) {
    return absl::DeadlineExceededError(
        absl::StrCat(Label(), "::WaitUntil: tasks are still outstanding"));
  }
  // Each waiter does this, so that none returns before it is done.
  if (!cause.ok()) scope_.Cancel(std::move(cause));
  return result;
}

void Core::SendFromWait(int64_t runners, bool help) {
  const std::exception_ptr refused =
      TrySendRunners(sync::RefPtr<Core>::Share(this), runners);
  if (refused == nullptr || help) return;
  {
    sync::MutexLock lock(&mutex_);
    if (!Abandoned()) return;
  }
  std::rethrow_exception(refused);
}

void Core::WithoutLock(absl::FunctionRef<void()> f) {
  mutex_.Unlock();
  const absl::Cleanup lock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mutex_.Lock();
  };
  f();
}

void Core::AwaitEnd(bool inside, int64_t round, bool help,
                    sync::SteadyTime deadline) {
  Entries entry;
  bool expired = false;
  bool has_thread = true;  // as far as is known
  bool told = false;       // OnCancelled has been called
  while (!Finished(inside, round) && !expired) {
    // Does not rely on another thread, which may not come.
    if (!told && IsOver()) {
      told = true;
      WithoutLock([this] {
        watch_.EndIfDue();
        OnCancelled();
      });
      continue;
    }
    const bool elsewhere =
        help && has_thread && Startable() > 0 && Frame::StackIsUsedUp();
    const bool take = help && !elsewhere && Take(entry);
    const int64_t runners = !help && Abandoned() ? ClaimRunners() : 0;
    bool go_on = false;
    WithoutLock([&] {
      if (elsewhere) {
        // Does everything that is left to do, unless a task ends that thread.
        has_thread = Frame::OnAnotherStack([&] {
          sync::MutexLock lock(&mutex_);
          AwaitEnd(inside, round, help, deadline);
        });
      } else if (take) {
        has_thread = true;
        go_on = RunTaken(entry);
      } else if (runners > 0) {
        SendFromWait(runners, help);
      } else {
        sync::SchedulePoint("wait.park");
        expired = Park(inside, round, help, told, deadline);
      }
    });
    if (go_on) --runners_coming_;
  }
}

absl::Status Core::Result() const {
  if (!first_error_.ok() || !cut_short_) return first_error_;
  return context().done() ? context().cause() : EndedByWait();
}

bool Core::IsOver() const {
  return context().done() ||
         (watch_.due() != sync::SteadyTime::InfiniteFuture() &&
          watch_.due() <= sync::SteadyTime::Now());
}

bool Core::Park(bool inside, int64_t round, bool help, bool told,
                sync::SteadyTime deadline) {
  const bool own = told || deadline < watch_.due();
  const sync::SteadyTime until = own ? deadline : watch_.due();
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  bool expired = false;
  while (!Finished(inside, round) && !expired &&
         !(help ? Startable() > 0 : Abandoned()) &&
         (told || !context().done())) {
    if (help) {
      ++helpers_;
      expired = work_.WaitUntil(&mutex_, until);
      --helpers_;
    } else {
      expired = finished_.WaitUntil(&mutex_, until);
    }
  }
  return expired && own;
}

absl::Status Core::EndedByWait() const {
  return absl::CancelledError(absl::StrCat(Label(), ": Wait has returned"));
}

bool Core::Cancel(absl::Status cause) {
  ABSL_CHECK(!cause.ok()) << Label() << "::Cancel: the cause is OK";
  // Waiters are woken before this returns, and may destroy the group.
  const auto self = sync::RefPtr<Core>::Share(this);
  return scope_.Cancel(std::move(cause));
}

void Core::SetLimit(int limit) {
  CheckSize("SetLimit: limit", limit);
  sync::RefPtr<Core> self;  // as in Admit
  int64_t runners = 0;
  int before = 0;
  {
    sync::MutexLock lock(&mutex_);
    before = std::exchange(limit_, limit);
    AcceptParked();
    runners = ClaimRunners();
    WakeIfFinished();  // if nobody can start the remaining tasks any more
    if (runners > 0) self = sync::RefPtr<Core>::Share(this);
  }
  const std::exception_ptr refused = TrySendRunners(self, runners);
  if (refused == nullptr) return;
  {
    sync::MutexLock lock(&mutex_);
    limit_ = before;
  }
  std::rethrow_exception(refused);
}

bool Core::Close() {
  if (HeldByCaller() && sync::InExit()) {
    // The task around the caller never ends, and other threads may still be in
    // the core.
    sync::KeepForExit(sync::RefPtr<Core>::Share(this));
    scope_.Cancel(absl::CancelledError("the process ends"));
    return false;
  }
  ABSL_CHECK(!InsideTask()) << Label() << " destroyed by one of its own tasks";
  scope_.Cancel(absl::CancelledError(absl::StrCat(Label(), " destroyed")));
  {
    sync::MutexLock lock(&mutex_);
    closing_ = true;
  }
  Wait(WaitPolicy::kHelp).IgnoreError();
  bool stranded = false;
  {
    sync::MutexLock lock(&mutex_);
    stranded = Stranded();
    closed_ = stranded;
  }
  if (stranded) {
    DropQueued();
    Wait(WaitPolicy::kHelp).IgnoreError();
  }
  on_cancelled_ = DoneCallback();
  // Late runners may keep the core for a while, but must keep nothing of the
  // user's.
  TakeException();
  return true;
}

std::vector<TaskError> Core::errors() const {
  sync::MutexLock lock(&mutex_);
  std::vector<TaskError> errors;
  if (first_error_.ok()) return errors;
  errors.reserve(1 + more_errors_.size());
  errors.push_back({.index = first_index_, .status = first_error_});
  absl::c_copy(more_errors_, std::back_inserter(errors));
  return errors;
}

bool Core::cut_short() const {
  sync::MutexLock lock(&mutex_);
  return cut_short_;
}

bool Core::ended() const {
  sync::MutexLock lock(&mutex_);
  return ended_;
}

std::exception_ptr Core::TakeException() {
  sync::MutexLock lock(&mutex_);
  return std::exchange(exception_, nullptr);
}

Stats Core::stats() const {
  sync::MutexLock lock(&mutex_);
  return {.accepted = accepted_,
          .queued = static_cast<int64_t>(queue_.size()) + expected_ + dropping_,
          .running = running_,
          .succeeded = succeeded_,
          .failed = failed_,
          .skipped = skipped_,
          .refused = refused_,
          .parked = static_cast<int64_t>(parked_.size()),
          .errors_dropped = errors_dropped_};
}

}  // namespace cohort::group_internal
