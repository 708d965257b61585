#include "cohort/executor/timer_queue.h"

#include <array>
#include <cstddef>
#include <utility>

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

// How many timers are handed over between two releases of the lock, so that
// threads that arm and disarm get their turn.
constexpr size_t kBatch = 64;

TimerQueue* MakeDefaultQueue() { return new TimerQueue(DefaultExecutor()); }

}  // namespace

TimerQueue::Timer::~Timer() {
  ABSL_CHECK(!armed_) << "TimerQueue::Timer destroyed while armed";
}

void TimerQueue::Timer::HandOver(Executor& executor) {
  executor.SubmitUrgent([this] { OnDue(); });
}

TimerQueue::Timer* TimerQueue::Heap::Merge(Timer* a, Timer* b) {
  if (a == nullptr) return b;
  if (b == nullptr) return a;
  if (Before(*b, *a)) std::swap(a, b);
  b->next_ = a->first_child_;
  if (b->next_ != nullptr) b->next_->previous_ = b;
  b->previous_ = a;
  a->first_child_ = b;
  return a;
}

// Merges pairs first, from the left, then these from the right: that makes the
// cost logarithmic.
TimerQueue::Timer* TimerQueue::Heap::MergeSiblings(Timer* first) {
  Timer* pairs = nullptr;  // the latest pair first
  while (first != nullptr) {
    Timer* const a = first;
    Timer* const b = std::exchange(a->next_, nullptr);
    first = b == nullptr ? nullptr : std::exchange(b->next_, nullptr);
    Timer* const pair = Merge(a, b);
    pair->next_ = pairs;
    pairs = pair;
  }
  Timer* top = nullptr;
  while (pairs != nullptr) {
    Timer* const pair = pairs;
    pairs = std::exchange(pair->next_, nullptr);
    top = Merge(top, pair);
  }
  return top;
}

void TimerQueue::Heap::Insert(Timer* timer) {
  timer->first_child_ = nullptr;
  timer->next_ = nullptr;
  top_ = Merge(top_, timer);
  ++size_;
}

void TimerQueue::Heap::Remove(Timer* timer) {
  if (timer == top_) {
    top_ = nullptr;
  } else {
    Timer* const previous = timer->previous_;
    (previous->first_child_ == timer ? previous->first_child_
                                     : previous->next_) = timer->next_;
    if (timer->next_ != nullptr) timer->next_->previous_ = previous;
  }
  top_ = Merge(top_, MergeSiblings(timer->first_child_));
  --size_;
}

TimerQueue::TimerQueue(Executor& executor) : executor_(executor) {}

TimerQueue::~TimerQueue() {
  sync::Thread thread;
  {
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK_EQ(timers_.size(), 0)
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
    ABSL_CHECK(!timer.armed_) << "TimerQueue::Arm: already armed";
    if (!thread_.joinable()) {
      absl::StatusOr<sync::Thread> thread =
          sync::Thread::Start({.name = "timers"}, [this] { Run(); });
      if (thread.ok()) {
        thread_ = *std::move(thread);
      } else {
        failure = thread.status();
      }
    }
    timer.armed_ = true;
    timer.due_ = due;
    timer.sequence_ = next_sequence_++;
    timers_.Insert(&timer);
    if (timers_.top() == &timer) changed_.Signal();
  }
  if (!failure.ok()) {
    ABSL_LOG(WARNING) << "TimerQueue: timers wait for a thread: " << failure;
  }
}

bool TimerQueue::Disarm(Timer& timer) {
  sync::MutexLock lock(&mutex_);
  if (!timer.armed_) return false;
  timers_.Remove(&timer);
  timer.armed_ = false;
  return true;
}

void TimerQueue::Run() {
  std::array<Timer*, kBatch> batch;
  mutex_.Lock();
  while (!stopping_) {
    const sync::SteadyTime now = sync::SteadyTime::Now();
    size_t count = 0;
    while (count < batch.size() && timers_.size() > 0 &&
           timers_.top()->due_ <= now) {
      Timer* const timer = timers_.top();
      timers_.Remove(timer);
      timer->armed_ = false;
      batch[count++] = timer;
    }
    if (count > 0) {
      mutex_.Unlock();
      for (size_t i = 0; i < count; ++i) batch[i]->HandOver(executor_);
      mutex_.Lock();
    } else if (timers_.size() == 0) {
      changed_.Wait(&mutex_, sync::WaitKind::kDaemon);
    } else {
      changed_.WaitUntil(&mutex_, timers_.top()->due_, sync::WaitKind::kDaemon);
    }
  }
  mutex_.Unlock();
}

}  // namespace cohort
