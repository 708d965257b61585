// A cyclic barrier: a fixed number of threads wait for each other, round after
// round.
//
//   cohort::cyclicbarrier::CyclicBarrier barrier(3, [&] { grid.Swap(); });
//   … in each of three threads:
//   while (!grid.stable()) {
//     ComputeMyPart(grid);
//     absl::StatusOr<int> index = barrier.Await(context);
//     if (!index.ok()) return index.status();
//   }
//
// Use a group for each step instead if the work of a step can be a task: then
// no thread stands still for the slowest.

#ifndef COHORT_CYCLICBARRIER_CYCLIC_BARRIER_H_
#define COHORT_CYCLICBARRIER_CYCLIC_BARRIER_H_

#include <concepts>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"
#include "cohort/task/task.h"

namespace cohort::cyclicbarrier {

// What a barrier does at the end of each round: a callable () -> void or
// absl::Status, called any number of times.
template <class F>
concept BarrierAction = std::invocable<F&> &&
                        (std::same_as<std::invoke_result_t<F&>, void> ||
                         std::same_as<std::invoke_result_t<F&>, absl::Status>);

// Blocks `parties` threads until all have arrived, then releases them together.
// The last to arrive runs the action first; then the next round begins. A round
// has one outcome: either each of its parties gets an index, or each gets an
// error and the barrier is broken.
//
// Blocks?         Await does, until all parties have arrived and the action has
//                 ended; it announces it with a BlockingScope. No other method
//                 does.
// Cancellation?   If a waiting party's context ends, it returns at once and the
//                 round is broken, even while another party runs the action.
//                 After a Cancel has returned, that party gets no index,
//                 whether the last party arrives later or the action ends
//                 later; an action that has not begun does not run for that
//                 round. The party that runs the action finishes it first,
//                 whatever its context, and is then released with the others. A
//                 caller whose context is already done, or ends while it waits
//                 for the previous round's action, has not arrived, and breaks
//                 nothing.
// Order?          Parties leave in any order. A thread that calls Await while
//                 the action runs joins the next round, and waits for it to
//                 begin.
// On error?       A broken round is ABORTED, with the reason in its text. A
//                 party whose own context has ended gets that context's cause
//                 instead, and the party that ran the action gets the error
//                 that the action returned, if any; an exception that leaves
//                 the action is kInternal. From then on Await fails with the
//                 same ABORTED, until Reset. If memory for a wait runs out,
//                 Await throws std::bad_alloc, and the caller has not arrived.
// Thread safety   All methods, from any thread. One action runs at a time.
// Memory ordering What happened before an Await is visible to the action of its
//                 round, and what the action did is visible to every thread
//                 that returns an index from that round.
// Destruction     Dies if a party waits, unless the process exits. All calls
//                 must have returned (otherwise not checked).
//
// Fewer than one party, a null action, and Await inside the action are contract
// violations, and die. More threads than `parties` may call Await. Parties that
// are tasks need an executor that starts all of them: see docs/progress.md.
//
// From marusama/cyclicbarrier. What differs: Await returns the arrival index;
// surplus threads join the next round; a failing action releases the others; a
// broken or reset round is broken for all of its parties.
class CyclicBarrier {
 public:
  explicit CyclicBarrier(int parties) : CyclicBarrier(parties, [] {}) {}

  template <BarrierAction F>
  CyclicBarrier(int parties, F action)
      : CyclicBarrier(ToAction(std::move(action)), parties) {}

  ~CyclicBarrier();
  CyclicBarrier(const CyclicBarrier&) = delete;
  CyclicBarrier& operator=(const CyclicBarrier&) = delete;

  // Waits for the other parties. Returns the arrival index: how many parties of
  // the round arrived earlier. 0 for the first, parties() - 1 for the party
  // that ran the action.
  absl::StatusOr<int> Await(const Context& context);

  // Begins a new round, also if the barrier is broken. Waiting parties get
  // ABORTED; a running action is allowed to finish, and its round is broken all
  // the same.
  void Reset();

  int parties() const { return parties_; }
  // The number of parties that have arrived in this round.
  int waiting() const;
  bool broken() const;

 private:
  using Action = absl::AnyInvocable<absl::Status()>;

  // The outcome of a round. Kept in parts, which the calls that return it put
  // together, so that a round ends without allocating.
  struct Outcome {
    const char* broken_by = nullptr;  // null: the round succeeded
    absl::Status why = absl::OkStatus();
    absl::Status ToStatus() const;
  };

  // A party that has arrived in a round. On the stack of its Await: the end of
  // the round stores the outcome there, since another round may have begun by
  // the time that it is read.
  struct Party : sync::ListHook<Party> {
    explicit Party(const Context& its) : context(&its) {}
    const Context* context;          // null for the actor, which is allowed to
                                     // finish
    std::optional<Outcome> outcome;  // empty while the round lasts
  };

  CyclicBarrier(Action action, int parties);

  // Null for a callable that is null.
  template <class F>
  static Action ToAction(F action) {
    if (task_internal::IsNull(action)) return nullptr;
    return [action = std::move(action)]() mutable {
      return task_internal::InvokeForStatus(action);
    };
  }

  // Runs the action, returns its status, and ends its round unless the round is
  // broken.
  absl::Status RunAction(const Party& actor);
  // Ends the current round.
  void End(const Outcome& outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The outcome if the round ended now, with all parties here: broken if the
  // context of a party has ended, whether or not that party has woken.
  Outcome Judge() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int parties_;
  Action action_;  // used only by the actor

  mutable sync::Mutex mutex_;
  sync::CondVar changed_;
  // The parties of the current round, in order of arrival.
  sync::LinkedList<Party> parties_here_ ABSL_GUARDED_BY(mutex_);
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;  // the number of parties_here_
  // What has broken the barrier, until Reset.
  std::optional<Outcome> broken_ ABSL_GUARDED_BY(mutex_);
  // The thread that runs the action.
  std::optional<sync::ThreadId> actor_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::cyclicbarrier

#endif  // COHORT_CYCLICBARRIER_CYCLIC_BARRIER_H_
