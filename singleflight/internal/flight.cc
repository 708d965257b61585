#include "cohort/singleflight/internal/flight.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/singleflight/internal/waits.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"
#include "cohort/task/capture.h"

namespace cohort::singleflight::internal {
namespace {

// The calls that a context was made for, from the innermost outwards. Not their
// results: a result may hold the context.
struct Inside {
  struct Type {
    sync::RefPtr<CallNode> call;
    bool awaited;       // whether `outer` cannot end before `call`
    const Type* outer;  // belongs to a parent of this context, which keeps it
                        // alive
  };
};

// Created with the first group, so that it needs no memory later.
const absl::Status& NobodyWaits() {
  static const auto& status = *new absl::Status(
      absl::CancelledError("singleflight: nobody waits for the call"));
  return status;
}

// Enough shards that threads on all processors seldom share one; on one
// processor, a single shard.
int ShardBits() {
  const auto processors = static_cast<unsigned>(sync::HardwareConcurrency());
  if (processors == 1) return 0;
  return static_cast<int>(std::bit_width(4 * processors - 1));
}

struct Probe {
  size_t hash;
  absl::FunctionRef<bool(const Flight&)> same;
};

}  // namespace

void Flight::Unref() const {
  if (!users_.Unref()) return;
  auto* const self = const_cast<Flight*>(this);
  self->DropValue();
  (void)self->TakeException();
  CallNode::Unref();
}

std::exception_ptr Flight::TakeException() {
  sync::MutexLock lock(&mutex_);
  return std::exchange(exception_, nullptr);
}

std::string Flight::Name() const {
  return absl::StrCat("key ", KeyText(),
                      group_.empty() ? "" : absl::StrCat(" of '", group_, "'"));
}

void Flight::Stop(absl::Status cause) {
  std::optional<CancelScope> scope;
  {
    sync::MutexLock lock(&mutex_);
    if (stopped_.ok()) stopped_ = cause;
    scope.swap(scope_);
  }
  if (scope.has_value()) scope->Cancel(std::move(cause));
}

void Flight::Begin(Waiter& waiter) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  waiters_.PushBack(&waiter);
}

bool Flight::Join(Waiter& waiter) {
  sync::MutexLock lock(&mutex_);
  if (waiters_.empty() || !stopped_.ok()) return false;
  waiters_.PushBack(&waiter);
  return true;
}

void Flight::Settle() {
  sync::MutexLock lock(&mutex_);
  // Everything is decided before any waiter can see it: the first one that is
  // woken may cancel the others, which may be gone then.
  while (!waiters_.empty()) {
    Waiter* const waiter = waiters_.PopFront();
    if (waiter->context_.done()) waiter->left_.store(true, sync::kRelease);
  }
  SetEnded();
  changed_.SignalAll();
}

bool Flight::MayStart() {
  sync::MutexLock lock(&mutex_);
  const Waiter* waiter = waiters_.front();
  while (waiter != nullptr && waiter->context_.done()) {
    waiter = waiters_.Next(waiter);
  }
  if (waiter == nullptr && stopped_.ok()) stopped_ = NobodyWaits();
  if (stopped_.ok()) return true;
  status_ = stopped_;
  return false;
}

Context Flight::MakeContext(const Context& values) {
  CancelScope scope = WithCancel(WithValue<Inside>(
      WithoutCancel(values), {.call = sync::RefPtr<CallNode>::Share(this),
                              .awaited = runner_ == Runner::kCaller,
                              .outer = values.value<Inside>()}));
  Context context = scope.context();
  absl::Status stopped;
  {
    sync::MutexLock lock(&mutex_);
    stopped = stopped_;
    if (stopped.ok()) scope_ = std::move(scope);
  }
  if (!stopped.ok()) scope.Cancel(std::move(stopped));
  return context;
}

Waiter::Waiter(const Context& context)
    : context_(context), on_done_(context_.OnDone([this] {
        if (met_.exchange(true, sync::kAcqRel)) Leave();
      })) {}

Waiter::~Waiter() {
  on_done_ = DoneCallback();
  if (flight_ != nullptr) Leave();
}

