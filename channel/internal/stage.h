// The common part of the pipeline stages. Internal.

#ifndef COHORT_CHANNEL_INTERNAL_STAGE_H_
#define COHORT_CHANNEL_INTERNAL_STAGE_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/internal/case.h"
#include "cohort/channel/internal/core.h"
#include "cohort/channel/internal/operation.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/mutex.h"

namespace cohort::channel {

// How many threads a stage uses, and how.
struct StageOptions {
  // How many values the function is given at the same time. The calling thread
  // is one of the workers; the others are tasks of the executor, as far as it
  // has threads for them. At least 1.
  int workers = 1;

  // Whether results keep the order of the values that they were made from; else
  // they come in the order in which they are ready.
  bool ordered = true;

  // Null: DefaultExecutor().
  Executor* executor = nullptr;
};

namespace internal {

// One call of a stage: its name, its context, and its result. Shared by all its
// workers.
class Stage {
 public:
  Stage(const char* name, const Context& context, StageOptions options = {});
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const char* name() const { return name_; }
  int workers() const { return options_.workers; }
  bool ordered() const { return options_.ordered; }

  // The context of the call; with several workers, a context that also ends
  // when the stage does.
  const Context& context() const {
    return scope_.has_value() ? scope_->context() : outer_;
  }

  // OK, or the status that the first Fail set.
  absl::Status status() const;
  // Ends the stage.
  void Fail(absl::Status error);
  void End() { Fail(absl::OkStatus()); }
  bool over() const;

  // Whether a case was carried out: otherwise the stage must end.
  bool Await(Case& action);
  std::optional<size_t> Await(Operation& operation);

  // Called when a channel was found closed. It may have been closed because of
  // the context, and then this is not the end of the values.
  void SeeClosed();

  // Runs `work` once for each worker, concurrently, until all have returned. An
  // exception that leaves one of them ends the stage, and leaves this call if
  // nothing ended the stage before.
  void Run(absl::FunctionRef<void()> work);

  // The value that a user function has returned, or its error.
  template <class U, class R>
  std::optional<U> ValueOf(R result) {
    if constexpr (!std::is_same_v<R, U> && kIsStatusOr<R>) {
      if (result.ok()) return ValueOf<U>(*std::move(result));
      Fail(std::move(result).status());
      return std::nullopt;
    } else {
      static_assert(std::is_convertible_v<R, U>,
                    "what the function returns does not fit the channel");
      return std::optional<U>(std::in_place, std::move(result));
    }
  }

  template <class R>
  static constexpr bool kIsStatusOr = false;

 private:
  void RunCapturing(absl::FunctionRef<void()> work);

  const char* const name_;
  const Context& outer_;
  const StageOptions options_;
  std::optional<CancelScope> scope_;

  mutable sync::Mutex mutex_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::exception_ptr exception_ ABSL_GUARDED_BY(mutex_);
};

template <class T>
constexpr bool Stage::kIsStatusOr<absl::StatusOr<T>> = true;

// The type of a result of `map` that `reduce` is given: the value in a
// StatusOr, unless `reduce` takes the StatusOr itself.
template <class F, class R, class M>
struct MappedType {
  using Type = M;
};
template <class F, class R, class M>
  requires std::invocable<F&, R, M>
struct MappedType<F, R, absl::StatusOr<M>> {
  using Type = M;
};
template <class F, class R, class M>
using Mapped = typename MappedType<F, R, M>::Type;

// The channels at one end of a stage. They are closed when it ends, so that the
// stages before and after it end too.
template <class T>
class Held {
 public:
  Held(absl::Span<Channel<T>* const> channels, const Stage& stage,
       void (Core::*begin)(const char*))
      : channels_(channels.begin(), channels.end()) {
    for (Channel<T>* channel : channels_) {
      (Access::CoreOf(channel)->*begin)(stage.name());
    }
  }
  ~Held() {
    for (Channel<T>* channel : channels_) channel->Close();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  size_t size() const { return channels_.size(); }
  Channel<T>* operator[](size_t i) const { return channels_[i]; }

 private:
  const std::vector<Channel<T>*> channels_;
};

// The input of a stage. Shared by all workers.
template <class T>
class Input {
 public:
  Input(Stage& stage, Channel<T>& channel)
      : stage_(stage), held_({&channel}, stage, &Core::BeginReading) {}

