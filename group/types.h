// The nouns that every group of cohort shares.

#ifndef COHORT_GROUP_TYPES_H_
#define COHORT_GROUP_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"

namespace cohort {

// No bound, wherever a size is asked for. A negative size is a contract
// violation, but for types that have another meaning for it from their original
// and say so.
inline constexpr int kUnlimited = std::numeric_limits<int>::max();

// How a call runs its functions.
struct RunOptions {
  // How many of them run at once; at least 1. The others wait for their turn,
  // in the order of the arguments. With a limit, functions must not wait for
  // one another.
  int limit = kUnlimited;
};

// What became of a submission.
enum class Admission {
  kAccepted,   // it will end as either run or skipped
  kFull,       // refused: no slot and no place in the queue
  kCancelled,  // refused: the group's context is done, with a cause()
};

// What a group does with an exception that leaves a task.
enum class Exceptions {
  // It becomes an error of the group: kInternal, with its type and what(). The
  // original can be had too. The group goes on as after any error.
  kCapture,
  // It terminates the process where it was thrown, so that the core dump shows
  // the throw. Nobody up the stack can catch it.
  kTerminate,
};

// What Wait does with the waiting thread.
enum class WaitPolicy {
  // It runs queued tasks of the group that it waits for, never those of
  // another, then blocks. Saves a thread, and hand-overs. A task that ends its
  // thread (pthread_exit) here ends the waiting one, and its wait never
  // returns;
  // other waits for the same group do.
  kHelp,
  // It only blocks, and never lends its thread, so that it always returns. For
  // callers on whose thread no task must run: because of thread-local state, of
  // a recursive lock that tasks must not enter, or of tasks that end threads.
  kPark,
};

// An account of a group, exact at one moment of the call:
// accepted == queued + running + succeeded + failed + skipped.
struct Stats {
  int64_t accepted = 0;
  int64_t queued = 0;   // accepted, not started
  int64_t running = 0;  // started, not yet counted out
  int64_t succeeded = 0;
  int64_t failed = 0;   // returned an error, or threw
  int64_t skipped = 0;  // accepted, and not run because of a cancellation
  int64_t refused = 0;  // kFull and kCancelled
  int64_t parked = 0;   // submissions that block for a place right now
  int64_t errors_dropped = 0;  // errors beyond what errors() holds
};

// An error, and which task it came from: 0 for the first that was accepted.
struct TaskError {
  int64_t index = 0;
  absl::Status status = absl::OkStatus();
};

// How many errors a group that keeps them all holds at most. The rest is
// counted: a group that lives long must not grow with its failures.
inline constexpr size_t kMaxErrors = 1000;

}  // namespace cohort

#endif  // COHORT_GROUP_TYPES_H_
