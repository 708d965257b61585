// A queue of bounded length between threads, as Go's channels.
//
//   cohort::channel::Channel<Url> urls(16);
//   group.Go([&](const cohort::Context& context) -> absl::Status {
//     auto values = urls.Values(context);
//     for (Url& url : values) Fetch(context, url);
//     return values.status();
//   });
//   while (...) urls.Send(context, NextUrl());
//   urls.Close();
//
// select.h waits for several of them at once; pipeline.h has the stages that
// programs are often made of; ends.h has handles of a channel that can be kept
// and handed on.

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

// Carries values of a type, which may be move-only, from those who send to
// those who receive. With a capacity of 0 they meet: a value is sent when it is
// received. Not copyable, not movable: those who use it refer to it, or share
// it by the handles of ends.h. T may be a status, as in Go's chan error: see
// result.h for what Receive returns then.
//
// Blocks?         Send, while it is full (with a capacity of 0: until somebody
//                 receives the value). Receive and iteration, while it is
//                 empty. Nothing else. All of them announce it with a
//                 BlockingScope.
// Cancellation?   What blocks takes a context, and returns its cause once that
//                 is done. A value that has been taken has been sent, whatever
//                 becomes of the context at that moment. A context that is done
//                 sends and receives nothing: after a Cancel that has returned,
//                 nothing that is sent, received or closed serves who waits
//                 with that context.
// Order?          Values are received in the order in which they were sent. Who
//                 blocks is served in the order of arrival, and before whoever
//                 comes later.
// On error?       Send: FAILED_PRECONDITION if the channel is closed, and
//                 TrySend: UNAVAILABLE if it is full; the value is then where
//                 it was. Receive: OUT_OF_RANGE if it is closed and empty;
//                 TryReceive: UNAVAILABLE if it is empty. Where memory runs out
//                 (std::bad_alloc), nothing has changed.
// Thread safety   All methods, from any thread, at any time before destruction
//                 begins.
// Memory ordering What happened before a value was sent is visible to whoever
//                 received it; what happened before the nth was received, to
//                 whoever sent the one that takes its place (with a capacity of
//                 0: to its own sender); and before Close, to whoever learns of
//                 that.
// Destruction     Of values that nobody has received, where the channel is
//                 destroyed. Dies if somebody still waits here, unless the
//                 process exits.
//
// Bad input dies: a negative capacity. Moving a T must not throw. No method
// calls code of a T's with a lock held.
//
// From Go's channels. What differs, and why: Send to a closed channel and a
// second Close say so in their result (there: a panic, with no way to know
// before), and a parked Send learns of Close the same way; whatever blocks can
// be cancelled without a select. There is no nil channel; select.h has null
// cases for what that is used for.
template <class T>
class Channel {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>);
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a value that cannot be moved could get lost on its way");

 public:
  // Of values that have been sent and not yet received.
  explicit Channel(int capacity = 0) : core_(capacity) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() = default;

  // Blocks until `value` is in the channel, or received if there is no place.
  // FAILED_PRECONDITION if it is closed, or the context's cause; `value` has
  // not been moved from then.
  absl::Status Send(const Context& context, T&& value) {
    return DoSend(&context, value);
  }
  absl::Status Send(const Context& context, const T& value)
    requires std::is_copy_constructible_v<T>
  {
    T copy = value;
    return DoSend(&context, copy);
  }

  // The same, but never blocks: UNAVAILABLE if it would.
  [[nodiscard]] absl::Status TrySend(T&& value) {
    return DoSend(nullptr, value);
  }
  [[nodiscard]] absl::Status TrySend(const T& value)
    requires std::is_copy_constructible_v<T>
  {
    T copy = value;
    return DoSend(nullptr, copy);
  }

  // Blocks until there is a value. OUT_OF_RANGE if there will not be another
  // one, since the channel is closed; or the context's cause.
  // (A DistinctStatusOr if a T can be made from a status, else a StatusOr.)
  [[nodiscard]] Result<T> Receive(const Context& context) {
    return DoReceive(&context);
  }

  // The same, but never blocks: UNAVAILABLE if it would.
  [[nodiscard]] Result<T> TryReceive() { return DoReceive(nullptr); }

  // From now on nothing can be sent. Whoever blocks in Send learns of it, and
  // what has been sent can still be received. True for the call that did it.
  // Never blocks.
  bool Close() { return core_.Close(); }
  bool closed() const { return core_.closed(); }

  // Receives until the channel is closed and empty, or the context is done:
  //   auto values = channel.Values(context);
  //   for (T& value : values) ...
  //   return values.status();  // which of the two it was
  [[nodiscard]] channel::Values<T> Values(const Context& context) {
    return channel::Values<T>(*this, context);
  }

  // The same without a context: only for a channel that is certain to be
  // closed.
  auto begin() {
    return typename channel::Values<T>::Iterator(this, Context(), nullptr);
  }
  std::default_sentinel_t end() const { return {}; }

  int capacity() const { return core_.capacity(); }
  // Values that can be received just now without a sender. For monitoring: it
  // may be another number when the call returns.
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

// What Channel::Values returns. A range to go through once, by one thread.
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

  // Receives the first one.
  Iterator begin() { return Iterator(channel_, context_, &status_); }
  std::default_sentinel_t end() const { return {}; }

  // Why the loop has ended. OK: the channel is closed, and everything that was
  // sent has been received. The cause: the context was done at that moment,
  // also where the channel was closed, since whoever closed it may have done so
  // because of the context. OK before the end, so also after a break.
  const absl::Status& status() const { return status_; }

 private:
  Channel<T>* channel_;
  Context context_;
  absl::Status status_;
};

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_CHANNEL_H_