// Stopping the call runs callbacks, which may destroy the waiter.
void Waiter::Leave() {
  if (flight_->ended() || left_.load(sync::kAcquire)) return;
  const sync::RefPtr<Flight> flight = flight_;
  {
    sync::MutexLock lock(&flight->mutex_);
    if (flight->ended() || left_.load(sync::kRelaxed)) return;
    flight->waiters_.Remove(this);
    left_.store(true, sync::kRelease);
    if (!flight->waiters_.empty()) return;
  }
  flight->Stop(NobodyWaits());
}

bool Waiter::Waits() const {
  return !flight_->ended() && !left_.load(sync::kAcquire) && !context_.done();
}

absl::Status Waiter::Await() {
  if (Waits()) {
    std::optional<NestedWait> nested;
    if (std::vector<CallNode*> inside = Flights::Enclosing(context_);
        !inside.empty()) {
      nested.emplace(*this, std::move(inside));
    }
    ContextWait wait(context_, flight_->mutex_, flight_->changed_);
    if (nested.has_value()) {
      if (const CallNode* const within = nested->Begin(); within != nullptr) {
        return absl::FailedPreconditionError(absl::StrCat(
            "singleflight: a wait for the call of ", flight_->Name(),
            " inside that of ", static_cast<const Flight*>(within)->Name(),
            ", for which it waits itself"));
      }
    }
    const BlockingScope blocking;
    sync::MutexLock lock(&flight_->mutex_);
    while (Waits()) wait.Block();
  }
  Leave();  // now, even if the callback has not got that far
  return Verdict();
}

absl::Status Waiter::Verdict() const {
  return left_.load(sync::kAcquire) ? context_.cause() : Echo();
}

absl::Status Waiter::Echo() const {
  return absl::IsCancelled(flight_->status()) ? context_.cause()
                                              : absl::OkStatus();
}

// The work of a call on this thread. Frames form a stack, since work may start
// another call. The destructor is the end of the call, even if the work ends
// its thread (pthread_exit).
class Flights::Frame {
 public:
  Frame(Flights& flights, Flight& flight)
      : flights_(flights), flight_(flight), below_(Top()) {
    Top() = this;
  }
  ~Frame() {
    if (!returned) {
      flight_.status_ = absl::InternalError(
          absl::StrCat(flights_.Label(), ": a call ended its thread"));
    }
    flights_.End(flight_, has_context);
    Top() = below_;
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  bool has_context = false;
  bool returned = false;

  template <class Predicate>
  static bool Any(Predicate predicate) {
    for (const Frame* frame = Top(); frame != nullptr; frame = frame->below_) {
      if (predicate(*frame)) return true;
    }
    return false;
  }
  const Flights* flights() const { return &flights_; }
  Flight* flight() const { return &flight_; }

 private:
  struct Tag;
  static Frame*& Top() { return sync::ThreadLocal<Frame*, Tag>::Get(); }

  Flights& flights_;
  Flight& flight_;
  Frame* const below_;
};

// The calls whose keys have certain hashes.
struct ABSL_CACHELINE_ALIGNED Flights::Shard {
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Flight* flight) const { return flight->hash_; }
    size_t operator()(const Probe& probe) const { return probe.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Flight* a, const Flight* b) const { return a == b; }
    bool operator()(const Flight* flight, const Probe& probe) const {
      return flight->hash_ == probe.hash && probe.same(*flight);
    }
  };
  using Table = absl::flat_hash_set<Flight*, Hash, Equal>;

  void List(Flight& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    table.insert(&flight);  // first, since it may allocate
    flight.listed_ = true;
    running.PushBack(&flight);
  }
  void Unlist(Table::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    (*entry)->listed_ = false;
    table.erase(entry);
  }
  void WakeIfEmpty() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (closing && Empty()) emptied.SignalAll();
  }
  bool Empty() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return running.empty() && started == 0;
  }

  sync::Mutex mutex;
  sync::CondVar emptied;
  // At most one call for each key: the one that callers may still join.
  Table table ABSL_GUARDED_BY(mutex);
  // All calls, in the order in which they began.
  sync::LinkedList<Flight> running ABSL_GUARDED_BY(mutex);
  int64_t started ABSL_GUARDED_BY(mutex) = 0;  // tasks given to the executor
  bool closing ABSL_GUARDED_BY(mutex) = false;
};

