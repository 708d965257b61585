// The engine under every channel: one buffer, and two queues of waiting
// operations. Every Send, Receive and Select uses it through an Operation,
// which operation.h describes. Internal.
//
// Values travel in boxes, so that no user constructor runs under a lock.

#ifndef COHORT_CHANNEL_INTERNAL_CORE_H_
#define COHORT_CHANNEL_INTERNAL_CORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"

namespace cohort::channel::internal {

class Core;
class Operation;
struct Waiter;

// A value in transit.
struct Box : sync::ListHook<Box> {
  virtual ~Box() = default;
};

template <class T>
struct BoxOf final : Box {
  explicit BoxOf(T content) : value(std::move(content)) {}
  T value;
};

enum class Direction { kSend, kReceive };

// A case of an operation: send to a channel, receive from it, or wait until a
// time.
struct Case {
  // Numbers the value that was received, if there is one.
  void Count() {
    if (count != nullptr && *box != nullptr) number = (*count)++;
  }

  Core* channel = nullptr;  // null: ready at `due`
  Direction direction = Direction::kReceive;
  // For a send: the value (several cases may share it). For a receive: where
  // the value is stored; empty on entry. If the case was carried out and no
  // value has moved, the channel is closed.
  std::unique_ptr<Box>* box = nullptr;
  sync::SteadyTime due = sync::SteadyTime::InfiniteFuture();
  // If not null, counts the values received by the cases that share it; these
  // must be of one channel, under whose lock it is.
  uint64_t* count = nullptr;
  uint64_t number = 0;
};

// The result of looking at a case of an operation.
enum class Outcome {
  kDone,      // it was carried out
  kNotReady,  // nothing has changed
  kOver,      // another case of the operation was carried out, or its context
              // is done
};

class Core {
 public:
  // Dies on a negative capacity.
  explicit Core(int capacity);
  // Dies if a call waits here.
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  bool Close();
  bool closed() const;
  int capacity() const { return static_cast<int>(capacity_); }
  int size() const;

  // A stage of a pipeline begins to read, or to write, here. Dies if another
  // stage did so before.
  void BeginReading(const char* stage);
  void BeginWriting(const char* stage);

 private:
  friend class Operation;

  // Carries out a case of `self`, which has no waiter in this queue for it.
  Outcome Try(Case& action, Operation& self)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Outcome TrySend(Operation& self, std::unique_ptr<Box>& box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Outcome TryReceive(Operation& self, std::unique_ptr<Box>& box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Serves the first waiter in `queue` that can be served: gives it what is in
  // `box`, or takes what it has.
  Outcome Meet(sync::LinkedList<Waiter>& queue, Operation& self,
               std::unique_ptr<Box>& box) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  sync::LinkedList<Waiter>& Queue(Direction direction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t capacity_;

  mutable sync::Mutex mutex_;
  sync::LinkedList<Box> buffer_ ABSL_GUARDED_BY(mutex_);
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  // Some of these waiters cannot be served: see operation.h.
  sync::LinkedList<Waiter> senders_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waiter> receivers_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  const char* reader_ ABSL_GUARDED_BY(mutex_) = nullptr;  // name of the stage
  const char* writer_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_CORE_H_
