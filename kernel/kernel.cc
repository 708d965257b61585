#include "cohort/kernel/kernel.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/kernel/arena.h"
#include "cohort/kernel/fiber.h"
#include "cohort/kernel/kernel_internal.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/kernel/uninstrumented.h"
#include "cohort/kernel/verdict.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#endif
#ifdef ABSL_HAVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

// Replaces the C library's abort(). In a run this gives a verdict, without
// doing anything in a signal handler.
extern "C" void abort() noexcept {
  if (auto* const kernel = cohort::kernel::Kernel::Active()) {
    kernel->Crash();
  }
  raise(SIGABRT);
  signal(SIGABRT, SIG_DFL);
  raise(SIGABRT);
  _exit(134);
}

namespace cohort::kernel {
namespace {

// If this many rounds of daemon steps wake nobody, the run is stuck: the
// executor's monitor takes about ten to decide to add a thread.
constexpr int kMaxIdleRounds = 64;

}  // namespace

thread_local Kernel* Kernel::active_ = nullptr;

namespace {

// Signal handlers belong to the process, and there may be several kernels.
struct SignalHandlers {
  struct sigaction abort_before;
  struct sigaction fault_before;
  std::unique_ptr<char[]> stack;
};
SignalHandlers* handlers = nullptr;

// Stacks are expensive to create, and a fuzzer creates a kernel for each of its
// inputs.
thread_local std::vector<std::unique_ptr<Fiber>> spare_fibers;

std::unique_ptr<Fiber> NewFiber(size_t stack_size) {
  while (!spare_fibers.empty()) {
    std::unique_ptr<Fiber> fiber = std::move(spare_fibers.back());
    spare_fibers.pop_back();
    if (fiber->stack_size() == stack_size) return fiber;
  }
  return std::make_unique<Fiber>(stack_size);
}

}  // namespace

Kernel::Kernel(const KernelOptions& options) : options_(options) {
  if (handlers == nullptr) {
    handlers = new SignalHandlers;
    // A handler cannot run on a stack that has overflowed.
    constexpr size_t kSize = 64 << 10;
    handlers->stack = std::make_unique<char[]>(kSize);
    stack_t alternate = {};
    alternate.ss_sp = handlers->stack.get();
    alternate.ss_size = kSize;
    sigaltstack(&alternate, nullptr);
    struct sigaction action = {};
    action.sa_handler = &Kernel::OnAbort;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGABRT, &action, &handlers->abort_before);
    action = {};
    action.sa_sigaction = &Kernel::OnFault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &handlers->fault_before);
#ifdef ABSL_HAVE_THREAD_SANITIZER
    // The standard library counts references without atomics until the process
    // has had a second thread.
    std::thread([] {}).join();
#endif
  }
  Watch();
}

Kernel::~Kernel() {
  ABSL_CHECK(active_ != this) << "Kernel: still runs";
  for (const Thread& thread : threads_) {
    if (thread.fiber != nullptr) spare_fibers.emplace_back(thread.fiber);
  }
}

void Kernel::Crash() {
  Fail(Verdict::kCrash, [] {
    return std::string(
        "abort() was called; whoever did has told the reason on standard "
        "error");
  });
}

// For aborts inside the C library itself, such as a failed assert().
void Kernel::OnAbort(int signal) {
  if (active_ != nullptr) active_->Crash();
  sigaction(signal, &handlers->abort_before, nullptr);
  raise(signal);
}

void Kernel::OnFault(int signal, siginfo_t* info, void*) {
  if (active_ != nullptr) {
    for (int i = 0; i < active_->thread_count_; ++i) {
      const Thread& thread = active_->threads_[i];
      if (thread.fiber != nullptr && thread.fiber->IsOverflow(info->si_addr)) {
        static constexpr char kMessage[] =
            "sim: a simulated thread has used up its stack: raise stack_size\n";
        (void)!write(2, kMessage, sizeof(kMessage) - 1);
      }
    }
  }
  sigaction(signal, &handlers->fault_before, nullptr);
}

COHORT_BEGIN_UNINSTRUMENTED

