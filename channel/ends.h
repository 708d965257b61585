// The two ends of a channel, as handles that can be stored and handed on: what
// Go's chan<- T and <-chan T are.
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

// What both ends are: a share in a channel.
template <class T>
class End {
 public:
  End() = default;

  // The whole channel, for the stages of pipeline.h and whatever else takes
  // one. It lives as long as a handle of it.
  Channel<T>& operator*() const { return Get(); }

  // False if there is none.
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

// Cheap to copy, to move and to compare: those of one channel are equal. A
// handle that was default-constructed or moved from has no channel; a case of a
// Select with it is never ready, as with Go's nil channels, and everything else
// dies.
//
// Blocks, Cancellation, Order, On error, Memory order: as Channel, whose
// methods these are. Thread safety  All const methods of a handle, from any
// thread; and everything
//                of different handles of one channel.
// Destruction     The channel is destroyed with its last handle; whoever calls
//                 a method has a handle for as long. No handle closes the
//                 channel: as in Go, who sends says when that is the end.
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
  // Refers to the channel: a handle must outlive it.
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

// A channel of its own, as Go's make(chan T, capacity). Dies on a negative
// capacity.
template <class T>
Ends<T> MakeChannel(int capacity = 0) {
  return Ends<T>(std::make_shared<Channel<T>>(capacity));
}

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_ENDS_H_