Flights::Flights(Executor* executor, std::string name)
    : executor_(executor),
      name_(std::move(name)),
      shard_bits_(ShardBits()),
      shards_(new Shard[size_t{1} << shard_bits_]) {
  (void)NobodyWaits();
}

Flights::~Flights() {
  if (Frame::Any(
          [this](const Frame& frame) { return frame.flights() == this; })) {
    ABSL_CHECK(sync::InExit())
        << Label() << ": destroyed inside one of its calls";
    sync::KeepForExit(std::move(shards_));
    return;
  }
  for (size_t i = 0; i < size_t{1} << shard_bits_; ++i) {
    Shard& shard = shards_[i];
    std::vector<sync::RefPtr<Flight>> running;
    {
      sync::MutexLock lock(&shard.mutex);
      shard.closing = true;
      for (Flight* flight = shard.running.front(); flight != nullptr;
           flight = shard.running.Next(flight)) {
        running.push_back(sync::RefPtr<Flight>::Share(flight));
      }
    }
    for (const sync::RefPtr<Flight>& flight : running) {
      flight->Stop(absl::CancelledError(absl::StrCat(Label(), ": destroyed")));
    }
  }
  const BlockingScope blocking;
  for (size_t i = 0; i < size_t{1} << shard_bits_; ++i) {
    Shard& shard = shards_[i];
    sync::MutexLock lock(&shard.mutex);
    while (!shard.Empty()) shard.emptied.Wait(&shard.mutex);
  }
}

std::vector<CallNode*> Flights::Enclosing(const Context& context) {
  std::vector<CallNode*> calls;
  (void)Frame::Any([&calls](const Frame& frame) {
    calls.push_back(frame.flight());
    return false;
  });
  for (const auto* inside = context.value<Inside>(); inside != nullptr;
       inside = inside->awaited ? inside->outer : nullptr) {
    calls.push_back(inside->call.get());
  }
  return calls;
}

Role Flights::Join(Waiter& waiter, sync::RefPtr<Flight> fresh,
                   absl::FunctionRef<bool(const Flight&)> same) {
  Role role = Role::kLeads;
  {
    Shard& shard = ShardOf(fresh->hash_);
    sync::MutexLock lock(&shard.mutex);
    const auto found = shard.table.find(Probe{fresh->hash_, same});
    if (found != shard.table.end()) {
      Flight& other = **found;
      if (Frame::Any([&other](const Frame& frame) {
            return frame.flight() == &other;
          })) {
        return Role::kReenters;
      }
      for (const auto* inside = waiter.context().value<Inside>();
           inside != nullptr; inside = inside->outer) {
        if (inside->call.get() == &other) return Role::kReenters;
      }
      if (other.Join(waiter)) {
        other.shared_ = true;
        waiter.flight_ = sync::RefPtr<Flight>::Share(&other);
        role = Role::kJoins;
      } else {
        shard.Unlist(found);  // all of its callers have left
      }
    }
    if (role == Role::kLeads) {
      shard.List(*fresh);
      if (fresh->runner_ == Flight::Runner::kExecutor) ++shard.started;
      fresh->Begin(waiter);
      waiter.flight_ = std::move(fresh);
    }
  }
  if (waiter.met_.exchange(true, sync::kAcqRel)) waiter.Leave();
  return role;
}

absl::Status Flights::Lead(
    Waiter& waiter, const Context* values,
    absl::FunctionRef<absl::Status(const Context&)> work) {
  Run(*waiter.flight_, values, work);
  return waiter.Echo();
}

void Flights::Run(Flight& flight, const Context* values,
                  absl::FunctionRef<absl::Status(const Context&)> work) {
  Frame frame(*this, flight);
  if (flight.runner_ == Flight::Runner::kCaller || flight.MayStart()) {
    frame.has_context = values != nullptr;
    std::exception_ptr exception;
    flight.status_ = task_internal::InvokeCapturing(
        [&] {
          return work(values == nullptr ? Context()
                                        : flight.MakeContext(*values));
        },
        [&] { return absl::StrCat(Label(), ": a call"); }, &exception);
    if (exception != nullptr) {
      sync::MutexLock lock(&flight.mutex_);
      flight.exception_ = std::move(exception);
    }
  }
  frame.returned = true;
}