// The run is over: everything that any thread has done so far, including
// abandoned ones, happens before what `fiber` does from now on.
void Kernel::AdoptThreads([[maybe_unused]] const Fiber& fiber) {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  for (int i = 0; i < thread_count_; ++i) {
    threads_[i].fiber->TakeIdentity();
    __tsan_release(this);
  }
  host_.TakeIdentity();
  __tsan_release(this);
  fiber.TakeIdentity();
  __tsan_acquire(this);
#endif
}

void Kernel::TsanAcquire([[maybe_unused]] void* object) const {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  Outside thread(*this);
  __tsan_acquire(object);
#endif
}

void Kernel::TsanRelease([[maybe_unused]] void* object) const {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  Outside thread(*this);
  __tsan_release(object);
#endif
}

RunReport Kernel::Run(Scheduler& scheduler, absl::FunctionRef<void()> body,
                      bool traced) {
  ABSL_CHECK(active_ == nullptr) << "sim: a run within a run";
  scheduler_ = &scheduler;
  body_ = &body;
  traced_ = traced;
  report_ = {};
  ++run_;
  arena_.Reset();
  objects_.clear();
  objects_.resize(2);
  std::fill(std::begin(ordinals_), std::end(ordinals_), 0);
  objects_[kClockObject].info.kind = ObjectKind::kClock;
  run_wide_.clear();
  thread_count_ = 0;
  current_ = 0;
  enabled_ = 0;
  timed_ = 0;
  tick_stale_ = true;
  daemons_ = 0;
  yields_ = false;
  preempted_ = false;
  undivided_ = false;
  quiescing_ = Quiescing::kNot;
  idle_rounds_ = 0;
  spurious_left_ = options_.spurious_wake_ups;
  refusals_left_ = options_.refused_starts;
  now_ = 0;
  wall_clock_shift_ = 0;
  step_ = 0;
  hash_ = 0;
  pending_[kClockThread] = {
      .kind = OpKind::kTick, .objects = {kClockObject}, .site = {}};
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  // An abandoned run is a leak, and cannot be predicted.
  const __lsan::ScopedDisabler may_leak;
#endif
  active_ = this;
  scheduler.Begin();
  Spawn(nullptr, Site());
  while (true) {
    on_host_ = false;
    host_.SwitchTo(*threads_[current_].fiber);
    on_host_ = true;
    if (job_ == nullptr) break;
    std::exchange(job_, nullptr)(job_closure_);
  }
  active_ = nullptr;
  AdoptThreads(host_);
  // For the sanitizers at least, its stack is still inside a signal handler.
  if (report_.verdict == Verdict::kCrash) {
    crashed_.emplace_back(std::exchange(threads_[current_].fiber, nullptr));
  }
  report_.steps = step_;
  report_.threads = thread_count_;
  report_.trace_hash = hash_;
  for (const ObjectState& object : objects_) {
    if (traced) report_.objects.push_back(object.info);
  }
  for (int i = 0; i < thread_count_; ++i) {
    Thread& thread = threads_[i];
    if (traced) report_.thread_names.push_back(thread.name);
    thread.locals.clear();
  }
  return std::move(report_);
}

void Kernel::ThreadMain() {
  Kernel& kernel = *active_;
  kernel.host_.TakeIdentity();
  kernel.TsanAcquire(&kernel.current());
  kernel.Record();
  kernel.RunBody();
  if (kernel.current_ == 0) {
    kernel.FinishRun();
  } else {
    kernel.EndThread();
  }
}

void Kernel::RunBody() {
#ifdef ABSL_HAVE_EXCEPTIONS
  try {
#endif
    ThreadStart* const start = current().start;
    current().start = nullptr;
    Outside thread(*this);
    if (start == nullptr) {
      (*body_)();
    } else {
      std::move(start->body)();
      delete start;
    }
#ifdef ABSL_HAVE_EXCEPTIONS
  } catch (const std::exception& error) {
    FailWith(Verdict::kException, [&] {
      return absl::StrCat(DescribeThread(current_),
                          " ended by an exception: ", error.what());
    });
  } catch (...) {
    FailWith(Verdict::kException, [&] {
      return absl::StrCat(DescribeThread(current_), " ended by an exception");
    });
  }
#endif
}

