// Waits for several channels at once and uses one of them, like Go's select.
//
//   absl::StatusOr<size_t> chosen = Select(
//       context,
//       ReceiveFrom(urls, [&](absl::StatusOr<Url> url) { ... }),
//       SendTo(results, std::move(result), [&](absl::Status sent) { ... }),
//       After(absl::Seconds(1), [&] { ... }));

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
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/ends.h"
#include "cohort/channel/internal/case.h"
#include "cohort/channel/internal/core.h"
#include "cohort/channel/internal/operation.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"
#include "cohort/sync/clock.h"

namespace cohort::channel {

namespace internal {
struct SelectAccess;
}  // namespace internal

// The cases of a Select are made in the call, and each is used once. The
// channel of a case may be null: the case is then never ready, as with Go's nil
// channels.
//
// A handle of ends.h may be passed instead of a channel; the handle must then
// outlive the Select.
//
// A handler is called on the calling thread, with no lock held, after its case
// has been carried out and values that were not sent have been moved back. An
// exception that it throws leaves Select.

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
class [[nodiscard]] AfterCase {
 public:
  static constexpr bool kIsOtherwise = false;

  AfterCase(sync::SteadyTime due, F handler)
      : due_(due), handler_(std::move(handler)) {}
  AfterCase(const AfterCase&) = delete;
  AfterCase& operator=(const AfterCase&) = delete;

 private:
  friend struct internal::SelectAccess;
  internal::Case Prepare() { return {.due = due_}; }
  void Settle() {}
  void Handle() { std::move(handler_)(); }

  const sync::SteadyTime due_;
  F handler_;
};

// Ticks once per period, starting with its construction; for any number of
// Selects, one after the other. A Select that is late finds one tick and has
// missed the others; later ticks keep their original times. It has no timer,
// and costs nothing between two Selects.
//
// Blocks?         Never.
// On error?       A period that is not positive dies.
// Thread safety   Not thread-safe: one thread at a time.
//
// From Go's time.Ticker; there is nothing to stop.
class Ticker {
 public:
  explicit Ticker(absl::Duration period);

  // The next tick comes a whole period from now.
  void Reset();

 private:
  template <class F>
  friend class TickCase;
  // The next tick is then the first that is later than now.
  void Advance();

  const absl::Duration period_;
  sync::SteadyTime next_;
};

template <class F>
class [[nodiscard]] TickCase {
 public:
  static constexpr bool kIsOtherwise = false;

  TickCase(Ticker& ticker, F handler)
      : ticker_(ticker), handler_(std::move(handler)) {}
  TickCase(const TickCase&) = delete;
  TickCase& operator=(const TickCase&) = delete;

 private:
  friend struct internal::SelectAccess;
  internal::Case Prepare() { return {.due = ticker_.next_}; }
  void Settle() {}
  void Handle() {
    ticker_.Advance();
    std::move(handler_)();
  }

  Ticker& ticker_;
  F handler_;
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

// Receives a value: ready if there is one, or if the channel is closed and
// empty. The handler is given what Receive would return.
template <class T, std::invocable<Result<T>> F>
ReceiveCase<T, F> ReceiveFrom(Channel<T>* channel, F handler) {
  return {channel, std::move(handler)};
}
template <class T, std::invocable<Result<T>> F>
ReceiveCase<T, F> ReceiveFrom(Channel<T>& channel, F handler) {
  return {&channel, std::move(handler)};
}
template <class T, std::invocable<Result<T>> F>
ReceiveCase<T, F> ReceiveFrom(const Receiver<T>& receiver, F handler) {
  return {internal::Access::ChannelOf(receiver), std::move(handler)};
}

// Sends `value`, which must outlive the Select and is moved from only if it is
// sent: ready if there is a place or a receiver, or if the channel is closed.
// The handler is given what Send would return.
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

template <class T, std::invocable<absl::Status> F>
SendCase<T, F> SendTo(const Sender<T>& sender, std::type_identity_t<T>&& value,
                      F handler) {
  return {internal::Access::ChannelOf(sender), value, std::move(handler)};
}

// Ready when `wait` has passed since this call, on the steady clock; at once if
// `wait` is not positive. Like Go's `case <-time.After(d)`, but without a timer
// that stays behind: the Select keeps the time itself, so it is on time
// whatever the executors do. For one deadline over several Selects, give them a
// context with a deadline.
template <std::invocable F>
AfterCase<F> After(absl::Duration wait, F handler) {
  return {sync::SteadyTime::Now() + wait, std::move(handler)};
}

// Ready when the ticker ticks, or if it has ticked since it was last used. The
// ticker must outlive the Select.
template <std::invocable F>
TickCase<F> Tick(Ticker& ticker, F handler) {
  return {ticker, std::move(handler)};
}

// Used at once if no other case is ready, so that Select does not block; Go's
// default. At most one, at any position.
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
  // Moves values that were not sent back to where they were.
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
// Blocks?         Until a case is ready; not if there is an Otherwise. It
//                 announces that with a BlockingScope.
// Cancellation?   Returns the cause if the context is done, which is checked
//                 first: nothing has been sent or received then. A case that
//                 has been carried out beats an end of the context at that
//                 moment; a case that becomes ready after a Cancel has returned
//                 does not.
// Order?          If several cases are ready, one is chosen uniformly at
//                 random. A call that waits in Select is served in its turn, as
//                 if it waited in Send or Receive.
// On error?       If an Otherwise is used, there was a moment at which no other
//                 case was ready. If memory runs out (std::bad_alloc), no case
//                 has been carried out.
// Memory ordering As for Send and Receive.
// Cost            Holds the lock of one channel at a time, and for up to four
//                 cases allocates nothing except the values that are sent. The
//                 cost is proportional to the number of cases: if there are
//                 many, and values come one after another, a FanIn (pipeline.h)
//                 looks only at the channels whose state has changed.
//
// One channel may be in several cases; a Select never sends to itself.
//
// From Go's select. What differs: the context is an argument, checked before
// any case; and two Selects that both have an Otherwise may exchange a value.
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
    const std::optional<size_t> ready =
        internal::TryOne(context, absl::MakeSpan(actions));
    if (ready.has_value() || !context.done()) {
      chosen = ready.value_or(otherwise);
    } else {
      chosen = context.cause();
    }
  } else {
    chosen = internal::AwaitOne(context, absl::MakeSpan(actions));
  }
  (..., internal::SelectAccess::Settle(cases));
  if (!chosen.ok()) return chosen;
  size_t index = 0;
  (..., (index++ == *chosen ? internal::SelectAccess::Handle(cases) : void()));
  return chosen;
}

// ReceiveFromAny and SendToAny: Select for any number of channels of one type.
// The index is that of the channel.
template <class T>
struct ReceivedFrom {
  size_t index = 0;
  Result<T> value;  // OUT_OF_RANGE if that channel is closed and empty
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
