// Types that every group of cohort shares: limits, admission, exceptions,
// waiting, statistics, errors.

#ifndef COHORT_GROUP_TYPES_H_
#define COHORT_GROUP_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"

namespace cohort {

// No bound, for any parameter that is a size. A negative size is a contract
// violation, except in types that document another meaning, as their
// originals do.
inline constexpr int kUnlimited = std::numeric_limits<int>::max();

// How a call runs its functions.
struct RunOptions {
  // How many of them run at once; at least 1. The others wait for their turn,
  // in the order of the arguments. With a limit, functions must not wait for
  // one another.
  int limit = kUnlimited;
};

// The result of a submission.
enum class Admission {
  kAccepted,   // the task will end as either run or skipped
  kFull,       // refused: no slot and no place in the queue
  kCancelled,  // refused: the group's context is done, with a cause()
};

// What a group does with an exception that leaves a task, or with a task that
// ends its thread.
enum class Exceptions {
  // An exception becomes an error of the group: kInternal, with its type and
  // what(). exception() returns the original. The group goes on as after any
  // error. The group also goes on if a task ends its thread (pthread_exit):
  // that is an error of code kInternal too. Such a task may run on the thread
  // of a Wait that helps (WaitPolicy::kHelp): that thread then ends, and its
  // Wait never returns, since a thread cannot be kept from ending. The group
  // stays usable for all other threads, and Wait(WaitPolicy::kPark) always
  // returns. In a build without exceptions no task may end its thread: no
  // destructor runs then, and its group waits for it forever.
  kCapture,
  // An exception terminates the process where it was thrown, so that the core
  // dump shows the throw. Nobody up the stack can catch it. Ending the thread
  // in a task terminates the process too, except in a build without exceptions.
  kTerminate,
};

// What Wait does with the waiting thread.
enum class WaitPolicy {
  // Runs queued tasks of the group that it waits for, never those of another
  // group, then blocks. Saves a thread and context switches. If such a task
  // ends its thread (pthread_exit), this Wait never returns: see Exceptions.
  kHelp,
  // Only blocks, and never runs tasks on the waiting thread, so that it always
  // returns. For callers on whose thread no task must run: because of
  // thread-local state, of a recursive lock that tasks must not enter, or of
  // tasks that end threads.
  kPark,
};

// The counts of a group, exact at one moment during the call: accepted ==
// queued + running + succeeded + failed + skipped.
struct Stats {
  int64_t accepted = 0;
  int64_t queued = 0;   // accepted, not started
  int64_t running = 0;  // started, not yet counted as ended
  int64_t succeeded = 0;
  int64_t failed = 0;   // returned an error, or threw
  int64_t skipped = 0;  // accepted, and not run because of a cancellation
  int64_t refused = 0;  // kFull and kCancelled
  int64_t parked = 0;   // submissions that block right now, waiting for a place
  int64_t errors_dropped = 0;  // errors beyond those that errors() holds
};

// An error, and the index of the task that returned it: 0 for the first task
// that was accepted.
struct TaskError {
  int64_t index = 0;
  absl::Status status = absl::OkStatus();
};

// The maximum number of errors that a group that keeps all errors holds. Any
// more are only counted: the memory of a long-lived group must not grow with
// its failures.
inline constexpr size_t kMaxErrors = 1000;

}  // namespace cohort

#endif  // COHORT_GROUP_TYPES_H_