// Nobody joins a call that has ended: it leaves the table first, so a caller
// that comes back with its result does not find it.
void Flights::End(Flight& flight, bool has_context) {
  if (has_context) {
    std::optional<CancelScope> scope;
    sync::MutexLock lock(&flight.mutex_);
    scope.swap(flight.scope_);
  }
  sync::SchedulePoint("flight.end");
  {
    Shard& shard = ShardOf(flight.hash_);
    sync::MutexLock lock(&shard.mutex);
    shard.running.Remove(&flight);
    if (flight.listed_) shard.Unlist(shard.table.find(&flight));
    if (flight.shared_ || flight.runner_ == Flight::Runner::kExecutor) {
      flight.Settle();
    } else {
      flight.SetEnded();
    }
    shard.WakeIfEmpty();
  }
  // The group may be destroyed from here on.
}

// A call on its way to the executor, and on it. Even if it never runs, it ends
// the call, since other callers may have joined it.
class Flights::Launch {
 public:
  Launch(Flights* flights, const sync::RefPtr<Flight>& flight)
      : departure_(&flights->ShardOf(flight->hash_)),
        flights_(flights),
        flight_(flight) {}
  Launch(Launch&&) noexcept = default;
  Launch& operator=(Launch&&) = delete;
  ~Launch() {
    if (flight_ == nullptr || runs_) return;
    work_ = nullptr;
    flight_->status_ = absl::InternalError(absl::StrCat(
        flights_->Label(), ": a call was not started by its executor"));
    flights_->End(*flight_, /*has_context=*/false);
  }

  void Prepare(const Context* values, absl::FunctionRef<Work()> make_work) {
    if (values != nullptr) values_ = WithoutCancel(*values);
    work_ = make_work();
  }

  void operator()() && {
    Launch self = std::move(*this);  // destroyed when this returns
    self.runs_ = true;
    self.flights_->Run(*self.flight_,
                       self.values_.has_value() ? &*self.values_ : nullptr,
                       [&self](const Context& own) {
                         // Destroyed before the call has ended.
                         Work once = std::exchange(self.work_, nullptr);
                         return std::move(once)(own);
                       });
  }

 private:
  struct Depart {
    void operator()(Shard* shard) const {
      sync::MutexLock lock(&shard->mutex);
      --shard->started;
      shard->WakeIfEmpty();
    }
  };

  // The first member: counts the task out after all its other members are
  // destroyed.
  std::unique_ptr<Shard, Depart> departure_;
  Flights* flights_;
  sync::RefPtr<Flight> flight_;
  std::optional<Context> values_;
  Work work_;
  bool runs_ = false;
};

void Flights::Start(const sync::RefPtr<Flight>& flight, const Context* values,
                    absl::FunctionRef<Work()> make_work) {
  Launch launch(this, flight);
  launch.Prepare(values, make_work);
  Executor& executor = executor_ == nullptr ? DefaultExecutor() : *executor_;
  executor.Submit(std::move(launch));
}

void Flights::Forget(size_t hash, absl::FunctionRef<bool(const Flight&)> same) {
  Shard& shard = ShardOf(hash);
  sync::MutexLock lock(&shard.mutex);
  const auto found = shard.table.find(Probe{hash, same});
  if (found != shard.table.end()) shard.Unlist(found);
}

absl::Status Flights::ReentryError(const char* method) const {
  return absl::FailedPreconditionError(
      absl::StrCat(Label(), ": ", method, " inside the call of the same key"));
}

// By the high bits: the table inside uses the low bits of the hash.
Flights::Shard& Flights::ShardOf(size_t hash) const {
  constexpr int kBits = std::numeric_limits<size_t>::digits;
  return shards_[shard_bits_ == 0 ? 0 : hash >> (kBits - shard_bits_)];
}

std::string Flights::Label() const {
  return name_.empty() ? "singleflight::Group"
                       : absl::StrCat("singleflight::Group '", name_, "'");
}

}  // namespace cohort::singleflight::internal
