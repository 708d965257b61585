#include "cohort/channel/internal/core.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/log/absl_check.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/random.h"
#include "cohort/sync/thread.h"

namespace cohort::channel::internal {
namespace {

sync::Atomic<uint64_t>* MakeCounter() { return new sync::Atomic<uint64_t>(0); }

// By address would do as well, but that is another one in each simulated run.
uint64_t NextNumber() {
  return sync::ProcessWide<&MakeCounter>().fetch_add(uint64_t{1},
                                                     sync::kRelaxed);
}

// More cases than that cost an allocation.
constexpr size_t kInlined = 4;

// Drawn only where there is a choice.
size_t Random(size_t count) {
  if (count == 1) return 0;
  return std::min(count - 1, static_cast<size_t>(sync::RandomFraction() *
                                                 static_cast<double>(count)));
}

}  // namespace

// A case of an operation that waits.
struct Core::Waiter : sync::ListHook<Waiter> {
  Waiter(Operation* o, size_t i, Case* c) : operation(o), index(i), action(c) {}

  // To be called by whoever has taken it out of its queue: see
  // Operation::CarryOut.
  bool Give(std::unique_ptr<Box>& box);
  bool Take(std::unique_ptr<Box>& box);
  void SeeClosed();

  Operation* const operation;
  const size_t index;
  Case* const action;
  bool queued = false;  // under the lock of the channel
};

// One call. On the stack of its thread, and in the queues of its channels.
class Operation {
 public:
  explicit Operation(absl::Span<Case> cases);
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  std::optional<size_t> Try();
  std::optional<size_t> Await(const Context& context);

  // Of one that waits: carries out this case for it. False if another one has
  // been, or will never be. Moves `from` to `to` in the first case.
  bool CarryOut(size_t index, std::unique_ptr<Box>* from,
                std::unique_ptr<Box>* to);

 private:
  void LockAll() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void UnlockAll() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  std::optional<size_t> TryLocked() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void QueueUp() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  std::optional<size_t> Park(const Context& context);
  void LeaveQueues(std::optional<size_t> but);

  const absl::Span<Case> cases_;
  absl::InlinedVector<Core*, kInlined> channels_;  // each once, in order
  absl::InlinedVector<Core::Waiter, kInlined> waiters_;

