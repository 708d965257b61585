// A call that several callers share, and the set of running calls. The untyped
// part of singleflight::Group. Internal.

#ifndef COHORT_SINGLEFLIGHT_INTERNAL_FLIGHT_H_
#define COHORT_SINGLEFLIGHT_INTERNAL_FLIGHT_H_

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/singleflight/internal/waits.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::singleflight::internal {

class Waiter;

// A call: its waiters and its result. Safe for concurrent use. The result is
// destroyed with the last reference of a user.
class Flight : public CallNode, public sync::ListHook<Flight> {
 public:
  // Starts with one waiter: the caller that created it and will run it or have
  // it run. `hash` is that of its key, `group` the name of its group, for
  // messages.
  enum class Runner { kCaller, kExecutor };
  Flight(size_t hash, Runner runner, std::string group)
      : hash_(hash), runner_(runner), group_(std::move(group)) {}

  void Ref() const { users_.Ref(); }
  void Unref() const;

  // Only for a call that is over.
  const absl::Status& status() const { return status_; }
  bool shared() const { return shared_; }

  // The exception that ended the call, for the first caller that asks.
  std::exception_ptr TakeException();

  // Tells the work to stop, or keeps it from starting.
  void Stop(absl::Status cause);

  // The key and the group, for messages.
  std::string Name() const;

 protected:
  ~Flight() override = default;

 private:
  friend class Flights;
  friend class Waiter;

  virtual void DropValue() = 0;
  virtual std::string KeyText() const = 0;

  // Adds the first waiter. Only while no other thread knows the call.
  void Begin(Waiter& waiter);
  // Adds another waiter. False if it is too late for that.
  bool Join(Waiter& waiter);
  // Ends the call: decides for each waiter which came first, this end or the
  // end of its context, and wakes the waiters.
  void Settle();

  // False if the call has been stopped, or no waiter is left.
  bool MayStart();
  // The context of the work.
  Context MakeContext(const Context& values);

  const size_t hash_;
  const Runner runner_;
  const std::string group_;
  const sync::RefCount users_;

  // Guarded by the lock of the set until the call has ended.
  bool listed_ = false;  // in the table where callers look for it
  bool shared_ = false;
  // Written by the thread that runs the call, before the call has ended.
  absl::Status status_;

  sync::Mutex mutex_;
  sync::CondVar changed_;
  // Once it is empty, nobody can join.
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  std::optional<CancelScope> scope_ ABSL_GUARDED_BY(mutex_);
  // Once it is not OK, nobody can join.
  absl::Status stopped_ ABSL_GUARDED_BY(mutex_);
  std::exception_ptr exception_ ABSL_GUARDED_BY(mutex_);
};

// A waiter of a call, until `context` or the call ends.
class Waiter : public sync::ListHook<Waiter> {
 public:
  // Listens to the context. Belongs to no call until Flights::Join.
  explicit Waiter(const Context& context);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  const sync::RefPtr<Flight>& flight() const { return flight_; }
  const Context& context() const { return context_; }

  // Whether neither the call nor the context has ended yet.
  bool Waits() const;

  // Blocks until the call or the context has ended. OK if this caller gets the
  // result of the call. Else the cause of its context, if that has ended first
  // or the call was cancelled for that reason; or FAILED_PRECONDITION if this
  // is inside work that the call waits for.
  absl::Status Await();

 private:
  friend class Flight;
  friend class Flights;

  // Leaves the call, unless it has been served. May destroy this object.
  void Leave();
  // The result of Await once everything is decided.
  absl::Status Verdict() const;
  // The context's cause, if the call was cancelled and the context has ended.
  absl::Status Echo() const;

  const Context context_;
  sync::RefPtr<Flight> flight_;
  // Set under the lock of the call, before the call has ended. A waiter that
  // has not left by then is served.
  sync::Atomic<bool> left_{false};
  // Set by the end of the context and by joining a call. Whichever comes second
  // makes the waiter leave.
  sync::Atomic<bool> met_{false};
  DoneCallback on_done_;
};

// The role of a caller in a call.
enum class Role {
  kLeads,     // runs it
  kJoins,     // waits for it
  kReenters,  // is inside it, and could wait forever
};

// The calls of a group.
class Flights {
 public:
  Flights(Executor* executor, std::string name);
  // Stops all calls, then waits for them. Dies inside one of them.
  ~Flights();

  const std::string& name() const { return name_; }

  // Adds `waiter` to the call that may be joined, which it finds by the hash of
  // `fresh` and by `same`, or else to `fresh`.
  Role Join(Waiter& waiter, sync::RefPtr<Flight> fresh,
            absl::FunctionRef<bool(const Flight&)> same);

  // Runs `work` as the work of the call that `waiter` leads, and ends the call.
  // If `values` is not null, the work is given a context of its own with these
  // values. Returns what Await returns.
  absl::Status Lead(Waiter& waiter, const Context* values,
                    absl::FunctionRef<absl::Status(const Context&)> work);

  // Has the executor run the call, which destroys everything before the call
  // counts as ended for the destructor. If this throws, it has ended the call.
  using Work = absl::AnyInvocable<absl::Status(const Context&) &&>;
  void Start(const sync::RefPtr<Flight>& flight, const Context* values,
             absl::FunctionRef<Work()> make_work);

  void Forget(size_t hash, absl::FunctionRef<bool(const Flight&)> same);

  absl::Status ReentryError(const char* method) const;

 private:
  friend class Waiter;
  class Frame;
  class Launch;
  struct Shard;

  // The calls that cannot end before the calling thread has finished what it
  // does with `context`.
  static std::vector<CallNode*> Enclosing(const Context& context);

  Shard& ShardOf(size_t hash) const;
  void Run(Flight& flight, const Context* values,
           absl::FunctionRef<absl::Status(const Context&)> work);
  void End(Flight& flight, bool has_context);
  std::string Label() const;

  Executor* const executor_;
  const std::string name_;
  const int shard_bits_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace cohort::singleflight::internal

#endif  // COHORT_SINGLEFLIGHT_INTERNAL_FLIGHT_H_
