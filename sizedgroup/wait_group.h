// Groups that run at most so many functions at once, and let the caller wait
// for its turn.
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

// What became of the last one; once one is refused, all later ones are.
template <GroupTask... F>
Admission AddAll(group_internal::Core& core, F... functions) {
  Admission last = Admission::kAccepted;
  ((last = core.Submit("Add", task_internal::MakeTask(std::move(functions)),
                       group_internal::WhenFull::kBlock)),
   ...);
  return last;
}

}  // namespace internal

// A place in a WaitGroup for work that runs elsewhere. Gives it back when it is
// destroyed, from any thread; the group must be there until then, and is: Wait
// and the destructor wait for it. An empty one (moved from, or made by default)
// holds nothing.
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

// Runs functions, and counts work elsewhere, in one number of slots.
//
// Blocks?         Add and BlockAdd do while the group is full, Wait until it is
//                 empty, and the destructor. All of them announce it with a
//                 BlockingScope.
// Cancellation?   None but by the destructor.
// Order?          Submissions are served in turn; functions start in the order
//                 in which they were added.
// On error?       As with SizedGroup: there is nobody to tell, so Wait writes
//                 the first to the log. An exception, or the end of the
//                 function's thread (pthread_exit), is one, of code kInternal.
//                 The thread may be that of a Wait that helps, which then never
//                 returns; Wait(kPark) always does. Where memory runs out, the
//                 call throws, and has changed nothing; an Add of several then
//                 has added those in front.
// Thread safety   All methods, from any thread.
// Memory ordering What happened before Add is visible to the function, and what
//                 it did to whoever returns from a Wait that saw it end; the
//                 same goes for the destruction of a Slot.
// Destruction     Cancels, then waits for running functions and slots: a slot
//                 that the destroying thread holds itself is waited for for
//                 ever. Dies inside a function of the group, but not where that
//                 calls exit() and the group is static: it then waits for
//                 nobody.
//
// A size of 0 or less means no bound. A null function is a contract violation,
// and dies.
//
// From pieterclaerhout/go-waitgroup.WaitGroup. What differs: Wait also waits
// for an Add that is blocked; Done is the destructor of a Slot, so that it can
// be called neither too often nor too seldom; PendingCount counts without a
// bound too.
class WaitGroup {
 public:
  explicit WaitGroup(int size);

  // Runs each of the functions in turn, as soon as there is a slot for it. Does
  // not block inside a function of this group, or of a group made inside one:
  // it is then queued beyond the bound. Returns kAccepted; kCancelled once the
  // destructor has begun.
  template <GroupTask... F>
  Admission Add(F... functions) {
    return internal::AddAll(*core_, std::move(functions)...);
  }

  // Takes a slot for work elsewhere. Inside a function of this group it does
  // not block, and may take one beyond the bound. Returns an empty one once the
  // destructor has begun.
  Slot BlockAdd();

  // Blocks until all functions have ended, all slots are back, and nobody is
  // blocked in Add. The group may be used again.
  void Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // Functions that run or are about to, and slots that are held.
  int PendingCount() const;

  // A slot that is held counts as running, one that was given back as
  // succeeded.
  Stats stats() const { return core_->stats(); }

 private:
  const group_internal::CoreOwner core_;
};

// The same for functions that may fail, under a context: the first error
// cancels it.
//
// Blocks?         As WaitGroup.
// Cancellation?   Of the context, or by the first error: functions that have
//                 not started are skipped, a blocked Add wakes with kCancelled.
// On error?       The first error by completion is the result of Wait, and then
//                 the cause of the cancellation, if that lost a function.
// Destruction     Cancels, then waits for running functions.
// The rest is as with WaitGroup.
//
// From go-waitgroup.ErrorGroup. What differs: functions are given the context,
// and one that has not started when it ends is skipped, as its documentation
// says. (There, all of them run.)
class ErrorGroup {
 public:
  ErrorGroup(const Context& context, int size);

  // As WaitGroup::Add; kCancelled if one of the functions was refused because
  // the group was cancelled.
  template <GroupTask... F>
  Admission Add(F... functions) {
    return internal::AddAll(*core_, std::move(functions)...);
  }

  // Blocks until all functions have ended and nobody is blocked in Add, then
  // cancels the context. OK if every function ran and succeeded, else the first
  // error, else the cause of the cancellation. May be called again, with the
  // same result; functions added later are refused.
  absl::Status Wait(WaitPolicy policy = WaitPolicy::kHelp);

  // The context that functions are given. Lives as long as the group, so asking
  // a temporary one for it does not compile.
  const Context& context() const& { return core_->context(); }
  const Context& context() && = delete;

  Stats stats() const { return core_->stats(); }

 private:
  const group_internal::CoreOwner core_;
};

}  // namespace cohort::sizedgroup

#endif  // COHORT_SIZEDGROUP_WAIT_GROUP_H_
