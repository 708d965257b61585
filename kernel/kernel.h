// The simulator's engine: runs a body and the threads that it starts on fibers
// of the calling thread, one at a time, and asks a Scheduler before every step.

#ifndef COHORT_KERNEL_KERNEL_H_
#define COHORT_KERNEL_KERNEL_H_

#include <signal.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "cohort/kernel/arena.h"
#include "cohort/kernel/fiber.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/kernel/uninstrumented.h"
#include "cohort/kernel/verdict.h"

namespace cohort::kernel {

using sim::Verdict;

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// A vector clock, which defines happens-before: for each thread, the last of
// its steps that happened before.
struct VectorClock {
  uint32_t at[kMaxThreads];
};

// A record of a step, for drawing it.
struct StepRecord {
  int64_t step;
  int64_t now;  // nanoseconds of virtual time
  int thread;
  PendingOp op;
  uint64_t value = 0;  // for an atomic: the value read, or else written
  const char* note = "";
  bool preempted = false;  // the previous thread could have continued
};

// The name and the body of a new thread. Created and destroyed by simulated
// threads.
struct ThreadStart {
  std::string name;
  absl::AnyInvocable<void() &&> body;
};

struct ObjectInfo {
  ObjectKind kind = ObjectKind::kNone;
  Site site;
  int ordinal = 0;  // among the objects of its kind
};

struct KernelOptions {
  size_t stack_size = 256 << 10;
  int64_t max_steps = 20'000;
  bool racing_time = true;  // else time passes only when nothing can run
  bool stale_loads = true;
  int spurious_wake_ups = 1;  // per run
  int refused_starts = 0;     // per run
  int processors = 2;
  // Counts pairs of steps of different threads on one object, for a fuzzer that
  // is guided by these counts; may be null.
  uint8_t* counters = nullptr;
  size_t counter_count = 0;
};

struct RunReport {
  Verdict verdict = Verdict::kNone;
  std::string message;
  int64_t steps = 0;
  int threads = 0;
  uint64_t trace_hash = 0;
  std::vector<StepRecord> trace;  // if requested
  std::vector<ObjectInfo> objects;
  std::vector<std::string> thread_names;
};

class Kernel {
 public:
  explicit Kernel(const KernelOptions& options);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // Runs `body` once. If `traced`, the report has every step.
  //
  // After a failure the run's threads are abandoned where they stand, and what
  // they own is leaked: nothing in a failed run can be trusted to unwind.
  RunReport Run(Scheduler& scheduler, absl::FunctionRef<void()> body,
                bool traced = false);

  // The kernel whose run the calling code belongs to; null outside runs.
  COHORT_UNINSTRUMENTED static Kernel* Active() { return active_; }

  // For the simulated types. Each call makes one step or two.
  void Lock(MutexCore& mutex, Site site);
  bool TryLock(MutexCore& mutex, Site site);
  void Unlock(MutexCore& mutex, Site site);
  bool IsOwner(const MutexCore& mutex) const;

  // True if the deadline ended the wait.
  bool Wait(CondVarCore& condition, MutexCore& mutex, int64_t deadline,
            bool daemon, Site site);
  void Signal(CondVarCore& condition, bool all, Site site);

  uint64_t Load(AtomicCore& atomic, std::memory_order order, Site site);
  void Store(AtomicCore& atomic, uint64_t value, std::memory_order order,
             Site site);
  // One step in two parts, with no switch between them.
  uint64_t BeginUpdate(AtomicCore& atomic, Site site);
  void EndUpdate(AtomicCore& atomic, uint64_t value, std::memory_order order);
  void FailUpdate(AtomicCore& atomic, std::memory_order order);
  bool FailsSpuriously();

  void Read(RaceCheckedCore& shared, Site site);
  void Write(RaceCheckedCore& shared, Site site);

  // -1 if the system refuses; else takes over `start`.
  int Start(ThreadStart* start, Site site);
  void Join(int thread, Site site);
  COHORT_UNINSTRUMENTED int CurrentThread() const { return current_; }
  bool LooksBlocked(int thread, Site site);
  // The current thread's vector clock. Not a scheduling step.
  std::vector<uint32_t> Known() const;

  int64_t Now(Site site);
  // How far the wall clock is ahead of where it would be without being set.
  int64_t WallClockShift() const { return wall_clock_shift_; }
  void ShiftWallClock(int64_t shift, Site site);
  void SleepUntil(int64_t deadline, Site site);
  void Yield(Site site);
  void SchedulePoint(const char* name, Site site);
  int Choose(int n, Site site);
  COHORT_UNINSTRUMENTED int processors() const { return options_.processors; }

  // The object for `key` of the current thread, or of the run.
  using Make = void* (*)();
  using Destroy = void (*)(void*);
  void* ThreadLocal(const void* key, Make make, Destroy destroy);
  void* RunWide(const void* key, Make make, Destroy destroy);

  void Destroyed(MutexCore& mutex);
  void Destroyed(CondVarCore& condition);
  void Destroyed(AtomicCore& atomic);
  void Destroyed(RaceCheckedCore& shared);

  // Ends the run.
  [[noreturn]] void Fail(Verdict verdict,
                         absl::FunctionRef<std::string()> message);
  [[noreturn]] void Crash();  // the same, for abort()

 private:
  // The threads that the end of the run waits for: all except daemons, or all.
  enum class Quiescing { kNot, kBusy, kAll };

