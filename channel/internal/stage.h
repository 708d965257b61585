// What the stages of a pipeline have in common. Internal.

#ifndef COHORT_CHANNEL_INTERNAL_STAGE_H_
#define COHORT_CHANNEL_INTERNAL_STAGE_H_

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

namespace cohort::channel::internal {

// One call of a stage: its name, its context, and what it returns.
class Stage {
 public:
  Stage(const char* name, const Context& context)
      : name_(name), context_(context) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const char* name() const { return name_; }

  // OK unless something below has said otherwise.
  absl::Status status() const { return status_; }
  void Fail(absl::Status error) { status_ = std::move(error); }

  // The one that was carried out; none if the stage has to end.
  std::optional<size_t> Await(absl::Span<Case> cases) {
    absl::StatusOr<size_t> index = AwaitOne(context_, cases);
    if (index.ok()) return *index;
    Fail(index.status());
    return std::nullopt;
  }

  // A channel was found closed. Whoever did that may have ended because of the
  // context, and then this is not the end of the values.
  void SeeClosed() { Fail(context_.cause()); }

  // The value that a function of the user's has returned; none if it is an
  // error.
  template <class T>
  std::optional<T> Value(T value) {
    return value;
  }
  template <class T>
  std::optional<T> Value(absl::StatusOr<T> value) {
    if (value.ok()) return *std::move(value);
    Fail(std::move(value).status());
    return std::nullopt;
  }

 private:
  const char* const name_;
  const Context& context_;
  absl::Status status_;
};

// What a stage reads, from all channels as one. Closes them when the stage
// ends, so that those before it end too.
template <class T>
class Input {
 public:
  Input(Stage& stage, Channel<T>& channel)
      : Input(stage, absl::Span<Channel<T>* const>({&channel})) {}
  Input(Stage& stage, absl::Span<Channel<T>* const> channels)
      : stage_(stage), all_(channels.begin(), channels.end()), open_(all_) {
    for (Channel<T>* channel : all_) {
      Access::CoreOf(channel)->BeginReading(stage.name());
    }
  }
  ~Input() {
    for (Channel<T>* channel : all_) channel->Close();
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // None at the end of all channels, or if the stage has to end.
  std::optional<T> Next() {
    while (!open_.empty()) {
      Unboxed<T> received;
      cases_.clear();
      for (Channel<T>* channel : open_) {
        cases_.push_back(Access::ReceiveCase(channel, received));
      }
      const std::optional<size_t> index = stage_.Await(absl::MakeSpan(cases_));
      if (!index.has_value()) break;
      if (received.received()) return *std::move(received).Get();
      stage_.SeeClosed();
      open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(*index));
    }
    return std::nullopt;
  }

 private:
  Stage& stage_;
  const std::vector<Channel<T>*> all_;
  std::vector<Channel<T>*> open_;
  std::vector<Case> cases_;
};

// Where a stage writes. Closes all channels when the stage ends.
template <class T>
class Output {
 public:
  Output(Stage& stage, Channel<T>& channel)
      : Output(stage, absl::Span<Channel<T>* const>({&channel})) {}
  Output(Stage& stage, absl::Span<Channel<T>* const> channels)
      : stage_(stage), all_(channels.begin(), channels.end()), open_(all_) {
    for (Channel<T>* channel : all_) {
      Access::CoreOf(channel)->BeginWriting(stage.name());
    }
  }
  ~Output() {
    for (Channel<T>* channel : all_) channel->Close();
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // To one of those that their readers have not closed. False if there is none,
  // or if the stage has to end.
  bool Send(T value) {
    while (!open_.empty()) {
      Boxed<T> boxed(value);
      if (SendToOneOf(open_, boxed) == nullptr) return false;
      if (boxed.sent()) return true;
    }
    return false;
  }

  // A copy to each of them, in the order in which they are ready.
  bool SendToAll(T value) {
    std::vector<Channel<T>*> left = open_;
    while (!left.empty()) {
      T next = left.size() == 1 ? std::move(value) : value;
      Boxed<T> boxed(next);
      Channel<T>* const channel = SendToOneOf(left, boxed);
      if (channel == nullptr) return false;
      std::erase(left, channel);
    }
    return !open_.empty();
  }

 private:
  // The one that took the value, or that is found closed, and is open no more.
  Channel<T>* SendToOneOf(const std::vector<Channel<T>*>& channels,
                          Boxed<T>& boxed) {
    cases_.clear();
    for (Channel<T>* channel : channels) {
      cases_.push_back(Access::SendCase(channel, boxed));
    }
    const std::optional<size_t> index = stage_.Await(absl::MakeSpan(cases_));
    if (!index.has_value()) return nullptr;
    Channel<T>* const channel = channels[*index];
    if (!boxed.sent()) {
      stage_.SeeClosed();
      std::erase(open_, channel);
    }
    return channel;
  }

  Stage& stage_;
  const std::vector<Channel<T>*> all_;
  std::vector<Channel<T>*> open_;
  std::vector<Case> cases_;
};

}  // namespace cohort::channel::internal

#endif  // COHORT_CHANNEL_INTERNAL_STAGE_H_
