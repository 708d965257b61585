// Converts values to the cases of an operation, and back. Internal.

#ifndef COHORT_CHANNEL_INTERNAL_CASE_H_
#define COHORT_CHANNEL_INTERNAL_CASE_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "cohort/channel/internal/core.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"

namespace cohort::channel {

template <class T>
class Channel;

namespace internal {

template <class T>
class End;

absl::Status ClosedToSend();
absl::Status ClosedAndEmpty();

// Carries out the only case. With a context it blocks for it; without one it
// returns UNAVAILABLE if the case is not ready.
absl::Status RunOne(const Context* context, Case& action);

// A value in a box. Moves the value back to where it was if it has not been
// sent.
template <class T>
class Boxed {
 public:
  explicit Boxed(T& value)
      : origin_(std::addressof(value)),
        box_(std::make_unique<BoxOf<T>>(std::move(value))) {}
  ~Boxed() {
    if (sent()) return;
    std::destroy_at(origin_);
    std::construct_at(origin_, std::move(static_cast<BoxOf<T>&>(*box_).value));
  }
  Boxed(const Boxed&) = delete;
  Boxed& operator=(const Boxed&) = delete;

  bool sent() const { return box_ == nullptr; }

 private:
  friend struct Access;
  T* const origin_;
  std::unique_ptr<Box> box_;
};

// Receives a box.
template <class T>
class Unboxed {
 public:
  bool received() const { return box_ != nullptr; }
  // The value that was received.
  T& operator*() { return static_cast<BoxOf<T>&>(*box_).value; }
  // OUT_OF_RANGE if nothing was received.
  Result<T> Get() && {
    if (!received()) return NoValue<T>(ClosedAndEmpty());
    return Value<T>(std::move(**this));
  }

 private:
  friend struct Access;
  std::unique_ptr<Box> box_;
};

struct Access {
  template <class T>
  static Channel<T>* ChannelOf(const End<T>& end) {
    return end.channel_.get();
  }
  template <class T>
  static Core* CoreOf(Channel<T>* channel) {
    return channel == nullptr ? nullptr : &channel->core_;
  }
  template <class T>
  static Case SendCase(Channel<T>* channel, std::unique_ptr<Box>& box) {
    return {
        .channel = CoreOf(channel), .direction = Direction::kSend, .box = &box};
  }
  template <class T>
  static Case SendCase(Channel<T>* channel, Boxed<T>& boxed) {
    return SendCase(channel, boxed.box_);
  }
  template <class T>
  static Case ReceiveCase(Channel<T>* channel, Unboxed<T>& received) {
    return {.channel = CoreOf(channel),
            .direction = Direction::kReceive,
            .box = &received.box_};
  }
};

}  // namespace internal
}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_INTERNAL_CASE_H_