// The objects of the current thread or of the run; the last one first. A
// destructor may create another one.
void Kernel::DestroyAll(std::vector<Local>& objects) {
  while (true) {
    void* object = nullptr;
    Destroy destroy = nullptr;
    OnHost([&] {
      if (objects.empty()) return;
      object = objects.back().object;
      destroy = objects.back().destroy;
    });
    if (object == nullptr) return;
    // The object may still be asked for while it is being destroyed.
    {
      Outside thread(*this);
      destroy(object);
    }
    OnHost([&] {
      std::erase_if(objects, [object](const Local& local) {
        return local.object == object;
      });
    });
  }
}

void Kernel::EndThread() {
  Thread& self = current();
  DestroyAll(self.locals);
  Step(OpKind::kEnd, Site(), self.object);
  Record();
  TsanRelease(&self);
  self.ended = true;
  enabled_ &= ~Bit(current_);
  enabled_ |= self.joiners;
  Fiber& left = *self.fiber;
  left.SwitchTo(*threads_[Pick()].fiber, /*for_good=*/true);
  std::abort();  // nobody resumes a thread that has ended
}

void Kernel::FinishRun() {
  // Other threads that the body left running may end; daemons may stay until
  // the objects that they serve are destroyed.
  WaitForOthers(Quiescing::kBusy);
  DestroyAll(run_wide_);
  WaitForOthers(Quiescing::kAll);
  DestroyAll(threads_[0].locals);
  TsanRelease(&threads_[0]);
  threads_[0].ended = true;
  threads_[0].fiber->SwitchTo(host_, /*for_good=*/true);
  std::abort();
}

void Kernel::WaitForOthers(Quiescing which) {
  quiescing_ = which;
  enabled_ &= ~Bit(0);
  Step(OpKind::kQuiesce, Site());
  quiescing_ = Quiescing::kNot;
}

void Kernel::Fail(Verdict verdict, absl::FunctionRef<std::string()> message) {
  FailWith(verdict, [message] { return message(); });
}

void Kernel::Step(OpKind kind, Site site, uint32_t a, uint32_t b, uint32_t c,
                  bool read, const char* label) {
  PendingOp& op = pending_[current_];
  op.kind = kind;
  op.read = read;
  op.objects[0] = a;
  op.objects[1] = b;
  op.objects[2] = c;
  op.label = label;
  op.site = site;
  Reschedule();
}

void Kernel::Reschedule() {
  if (undivided_) return;
  const int self = current_;
  const int next = Pick();
  if (next == self) return;
  threads_[self].fiber->SwitchTo(*threads_[next].fiber);
  host_.TakeIdentity();
}

int Kernel::Pick() {
  while (true) {
    uint64_t mask = enabled_;
    if (mask == 0 && quiescing_ != Quiescing::kNot) {
      uint64_t live = 0;
      for (int i = 1; i < thread_count_; ++i) {
        if (!threads_[i].ended) live |= Bit(i);
      }
      if ((timed_ & ~daemons_) == 0) {
        const uint64_t in_the_way =
            quiescing_ == Quiescing::kAll ? live : live & ~daemons_;
        if (in_the_way != 0) Stuck();
        enabled_ = Bit(0);
        mask = enabled_;
      }
    }
    if (timed_ != 0 && (mask == 0 || options_.racing_time)) {
      if (mask == 0 && (timed_ & ~daemons_) == 0 &&
          ++idle_rounds_ > kMaxIdleRounds) {
        Stuck();
      }
      mask |= Bit(kClockThread);
      if (tick_stale_) PrepareTick();
    }
    if (mask == 0) Stuck();
    if (++step_ > options_.max_steps) {
      FailWith(Verdict::kLivelock, [&] {
        return absl::StrCat("no end after ", options_.max_steps, " steps");
      });
    }
    View& view = view_;  // not on this stack: a scheduler reads it
    view = {.enabled = mask,
            .current = current_,
            .current_yields = yields_,
            .step = step_,
            .pending = pending_};
    int next = 0;
    OnHost([&] { next = scheduler_->PickThread(view); });
    ABSL_CHECK(view.is_enabled(next)) << "sim: a scheduler picked nobody";
    preempted_ = next != current_ && view.is_enabled(current_) && !yields_;
    yields_ = false;
    const PendingOp& op = pending_[next];
    hash_ = (hash_ ^ (static_cast<uint64_t>(next) << 8 |
                      static_cast<uint64_t>(op.kind) << 16 |
                      uint64_t{op.objects[0]} << 24)) *
            0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 32;
    if (next == kClockThread) {
      Tick();
      continue;
    }
    if (!threads_[next].daemon_step) idle_rounds_ = 0;
    if (options_.counters != nullptr) {
      for (const uint32_t object : op.objects) {
        if (object != 0) Cover(object, op);
      }
    }
    for (const uint32_t object : op.objects) {
      if (object != 0) objects_[object].users |= Bit(next);
    }
    current_ = next;
    return next;
  }
}

