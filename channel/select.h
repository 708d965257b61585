// Waits for several channels at once and uses one of them, as Go's select.
//
//   absl::StatusOr<size_t> chosen = Select(
//       context,
//       ReceiveFrom(urls, [&](absl::StatusOr<Url> url) { ... }),
//       SendTo(results, std::move(result), [&](absl::Status sent) { ... }));

#ifndef COHORT_CHANNEL_SELECT_H_
#define COHORT_CHANNEL_SELECT_H_

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/internal/case.h"
#include "cohort/channel/internal/core.h"
#include "cohort/context/context.h"

namespace cohort::channel {

namespace internal {
struct SelectAccess;
}  // namespace internal

// The cases of a Select: made where they are passed, and used once. The channel
// of a case may be null: then it is never ready, as with Go's nil channels.
//
// A handler is called on the calling thread once its case has been carried out
// and what was not sent is where it was, with no lock held. An exception of its
// own leaves Select.

template <class T, class F>
class [[nodiscard]] ReceiveCase {
 public:
  static constexpr bool kIsOtherwise = false;

  ReceiveCase(Channel<T>* channel, F handler)
      : channel_(channel), handler_(std::move(handler)) {}
  ReceiveCase(const ReceiveCase&) = delete;
  ReceiveCase& operator=(const ReceiveCase&) = delete;

 private:
  friend struct internal::SelectAccess;
  internal::Case Prepare() {
    return internal::Access::ReceiveCase(channel_, received_);
  }
  void Settle() {}
  void Handle() { std::move(handler_)(std::move(received_).Get()); }

  Channel<T>* const channel_;
  F handler_;
  internal::Unboxed<T> received_;
};

template <class T, class F>
class [[nodiscard]] SendCase {
 public:
  static constexpr bool kIsOtherwise = false;

  SendCase(Channel<T>* channel, T& value, F handler)
      : channel_(channel), value_(value), handler_(std::move(handler)) {}
  SendCase(const SendCase&) = delete;
  SendCase& operator=(const SendCase&) = delete;

 private:
  friend struct internal::SelectAccess;
  internal::Case Prepare() {
    return internal::Access::SendCase(channel_, boxed_.emplace(value_));
  }
  void Settle() {
    sent_ = boxed_->sent();
    boxed_.reset();
  }
  void Handle() {
    std::move(handler_)(sent_ ? absl::OkStatus() : internal::ClosedToSend());
  }

  Channel<T>* const channel_;
  T& value_;
  F handler_;
  std::optional<internal::Boxed<T>> boxed_;  // while Select looks for a case
  bool sent_ = false;
};

template <class F>
class [[nodiscard]] OtherwiseCase {
 public:
  static constexpr bool kIsOtherwise = true;

  explicit OtherwiseCase(F handler) : handler_(std::move(handler)) {}
  OtherwiseCase(const OtherwiseCase&) = delete;
  OtherwiseCase& operator=(const OtherwiseCase&) = delete;

 private:
  friend struct internal::SelectAccess;
  internal::Case Prepare() { return {}; }  // never ready
  void Settle() {}
  void Handle() { std::move(handler_)(); }

