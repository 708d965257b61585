#include "cohort/executor/timer_queue.h"

#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/log/absl_log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/executor/executor.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort {
namespace {

TimerQueue* MakeDefaultQueue() { return new TimerQueue(DefaultExecutor()); }

}  // namespace

TimerQueue::Timer::~Timer() {
  ABSL_CHECK(!due_.has_value()) << "TimerQueue::Timer destroyed while armed";
}

void TimerQueue::Timer::HandOver(Executor& executor) {
  executor.Submit([this] { OnDue(); });
}

TimerQueue::TimerQueue(Executor& executor) : executor_(executor) {}

TimerQueue::~TimerQueue() {
  sync::Thread thread;
  {
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK(timers_.empty())
        << "TimerQueue destroyed with " << timers_.size() << " armed timers";
    stopping_ = true;
    changed_.Signal();
    thread = std::move(thread_);
  }
  BlockingScope blocking;
  if (thread.joinable()) thread.Join();
}

TimerQueue& TimerQueue::Default() {
  return sync::ProcessWide<MakeDefaultQueue>();
}

void TimerQueue::Arm(Timer& timer, sync::SteadyTime due) {
  absl::Status failure;
  {
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK(!timer.due_.has_value()) << "TimerQueue::Arm: already armed";
    timer.due_ = due;
    timer.sequence_ = next_sequence_++;
    const auto position =
        timers_.emplace(Key{due, timer.sequence_}, &timer).first;
    if (thread_.joinable()) {
      if (position == timers_.begin()) changed_.Signal();
    } else {
      absl::StatusOr<sync::Thread> thread =
          sync::Thread::Start({.name = "timers"}, [this] { Run(); });
      if (thread.ok()) {
        thread_ = *std::move(thread);
      } else {
        failure = thread.status();
      }
    }
  }
  if (!failure.ok()) {
    ABSL_LOG(WARNING) << "TimerQueue: timers wait for a thread: " << failure;
  }
}

bool TimerQueue::Disarm(Timer& timer) {
  sync::MutexLock lock(&mutex_);
  if (!timer.due_.has_value()) return false;
  timers_.erase(timers_.find(Key{*timer.due_, timer.sequence_}));
  timer.due_.reset();
  return true;
}

void TimerQueue::Run() {
  std::vector<Timer*> batch;
  mutex_.Lock();
  while (!stopping_) {
    const sync::SteadyTime now = sync::SteadyTime::Now();
    while (!timers_.empty() && timers_.begin()->first.due <= now) {
      Timer* timer = timers_.begin()->second;
      timers_.erase(timers_.begin());
      timer->due_.reset();
      batch.push_back(timer);
    }
    if (!batch.empty()) {
      mutex_.Unlock();
      for (Timer* timer : batch) timer->HandOver(executor_);
      batch.clear();
      mutex_.Lock();
    } else if (timers_.empty()) {
      changed_.Wait(&mutex_, sync::WaitKind::kDaemon);
    } else {
      changed_.WaitUntil(&mutex_, timers_.begin()->first.due,
                         sync::WaitKind::kDaemon);
    }
  }
  mutex_.Unlock();
}

}  // namespace cohort
