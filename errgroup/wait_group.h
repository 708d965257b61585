// Counts work that runs elsewhere, and collects all its errors.
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
// Use errgroup::Group instead where the work can be a task: it cannot forget to
// call Done, and it can be cancelled.

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

// A counter of work, with a list of errors. Starts nothing itself.
//
// Blocks?         Wait does, announced with a BlockingScope.
// Cancellation?   Of the wait alone, through the context it is given. Whichever
//                 comes first decides a wait, whenever it wakes: the count's
//                 way to 0, or the end of its context. So after a Cancel that
//                 has returned, no Done lets it return anything but the cause.
// Order?          Errors are kept in the order of the Error calls.
// On error?       Wait returns OK for none, the error itself for one, and
//                 MultiError of them for more. They are never reset. What
//                 throws for want of memory has changed nothing.
// Thread safety   All methods, from any thread. As with every counter, an Add
//                 that starts from 0 must happen before the Wait that is to see
//                 it.
// Memory ordering What happened before Done is visible to whoever returns from
//                 a Wait that it let through.
// Destruction     Dies if the count is not 0, since somebody would still call
//                 Done; but not where it is static and the process exits. May
//                 follow at once the Wait that returned.
//
// Bad input dies before anything changes: a count that would be negative or
// overflow, Error of an OK status.
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

  // Takes one from it.
  void Done() { Add(-1); }

  // Records an error. Does not count the work as done.
  void Error(absl::Status error);

  // Blocks until the count is 0, and returns what the errors recorded so far
  // come to. If `context` is done first, returns its cause(); one may wait
  // again. May be called any number of times, from any threads.
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
  // Those who have found a count that was not 0, and have not been released.
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> errors_ ABSL_GUARDED_BY(mutex_);
};

// Several errors as one: OK for none, the error itself for one, else a status
// with the code of the first and the text "multiple errors: e1 | e2 | …". OK
// statuses are left out. (facebookgo's NewMultiError.)
absl::Status MultiError(absl::Span<const absl::Status> errors);

}  // namespace cohort::errgroup

#endif  // COHORT_ERRGROUP_WAIT_GROUP_H_
