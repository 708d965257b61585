#include "signals/signal_catcher.h"

#include <pthread.h>

#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace signals {

SignalCatcher::SignalCatcher(absl::AnyInvocable<void(int signal)> react) {
  sigemptyset(&caught_);
  sigemptyset(&heeded_);
  for (const int signal : {SIGINT, SIGTERM}) {
    sigaddset(&caught_, signal);
    struct sigaction action;
    sigaction(signal, nullptr, &action);
    // What whoever started us wants ignored, as nohup does, stays ignored.
    if (action.sa_handler != SIG_IGN) sigaddset(&heeded_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &caught_, &mask_before_);
  thread_ = std::thread([this, react = std::move(react)]() mutable {
    const int first = Next();
    if (first == 0) return;
    react(first);
    const int second = Next();
    if (second != 0) std::_Exit(kExitStatus + second);
  });
}

SignalCatcher::~SignalCatcher() {
  ended_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

int SignalCatcher::Next() const {
  while (true) {
    int signal = 0;
    sigwait(&caught_, &signal);
    if (ended_) return 0;
    if (sigismember(&heeded_, signal) == 1) return signal;
  }
}

}  // namespace signals