void Kernel::Cover(uint32_t object, const PendingOp& op) {
  ObjectState& state = objects_[object];
  const uint32_t site = SiteHash(op.site);
  const int thread = current_;
  if (state.last_thread != thread && state.last_thread >= 0) {
    const uint32_t pair =
        (state.last_site * 31 + site) * 31 + static_cast<uint32_t>(op.kind);
    uint8_t& counter =
        options_.counters[(pair ^ pair >> 15) % options_.counter_count];
    if (counter != 255) ++counter;
  }
  state.last_thread = thread;
  state.last_site = site;
}

// Computes what the next tick does: which threads it wakes, and so which
// conditions it changes.
void Kernel::PrepareTick() {
  tick_stale_ = false;
  tick_at_ = kNever;
  for (uint64_t left = timed_; left != 0; left &= left - 1) {
    tick_at_ = std::min(tick_at_, threads_[std::countr_zero(left)].deadline);
  }
  PendingOp& tick = pending_[kClockThread];
  tick.objects[1] = 0;
  tick.objects[2] = 0;
  for (uint64_t left = timed_; left != 0; left &= left - 1) {
    const Thread& thread = threads_[std::countr_zero(left)];
    if (thread.deadline > tick_at_ || thread.condition == nullptr) continue;
    const uint32_t condition = thread.condition->id_;
    if (tick.objects[1] == 0 || tick.objects[1] == condition) {
      tick.objects[1] = condition;
    } else {
      tick.objects[2] = tick.objects[2] == 0 || tick.objects[2] == condition
                            ? condition
                            : kAnyObject;
    }
  }
}

void Kernel::Tick() {
  now_ = std::max(now_, tick_at_);
  if (traced_) {
    OnHost([&] {
      report_.trace.push_back({.step = step_,
                               .now = now_,
                               .thread = kClockThread,
                               .op = pending_[kClockThread],
                               .preempted = preempted_});
    });
  }
  for (uint64_t left = timed_; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    Thread& thread = threads_[i];
    if (thread.deadline > now_) continue;
    thread.timed_out = true;
    thread.daemon_step = thread.daemon;
    MakeReady(i);
  }
}

// From now on a thread that waited is blocked only by the mutex.
void Kernel::MakeReady(int thread) {
  Thread& waiter = threads_[thread];
  timed_ &= ~Bit(thread);
  tick_stale_ = true;
  daemons_ &= ~Bit(thread);
  waiter.deadline = kNever;
  if (waiter.condition == nullptr) {  // a sleep
    enabled_ |= Bit(thread);
    return;
  }
  waiter.condition->waiters_ &= ~Bit(thread);
  waiter.condition = nullptr;
  waiter.mutex->contenders_ |= Bit(thread);
  if (waiter.mutex->owner_ < 0) enabled_ |= Bit(thread);
}

