#include "cohort/sync/simulated/kernel.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/config.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/sync/simulated/arena.h"
#include "cohort/sync/simulated/fiber.h"
#include "cohort/sync/simulated/objects.h"
#include "cohort/sync/simulated/strategy.h"
#include "cohort/sync/simulated/uninstrumented.h"
#include "cohort/sync/simulated/verdict.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#endif
#ifdef ABSL_HAVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

// In place of the C library's. In a run this is a verdict, and one for which
// nothing has to be done in the handler of a signal.
extern "C" void abort() noexcept {
  if (auto* const kernel = cohort::sync::simulated::Kernel::Active()) {
    kernel->Crash();
  }
  raise(SIGABRT);
  signal(SIGABRT, SIG_DFL);
  raise(SIGABRT);
  _exit(134);
}

namespace cohort::sim {

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return "nothing wrong";
    case Verdict::kDeadlock:
      return "deadlock";
    case Verdict::kLostWakeUp:
      return "lost wake-up";
    case Verdict::kLivelock:
      return "livelock";
    case Verdict::kLeak:
      return "leak";
    case Verdict::kRace:
      return "data race";
    case Verdict::kUseAfterDestruction:
      return "use after destruction";
    case Verdict::kMisuse:
      return "misuse";
    case Verdict::kException:
      return "escaped exception";
    case Verdict::kAssertion:
      return "failed assertion";
    case Verdict::kCrash:
      return "crash";
    case Verdict::kNondeterminism:
      return "nondeterminism";
    case Verdict::kUnfit:
      return "schedule that does not fit";
  }
  return "?";
}

}  // namespace cohort::sim

namespace cohort::sync::simulated {
namespace {

constexpr uint32_t kClockObject = 1;

// After so many turns of daemons that nobody else has answered, nobody will:
// the executor's monitor takes some ten to decide for another thread.
constexpr int kMaxIdleRounds = 64;

// How many stores of an atomic a load may choose from.
constexpr int kHistory = 4;

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire ||
         order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

bool Releases(std::memory_order order) {
  return order == std::memory_order_release ||
         order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

absl::string_view BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

const char* KindName(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kNone:
      return "";
    case ObjectKind::kClock:
      return "clock";
    case ObjectKind::kThread:
      return "thread";
    case ObjectKind::kMutex:
      return "mutex";
    case ObjectKind::kCondVar:
      return "condvar";
    case ObjectKind::kAtomic:
      return "atomic";
    case ObjectKind::kShared:
      return "shared";
  }
  return "?";
}

}  // namespace

const char* OpName(OpKind kind) {
  switch (kind) {
    case OpKind::kStart:
      return "start";
    case OpKind::kEnd:
      return "end";
    case OpKind::kSpawn:
      return "spawn";
    case OpKind::kJoin:
      return "join";
    case OpKind::kLock:
      return "lock";
    case OpKind::kTryLock:
      return "try-lock";
    case OpKind::kUnlock:
      return "unlock";
    case OpKind::kWait:
      return "wait";
    case OpKind::kWake:
      return "wake";
    case OpKind::kSignal:
      return "signal";
    case OpKind::kSignalAll:
      return "signal-all";
    case OpKind::kLoad:
      return "load";
    case OpKind::kStore:
      return "store";
    case OpKind::kReadModifyWrite:
      return "update";
    case OpKind::kSleep:
      return "sleep";
    case OpKind::kSlept:
      return "slept";
    case OpKind::kReadClock:
      return "now";
    case OpKind::kYield:
      return "yield";
    case OpKind::kPoint:
      return "point";
    case OpKind::kDestroy:
      return "destroy";
    case OpKind::kTick:
      return "tick";
    case OpKind::kQuiesce:
      return "quiesce";
  }
  return "?";
}

uint32_t SiteHash(Site site) {
  uint32_t hash = site.line() * 0x9e3779b1u ^ site.column() * 0x85ebca6bu;
  for (const char c : BaseName(site.file_name())) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193u;
  }
  return hash;
}

struct AtomicCore::History {
  struct Entry {
    uint64_t value;
    bool releases;
    bool seq_cst;
    VectorClock clock;  // where it releases
    // By thread: in which of its epochs it has stored this value, or first read
    // it or a newer one; 0 if never. Who comes after that reads no older one.
    uint32_t seen[kMaxThreads];

