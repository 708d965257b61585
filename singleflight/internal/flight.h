// One call that several callers share, and the set of those that run. Under
// singleflight::Group, and without its types. Internal.

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

// A call: who waits for it, and what came of it. Safe for concurrent use. The
// last of its own references takes away what came of it.
class Flight : public CallNode, public sync::ListHook<Flight> {
 public:
  // The caller it is made for also runs it, or has that done. `hash` is that of
  // its key, `group` the name of its group, for messages.
  enum class Runner { kCaller, kExecutor };
  Flight(size_t hash, Runner runner, std::string group)
      : hash_(hash), runner_(runner), group_(std::move(group)) {}

  void Ref() const { users_.Ref(); }
  void Unref() const;

  // For a call that is over.
  const absl::Status& status() const { return status_; }
  bool shared() const { return shared_; }

  // The exception that ended it, to the one who asks first.
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

  // Its first waiter. While nobody else knows the call.
  void Begin(Waiter& waiter);
  // Another waiter. False if it is too late for that.
  bool Join(Waiter& waiter);
  // Ends the call: decides for each waiter which came first, this end or that
  // of its context, and wakes them.
  void Settle();

  // False if it has been stopped, or nobody waits for it any more.
  bool MayStart();
  // The context of the work.
  Context MakeContext(const Context& values);

  const size_t hash_;
  const Runner runner_;
  const std::string group_;
  const sync::RefCount users_;

  // Guarded by the lock of the set until the call has ended.
  bool listed_ = false;  // where callers look for it
  bool shared_ = false;
  // Written by the one who runs it, before it has ended.
  absl::Status status_;

  sync::Mutex mutex_;
  sync::CondVar changed_;
  // Nobody can join once it is empty.
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  std::optional<CancelScope> scope_ ABSL_GUARDED_BY(mutex_);
  // Nobody can join once it is not OK.
  absl::Status stopped_ ABSL_GUARDED_BY(mutex_);
  std::exception_ptr exception_ ABSL_GUARDED_BY(mutex_);
};

// One of a call's waiters, until `context` ends or it does.
class Waiter : public sync::ListHook<Waiter> {
 public:
  // Listens to the context. Of no call, until Flights::Join.
  explicit Waiter(const Context& context);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  const sync::RefPtr<Flight>& flight() const { return flight_; }
  const Context& context() const { return context_; }

  // Whether it is still open how this ends.
  bool Waits() const;

  // Blocks until the call or the context has ended. OK if what came of the call
  // is for this caller. Else the cause of its context, if that has ended first,
  // or the call was cancelled for it; or FAILED_PRECONDITION where this is
  // inside work that the call waits for.
  absl::Status Await();

 private:
  friend class Flight;
  friend class Flights;

  // Of no call any more, unless it has been served. May be the end of this.
  void Leave();
  // What Await returns when all is decided.
  absl::Status Verdict() const;
  // The cause, where the call was cancelled and that is why.
  absl::Status Echo() const;

  const Context context_;
  sync::RefPtr<Flight> flight_;
  // Set under the lock of the call, before that has ended. Who has not left by
  // then is served.
  sync::Atomic<bool> left_{false};
  // Set by the end of the context and by the joining of a call. Whichever is
  // the second of these sees to the leaving.
  sync::Atomic<bool> met_{false};
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

  const std::string& name() const { return name_; }

  // Makes `waiter` one of the call that may be joined, which it finds by the
  // hash of `fresh` and by `same`, or else of `fresh`.
  Role Join(Waiter& waiter, sync::RefPtr<Flight> fresh,
            absl::FunctionRef<bool(const Flight&)> same);

  // Runs `work` as that of the call which `waiter` leads, and ends the call.
  // With `values`, it is given a context of its own that has these. Returns
  // what Await does.
  absl::Status Lead(Waiter& waiter, const Context* values,
                    absl::FunctionRef<absl::Status(const Context&)> work);

  // Has the executor run it, which lets go of everything before the call counts
  // as ended for the destructor. Whatever throws here has ended the call.
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

  // The calls that cannot end before the calling thread has done with what it
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
