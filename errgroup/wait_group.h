// A wait group: a counter of work that runs elsewhere, which collects all
// errors.
//
//   cohort::errgroup::WaitGroup group;
//   group.Add(2);
//   StartElsewhere([&group](absl::Status status) {
//     if (!status.ok()) group.Error(std::move(status));
//     group.Done();
//   });
//   …
//   absl::Status all = group.Wait();
//
// Use errgroup::Group instead where the work can be a task: a task cannot
// forget to call Done, and can be cancelled.

#ifndef COHORT_ERRGROUP_WAIT_GROUP_H_
#define COHORT_ERRGROUP_WAIT_GROUP_H_

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"

namespace cohort::errgroup {

// A counter of outstanding work, with a list of errors. Starts nothing itself.
//
// Blocks?         Wait does, announced with a BlockingScope.
// Cancellation?   Cancels only the wait, through the context that Wait is
//                 given. Whichever comes first decides the result, whenever the
//                 thread wakes: the count reaches 0, or the context ends. So
//                 after a Cancel has returned, no Done can make the wait return
//                 anything but the cause.
// Order?          Errors are kept in the order of the Error calls.
// On error?       Wait returns OK for no error, the error itself for one, and
//                 MultiError of the errors for more. Errors are never reset. A
//                 call that throws because memory ran out has changed nothing.
// Thread safety   All methods, from any thread. As with every such counter, an
//                 Add that starts from 0 must happen before the Wait that is to
//                 see it.
// Memory ordering What happened before Done is visible to a thread that returns
//                 from a Wait that this Done released.
// Destruction     Dies if the count is not 0, since somebody would still call
//                 Done; but not if the group is static and the process exits.
//                 May follow at once when the Wait has returned.
//
// Bad input dies before anything changes: a count that would become negative or
// overflow, or an Error that is OK.
//
// From facebookgo/errgroup.Group. What differs: Wait takes a context, and the
// counter may not be destroyed while work is outstanding.
class WaitGroup {
 public:
  WaitGroup() = default;
  WaitGroup(const WaitGroup&) = delete;
  WaitGroup& operator=(const WaitGroup&) = delete;
  ~WaitGroup();

  // Adds to the count of outstanding work; `delta` may be negative.
  void Add(int delta);

  // Subtracts one from the count.
  void Done() { Add(-1); }

  // Records an error. Does not change the count.
  void Error(absl::Status error);

  // Blocks until the count is 0, and returns MultiError() of the errors
  // recorded so far. If `context` is done first, returns its cause(); the
  // caller may wait again. May be called any number of times, from any threads.
  absl::Status Wait(const Context& context = {});

  // The errors recorded so far.
  std::vector<absl::Status> errors() const;

 private:
  struct Waiter : sync::ListHook<Waiter> {
    explicit Waiter(const Context& its) : context(its) {}
    const Context& context;
    bool released = false;
  };

  mutable sync::Mutex mutex_;
  sync::CondVar changed_;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  // Threads that found a count other than 0 and have not been released.
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> errors_ ABSL_GUARDED_BY(mutex_);
};

// Several errors as one: OK for none, the error itself for one, else a status
// with the code of the first and the text "multiple errors: e1 | e2 | …". OK
// statuses are left out. (facebookgo's NewMultiError.)
absl::Status MultiError(absl::Span<const absl::Status> errors);

}  // namespace cohort::errgroup

#endif  // COHORT_ERRGROUP_WAIT_GROUP_H_
