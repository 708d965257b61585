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
#include "cohort/executor/capture.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"
#include "cohort/sync/thread.h"

namespace cohort::singleflight::internal {
namespace {

// The calls that a context was made for, from the innermost outwards. Ids
// rather than references: what a call returns may hold its context.
struct Inside {
  struct Type {
    FlightId id;
    const Type* outer;  // of a context below this one, which keeps it
  };
};

sync::Atomic<uint64_t>* MakeNextGroup() {
  return new sync::Atomic<uint64_t>(1);
}

uint64_t NextGroup() {
  return sync::ProcessWide<MakeNextGroup>().fetch_add(uint64_t{1},
                                                      sync::kRelaxed);
}

// Enough for threads on all processors to seldom meet; where there is one, they
// do not.
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

std::exception_ptr Flight::TakeException() {
  sync::MutexLock lock(&mutex_);
  return std::exchange(exception_, nullptr);
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

bool Flight::Join() {
  int64_t waiters = waiters_.load(sync::kRelaxed);
  while (waiters > 0) {
    if (waiters_.compare_exchange_weak(waiters, waiters + 1, sync::kRelaxed)) {
      return true;
    }
  }
  return false;
}

void Flight::Wake() {
  sync::MutexLock lock(&mutex_);
  changed_.SignalAll();
}

bool Flight::MayStart() {
  sync::MutexLock lock(&mutex_);
  if (stopped_.ok()) return true;
  status_ = stopped_;
  return false;
}

Context Flight::MakeContext(const Context& values) {
  CancelScope scope = WithCancel(WithValue<Inside>(
      WithoutCancel(values), {.id = id_, .outer = values.value<Inside>()}));
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

Waiter::Waiter(sync::RefPtr<Flight> flight, const Context& context)
    : flight_(std::move(flight)),
      context_(context),
      on_done_(context_.OnDone([this] {
        flight_->Wake();
        Leave();
      })) {}

Waiter::~Waiter() {
  on_done_ = DoneCallback();
  Leave();
}

// When it returns, the caller is no longer counted, whoever saw to that. What
// it stops has callbacks, which may destroy the waiter.
void Waiter::Leave() {
  const sync::RefPtr<Flight> flight = flight_;
  if (flight->ended()) return;
  {
    sync::MutexLock lock(&flight->mutex_);
    if (left_) return;
    left_ = true;
    if (flight->waiters_.fetch_sub(int64_t{1}, sync::kAcqRel) != 1) return;
  }
  flight->Stop(absl::CancelledError("singleflight: nobody waits for the call"));
}

bool Waiter::Await() {
  if (!flight_->ended()) {
    const BlockingScope blocking;
    sync::MutexLock lock(&flight_->mutex_);
    while (!flight_->ended() && !context_.done()) {
      flight_->changed_.Wait(&flight_->mutex_);
    }
  }
  if (!flight_->ended()) {
    Leave();  // by now, whether or not the callback has come that far
    return false;
  }
  return !absl::IsCancelled(flight_->status()) || !context_.done();
}

// Work of a call on this thread. They form a stack, since it may call another.
// The destructor is the end of the call, also where that is the end of its
// thread (pthread_exit).
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
  const Flight* flight() const { return &flight_; }

 private:
  struct Tag;
  static Frame*& Top() { return sync::ThreadLocal<Frame*, Tag>::Get(); }

  Flights& flights_;
  Flight& flight_;
  Frame* const below_;
};

// A part of the calls, by the hashes of their keys.
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
    table.insert(&flight);
    flight.listed_ = true;
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
  // One for each key, which callers may still join.
  Table table ABSL_GUARDED_BY(mutex);
  // All, in the order in which they came.
  sync::LinkedList<Flight> running ABSL_GUARDED_BY(mutex);
  int64_t started ABSL_GUARDED_BY(mutex) = 0;  // tasks of the executor
  uint64_t added ABSL_GUARDED_BY(mutex) = 0;
  bool closing ABSL_GUARDED_BY(mutex) = false;
};

Flights::Flights(Executor* executor, std::string name)
    : executor_(executor),
      name_(std::move(name)),
      id_(NextGroup()),
      shard_bits_(ShardBits()),
      shards_(new Shard[size_t{1} << shard_bits_]) {}

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

Role Flights::Join(sync::RefPtr<Flight>& flight, const Context& context,
                   absl::FunctionRef<bool(const Flight&)> same) {
  sync::RefPtr<Flight> fresh;  // goes without the lock
  Shard& shard = ShardOf(flight->hash_);
  sync::MutexLock lock(&shard.mutex);
  const auto found = shard.table.find(Probe{flight->hash_, same});
  if (found != shard.table.end()) {
    Flight& other = **found;
    if (Frame::Any([&other](const Frame& frame) {
          return frame.flight() == &other;
        })) {
      return Role::kReenters;
    }
    for (const auto* inside = context.value<Inside>(); inside != nullptr;
         inside = inside->outer) {
      if (inside->id == other.id_) return Role::kReenters;
    }
    if (other.Join()) {
      other.shared_ = true;
      fresh = std::exchange(flight, sync::RefPtr<Flight>::Share(&other));
      return Role::kJoins;
    }
    shard.Unlist(found);  // all of its callers have left
  }
  flight->id_ = {.group = id_,
                 .number = shard.added++ << shard_bits_ |
                           static_cast<uint64_t>(&shard - shards_.get())};
  shard.running.PushBack(flight.get());
  shard.List(*flight);
  if (flight->runner_ == Flight::Runner::kExecutor) ++shard.started;
  return Role::kLeads;
}

void Flights::Run(Flight& flight, const Context* values,
                  absl::FunctionRef<absl::Status(const Context&)> work) {
  Frame frame(*this, flight);
  if (flight.runner_ == Flight::Runner::kCaller || flight.MayStart()) {
    const Context context =
        values == nullptr ? Context() : flight.MakeContext(*values);
    frame.has_context = values != nullptr;
    std::exception_ptr exception;
    flight.status_ = executor_internal::InvokeCapturing(
        [&] { return work(context); },
        [&] { return absl::StrCat(Label(), ": a call"); }, &exception);
    if (exception != nullptr) {
      sync::MutexLock lock(&flight.mutex_);
      flight.exception_ = std::move(exception);
    }
  }
  frame.returned = true;
}

// Nobody joins a call that has ended: it leaves the table first, and so a
// caller who comes again with its result does not find it.
void Flights::End(Flight& flight, bool has_context) {
  if (has_context) {
    std::optional<CancelScope> scope;
    sync::MutexLock lock(&flight.mutex_);
    scope.swap(flight.scope_);
  }
  sync::Point("flight.end");
  bool awaited = flight.runner_ == Flight::Runner::kExecutor;
  {
    Shard& shard = ShardOf(flight.hash_);
    sync::MutexLock lock(&shard.mutex);
    shard.running.Remove(&flight);
    if (flight.listed_) shard.Unlist(shard.table.find(&flight));
    flight.ended_.store(true, sync::kRelease);
    awaited |= flight.shared_;
    shard.WakeIfEmpty();
  }
  // The group may be gone from here on.
  if (awaited) flight.Wake();
}

// Counts a task of the executor out, when all that it had is gone.
class Flights::Departure {
 public:
  explicit Departure(Shard& shard) : shard_(shard) {}
  ~Departure() {
    sync::MutexLock lock(&shard_.mutex);
    --shard_.started;
    shard_.WakeIfEmpty();
  }
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

