// One call that several callers share, and the set of those that run. Under
// singleflight::Group, and without its types. Internal.

#ifndef COHORT_SINGLEFLIGHT_INTERNAL_FLIGHT_H_
#define COHORT_SINGLEFLIGHT_INTERNAL_FLIGHT_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::singleflight::internal {

// Tells calls apart, also those that have ended, and of other groups.
struct FlightId {
  uint64_t group = 0;
  uint64_t number = 0;
  friend bool operator==(const FlightId&, const FlightId&) = default;
};

// A call: who waits for it, and what came of it. Safe for concurrent use.
class Flight : public sync::ListHook<Flight> {
 public:
  // With one waiter, the caller it is made for, who also runs it or has that
  // done. `hash` is that of its key.
  enum class Runner { kCaller, kExecutor };
  Flight(size_t hash, Runner runner) : hash_(hash), runner_(runner) {}
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;
  virtual ~Flight() = default;

  void Ref() const { references_.Ref(); }
  void Unref() const {
    if (references_.Unref()) delete this;
  }

  // Whether it is over. The two below are for calls that are.
  bool ended() const { return ended_.load(sync::kAcquire); }
  const absl::Status& status() const { return status_; }
  bool shared() const { return shared_; }

  // The exception that ended it, to the one who asks first.
  std::exception_ptr TakeException();

  // Tells the work to stop, or keeps it from starting.
  void Stop(absl::Status cause);

 private:
  friend class Flights;
  friend class Waiter;

  // Another waiter. False if it is too late for that.
  bool Join();
  void Wake();

  // False if it has been stopped.
  bool MayStart();
  // The context of the work.
  Context MakeContext(const Context& values);

  const size_t hash_;
  const Runner runner_;
  sync::RefCount references_;

  // Nobody can join once it has come down to 0, or ended_ is set.
  sync::Atomic<int64_t> waiters_{1};
  sync::Atomic<bool> ended_{false};

  // Of the group, guarded by the lock of the set until ended_ is set.
  FlightId id_;
  bool listed_ = false;  // where callers look for it
  bool shared_ = false;
  // Written by the one who runs it, before ended_ is.
  absl::Status status_;

  sync::Mutex mutex_;
  sync::CondVar changed_;
  std::optional<CancelScope> scope_ ABSL_GUARDED_BY(mutex_);
  absl::Status stopped_ ABSL_GUARDED_BY(mutex_);
  std::exception_ptr exception_ ABSL_GUARDED_BY(mutex_);
};

// One of a call's waiters, until `context` ends or it does. Made for one that
// has been counted.
class Waiter {
 public:
  Waiter(sync::RefPtr<Flight> flight, const Context& context);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  const sync::RefPtr<Flight>& flight() const { return flight_; }
  const Context& context() const { return context_; }

  // Blocks until the call or the context has ended. True if what came of the
  // call is for this caller: it is not where the context ended first, or where
  // the call was cancelled and that is why.
  bool Await();

 private:
  // Once. May be the end of this.
  void Leave();

  const sync::RefPtr<Flight> flight_;
  const Context context_;
  bool left_ = false;  // under the lock of the call
  DoneCallback on_done_;
};

// What a caller is to a call.
enum class Role {
  kLeads,     // runs it
  kJoins,     // waits for it
  kReenters,  // is a part of it, and could wait for ever
};

// The calls of a group.
class Flights {
 public:
  Flights(Executor* executor, std::string name);
  // Stops all calls, then waits for them. Dies inside one of them.
  ~Flights();

  // Finds the call that may be joined, by the hash and by `same`, and puts it
  // in the place of `flight`, or adds `flight` itself.
  Role Join(sync::RefPtr<Flight>& flight, const Context& context,
            absl::FunctionRef<bool(const Flight&)> same);

  // Runs `work` as that of `flight`, and ends the call. With `values`, it is
  // given a context of its own that has these.
  using Work = absl::AnyInvocable<absl::Status(const Context&) &&>;
  void Run(Flight& flight, const Context* values,
           absl::FunctionRef<absl::Status(const Context&)> work);

  // The same on the executor, which lets go of everything before the call
  // counts as ended for the destructor.
  void Start(sync::RefPtr<Flight> flight, const Context* values, Work work);

  void Forget(size_t hash, absl::FunctionRef<bool(const Flight&)> same);

  absl::Status ReentryError(const char* method) const;

 private:
  class Frame;
  class Departure;
  struct Shard;

  Shard& ShardOf(size_t hash) const;
  void End(Flight& flight, bool has_context);
  std::string Label() const;

  Executor* const executor_;
  const std::string name_;
  const uint64_t id_;
  const int shard_bits_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace cohort::singleflight::internal

#endif  // COHORT_SINGLEFLIGHT_INTERNAL_FLIGHT_H_