  // None at the end of the channel, or if the stage must end. `*number` is how
  // many values came before this one.
  std::optional<T> Next(uint64_t* number = nullptr) {
    Unboxed<T> received;
    Case action = Access::ReceiveCase(held_[0], received);
    action.count = &count_;
    if (!stage_.Await(action)) return std::nullopt;
    if (!received.received()) {
      stage_.SeeClosed();
      return std::nullopt;
    }
    if (number != nullptr) *number = action.number;
    return std::optional<T>(std::in_place, std::move(*received));
  }

 private:
  Stage& stage_;
  const Held<T> held_;
  uint64_t count_ = 0;  // guarded by the lock of the channel
};

// The inputs of a stage that reads several channels as one. The cost of a value
// does not depend on their number.
template <class T>
class Inputs {
 public:
  Inputs(Stage& stage, absl::Span<Channel<T>* const> channels)
      : stage_(stage),
        held_(channels, stage, &Core::BeginReading),
        cases_(Cases(held_, received_)),
        any_(absl::MakeSpan(cases_)),
        open_(held_.size()) {}

  // None at the end of all channels, or if the stage must end.
  std::optional<T> Next() {
    for (; open_ > 0; --open_) {
      const std::optional<size_t> index = stage_.Await(any_);
      if (!index.has_value()) break;
      if (received_.received()) {
        any_.Arm(*index);
        Unboxed<T> received = std::exchange(received_, {});
        return std::optional<T>(std::in_place, std::move(*received));
      }
      stage_.SeeClosed();
    }
    return std::nullopt;
  }

 private:
  static std::vector<Case> Cases(const Held<T>& held, Unboxed<T>& received) {
    std::vector<Case> cases;
    for (size_t i = 0; i < held.size(); ++i) {
      cases.push_back(Access::ReceiveCase(held[i], received));
    }
    return cases;
  }

  Stage& stage_;
  const Held<T> held_;
  Unboxed<T> received_;
  std::vector<Case> cases_;
  Operation any_;
  size_t open_;
};

// The output of a stage. Shared by all workers.
template <class T>
class Output {
 public:
  Output(Stage& stage, Channel<T>& channel)
      : stage_(stage), held_({&channel}, stage, &Core::BeginWriting) {}

  // False if its reader has closed the channel, or if the stage must end.
  bool Send(T value) {
    Boxed<T> boxed(value);
    Case action = Access::SendCase(held_[0], boxed);
    if (!stage_.Await(action)) return false;
    if (boxed.sent()) return true;
    stage_.SeeClosed();
    return false;
  }

 private:
  Stage& stage_;
  const Held<T> held_;
};

// The outputs of a stage that writes to several channels. A channel that its
// reader has closed is not used any more.
template <class T>
class Outputs {
 public:
  Outputs(Stage& stage, absl::Span<Channel<T>* const> channels)
      : stage_(stage),
        held_(channels, stage, &Core::BeginWriting),
        cases_(Cases(held_, box_)),
        any_(absl::MakeSpan(cases_)),
        armed_(held_.size()) {
    had_it_.reserve(held_.size());
  }

  // Sends to one channel that is ready; the cost does not depend on their
  // number. False if no open channel is left, or if the stage must end.
  bool Send(T value) {
    box_ = std::make_unique<BoxOf<T>>(std::move(value));
    const std::optional<size_t> index = SendToOne();
    if (!index.has_value()) return false;
    Arm(*index);
    return true;
  }

  // Sends a copy to each channel, in the order in which they are ready.
  bool SendToAll(T value) {
    for (const size_t index : had_it_) Arm(index);
    had_it_.clear();
    while (armed_ > 0) {
      box_ = armed_ == 1 ? std::make_unique<BoxOf<T>>(std::move(value))
                         : std::make_unique<BoxOf<T>>(value);
      const std::optional<size_t> index = SendToOne();
      if (index.has_value()) {
        had_it_.push_back(*index);
      } else if (armed_ > 0) {
        return false;
      }
    }
    return !had_it_.empty();
  }

 private:
  static std::vector<Case> Cases(const Held<T>& held,
                                 std::unique_ptr<Box>& box) {
    std::vector<Case> cases;
    for (size_t i = 0; i < held.size(); ++i) {
      cases.push_back(Access::SendCase(held[i], box));
    }
    return cases;
  }

