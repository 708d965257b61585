// SIGINT and SIGTERM as a function call.

#ifndef SIGNALS_SIGNAL_CATCHER_H_
#define SIGNALS_SIGNAL_CATCHER_H_

#include <atomic>
#include <csignal>
#include <thread>

#include "absl/functional/any_invocable.h"

namespace signals {

// The exit status of a process that a signal has ended: this and its number.
inline constexpr int kExitStatus = 128;

// Takes SIGINT and SIGTERM as long as it lives, for this thread and all that
// start meanwhile; so it is made before them. A thread of its own waits for
// them, so that the reaction may do what a signal handler may not. The second
// signal ends the process: the first may wait for what does not answer.
class SignalCatcher {
 public:
  explicit SignalCatcher(absl::AnyInvocable<void(int signal)> react);
  SignalCatcher(const SignalCatcher&) = delete;
  SignalCatcher& operator=(const SignalCatcher&) = delete;
  ~SignalCatcher();

 private:
  // The next signal, or 0 at the end.
  int Next() const;

  sigset_t caught_;
  sigset_t heeded_;
  sigset_t mask_before_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace signals

#endif  // SIGNALS_SIGNAL_CATCHER_H_
