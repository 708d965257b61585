// A channel: a queue of bounded length between threads, like Go's channels.
//
//   cohort::channel::Channel<Url> urls(16);
//   group.Go([&](const cohort::Context& context) -> absl::Status {
//     auto values = urls.Values(context);
//     for (Url& url : values) Fetch(context, url);
//     return values.status();
//   });
//   while (...) {
//     if (!urls.Send(context, NextUrl()).ok()) break;
//   }
//   urls.Close();
//
// select.h waits for several channels at once; pipeline.h has the stages that
// programs are often made of; ends.h has handles of a channel that can be
// stored and passed on.

#ifndef COHORT_CHANNEL_CHANNEL_H_
#define COHORT_CHANNEL_CHANNEL_H_

#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "cohort/channel/internal/case.h"
#include "cohort/channel/internal/core.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"

namespace cohort::channel {

template <class T>
class Values;

// Carries values of a type, which may be move-only, from senders to receivers.
// With a capacity of 0, sender and receiver meet: a value is sent when it is
// received. Not copyable, not movable: users refer to the channel, or share it
// through the handles of ends.h. T may be a status, like Go's chan error: see
// result.h for what Receive returns then.
//
// Blocks?         Send does, while the channel is full (with a capacity of 0:
//                 until a receiver takes the value). Receive and iteration do,
//                 while it is empty. No other method does. All of them announce
//                 it with a BlockingScope.
// Cancellation?   Methods that block take a context, and return its cause once
//                 it is done. If a value has been taken, it has been sent,
//                 whatever happens to the context at that moment. A call whose
//                 context is done sends and receives nothing: after a Cancel
//                 has returned, no later send, receive or Close satisfies a
//                 call that waits with that context.
// Order?          Values are received in the order in which they were sent.
//                 Blocked calls are served in order of arrival, and before any
//                 later call.
// On error?       Send: FAILED_PRECONDITION if the channel is closed; TrySend
//                 also UNAVAILABLE if it is full. In both cases the value has
//                 not been moved from. Receive: OUT_OF_RANGE if the channel is
//                 closed and empty; TryReceive also UNAVAILABLE if it is empty.
//                 If memory runs out (std::bad_alloc), nothing has changed.
// Thread safety   All methods, from any thread, at any time before destruction
//                 begins.
// Memory ordering What happened before a value was sent is visible to the
//                 thread that receives it; what happened before a value was
//                 received is visible to the sender of the value that takes its
//                 place (with a capacity of 0: to its own sender); and what
//                 happened before Close is visible to every thread that sees
//                 the channel closed.
// Destruction     Destroys values that were never received, on the destroying
//                 thread. Dies if a call still waits here, unless the process
//                 exits.
//
// Bad input dies: a negative capacity. Moving a T must not throw. No method
// calls code of T with a lock held.
//
// From Go's channels. What differs, and why: Send to a closed channel and a
// second Close report that in their result (there: a panic, with no way to know
// before), and a parked Send learns of Close the same way; every blocking call
// can be cancelled without a select. There is no nil channel; for its uses,
// select.h has null cases.
template <class T>
class Channel {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>);
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a value that cannot be moved could get lost on its way");

 public:
  // `capacity`: how many sent values may wait to be received. 0 makes every
  // Send a rendezvous.
  explicit Channel(int capacity = 0) : core_(capacity) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() = default;

  // Blocks until `value` is in the channel or, with a capacity of 0, received.
  // FAILED_PRECONDITION if the channel is closed, or the context's cause; then
  // `value` has not been moved from.
  absl::Status Send(const Context& context, T&& value) {
    return DoSend(&context, value);
  }
  absl::Status Send(const Context& context, const T& value)
    requires std::is_copy_constructible_v<T>
  {
    T copy = value;
    return DoSend(&context, copy);
  }

