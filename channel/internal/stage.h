// What the stages of a pipeline have in common. Internal.

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

// How many threads a stage is.
struct StageOptions {
  // Values that the function is given at the same time. The calling thread is
  // one of the workers; the others are tasks of the executor, as far as that
  // has threads for them. At least 1.
  int workers = 1;

  // Whether results keep the order of what they were made of; else they come in
  // the order in which they are ready.
  bool ordered = true;

  // Null: DefaultExecutor().
  Executor* executor = nullptr;
};

namespace internal {

// One call of a stage: its name, its context, and what it returns. For all of
// its workers.
class Stage {
 public:
  Stage(const char* name, const Context& context, StageOptions options = {});
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const char* name() const { return name_; }
  int workers() const { return options_.workers; }
  bool ordered() const { return options_.ordered; }

  // That of the call; of several workers one that ends when the stage does.
  const Context& context() const {
    return scope_.has_value() ? scope_->context() : outer_;
  }

  // OK unless something below has said otherwise, and then that which was
  // first.
  absl::Status status() const;
  // The stage ends.
  void Fail(absl::Status error);
  void End() { Fail(absl::OkStatus()); }
  bool over() const;

  // Whether one was carried out: otherwise the stage has to end.
  bool Await(Case& action);
  std::optional<size_t> Await(Operation& operation);

  // A channel was found closed. Whoever did that may have ended because of the
  // context, and then this is not the end of the values.
  void SeeClosed();

  // Lets `work` run, once for each worker at the same time, until all of them
  // have returned. An exception that leaves one of them ends the stage, and
  // leaves this if nothing has ended it before.
  void Run(absl::FunctionRef<void()> work);

  // The value that a function of the user's has returned, or its error.
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

// What `reduce` is given of a result of `map`: the value in a StatusOr, unless
// it is to be given that as it is.
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

// The channels at one end of a stage. They are closed when it ends, so that
// those before it end too, and those behind it.
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

// What a stage reads. For all workers.
template <class T>
class Input {
 public:
  Input(Stage& stage, Channel<T>& channel)
      : stage_(stage), held_({&channel}, stage, &Core::BeginReading) {}

  // None at the end of the channel, or if the stage has to end. `*number` is
  // how many there have been before.
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
  uint64_t count_ = 0;  // under the lock of the channel
};

// What a stage reads from several channels as one. What that costs for a value
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

  // None at the end of all channels, or if the stage has to end.
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

// Where a stage writes. For all workers.
template <class T>
class Output {
 public:
  Output(Stage& stage, Channel<T>& channel)
      : stage_(stage), held_({&channel}, stage, &Core::BeginWriting) {}

  // False if its reader has closed it, or if the stage has to end.
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

// Where a stage writes to several channels. One that its reader has closed is
// sent to no more.
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

  // To one that is ready, which costs the same whatever their number. False if
  // there is none left, or if the stage has to end.
  bool Send(T value) {
    box_ = std::make_unique<BoxOf<T>>(std::move(value));
    const std::optional<size_t> index = SendToOne();
    if (!index.has_value()) return false;
    Arm(*index);
    return true;
  }

  // A copy to each of them, in the order in which they are ready.
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

  // What is in the box. The one that has it is not armed any more; none if all
  // are closed, or if the stage has to end.
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
  std::vector<size_t> had_it_;  // and are not armed
};

// The results of several workers, passed on one at a time: in the order of
// their numbers, or of no numbers, as they come. Whoever brings the one that is
// next passes on what is there by then; the others go back to work, and are at
// most so far ahead as there are places.
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

  // Blocks for a place for one that is to come. False if the stage has to end.
  bool TakePlace() {
    const absl::Status taken = places_.Send(stage_.context(), Place());
    if (!taken.ok()) stage_.Fail(taken);
    return taken.ok();
  }
  void GiveBackPlace() { places_.TryReceive().IgnoreError(); }

  // In the place that was taken; an empty one is passed over. False if the
  // stage has to end.
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

  // Null if it is not there yet: then whoever brings it goes on.
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
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;  // somebody passes on
};

// What all stages with a function are: `make` is called with each value, by
// several workers at once, and what it returns is passed on, if it is not
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