  struct Local {
    const void* key = nullptr;
    void* object = nullptr;
    Destroy destroy = nullptr;
    VectorClock* made = nullptr;  // if threads other than its maker use it
  };

  struct Thread {
    Fiber* fiber = nullptr;  // owned by the kernel
    ThreadStart* start = nullptr;
    std::string name;
    uint32_t object = 0;
    bool ended = false;
    // From here on: the current wait or sleep.
    bool daemon = false;       // waits as a daemon
    bool daemon_step = false;  // woke by itself from a daemon wait
    bool timed_out = false;
    int64_t deadline = kNever;
    CondVarCore* condition = nullptr;
    MutexCore* mutex = nullptr;
    int64_t waits_since = 0;
    int joins = -1;
    uint64_t joiners = 0;
    std::vector<Local> locals;
    VectorClock clock;
  };

  struct ObjectState {
    ObjectInfo info;
    uint64_t users = 0;
    // The last step on the object.
    int last_thread = -1;
    uint32_t last_site = 0;
  };

  class Inside;
  class Outside;

  int Spawn(ThreadStart* start, Site site);
  void* MakeOutside(Make make);
  static Local Find(const std::vector<Local>& objects, const void* key);
  void TsanAcquire(void* object) const;
  void TsanRelease(void* object) const;
  void AdoptThreads(const Fiber& fiber);
  template <class F>
  [[noreturn]] void FailWith(Verdict verdict, F message);
  template <class F>
  void OnHost(F job);
  template <class T>
  T* NewInArena();

  static void ThreadMain();
  void RunBody();
  static void OnAbort(int signal);
  static void OnFault(int signal, siginfo_t* info, void* context);
  // The watchdog of the calling thread, for all kernels on it.
  static void Watch();
  static void OnTick(int signal);
  void LookForAWait();

  COHORT_UNINSTRUMENTED Thread& current() { return threads_[current_]; }
  COHORT_UNINSTRUMENTED static uint64_t Bit(int thread) {
    return uint64_t{1} << thread;
  }

  bool Register(Object& object, Site site);
  uint32_t Use(MutexCore& mutex, Site site);
  uint32_t Use(CondVarCore& condition, Site site);
  uint32_t Use(AtomicCore& atomic, Site site);
  uint32_t Use(RaceCheckedCore& shared, Site site);
  uint32_t NewObject(ObjectKind kind, Site site);

  // Announces the current thread's next operation, and returns when it may run.
  void Step(OpKind kind, Site site, uint32_t a = 0, uint32_t b = 0,
            uint32_t c = 0, bool read = false, const char* label = nullptr);
  void Reschedule();
  int Pick();
  void PrepareTick();
  void Tick();
  [[noreturn]] void Stuck();
  void Record(uint64_t value = 0, const char* note = "");
  void Cover(uint32_t object, const PendingOp& op);
  int ChooseBelow(ChoiceKind kind, int n);

  void Acquire(MutexCore& mutex, Site site);
  void Release(MutexCore& mutex);
  void MakeReady(int thread);
  void EndThread();
  void FinishRun();
  void WaitForOthers(Quiescing which);
  void DestroyAll(std::vector<Local>& objects);

  void AcquireFrom(const VectorClock* clock);
  void ReleaseTo(VectorClock* clock);
  bool IsUsedByOthers(uint32_t object) const;
  void SeeNewest(AtomicCore& atomic, std::memory_order order);
  void AddStore(AtomicCore& atomic, uint64_t value, std::memory_order order,
                bool update);

  std::string Describe(uint32_t object) const;
  std::string DescribeThread(int thread) const;
  std::string StuckReport(bool* lost_wake_up) const;

  static thread_local Kernel* active_;

  const KernelOptions options_;
  Scheduler* scheduler_ = nullptr;
  absl::FunctionRef<void()>* body_ = nullptr;
  bool traced_ = false;
  RunReport report_;

  Fiber host_;
  void (*job_)(void*) = nullptr;  // to run on the host stack
  void* job_closure_ = nullptr;
  bool on_host_ = true;
  std::vector<std::unique_ptr<Fiber>> crashed_;
  Thread threads_[kMaxThreads];
  PendingOp pending_[kMaxThreads + 1];
  View view_ = {};
  int thread_count_ = 0;
  int current_ = 0;
  uint64_t enabled_ = 0;
  uint64_t timed_ = 0;    // threads that wait or sleep with a deadline
  uint64_t daemons_ = 0;  // threads that wait as daemons
  bool yields_ = false;
  bool undivided_ = false;  // no switches between threads
  Quiescing quiescing_ = Quiescing::kNot;
  int64_t tick_at_ = kNever;  // time of the clock's next step
  bool tick_stale_ = true;    // tick_at_ must be recomputed
  int idle_rounds_ = 0;
  int spurious_left_ = 0;
  int refusals_left_ = 0;
  int64_t now_ = 0;
  int64_t wall_clock_shift_ = 0;
  int64_t step_ = 0;
  int64_t run_ = 0;
  uint64_t hash_ = 0;
  bool preempted_ = false;
  int ordinals_[8] = {};
  std::vector<ObjectState> objects_;
  std::vector<Local> run_wide_;
  Arena arena_;
};

// Hashes only what is the same in every process: file name, line and column.
uint32_t SiteHash(Site site);

}  // namespace cohort::kernel

#endif  // COHORT_KERNEL_KERNEL_H_
