// The two ends of a channel, as handles that can be stored and passed on: like
// Go's chan<- T and <-chan T.
//
//   cohort::channel::Receiver<Page> Load(const Url& url) {  // a future
//     auto ends = cohort::channel::MakeChannel<Page>(1);
//     Start([url, sender = std::move(ends.sender)] {
//       sender.TrySend(Fetch(url)).IgnoreError();
//       sender.Close();
//     });
//     return std::move(ends.receiver);
//   }

#ifndef COHORT_CHANNEL_ENDS_H_
#define COHORT_CHANNEL_ENDS_H_

#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/internal/case.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"

namespace cohort::channel {

template <class T>
struct Ends;

namespace internal {

// The common part of both ends: a share in a channel.
template <class T>
class End {
 public:
  End() = default;

  // The whole channel, for the stages of pipeline.h and other code that takes a
  // Channel. It lives as long as any handle of it.
  Channel<T>& operator*() const { return Get(); }

  // False if the handle has no channel.
  explicit operator bool() const { return channel_ != nullptr; }
  bool operator==(const End&) const = default;

 protected:
  explicit End(std::shared_ptr<Channel<T>> channel)
      : channel_(std::move(channel)) {}

  Channel<T>& Get() const {
    ABSL_CHECK(channel_ != nullptr)
        << "channel::Sender, channel::Receiver: the handle has no channel";
    return *channel_;
  }

 private:
  friend struct Access;
  std::shared_ptr<Channel<T>> channel_;
};

}  // namespace internal

// Handles are cheap to copy, to move and to compare: two handles of one channel
// are equal. A handle that was default-constructed or moved from has no
// channel; a Select case with it is never ready, as with Go's nil channels, and
// all other uses die.
//
// Blocks?, Cancellation?, Order?, On error?, Memory ordering: as for Channel,
// whose methods these are.
//
// Thread safety   All const methods of one handle, and all methods of different
//                 handles of one channel, from any thread.
// Destruction     The channel is destroyed with its last handle; a caller of a
//                 method holds a handle for that long. No handle closes the
//                 channel: as in Go, the sender says when to end.
template <class T>
class Sender : public internal::End<T> {
 public:
  Sender() = default;

  absl::Status Send(const Context& context, T&& value) const {
    return this->Get().Send(context, std::move(value));
  }
  absl::Status Send(const Context& context, const T& value) const
    requires std::is_copy_constructible_v<T>
  {
    return this->Get().Send(context, value);
  }
  [[nodiscard]] absl::Status TrySend(T&& value) const {
    return this->Get().TrySend(std::move(value));
  }
  [[nodiscard]] absl::Status TrySend(const T& value) const
    requires std::is_copy_constructible_v<T>
  {
    return this->Get().TrySend(value);
  }
  bool Close() const { return this->Get().Close(); }

 private:
  friend Ends<T>;
  using internal::End<T>::End;
};

template <class T>
class Receiver : public internal::End<T> {
 public:
  Receiver() = default;

  [[nodiscard]] Result<T> Receive(const Context& context) const {
    return this->Get().Receive(context);
  }
  [[nodiscard]] Result<T> TryReceive() const {
    return this->Get().TryReceive();
  }
  // Refers to the channel: a handle must outlive the returned range.
  [[nodiscard]] channel::Values<T> Values(const Context& context) const {
    return this->Get().Values(context);
  }
  auto begin() const { return this->Get().begin(); }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend Ends<T>;
  using internal::End<T>::End;
};

// What MakeChannel returns.
template <class T>
struct Ends {
  explicit Ends(std::shared_ptr<Channel<T>> channel)
      : sender(channel), receiver(std::move(channel)) {}

  Sender<T> sender;
  Receiver<T> receiver;
};

// Makes a new channel, like Go's make(chan T, capacity). Dies on a negative
// capacity.
template <class T>
Ends<T> MakeChannel(int capacity = 0) {
  return Ends<T>(std::make_shared<Channel<T>>(capacity));
}

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_ENDS_H_