    bool SeenBy(const VectorClock& now, int threads) const {
      for (int i = 0; i < threads; ++i) {
        if (seen[i] != 0 && seen[i] <= now.at[i]) return true;
      }
      return false;
    }
  };

  uint32_t count;  // of stores, ever
  Entry ring[kHistory];

  Entry& at(uint32_t index) { return ring[index % kHistory]; }

  void MarkSeen(uint32_t index, int thread, uint32_t epoch) {
    for (uint32_t i = index; count - i <= kHistory; --i) {
      if (at(i).seen[thread] != 0) return;
      at(i).seen[thread] = epoch;
      if (i == 0) return;
    }
  }
};

thread_local Kernel* Kernel::active_ = nullptr;

MutexCore::~MutexCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}
CondVarCore::~CondVarCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}
AtomicCore::~AtomicCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}
SharedCore::~SharedCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}

namespace {

// The handlers are the process's, and there may be several kernels.
struct SignalHandlers {
  struct sigaction abort_before;
  struct sigaction fault_before;
  std::unique_ptr<char[]> stack;
};
SignalHandlers* handlers = nullptr;

}  // namespace

Kernel::Kernel(const KernelOptions& options) : options_(options) {
  if (handlers == nullptr) {
    handlers = new SignalHandlers;
    // A stack that has overflowed is no place for a handler.
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
}

Kernel::~Kernel() { ABSL_CHECK(active_ != this) << "Kernel: still runs"; }

void Kernel::Crash() {
  Fail(Verdict::kCrash, [] {
    return std::string(
        "abort() was called; whoever did has told the reason on standard "
        "error");
  });
}

// For what is in the C library itself, as a failed assert() is.
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

// While a thread is in here, ThreadSanitizer takes it for the thread that runs
// the search: what it touches is the kernel's, and races with nobody. Its own
// accesses, and what orders them, count for the simulated thread.
class Kernel::Inside {
 public:
  explicit Inside([[maybe_unused]] const Kernel& kernel)
#ifdef ABSL_HAVE_THREAD_SANITIZER
      : kernel_(kernel) {
    kernel_.host_.TakeIdentity();
  }
  ~Inside() { kernel_.threads_[kernel_.current_].fiber->TakeIdentity(); }

 private:
  const Kernel& kernel_;
#else
  {
  }
  ~Inside() {}
#endif
};

// The other way round, for what the kernel calls on behalf of a thread.
class Kernel::Outside {
 public:
  explicit Outside([[maybe_unused]] const Kernel& kernel)
#ifdef ABSL_HAVE_THREAD_SANITIZER
      : kernel_(kernel) {
    kernel_.threads_[kernel_.current_].fiber->TakeIdentity();
  }
  ~Outside() { kernel_.host_.TakeIdentity(); }

 private:
  const Kernel& kernel_;
#else
  {
  }
  ~Outside() {}
#endif
};

// ThreadSanitizer takes whatever is on a stack for the business of the thread
// whose stack it is. So what others have compiled runs on the search's own.
template <class F>
void Kernel::OnHost(F job) {
#ifdef ABSL_HAVE_THREAD_SANITIZER
  if (!on_host_) {
    job_ = [](void* closure) { (*static_cast<F*>(closure))(); };
    job_closure_ = &job;
    current().fiber->SwitchTo(host_);
    host_.TakeIdentity();
    return;
  }
#endif
  job();
}

// The run is over: all that any thread has done so far, those that are
// abandoned too, happens before what `fiber` does from now on.
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

template <class F>
void Kernel::FailWith(Verdict verdict, F message) {
  AdoptThreads(*current().fiber);
  report_.verdict = verdict;
  report_.message = message();
  TsanRelease(&current());
  Record(0, VerdictName(report_.verdict));
  threads_[current_].fiber->SwitchTo(host_);
  std::abort();
}

template <class T>
T* Kernel::NewInArena() {
  T* object = nullptr;
  OnHost([&] { object = arena_.New<T>(); });
  return object;
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

RunReport Kernel::Run(Strategy& strategy, absl::FunctionRef<void()> body,
                      bool traced) {
  ABSL_CHECK(active_ == nullptr) << "sim: a run within a run";
  strategy_ = &strategy;
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
  now_ = 0;
  step_ = 0;
  hash_ = 0;
  pending_[kClockThread] = {
      .kind = OpKind::kTick, .objects = {kClockObject}, .site = {}};
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  // An abandoned run is a leak, and there is no telling in advance.
  const __lsan::ScopedDisabler may_leak;
#endif
  active_ = this;
  strategy.Begin();
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
  // Its stack is still in the handler of a signal, for the sanitizers at least.
  if (report_.verdict == Verdict::kCrash) threads_[current_].fiber = nullptr;
  steps_ever_.store(steps_ever_.load(std::memory_order_relaxed) + step_,
                    std::memory_order_relaxed);
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

// Of the current thread or of the run; the last one first. One may make
// another.
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
    // It may still be asked for while it is being destroyed.
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
  left.SwitchTo(*threads_[Pick()].fiber);
  std::abort();  // nobody resumes a thread that has ended
}

void Kernel::FinishRun() {
  // What the body left running may come to its end; daemons may stay, until
  // what they serve is destroyed.
  WaitForOthers(Quiescing::kBusy);
  DestroyAll(run_wide_);
  WaitForOthers(Quiescing::kAll);
  DestroyAll(threads_[0].locals);
  TsanRelease(&threads_[0]);
  threads_[0].ended = true;
  threads_[0].fiber->SwitchTo(host_);
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
    View& view = view_;  // not on this stack: a strategy reads it
    view = {.enabled = mask,
            .current = current_,
            .current_yields = yields_,
            .step = step_,
            .pending = pending_};
    int next = 0;
    OnHost([&] { next = strategy_->PickThread(view); });
    ABSL_CHECK(view.is_enabled(next)) << "sim: a strategy picked nobody";
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

// What the next tick does: whom it wakes, and so which conditions it changes.
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

// From now on nothing but the mutex stands in the way of a thread that waited.
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
    choice = strategy_->Choose(kind, n, current_, pending_[current_]);
  });
  ABSL_CHECK(0 <= choice && choice < n) << "sim: a strategy chose nothing";
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

// True if this is the first that the run sees of it.
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

uint32_t Kernel::Use(MutexCore& mutex, Site site) {
  if (Register(mutex, site)) {
    mutex.owner_ = -1;
    mutex.contenders_ = 0;
    mutex.released_ = nullptr;
  }
  return mutex.id_;
}

uint32_t Kernel::Use(CondVarCore& condition, Site site) {
  if (Register(condition, site)) {
    condition.waiters_ = 0;
    condition.vain_step_ = -1;
  }
  return condition.id_;
}

uint32_t Kernel::Use(AtomicCore& atomic, Site site) {
  if (Register(atomic, site)) atomic.history_ = nullptr;
  return atomic.id_;
}

uint32_t Kernel::Use(SharedCore& shared, Site site) {
  if (Register(shared, site)) {
    shared.writer_ = -1;
    shared.reads_ = nullptr;
  }
  return shared.id_;
}

void Kernel::AcquireFrom(const VectorClock* clock) {
  if (clock == nullptr) return;
  VectorClock& mine = current().clock;
  for (int i = 0; i < thread_count_; ++i) {
    mine.at[i] = std::max(mine.at[i], clock->at[i]);
  }
}

// What happened so far is over; what comes is a new epoch of this thread.
void Kernel::ReleaseTo(VectorClock* clock) {
  VectorClock& mine = current().clock;
  *clock = mine;
  ++mine.at[current_];
}

void Kernel::Acquire(MutexCore& mutex, Site site) {
  mutex.owner_ = current_;
  mutex.locked_at_ = site;
  mutex.contenders_ &= ~Bit(current_);
  enabled_ &= ~mutex.contenders_;
  AcquireFrom(mutex.released_);
  TsanAcquire(&mutex);
}

void Kernel::Release(MutexCore& mutex) {
  TsanRelease(&mutex);
  if (mutex.released_ == nullptr) mutex.released_ = NewInArena<VectorClock>();
  ReleaseTo(mutex.released_);
  mutex.owner_ = -1;
  enabled_ |= mutex.contenders_;
}

void Kernel::Lock(MutexCore& mutex, Site site) {
  Inside kernel(*this);
  const uint32_t id = Use(mutex, site);
  mutex.contenders_ |= Bit(current_);
  if (mutex.owner_ >= 0) enabled_ &= ~Bit(current_);
  current().mutex = &mutex;
  Step(OpKind::kLock, site, id);
  Acquire(mutex, site);
  Record();
}

bool Kernel::TryLock(MutexCore& mutex, Site site) {
  Inside kernel(*this);
  Step(OpKind::kTryLock, site, Use(mutex, site));
  const bool free = mutex.owner_ < 0;
  if (free) Acquire(mutex, site);
  Record(0, free ? "" : "held by another");
  return free;
}

void Kernel::Unlock(MutexCore& mutex, Site site) {
  Inside kernel(*this);
  Step(OpKind::kUnlock, site, Use(mutex, site));
  if (mutex.life_ != Object::kAlive) Use(mutex, site);
  if (mutex.owner_ != current_) {
    FailWith(Verdict::kMisuse, [&] {
      return absl::StrCat(DescribeThread(current_), " unlocks ",
                          Describe(mutex.id_), ", which it does not hold");
    });
  }
  Release(mutex);
  Record();
}

bool Kernel::IsOwner(const MutexCore& mutex) const {
  return mutex.run_ == run_ && mutex.owner_ == current_;
}

bool Kernel::Wait(CondVarCore& condition, MutexCore& mutex, int64_t deadline,
                  bool daemon, Site site) {
  Inside kernel(*this);
  const uint32_t condition_id = Use(condition, site);
  const uint32_t mutex_id = Use(mutex, site);
  const uint32_t clock = deadline == kNever ? 0 : kClockObject;
  Step(OpKind::kWait, site, condition_id, mutex_id, clock);
  Use(condition, site);
  Use(mutex, site);
  if (mutex.owner_ != current_) {
    FailWith(Verdict::kMisuse, [&] {
      return absl::StrCat(DescribeThread(current_), " waits with ",
                          Describe(mutex_id), ", which it does not hold");
    });
  }
  const bool spurious =
      spurious_left_ > 0 && ChooseBelow(ChoiceKind::kSpuriousWakeUp, 2) == 1;
  Release(mutex);
  Thread& self = current();
  self.mutex = &mutex;
  self.condition = &condition;
  self.deadline = deadline;
  self.timed_out = false;
  self.daemon = daemon;
  self.daemon_step = false;
  self.waits_since = step_;
  enabled_ &= ~Bit(current_);
  condition.waiters_ |= Bit(current_);
  if (daemon) daemons_ |= Bit(current_);
  if (spurious) {
    --spurious_left_;
    MakeReady(current_);
  } else if (deadline <= now_) {
    self.timed_out = true;
    MakeReady(current_);
  } else if (deadline != kNever) {
    timed_ |= Bit(current_);
    tick_stale_ = true;
  }
  Record(0, spurious ? "will wake for no reason" : "");
  Step(OpKind::kWake, site, condition_id, mutex_id, clock);
  Acquire(mutex, site);
  Record(0, current().timed_out ? "at its deadline" : "");
  return current().timed_out;
}

void Kernel::Signal(CondVarCore& condition, bool all, Site site) {
  Inside kernel(*this);
  Step(all ? OpKind::kSignalAll : OpKind::kSignal, site, Use(condition, site));
  Use(condition, site);
  const char* note = "";
  if (condition.waiters_ == 0) {
    condition.vain_step_ = step_;
    condition.vain_thread_ = current_;
    condition.vain_site_ = site;
    note = "nobody waits";
  } else if (all) {
    for (uint64_t left = condition.waiters_; left != 0; left &= left - 1) {
      MakeReady(std::countr_zero(left));
    }
  } else {
    int nth =
        ChooseBelow(ChoiceKind::kWaiter, std::popcount(condition.waiters_));
    uint64_t left = condition.waiters_;
    for (; nth > 0; --nth) left &= left - 1;
    MakeReady(std::countr_zero(left));
  }
  Record(0, note);
}

uint64_t Kernel::Load(AtomicCore& atomic, std::memory_order order, Site site) {
  Inside kernel(*this);
  Step(OpKind::kLoad, site, Use(atomic, site), 0, 0, /*read=*/true);
  Use(atomic, site);
  if (Acquires(order)) TsanAcquire(&atomic);
  AtomicCore::History* const history = atomic.history_;
  if (history == nullptr) {
    Record(atomic.value_);
    return atomic.value_;
  }
  const uint32_t newest = history->count - 1;
  uint32_t oldest = newest;
  if (options_.stale_loads) {
    const bool seq_cst = order == std::memory_order_seq_cst;
    while (oldest > 0 && newest - oldest < kHistory - 1) {
      const AtomicCore::History::Entry& entry = history->at(oldest);
      if ((seq_cst && entry.seq_cst) ||
          entry.SeenBy(current().clock, thread_count_)) {
        break;
      }
      --oldest;
    }
  }
  const int ago = ChooseBelow(ChoiceKind::kStaleLoad,
                              static_cast<int>(newest - oldest) + 1);
  const uint32_t index = newest - static_cast<uint32_t>(ago);
  history->MarkSeen(index, current_, current().clock.at[current_]);
  const AtomicCore::History::Entry& entry = history->at(index);
  if (Acquires(order) && entry.releases) AcquireFrom(&entry.clock);
  Record(entry.value, ago == 0 ? "" : "stale");
  return entry.value;
}

void Kernel::AddStore(AtomicCore& atomic, uint64_t value,
                      std::memory_order order, bool update) {
  if (Releases(order)) TsanRelease(&atomic);
  AtomicCore::History* history = atomic.history_;
  if (history == nullptr) {
    if (thread_count_ == 1) {  // all that will ever be comes after this
      atomic.value_ = value;
      return;
    }
    history = NewInArena<AtomicCore::History>();
    history->count = 1;
    history->ring[0].value = atomic.value_;
    history->ring[0].releases = false;
    history->ring[0].seq_cst = false;
    std::memset(history->ring[0].seen, 0, sizeof(history->ring[0].seen));
    atomic.history_ = history;
  }
  const AtomicCore::History::Entry& before = history->at(history->count - 1);
  AtomicCore::History::Entry& entry = history->at(history->count);
  Thread& self = current();
  entry.value = value;
  entry.seq_cst = order == std::memory_order_seq_cst;
  entry.releases = Releases(order);
  // An update carries on what was released to the value that it replaces.
  const bool carries = update && before.releases;
  if (entry.releases) {
    entry.clock = self.clock;
    if (carries) {
      for (int i = 0; i < thread_count_; ++i) {
        entry.clock.at[i] = std::max(entry.clock.at[i], before.clock.at[i]);
      }
    }
  } else if (carries) {
    entry.clock = before.clock;
    entry.releases = true;
  }
  std::memset(entry.seen, 0, sizeof(entry.seen));
  ++history->count;
  history->MarkSeen(history->count - 1, current_, self.clock.at[current_]);
  ++self.clock.at[current_];
  atomic.value_ = value;
}

void Kernel::Store(AtomicCore& atomic, uint64_t value, std::memory_order order,
                   Site site) {
  Inside kernel(*this);
  Step(OpKind::kStore, site, Use(atomic, site));
  Use(atomic, site);
  AddStore(atomic, value, order, /*update=*/false);
  Record(value);
}

uint64_t Kernel::BeginUpdate(AtomicCore& atomic, Site site) {
  Inside kernel(*this);
  Step(OpKind::kReadModifyWrite, site, Use(atomic, site));
  Use(atomic, site);
  return atomic.value_;
}

void Kernel::EndUpdate(AtomicCore& atomic, uint64_t value,
                       std::memory_order order) {
  Inside kernel(*this);
  SeeNewest(atomic, order);
  AddStore(atomic, value, order, /*update=*/true);
  Record(value);
}

void Kernel::FailUpdate(AtomicCore& atomic, std::memory_order order) {
  Inside kernel(*this);
  SeeNewest(atomic, order);
  Record(atomic.value_, "fails");
}

void Kernel::SeeNewest(AtomicCore& atomic, std::memory_order order) {
  if (AtomicCore::History* history = atomic.history_) {
    const AtomicCore::History::Entry& newest = history->at(history->count - 1);
    history->MarkSeen(history->count - 1, current_,
                      current().clock.at[current_]);
    if (Acquires(order) && newest.releases) AcquireFrom(&newest.clock);
  }
  if (Acquires(order)) TsanAcquire(&atomic);
}

bool Kernel::FailsSpuriously() {
  Inside kernel(*this);
  if (spurious_left_ == 0) return false;
  const bool fails = ChooseBelow(ChoiceKind::kWeakFailure, 2) == 1;
  if (fails) --spurious_left_;
  return fails;
}

void Kernel::Read(SharedCore& shared, Site site) {
  Inside kernel(*this);
  Use(shared, site);
  const VectorClock& mine = current().clock;
  if (shared.writer_ >= 0 && shared.writer_ != current_ &&
      mine.at[shared.writer_] < shared.written_) {
    FailWith(Verdict::kRace, [&] {
      return absl::StrCat(DescribeThread(current_), " reads ",
                          Describe(shared.id_), " at ",
                          BaseName(site.file_name()), ":", site.line(),
                          ", and nothing orders that after the write by ",
                          DescribeThread(shared.writer_), " at ",
                          BaseName(shared.written_at_.file_name()), ":",
                          shared.written_at_.line());
    });
  }
  if (shared.reads_ == nullptr) {
    shared.reads_ = NewInArena<VectorClock>();
    *shared.reads_ = VectorClock{};
  }
  shared.reads_->at[current_] = mine.at[current_];
  shared.read_at_ = site;
  objects_[shared.id_].users |= Bit(current_);
}

void Kernel::Write(SharedCore& shared, Site site) {
  Inside kernel(*this);
  Use(shared, site);
  const VectorClock& mine = current().clock;
  int other = -1;
  if (shared.writer_ >= 0 && mine.at[shared.writer_] < shared.written_) {
    other = shared.writer_;
  } else if (shared.reads_ != nullptr) {
    for (int i = 0; i < thread_count_; ++i) {
      if (mine.at[i] < shared.reads_->at[i]) other = i;
    }
  }
  if (other >= 0 && other != current_) {
    FailWith(Verdict::kRace, [&] {
      return absl::StrCat(DescribeThread(current_), " writes ",
                          Describe(shared.id_), " at ",
                          BaseName(site.file_name()), ":", site.line(),
                          ", and nothing orders that after what ",
                          DescribeThread(other), " did with it");
    });
  }
  shared.writer_ = current_;
  shared.written_ = mine.at[current_];
  shared.written_at_ = site;
  objects_[shared.id_].users |= Bit(current_);
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
  }
  const int index = thread_count_++;
  Thread& thread = threads_[index];
  if (thread.fiber == nullptr) {
    OnHost([&] {
      fibers_.push_back(std::make_unique<Fiber>(options_.stack_size));
      thread.fiber = fibers_.back().get();
    });
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
  OnHost([&] { strategy_->Started(index, first ? -1 : current_); });
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

void Kernel::Point(const char* name, Site site) {
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
    // As the initialization of a static object is: nobody sees half of it, and
    // it happens before whatever the others do with the object.
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

// Or is about to be.
bool Kernel::IsUsedByOthers(uint32_t object) const {
  if ((objects_[object].users & ~Bit(current_)) != 0) return true;
  for (int i = 0; i < thread_count_; ++i) {
    if (i == current_ || threads_[i].ended) continue;
    for (const uint32_t used : pending_[i].objects) {
      if (used == object) return true;
    }
  }
  return false;
}

void Kernel::Destroyed(MutexCore& mutex) {
  Inside kernel(*this);
  if (mutex.run_ != run_) return;
  if (IsUsedByOthers(mutex.id_)) {
    Step(OpKind::kDestroy, mutex.site_, mutex.id_);
    Record();
  }
  if (mutex.owner_ >= 0 || mutex.contenders_ != 0) {
    FailWith(Verdict::kUseAfterDestruction, [&] {
      return absl::StrCat(
          Describe(mutex.id_), " is destroyed while ",
          DescribeThread(mutex.owner_ >= 0
                             ? mutex.owner_
                             : std::countr_zero(mutex.contenders_)),
          mutex.owner_ >= 0 ? " holds it" : " waits for it");
    });
  }
}

void Kernel::Destroyed(CondVarCore& condition) {
  Inside kernel(*this);
  if (condition.run_ != run_) return;
  if (IsUsedByOthers(condition.id_)) {
    Step(OpKind::kDestroy, condition.site_, condition.id_);
    Record();
  }
  if (condition.waiters_ != 0) {
    FailWith(Verdict::kUseAfterDestruction, [&] {
      return absl::StrCat(Describe(condition.id_), " is destroyed while ",
                          DescribeThread(std::countr_zero(condition.waiters_)),
                          " waits for it");
    });
  }
}

void Kernel::Destroyed(AtomicCore& atomic) {
  Inside kernel(*this);
  if (atomic.run_ != run_) return;
  if (!IsUsedByOthers(atomic.id_)) return;
  Step(OpKind::kDestroy, atomic.site_, atomic.id_);
  Record();
}

void Kernel::Destroyed(SharedCore& shared) {
  if (shared.run_ != run_) return;
  Write(shared, shared.site_);  // nobody may still be at it
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

std::string Kernel::Describe(uint32_t id) const {
  const ObjectInfo& info = objects_[id].info;
  if (info.site.line() == 0) {
    return absl::StrCat(KindName(info.kind), "#", info.ordinal);
  }
  return absl::StrCat(KindName(info.kind), "#", info.ordinal, " (",
                      BaseName(info.site.file_name()), ":", info.site.line(),
                      ")");
}

std::string Kernel::DescribeThread(int thread) const {
  const std::string& name = threads_[thread].name;
  return name.empty() ? absl::StrCat("T", thread)
                      : absl::StrCat("T", thread, " '", name, "'");
}

std::string Kernel::StuckReport(bool* lost_wake_up) const {
  std::string report = quiescing_ != Quiescing::kNot
                           ? "The body has returned, and threads remain:\n"
                           : "";
  for (int i = quiescing_ != Quiescing::kNot ? 1 : 0; i < thread_count_; ++i) {
    const Thread& thread = threads_[i];
    if (thread.ended) continue;
    const PendingOp& op = pending_[i];
    absl::StrAppend(&report, "  ", DescribeThread(i), " ");
    switch (op.kind) {
      case OpKind::kLock:
        absl::StrAppend(
            &report, "waits for ", Describe(op.objects[0]), ", held by ",
            thread.mutex->owner_ == i ? "itself"
                                      : DescribeThread(thread.mutex->owner_),
            " since ", BaseName(thread.mutex->locked_at_.file_name()), ":",
            thread.mutex->locked_at_.line());
        break;
      case OpKind::kWake:
        if (thread.condition == nullptr) {
          absl::StrAppend(&report, "waits for ", Describe(op.objects[1]),
                          ", held by ", DescribeThread(thread.mutex->owner_));
          break;
        }
        absl::StrAppend(&report, thread.daemon ? "is a daemon and " : "",
                        "waits for ", Describe(op.objects[0]));
        if (thread.condition->vain_step_ >= 0 && !thread.daemon &&
            thread.condition->vain_step_ < thread.waits_since) {
          *lost_wake_up = true;
          absl::StrAppend(&report, ", last signalled before it waited, by ",
                          DescribeThread(thread.condition->vain_thread_),
                          " at ",
                          BaseName(thread.condition->vain_site_.file_name()),
                          ":", thread.condition->vain_site_.line());
        }
        break;
      case OpKind::kJoin:
        absl::StrAppend(&report, "waits for the end of ",
                        DescribeThread(thread.joins));
        break;
      case OpKind::kSlept:
        absl::StrAppend(&report, "sleeps for ever");
        break;
      default:
        absl::StrAppend(&report, "is at ", OpName(op.kind));
    }
    absl::StrAppend(&report, ", at ", BaseName(op.site.file_name()), ":",
                    op.site.line(), "\n");
  }
  return report;
}

}  // namespace cohort::sync::simulated