  F handler_;
};

// Receives a value: ready if there is one, or if there will be none any more.
// The handler is given what Receive would return.
template <class T, std::invocable<absl::StatusOr<T>> F>
ReceiveCase<T, F> ReceiveFrom(Channel<T>* channel, F handler) {
  return {channel, std::move(handler)};
}
template <class T, std::invocable<absl::StatusOr<T>> F>
ReceiveCase<T, F> ReceiveFrom(Channel<T>& channel, F handler) {
  return {&channel, std::move(handler)};
}

// Sends `value`, which must outlive the Select and is moved from only then:
// ready if there is a place or a receiver, or if the channel is closed. The
// handler is given what Send would return.
template <class T, std::invocable<absl::Status> F>
SendCase<T, F> SendTo(Channel<T>* channel, std::type_identity_t<T>&& value,
                      F handler) {
  return {channel, value, std::move(handler)};
}
template <class T, std::invocable<absl::Status> F>
SendCase<T, F> SendTo(Channel<T>& channel, std::type_identity_t<T>&& value,
                      F handler) {
  return {&channel, value, std::move(handler)};
}

// Used at once if no other case is ready, so that Select does not block; Go's
// default. At most one, wherever it stands.
template <std::invocable F>
OtherwiseCase<F> Otherwise(F handler) {
  return OtherwiseCase<F>(std::move(handler));
}

namespace internal {

struct SelectAccess {
  template <class C>
  static Case Prepare(C& c) {
    return c.Prepare();
  }
  // Values that were not sent are where they were.
  template <class C>
  static void Settle(C& c) {
    c.Settle();
  }
  template <class C>
  static void Handle(C& c) {
    c.Handle();
  }
};

}  // namespace internal

// Carries out one case, calls its handler, and returns its index, from 0.
//
// Blocks?        Until a case is ready; not with an Otherwise. It announces
//                that with a BlockingScope.
// Cancellation?  Returns the cause if the context is done, which is looked at
//                first: nothing has been sent or received then. A case that was
//                carried out beats an end of the context at that moment.
// Order?         Of several cases that are ready, each is as likely. Who waits
//                in a Select is served in its turn, as if it were in Send or
//                Receive.
// Memory order   As of Send and Receive.
//
// One channel may be in several cases; a Select never sends to itself.
//
// From Go's select. What differs: the context is no case but comes first.
template <class... Cases>
  requires(sizeof...(Cases) > 0 &&
           (... && !std::is_lvalue_reference_v<Cases>) &&
           (... + (Cases::kIsOtherwise ? 1 : 0)) <= 1)
absl::StatusOr<size_t> Select(const Context& context, Cases&&... cases) {
  if (context.done()) return context.cause();
  std::array<internal::Case, sizeof...(Cases)> actions = {
      internal::SelectAccess::Prepare(cases)...};
  absl::StatusOr<size_t> chosen;
  if constexpr ((... || Cases::kIsOtherwise)) {
    constexpr std::array<bool, sizeof...(Cases)> kIsOtherwise = {
        Cases::kIsOtherwise...};
    const size_t otherwise = static_cast<size_t>(
        std::find(kIsOtherwise.begin(), kIsOtherwise.end(), true) -
        kIsOtherwise.begin());
    chosen = internal::TryOne(absl::MakeSpan(actions)).value_or(otherwise);
  } else {
    chosen = internal::AwaitOne(context, absl::MakeSpan(actions));
  }
  (..., internal::SelectAccess::Settle(cases));
  if (!chosen.ok()) return chosen;
  size_t index = 0;
  (..., (index++ == *chosen ? internal::SelectAccess::Handle(cases) : void()));
  return chosen;
}

// The same for any number of channels of one type. The index is that of the
// channel.
template <class T>
struct ReceivedFrom {
  size_t index = 0;
  absl::StatusOr<T> value;  // OUT_OF_RANGE if that channel is closed and empty
};

template <class T>
absl::StatusOr<ReceivedFrom<T>> ReceiveFromAny(
    const Context& context, absl::Span<Channel<T>* const> channels) {
  internal::Unboxed<T> received;
  std::vector<internal::Case> actions;
  actions.reserve(channels.size());
  for (Channel<T>* channel : channels) {
    actions.push_back(internal::Access::ReceiveCase(channel, received));
  }
  absl::StatusOr<size_t> index =
      internal::AwaitOne(context, absl::MakeSpan(actions));
  if (!index.ok()) return index.status();
  return ReceivedFrom<T>{*index, std::move(received).Get()};
}

struct SentTo {
  size_t index = 0;
  absl::Status status;  // FAILED_PRECONDITION if that channel is closed
};

// `value` is moved from only if it was sent.
template <class T>
absl::StatusOr<SentTo> SendToAny(const Context& context,
                                 absl::Span<Channel<T>* const> channels,
                                 std::type_identity_t<T>&& value) {
  internal::Boxed<T> boxed(value);
  std::vector<internal::Case> actions;
  actions.reserve(channels.size());
  for (Channel<T>* channel : channels) {
    actions.push_back(internal::Access::SendCase(channel, boxed));
  }
  absl::StatusOr<size_t> index =
      internal::AwaitOne(context, absl::MakeSpan(actions));
  if (!index.ok()) return index.status();
  return SentTo{*index,
                boxed.sent() ? absl::OkStatus() : internal::ClosedToSend()};
}

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_SELECT_H_