 private:
  Shard& shard_;
};

void Flights::Start(sync::RefPtr<Flight> flight, const Context* values,
                    Work work) {
  std::optional<Context> context;
  if (values != nullptr) context = WithoutCancel(*values);
  Executor& executor = executor_ == nullptr ? DefaultExecutor() : *executor_;
  executor.Submit([this, flight = std::move(flight),
                   context = std::move(context),
                   work = std::move(work)]() mutable {
    const Departure departure(ShardOf(flight->hash_));
    const sync::RefPtr<Flight> own_flight = std::move(flight);
    const auto own_context = std::exchange(context, std::nullopt);
    Work own_work = std::move(work);
    Run(*own_flight, own_context.has_value() ? &*own_context : nullptr,
        [&own_work](const Context& works_own) {
          // Gone before the call has ended.
          Work once = std::exchange(own_work, nullptr);
          return std::move(once)(works_own);
        });
  });
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

// The table inside goes by the other end of the hash.
Flights::Shard& Flights::ShardOf(size_t hash) const {
  constexpr int kBits = std::numeric_limits<size_t>::digits;
  return shards_[shard_bits_ == 0 ? 0 : hash >> (kBits - shard_bits_)];
}

std::string Flights::Label() const {
  return name_.empty() ? "singleflight::Group"
                       : absl::StrCat("singleflight::Group '", name_, "'");
}

}  // namespace cohort::singleflight::internal