void Kernel::Record(uint64_t value, const char* note) {
  if (!traced_) return;
  OnHost([&] {
    report_.trace.push_back({.step = step_,
                             .now = now_,
                             .thread = current_,
                             .op = pending_[current_],
                             .value = value,
                             .note = note,
                             .preempted = std::exchange(preempted_, false)});
  });
}

int Kernel::ChooseBelow(ChoiceKind kind, int n) {
  if (n <= 1 || undivided_) return 0;
  int choice = 0;
  OnHost([&] {
    choice = scheduler_->Choose(kind, n, current_, pending_[current_]);
  });
  ABSL_CHECK(0 <= choice && choice < n) << "sim: a scheduler chose nothing";
  hash_ = (hash_ ^ static_cast<uint64_t>(choice)) * 0x9e3779b97f4a7c15u;
  return choice;
}

uint32_t Kernel::NewObject(ObjectKind kind, Site site) {
  const auto id = static_cast<uint32_t>(objects_.size());
  OnHost([&] { objects_.emplace_back(); });
  objects_[id].info = {.kind = kind,
                       .site = site,
                       .ordinal = ordinals_[static_cast<int>(kind)]++};
  return id;
}

// True if the run sees the object for the first time.
bool Kernel::Register(Object& object, Site site) {
  if (object.life_ != Object::kAlive) {
    FailWith(Verdict::kUseAfterDestruction, [&] {
      return absl::StrCat(DescribeThread(current_), " uses a ",
                          KindName(object.kind_), " that is destroyed, at ",
                          BaseName(site.file_name()), ":", site.line());
    });
  }
  if (object.run_ == run_) return false;
  object.run_ = run_;
  object.id_ = NewObject(object.kind_, object.site_);
  return true;
}

int Kernel::Start(ThreadStart* start, Site site) {
  Inside kernel(*this);
  return Spawn(start, site);
}

int Kernel::Spawn(ThreadStart* start, Site site) {
  const bool first = start == nullptr;
  if (!first) {
    if (thread_count_ == kMaxThreads) {
      FailWith(Verdict::kMisuse, [&] {
        return absl::StrCat("more than ", kMaxThreads, " threads in one run");
      });
    }
    Step(OpKind::kSpawn, site);
    if (refusals_left_ > 0 && ChooseBelow(ChoiceKind::kRefusedStart, 2) == 1) {
      --refusals_left_;
      Record(0, "refused");
      return -1;
    }
  }
  const int index = thread_count_++;
  Thread& thread = threads_[index];
  if (thread.fiber == nullptr) {
    OnHost([&] { thread.fiber = NewFiber(options_.stack_size).release(); });
  }
  thread.fiber->Reset(&Kernel::ThreadMain);
  thread.start = start;
  if (first) {
    thread.name = "main";
  } else {
    Outside spawner(*this);
    thread.name = start->name;
  }
  thread.object = NewObject(ObjectKind::kThread, site);
  thread.ended = false;
  thread.daemon = false;
  thread.daemon_step = false;
  thread.timed_out = false;
  thread.deadline = kNever;
  thread.condition = nullptr;
  thread.mutex = nullptr;
  thread.joins = -1;
  thread.joiners = 0;
  if (first) {
    thread.clock = VectorClock{};
#ifdef ABSL_HAVE_THREAD_SANITIZER
    __tsan_release(&thread);
#endif
  } else {
    ReleaseTo(&thread.clock);
    TsanRelease(&thread);
  }
  thread.clock.at[index] = 1;
  PendingOp& op = pending_[index];
  op = {.kind = OpKind::kStart, .objects = {thread.object}, .site = site};
  enabled_ |= Bit(index);
  if (!first) Record(static_cast<uint64_t>(index));
  OnHost([&] { scheduler_->Started(index, first ? -1 : current_); });
  return index;
}

void Kernel::Join(int index, Site site) {
  Inside kernel(*this);
  Thread& thread = threads_[index];
  current().joins = index;
  thread.joiners |= Bit(current_);
  if (!thread.ended) enabled_ &= ~Bit(current_);
  Step(OpKind::kJoin, site, thread.object);
  current().joins = -1;
  AcquireFrom(&thread.clock);
  TsanAcquire(&thread);
  Record();
}

