// Wait groups with slots: they run a bounded number of functions at once, and
// the caller waits for its turn.
//
//   cohort::sizedgroup::WaitGroup group(4);
//   group.Add([] { Resize("a.png"); }, [] { Resize("b.png"); });
//   StartElsewhere([slot = group.BlockAdd()] {});  // ends with the slot
//   group.Wait();
//
// Use SizedGroup instead where submitting should not block.

#ifndef COHORT_SIZEDGROUP_WAIT_GROUP_H_
#define COHORT_SIZEDGROUP_WAIT_GROUP_H_

#include <utility>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/core.h"
#include "cohort/group/types.h"
#include "cohort/task/task.h"

namespace cohort::sizedgroup {
namespace internal {

// The admission of the last function; once one is refused, all later ones are.
template <GroupTask... F>
Admission AddAll(group_internal::Core& core, F... functions) {
  Admission last = Admission::kAccepted;
  ((last = core.Submit("Add", task_internal::MakeTask(std::move(functions)),
                       group_internal::WhenFull::kBlock)),
   ...);
  return last;
}

}  // namespace internal

// A place in a WaitGroup, held for work that runs elsewhere. Its destructor
// gives the place back, from any thread. The group exists until then: Wait and
// the destructor wait for the slot. An empty Slot (moved from or
// default-constructed) holds nothing.
class [[nodiscard]] Slot {
 public:
  Slot() = default;
  Slot(Slot&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  Slot& operator=(Slot&& other) noexcept {
    Slot old = std::move(*this);
    core_ = std::exchange(other.core_, nullptr);
    return *this;
  }
  ~Slot() {
    if (core_ != nullptr) core_->Leave();
  }

  explicit operator bool() const { return core_ != nullptr; }

 private:
  friend class WaitGroup;
  explicit Slot(group_internal::Core* core) : core_(core) {}

  group_internal::Core* core_ = nullptr;
};

// Runs functions, and counts work that runs elsewhere, in one shared set of
// slots.
//
// Blocks?         Add and BlockAdd do while the group is full; Wait and the
//                 destructor do until it is empty. All of them announce it with
//                 a BlockingScope.
// Cancellation?   None, except by the destructor.
// Order?          Submissions are served in turn; functions start in the order
//                 in which they were added.
// On error?       As with SizedGroup, no caller receives errors, so Wait logs
//                 the first. Exceptions: see Exceptions::kCapture in
//                 group/types.h. If memory runs out, the call throws and has
//                 changed nothing; but an Add of several functions has then
//                 added those before the one that failed.
// Thread safety   All methods, from any thread.
// Memory ordering What happened before Add is visible to the function, and what
//                 the function did is visible to a thread that returns from a
//                 Wait that saw it end; the same holds for the destruction of a
//                 Slot.
// Destruction     Cancels, then waits for running functions and slots: a Slot
//                 that the destroying thread holds deadlocks. Dies if called
//                 inside a function of the group; but if a function calls
//                 exit() and the group is static, it waits for nobody.
//
// A size of 0 or less means no bound. A null function is a contract violation,
// and dies.
//
// From pieterclaerhout/go-waitgroup.WaitGroup. What differs: Wait also waits
// for an Add that is blocked; Done is the destructor of a Slot, so it is called
// exactly once; PendingCount also counts in a group without a bound.
class WaitGroup {
 public:
  explicit WaitGroup(int size);

  // Runs each of the functions in turn, as soon as there is a slot for it. Does
  // not block inside a function of this group, or of a group made inside one:
  // the functions are then queued beyond the bound. Returns kAccepted;
  // kCancelled once the destructor has begun.
  template <GroupTask... F>
  Admission Add(F... functions) {
    return internal::AddAll(*core_, std::move(functions)...);
  }

  // Takes a slot for work that runs elsewhere. Inside a function of this group
  // it does not block, and may take a slot beyond the bound. Returns an empty
  // Slot once the destructor has begun.
  Slot BlockAdd();

  // Blocks until all functions have ended, all slots are back, and no Add is
  // blocked. The group may be used again.
  void Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // The number of functions that run or are about to, and of slots that are
  // held.
  int PendingCount() const;

  // A slot that is held counts as running; a slot that was given back counts as
  // succeeded.
  Stats stats() const { return core_->stats(); }

 private:
  const group_internal::CoreOwner core_;
};

// Like WaitGroup, for functions that may fail, under a context: the first error
// cancels it.
//
// Blocks?         As for WaitGroup.
// Cancellation?   When the context ends, or by the first error: functions that
//                 have not started are skipped, and a blocked Add wakes with
//                 kCancelled.
// On error?       Wait returns the first error by order of completion, or else
//                 the cause of the cancellation, if that kept a function from
//                 running.
// Destruction     Cancels, then waits for running functions.
// Everything else is as for WaitGroup.
//
// From go-waitgroup.ErrorGroup. What differs: functions are given the context,
// and a function that has not started when the context ends is skipped, as its
// documentation says. (There, all of them run.)
class ErrorGroup {
 public:
  ErrorGroup(const Context& context, int size);

  // As WaitGroup::Add; kCancelled if one of the functions was refused because
  // the group was cancelled.
  template <GroupTask... F>
  Admission Add(F... functions) {
    return internal::AddAll(*core_, std::move(functions)...);
  }

  // Blocks until all functions have ended and no Add is blocked, then cancels
  // the context. OK if every function ran and succeeded, else the first error,
  // else the cause of the cancellation. May be called again, with the same
  // result; functions added later are refused.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // The context that functions are given. Lives as long as the group, so
  // calling this on a temporary group does not compile.
  const Context& context() const& { return core_->context(); }
  const Context& context() && = delete;

  Stats stats() const { return core_->stats(); }

 private:
  const group_internal::CoreOwner core_;
};

}  // namespace cohort::sizedgroup

#endif  // COHORT_SIZEDGROUP_WAIT_GROUP_H_