  sync::Mutex mutex_;  // below those of the channels
  sync::CondVar changed_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<size_t> done_ ABSL_GUARDED_BY(mutex_);
};

bool Core::Waiter::Give(std::unique_ptr<Box>& box) {
  return operation->CarryOut(index, &box, action->box);
}

bool Core::Waiter::Take(std::unique_ptr<Box>& box) {
  return operation->CarryOut(index, action->box, &box);
}

void Core::Waiter::SeeClosed() { operation->CarryOut(index, nullptr, nullptr); }

Core::Core(int capacity)
    : capacity_(static_cast<size_t>(capacity)), number_(NextNumber()) {
  ABSL_CHECK_GE(capacity, 0) << "channel::Channel: capacity is " << capacity;
}

Core::~Core() {
  {
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK((senders_.empty() && receivers_.empty()) || sync::InExit())
        << "channel::Channel destroyed while somebody waits for it";
  }
  while (!buffer_.empty()) delete buffer_.PopFront();
}

bool Core::Close() {
  sync::MutexLock lock(&mutex_);
  if (closed_) return false;
  closed_ = true;
  for (sync::LinkedList<Waiter>* queue : {&senders_, &receivers_}) {
    while (!queue->empty()) {
      Waiter* const waiter = queue->PopFront();
      waiter->queued = false;
      waiter->SeeClosed();
    }
  }
  return true;
}

bool Core::closed() const {
  sync::MutexLock lock(&mutex_);
  return closed_;
}

int Core::size() const {
  sync::MutexLock lock(&mutex_);
  return static_cast<int>(size_);
}

void Core::BeginReading(const char* stage) {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(reader_ == nullptr) << "channel::" << stage << " reads what "
                                 << "channel::" << reader_ << " reads";
  reader_ = stage;
}

void Core::BeginWriting(const char* stage) {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(writer_ == nullptr) << "channel::" << stage << " writes where "
                                 << "channel::" << writer_ << " writes";
  writer_ = stage;
}

sync::LinkedList<Core::Waiter>& Core::Queue(Direction direction) {
  return direction == Direction::kSend ? senders_ : receivers_;
}

bool Core::Try(Case& action) {
  return action.direction == Direction::kSend ? TrySend(*action.box)
                                              : TryReceive(*action.box);
}

bool Core::TrySend(std::unique_ptr<Box>& box) {
  if (closed_) return true;
  while (!receivers_.empty()) {
    Waiter* const receiver = receivers_.PopFront();
    receiver->queued = false;
    if (receiver->Give(box)) return true;
  }
  if (size_ == capacity_) return false;
  buffer_.PushBack(box.release());
  ++size_;
  return true;
}

bool Core::TryReceive(std::unique_ptr<Box>& box) {
  if (size_ == 0) {
    box = TakeFromSender();
    return box != nullptr || closed_;
  }
  box.reset(buffer_.PopFront());
  if (std::unique_ptr<Box> next = TakeFromSender()) {
    buffer_.PushBack(next.release());
  } else {
    --size_;
  }
  return true;
}

std::unique_ptr<Box> Core::TakeFromSender() {
  std::unique_ptr<Box> box;
  while (!senders_.empty() && box == nullptr) {
    Waiter* const sender = senders_.PopFront();
    sender->queued = false;
    sender->Take(box);
  }
  return box;
}

Operation::Operation(absl::Span<Case> cases) : cases_(cases) {
  for (const Case& action : cases) {
    if (action.channel != nullptr) channels_.push_back(action.channel);
  }
  if (channels_.size() < 2) return;
  std::sort(
      channels_.begin(), channels_.end(),
      [](const Core* a, const Core* b) { return a->number_ < b->number_; });
  channels_.erase(std::unique(channels_.begin(), channels_.end()),
                  channels_.end());
}

void Operation::LockAll() {
  for (Core* channel : channels_) channel->mutex_.Lock();
}

void Operation::UnlockAll() {
  for (Core* channel : channels_) channel->mutex_.Unlock();
}

std::optional<size_t> Operation::TryLocked() {
  // In an order of which each is as likely, or cases that are not ready would
  // leave their share to the one behind them. Whether one is ready shows only
  // when it is tried.
  absl::InlinedVector<size_t, kInlined> order(cases_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = 0; i < order.size(); ++i) {
    std::swap(order[i], order[i + Random(order.size() - i)]);
    Case& action = cases_[order[i]];
    if (action.channel != nullptr && action.channel->Try(action)) {
      return order[i];
    }
  }
  return std::nullopt;
}

std::optional<size_t> Operation::Try() {
  LockAll();
  const std::optional<size_t> done = TryLocked();
  UnlockAll();
  return done;
}

void Operation::QueueUp() {
  // All of them before the first is queued: they do not move any more then.
  waiters_.reserve(cases_.size());
  for (size_t i = 0; i < cases_.size(); ++i) {
    waiters_.emplace_back(this, i, &cases_[i]);
  }
  for (size_t i = 0; i < cases_.size(); ++i) {
    Core* const channel = cases_[i].channel;
    if (channel == nullptr) continue;
    waiters_[i].queued = true;
    channel->Queue(cases_[i].direction).PushBack(&waiters_[i]);
  }
}

std::optional<size_t> Operation::Await(const Context& context) {
  LockAll();
  std::optional<size_t> done = TryLocked();
  if (!done.has_value()) QueueUp();
  UnlockAll();
  if (done.has_value()) return done;
  sync::Point("channel.park");
  done = Park(context);
  LeaveQueues(done);
  return done;
}

std::optional<size_t> Operation::Park(const Context& context) {
  ContextWait wait(context, mutex_, changed_);
  BlockingScope blocking;
  sync::MutexLock lock(&mutex_);
  while (!over_ && !context.done()) wait.Block();
  over_ = true;
  return done_;
}

void Operation::LeaveQueues(std::optional<size_t> but) {
  for (size_t i = 0; i < cases_.size(); ++i) {
    // Whoever carried that case out has taken it out of its queue, and the
    // channel may be gone.
    if (i == but || cases_[i].channel == nullptr) continue;
    Core& channel = *cases_[i].channel;
    sync::MutexLock lock(&channel.mutex_);
    if (waiters_[i].queued) {
      channel.Queue(cases_[i].direction).Remove(&waiters_[i]);
    }
  }
}

bool Operation::CarryOut(size_t index, std::unique_ptr<Box>* from,
                         std::unique_ptr<Box>* to) {
  sync::MutexLock lock(&mutex_);
  if (over_) return false;
  over_ = true;
  done_ = index;
  if (from != nullptr) *to = std::move(*from);
  // Under the lock, so that the operation does not end before.
  changed_.Signal();
  return true;
}

std::optional<size_t> TryOne(absl::Span<Case> cases) {
  return Operation(cases).Try();
}

absl::StatusOr<size_t> AwaitOne(const Context& context,
                                absl::Span<Case> cases) {
  if (context.done()) return context.cause();
  const std::optional<size_t> done = Operation(cases).Await(context);
  if (!done.has_value()) return context.cause();
  return *done;
}

}  // namespace cohort::channel::internal