  // Like Send, but never blocks: UNAVAILABLE if it would.
  [[nodiscard]] absl::Status TrySend(T&& value) {
    return DoSend(nullptr, value);
  }
  [[nodiscard]] absl::Status TrySend(const T& value)
    requires std::is_copy_constructible_v<T>
  {
    T copy = value;
    return DoSend(nullptr, copy);
  }

  // Blocks until there is a value. OUT_OF_RANGE if the channel is closed and
  // empty; or the context's cause. (Returns a DistinctStatusOr if a T can be
  // made from a status, else a StatusOr.)
  [[nodiscard]] Result<T> Receive(const Context& context) {
    return DoReceive(&context);
  }

  // Like Receive, but never blocks: UNAVAILABLE if it would.
  [[nodiscard]] Result<T> TryReceive() { return DoReceive(nullptr); }

  // From now on nothing can be sent. Callers that block in Send fail, and
  // values that were sent can still be received. True for the one call that
  // closed the channel. Never blocks.
  bool Close() { return core_.Close(); }
  bool closed() const { return core_.closed(); }

  // Receives until the channel is closed and empty, or the context is done:
  //   auto values = channel.Values(context);
  //   for (T& value : values) ...
  //   return values.status();  // which of the two it was
  [[nodiscard]] channel::Values<T> Values(const Context& context) {
    return channel::Values<T>(*this, context);
  }

  // Like Values, without a context: only for a channel that is certain to be
  // closed.
  auto begin() {
    return typename channel::Values<T>::Iterator(this, Context(), nullptr);
  }
  std::default_sentinel_t end() const { return {}; }

  int capacity() const { return core_.capacity(); }
  // The number of values that can be received now without a sender. For
  // monitoring: the number may have changed when the call returns.
  int size() const { return core_.size(); }

 private:
  friend struct internal::Access;

  absl::Status DoSend(const Context* context, T& value) {
    internal::Boxed<T> boxed(value);
    internal::Case send = internal::Access::SendCase(this, boxed);
    absl::Status status = internal::RunOne(context, send);
    if (boxed.sent() || !status.ok()) return status;
    return internal::ClosedToSend();
  }

  Result<T> DoReceive(const Context* context) {
    internal::Unboxed<T> received;
    internal::Case receive = internal::Access::ReceiveCase(this, received);
    absl::Status status = internal::RunOne(context, receive);
    if (!status.ok()) return internal::NoValue<T>(std::move(status));
    return std::move(received).Get();
  }

  internal::Core core_;
};

// The range that Channel::Values returns: iterated once, by one thread.
template <class T>
class Values {
 public:
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    T& operator*() const { return *value_; }
    Iterator& operator++() {
      Next();
      return *this;
    }
    void operator++(int) { Next(); }
    bool operator==(std::default_sentinel_t) const {
      return !value_.has_value();
    }

   private:
    friend class Values;
    friend class Channel<T>;
    Iterator(Channel<T>* channel, Context context, absl::Status* status)
        : channel_(channel), context_(std::move(context)), status_(status) {
      Next();
    }
    void Next() {
      value_.reset();
      Result<T> value = channel_->Receive(context_);
      if (value.ok()) {
        value_.emplace(*std::move(value));
      } else if (status_ != nullptr) {
        *status_ = context_.cause();
      }
    }

    Channel<T>* channel_;
    Context context_;
    absl::Status* status_;
    mutable std::optional<T> value_;
  };

  Values(Channel<T>& channel, Context context)
      : channel_(&channel), context_(std::move(context)) {}
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  // Receives the first value.
  Iterator begin() { return Iterator(channel_, context_, &status_); }
  std::default_sentinel_t end() const { return {}; }

  // Why the loop has ended. OK: the channel is closed, and everything that was
  // sent has been received. The cause: the context was done when the loop
  // ended, even if the channel was closed too, since it may have been closed
  // because of the context. OK before the end of the loop, so also after a
  // break.
  const absl::Status& status() const { return status_; }

 private:
  Channel<T>* channel_;
  Context context_;
  absl::Status status_;
};

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_CHANNEL_H_