  void Arm(size_t index) {
    any_.Arm(index);
    ++armed_;
  }

  // Sends the content of the box. The channel that received it is not armed any
  // more; none if all channels are closed, or if the stage must end.
  std::optional<size_t> SendToOne() {
    for (; armed_ > 0;) {
      const std::optional<size_t> index = stage_.Await(any_);
      if (!index.has_value()) return std::nullopt;
      --armed_;
      if (box_ == nullptr) return index;
      stage_.SeeClosed();
    }
    return std::nullopt;
  }

  Stage& stage_;
  const Held<T> held_;
  std::unique_ptr<Box> box_;
  std::vector<Case> cases_;
  Operation any_;
  size_t armed_;
  std::vector<size_t> had_it_;  // and are not armed now
};

// Passes on the results of several workers, one at a time: in the order of
// their numbers, or, if not ordered, as they come. The worker that brings the
// next result passes on all consecutive results that have arrived; the others
// go back to work. They can be ahead by at most as many results as there are
// places.
template <class R>
class Results {
 public:
  // `pass_on` is called with no lock held, and by one thread at a time. After
  // it has returned false it is not called any more.
  Results(Stage& stage, absl::FunctionRef<bool(R)> pass_on)
      : stage_(stage),
        pass_on_(pass_on),
        places_(kPlacesOfAWorker * stage.workers()),
        waiting_(static_cast<size_t>(places_.capacity())) {}

  // Blocks for a place for a future result. False if the stage must end.
  bool TakePlace() {
    const absl::Status taken = places_.Send(stage_.context(), Place());
    if (!taken.ok()) stage_.Fail(taken);
    return taken.ok();
  }
  void GiveBackPlace() { places_.TryReceive().IgnoreError(); }

  // Puts a result in the place that was taken; an empty result is skipped.
  // False if the stage must end.
  bool Put(uint64_t number, std::optional<R> result) {
    auto boxed = std::make_unique<std::optional<R>>(std::move(result));
    {
      sync::MutexLock lock(&mutex_);
      if (!stage_.ordered()) number = last_++;
      Waiting(number) = std::move(boxed);
      if (busy_) return true;
      busy_ = true;
    }
    while (std::unique_ptr<std::optional<R>> next = Next()) {
      if (next->has_value() && !pass_on_(*std::move(*next))) return false;
      GiveBackPlace();
    }
    return true;
  }

 private:
  static constexpr int kPlacesOfAWorker = 2;
  struct Place {};
  using Slot = std::unique_ptr<std::optional<R>>;

  Slot& Waiting(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return waiting_[number % waiting_.size()];
  }

  // Null if the next result has not arrived: the worker that brings it
  // continues.
  Slot Next() {
    sync::MutexLock lock(&mutex_);
    Slot next = std::move(Waiting(next_));
    if (next != nullptr) {
      ++next_;
    } else {
      busy_ = false;
    }
    return next;
  }

  Stage& stage_;
  const absl::FunctionRef<bool(R)> pass_on_;
  Channel<Place> places_;

  sync::Mutex mutex_;
  std::vector<Slot> waiting_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;  // if not ordered
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;  // a thread is passing on
};

// The common part of all stages with a function: `make` is called with each
// value, by several workers at once, and its result is passed on unless it is
// empty. Ends when `pass_on` returns false.
template <class R, class T, class Make, class PassOn>
void Process(Stage& stage, Input<T>& input, Make make, PassOn pass_on) {
  if (stage.workers() == 1) {
    while (std::optional<T> value = input.Next()) {
      std::optional<R> result = make(*std::move(value));
      if (result.has_value() ? !pass_on(*std::move(result)) : stage.over()) {
        break;
      }
    }
    return;
  }
  Results<R> results(stage, pass_on);
  stage.Run([&] {
    while (results.TakePlace()) {
      uint64_t number = 0;
      std::optional<T> value = input.Next(&number);
      if (!value.has_value()) {
        results.GiveBackPlace();
        return;
      }
      std::optional<R> result = make(*std::move(value));
      if (stage.over()) return;
      if (!results.Put(number, std::move(result))) return stage.End();
    }
  });
}

}  // namespace internal
}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_INTERNAL_STAGE_H_
