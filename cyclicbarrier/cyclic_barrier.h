// A place where threads wait for each other, again and again.
//
//   cohort::cyclicbarrier::CyclicBarrier barrier(3, [&] { grid.Swap(); });
//   … in each of three threads:
//   while (!grid.stable()) {
//     ComputeMyPart(grid);
//     absl::StatusOr<int> index = barrier.Await(context);
//     if (!index.ok()) return index.status();
//   }
//
// Use a group for each step instead where the work of a step can be a task:
// no thread then stands still for the slowest.

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

// What a barrier does at the end of each round: () -> void or absl::Status, any
// number of times.
template <class F>
concept BarrierAction = std::invocable<F&> &&
                        (std::same_as<std::invoke_result_t<F&>, void> ||
                         std::same_as<std::invoke_result_t<F&>, absl::Status>);

// Lets go so many parties at once: the last to arrive runs the action, and then
// all return, and the next round begins. A round has one outcome: either each
// of its parties gets an index, or each gets an error, and the barrier is
// broken.
//
// Blocks?         Await does, until all have arrived and the action has ended;
//                 it announces it with a BlockingScope. Nothing else does.
// Cancellation?   A party that has arrived, and whose context ends, returns at
//                 once and breaks the round, also while another one runs the
//                 action. A Cancel that has returned is final: no arrival and
//                 no end of an action after it lets that party through, and the
//                 action is not run for its round. The party that runs it
//                 finishes it first, and is then let through with the others. A
//                 thread that has not arrived, because its context was done
//                 before or while the action of the round before ran, breaks
//                 nothing.
// Order?          Parties leave in any order. Who comes while the action runs
//                 is of a later round, and waits for its beginning.
// On error?       A broken round is ABORTED, with the reason in its text. Whose
//                 own context has ended gets the cause instead, and whoever ran
//                 the action what that returned; an exception that leaves it is
//                 kInternal. From then on Await fails with the same ABORTED,
//                 until Reset. If there is no memory for a wait, Await throws
//                 std::bad_alloc, and has not arrived.
// Thread safety   All methods, from any thread. One action runs at a time.
// Memory ordering What happened before an Await is visible to the action of its
//                 round, and that, to whoever returns an index from that round.
// Destruction     Dies while somebody waits, unless the process exits. No call
//                 may be under way.
//
// Fewer parties than one, a null action, and Await inside the action are
// contract violations, and die. More threads may await than there are parties.
// Parties that are tasks need an executor that starts all of them: see
// docs/progress.md.
//
// From marusama/cyclicbarrier. What differs: Await tells in which place one
// arrived; a thread too many is of the next round; a failing action releases
// the others; a broken or reset round is so for all of its parties.
class CyclicBarrier {
 public:
  explicit CyclicBarrier(int parties) : CyclicBarrier(parties, [] {}) {}

  template <BarrierAction F>
  CyclicBarrier(int parties, F action)
      : CyclicBarrier(ToAction(std::move(action)), parties) {}

  ~CyclicBarrier();
  CyclicBarrier(const CyclicBarrier&) = delete;
  CyclicBarrier& operator=(const CyclicBarrier&) = delete;

  // Waits for the other parties. Returns how many of the round came before: 0
  // for the first, parties() - 1 for the one that ran the action.
  absl::StatusOr<int> Await(const Context& context);

  // Begins a new round, on a broken barrier too. Those who wait get ABORTED;
  // an action that runs is let finish, and its round is broken all the same.
  void Reset();

  int parties() const { return parties_; }
  // How many have arrived in this round.
  int waiting() const;
  bool broken() const;

 private:
  using Action = absl::AnyInvocable<absl::Status()>;

  // What came of a round. Kept in parts, and put together by those who return
  // it, so that a round ends without allocating.
  struct Outcome {
    const char* broken_by = nullptr;  // null: it has passed
    absl::Status why = absl::OkStatus();
    absl::Status ToStatus() const;
  };

  // Whoever has arrived in a round. On the stack of its Await: the end of the
  // round leaves what came of it there, since there may be another round by the
  // time that it is read.
  struct Party : sync::ListHook<Party> {
    explicit Party(const Context& its) : context(&its) {}
    const Context* context;          // null for who acts: that is let finish
    std::optional<Outcome> outcome;  // none while the round lasts
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

  // Returns what came of it, and ends its round unless that is broken.
  absl::Status RunAction(const Party& actor);
  // Ends the present round.
  void End(const Outcome& outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How it would end if all have arrived: broken, if the context of a party has
  // ended, whether or not that party has woken.
  Outcome Judge() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int parties_;
  Action action_;  // used by the actor alone

  mutable sync::Mutex mutex_;
  sync::CondVar changed_;
  // The parties of the present round, as they came.
  sync::LinkedList<Party> parties_here_ ABSL_GUARDED_BY(mutex_);
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;  // how many there are
  // What has broken the barrier, until Reset.
  std::optional<Outcome> broken_ ABSL_GUARDED_BY(mutex_);
  // Who runs the action.
  std::optional<sync::ThreadId> actor_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::cyclicbarrier

#endif  // COHORT_CYCLICBARRIER_CYCLIC_BARRIER_H_