bool Kernel::LooksBlocked(int index, Site site) {
  Inside kernel(*this);
  const Thread& thread = threads_[index];
  Step(OpKind::kPoint, site, thread.object, 0, 0, /*read=*/true,
       "looks blocked?");
  return !thread.ended && (enabled_ & Bit(index)) == 0;
}

int64_t Kernel::Now(Site site) {
  Inside kernel(*this);
  Step(OpKind::kReadClock, site, kClockObject, 0, 0, /*read=*/true);
  Record();
  return now_;
}

void Kernel::ShiftWallClock(int64_t shift, Site site) {
  Inside kernel(*this);
  Step(OpKind::kSetClock, site, kClockObject);
  Record();
  wall_clock_shift_ += shift;
}

void Kernel::SleepUntil(int64_t deadline, Site site) {
  Inside kernel(*this);
  Step(OpKind::kSleep, site, kClockObject);
  Record();
  if (deadline <= now_) return;
  Thread& self = current();
  self.deadline = deadline;
  self.condition = nullptr;
  self.daemon = false;
  enabled_ &= ~Bit(current_);
  if (deadline != kNever) {
    timed_ |= Bit(current_);
    tick_stale_ = true;
  }
  Step(OpKind::kSlept, site, kClockObject);
  Record();
}

void Kernel::Yield(Site site) {
  Inside kernel(*this);
  yields_ = true;
  Step(OpKind::kYield, site);
  Record();
}

void Kernel::SchedulePoint(const char* name, Site site) {
  Inside kernel(*this);
  Step(OpKind::kPoint, site, 0, 0, 0, /*read=*/true, name);
  Record(0, name);
}

int Kernel::Choose(int n, Site site) {
  Inside kernel(*this);
  Step(OpKind::kPoint, site, 0, 0, 0, /*read=*/true, "choose");
  const int choice = ChooseBelow(ChoiceKind::kUser, n);
  Record(static_cast<uint64_t>(choice), "choose");
  return choice;
}

void* Kernel::MakeOutside(Make make) {
  Outside thread(*this);
  return make();
}

void* Kernel::ThreadLocal(const void* key, Make make, Destroy destroy) {
  Inside kernel(*this);
  void* object = nullptr;
  OnHost([&] { object = Find(current().locals, key).object; });
  if (object != nullptr) return object;
  object = MakeOutside(make);
  OnHost([&] {
    const Local local = {.key = key, .object = object, .destroy = destroy};
    current().locals.push_back(local);
  });
  return object;
}

void* Kernel::RunWide(const void* key, Make make, Destroy destroy) {
  Inside kernel(*this);
  void* object = nullptr;
  VectorClock* made = nullptr;
  OnHost([&] {
    const Local found = Find(run_wide_, key);
    object = found.object;
    made = found.made;
  });
  if (object == nullptr) {
    // Like the initialization of a static object: no thread sees it half done,
    // and it happens before all uses of the object by others.
    const bool outer = undivided_;
    undivided_ = true;
    object = MakeOutside(make);
    undivided_ = outer;
    made = NewInArena<VectorClock>();
    ReleaseTo(made);
    TsanRelease(made);
    OnHost([&] {
      const Local local = {
          .key = key, .object = object, .destroy = destroy, .made = made};
      run_wide_.push_back(local);
    });
  }
  AcquireFrom(made);
  TsanAcquire(made);
  return object;
}

Kernel::Local Kernel::Find(const std::vector<Local>& objects, const void* key) {
  for (const Local& object : objects) {
    if (object.key == key) return object;
  }
  return {};
}

void Kernel::Stuck() {
  bool lost_wake_up = false;
  FailWith(Verdict::kDeadlock, [&] {
    std::string report = StuckReport(&lost_wake_up);
    report_.verdict = quiescing_ != Quiescing::kNot ? Verdict::kLeak
                      : lost_wake_up                ? Verdict::kLostWakeUp
                                                    : Verdict::kDeadlock;
    return report;
  });
}

COHORT_END_UNINSTRUMENTED

}  // namespace cohort::kernel
