// The engine under every channel: one buffer, and two queues of who waits. What
// uses it, in Send, in Receive and in a Select alike, is an Operation, of which
// operation.h tells. Internal.
//
// Values travel in boxes, so that no constructor of the user's runs under a
// lock.

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

// A value on its way.
struct Box : sync::ListHook<Box> {
  virtual ~Box() = default;
};

template <class T>
struct BoxOf final : Box {
  explicit BoxOf(T content) : value(std::move(content)) {}
  T value;
};

enum class Direction { kSend, kReceive };

// To send to a channel, to receive from it, or to have waited long enough.
struct Case {
  // The number of what it receives, once it has.
  void Count() {
    if (count != nullptr && *box != nullptr) number = (*count)++;
  }

  Core* channel = nullptr;  // null: ready when it is due
  Direction direction = Direction::kReceive;
  // Of what is to be sent; cases may share it. Or to where what is received
  // goes, empty. If the case was carried out and nothing has moved, the channel
  // is closed.
  std::unique_ptr<Box>* box = nullptr;
  sync::SteadyTime due = sync::SteadyTime::InfiniteFuture();
  // Counts, unless null, what is received by the cases that share it; of one
  // channel, under its lock.
  uint64_t* count = nullptr;
  uint64_t number = 0;
};

// What has become of a case of an operation when it was looked at.
enum class Outcome {
  kDone,      // it was carried out
  kNotReady,  // nothing has changed
  kOver,      // the operation has another case that was carried out
};

class Core {
 public:
  // Dies on a negative capacity.
  explicit Core(int capacity);
  // Dies if somebody waits here.
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  bool Close();
  bool closed() const;
  int capacity() const { return static_cast<int>(capacity_); }
  int size() const;

  // A stage of a pipeline begins to read here, or to write. Dies if one has
  // before.
  void BeginReading(const char* stage);
  void BeginWriting(const char* stage);

 private:
  friend class Operation;

  // Carries out a case of `self`, which is not waiting for it here.
  Outcome Try(Case& action, Operation& self)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Outcome TrySend(Operation& self, std::unique_ptr<Box>& box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Outcome TryReceive(Operation& self, std::unique_ptr<Box>& box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // With the first in the queue who can be served: gives him what is in the
  // box, or takes what he has.
  Outcome Meet(sync::LinkedList<Waiter>& queue, Operation& self,
               std::unique_ptr<Box>& box) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  sync::LinkedList<Waiter>& Queue(Direction direction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t capacity_;

  mutable sync::Mutex mutex_;
  sync::LinkedList<Box> buffer_ ABSL_GUARDED_BY(mutex_);
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of whoever is here, some cannot be served: see operation.h.
  sync::LinkedList<Waiter> senders_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waiter> receivers_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  const char* reader_ ABSL_GUARDED_BY(mutex_) = nullptr;  // stages
  const char* writer_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_CORE_H_
