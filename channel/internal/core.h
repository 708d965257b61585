// The engine under every channel: one buffer, two queues of who waits, and one
// operation, of which Send, Receive and Select are special cases. Internal.
//
// An operation has one or more cases, each of them to send to a channel or to
// receive from it, and carries out exactly one. It locks all of its channels at
// once, always in the same order, and either carries out a case that is ready,
// or queues up at all of them. Whoever comes later to one of these channels
// carries out the waiting operation's case together with its own, unless
// somebody else has done that at another channel.
//
// Values travel in boxes, so that no constructor of the user's runs under a
// lock.

#ifndef COHORT_CHANNEL_INTERNAL_CORE_H_
#define COHORT_CHANNEL_INTERNAL_CORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"

namespace cohort::channel::internal {

class Core;
class Operation;

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

struct Case {
  Core* channel = nullptr;  // null: never ready
  Direction direction = Direction::kReceive;
  // Of what is to be sent; cases may share it. Or to where what is received
  // goes, empty. If the case was carried out and nothing has moved, the channel
  // is closed.
  std::unique_ptr<Box>* box = nullptr;
};

// Carries out one of the cases that are ready, at random, and returns its
// index; none if none is. Never blocks.
std::optional<size_t> TryOne(absl::Span<Case> cases);

// The same, but blocks until one is ready. The cause, if the context is done
// before, which is looked at first.
absl::StatusOr<size_t> AwaitOne(const Context& context, absl::Span<Case> cases);

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

  struct Waiter;

  // Whether the case is carried out.
  bool Try(Case& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TrySend(std::unique_ptr<Box>& box) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TryReceive(std::unique_ptr<Box>& box)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::unique_ptr<Box> TakeFromSender() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  sync::LinkedList<Waiter>& Queue(Direction direction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t capacity_;
  const uint64_t number_;  // in the order in which all are locked

  mutable sync::Mutex mutex_;
  sync::LinkedList<Box> buffer_ ABSL_GUARDED_BY(mutex_);
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  // Operations with another case that was carried out stay for a while.
  sync::LinkedList<Waiter> senders_ ABSL_GUARDED_BY(mutex_);
  sync::LinkedList<Waiter> receivers_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  const char* reader_ ABSL_GUARDED_BY(mutex_) = nullptr;  // stages
  const char* writer_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_CORE_H_
