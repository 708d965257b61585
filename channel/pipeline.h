// Pipeline stages: each reads channels and writes others until there is nothing
// left to do.
//
//   Channel<int> numbers, squares, firsts;
//   errgroup::Group group(context);
//   group.Go([&](const Context& c) { return Feed(c, Range(), numbers); });
//   group.Go([&](const Context& c) { return Map(c, numbers, squares, Sqr); });
//   group.Go([&](const Context& c) { return TakeN(c, squares, 3, firsts); });
//   for (int square : firsts.Values(group.context())) ...
//   absl::Status status = group.Wait();
//
// For all stages:
//
// Blocks?         Blocks until the stage has ended, so a stage can be submitted
//                 to a group as it is, and leaves nothing behind.
// Cancellation?   Returns the cause once the context is done.
// Order?          Values keep their order, also through several stages; values
//                 of several inputs mix. A stage with several workers restores
//                 the order, unless told not to.
// On error?       A function may return absl::StatusOr<U> rather than U; its
//                 error ends the stage, which returns it; with several workers,
//                 the first error by order of completion. An exception leaves
//                 the stage. (If U is itself an absl::Status or an
//                 absl::StatusOr<V>, and the function returns exactly that, it
//                 is a value like any other.)
// Thread safety   A channel has one stage that reads it and one that writes it,
//                 over its whole life: a second stage at the same end dies.
//                 Code that is not a stage may use the channel freely. For
//                 several threads in one stage, use StageOptions: Map(context,
//                 in, out, f, {.workers = 3}); f must then be safe to call from
//                 several threads at once.
// Workers         The calling thread is one of them, so a stage makes progress
//                 even if the executor has no thread for it. The stage returns
//                 when all workers have ended, and leaves nothing in the
//                 executor that would touch it. Each worker has one value in
//                 hand; at most twice as many results as workers wait for their
//                 turn. If the function ends its thread, that is an error of
//                 the stage, INTERNAL, unless the thread is the caller's own.
// The end         However a stage ends, it closes its inputs and its outputs. A
//                 stage ends with OK when its input is closed and empty, or
//                 when the readers have closed all of its outputs. So a reader
//                 that needs no more values closes its input; the stages
//                 upstream then end one after another, and values that were
//                 sent and not received are dropped. After an error, too, the
//                 stages downstream see an end of values: only if the group's
//                 Wait returns OK are the values received so far all there are.
//                 A stage that the group has skipped closes nothing, so read
//                 the last channel with the group's context.
// Memory ordering As for Channel.
//
// After the streams of "Concurrency in Go". There, each stage starts a
// goroutine, which stays forever if a done channel is forgotten.

#ifndef COHORT_CHANNEL_PIPELINE_H_
#define COHORT_CHANNEL_PIPELINE_H_

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/internal/stage.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"

namespace cohort::channel {

// The channels that a stage reads or writes: a vector or an array of pointers
// to them, or a braced list.
template <class T>
using Channels = absl::Span<Channel<std::type_identity_t<T>>* const>;

// Sends each element of a range.
template <class Range, class T>
  requires std::convertible_to<decltype(*std::begin(std::declval<Range&>())), T>
absl::Status Feed(const Context& context, Range&& values, Channel<T>& out) {
  internal::Stage stage("Feed", context);
  internal::Output<T> output(stage, out);
  for (auto&& value : values) {
    if (!output.Send(std::forward<decltype(value)>(value))) break;
  }
  return stage.status();
}

// Sends what `function` returns for each value.
template <class T, class U, std::invocable<T> F>
absl::Status Map(const Context& context, Channel<T>& in, Channel<U>& out,
                 F function, StageOptions options = {}) {
  internal::Stage stage("Map", context, options);
  internal::Input<T> input(stage, in);
  internal::Output<U> output(stage, out);
  internal::Process<U>(
      stage, input,
      [&](T value) {
        return stage.ValueOf<U>(std::invoke(function, std::move(value)));
      },
      [&](U result) { return output.Send(std::move(result)); });
  return stage.status();
}

// Forwards the values for which `wanted` is true.
template <class T, std::predicate<const T&> F>
absl::Status Filter(const Context& context, Channel<T>& in, Channel<T>& out,
                    F wanted, StageOptions options = {}) {
  internal::Stage stage("Filter", context, options);
  internal::Input<T> input(stage, in);
  internal::Output<T> output(stage, out);
  internal::Process<T>(
      stage, input,
      [&](T value) {
        std::optional<T> result;
        if (std::invoke(wanted, std::as_const(value))) {
          result.emplace(std::move(value));
        }
        return result;
      },
      [&](T value) { return output.Send(std::move(value)); });
  return stage.status();
}

// Forwards the first `n` values, and ends. Dies if `n` is negative.
template <class T>
absl::Status TakeN(const Context& context, Channel<T>& in, int64_t n,
                   Channel<T>& out) {
  ABSL_CHECK_GE(n, 0) << "channel::TakeN: n";
  internal::Stage stage("TakeN", context);
  internal::Input<T> input(stage, in);
  internal::Output<T> output(stage, out);
  for (; n > 0; --n) {
    std::optional<T> value = input.Next();
    if (!value.has_value() || !output.Send(*std::move(value))) break;
  }
  return stage.status();
}

// Forwards values as long as `wanted` is true, and ends.
template <class T, std::predicate<const T&> F>
absl::Status TakeWhile(const Context& context, Channel<T>& in, Channel<T>& out,
                       F wanted) {
  internal::Stage stage("TakeWhile", context);
  internal::Input<T> input(stage, in);
  internal::Output<T> output(stage, out);
  while (std::optional<T> value = input.Next()) {
    if (!std::invoke(wanted, std::as_const(*value))) break;
    if (!output.Send(*std::move(value))) break;
  }
  return stage.status();
}

// Drops values as long as `unwanted` is true, then forwards all others.
template <class T, std::predicate<const T&> F>
absl::Status SkipWhile(const Context& context, Channel<T>& in, Channel<T>& out,
                       F unwanted) {
  bool skipping = true;
  internal::Stage stage("SkipWhile", context);
  internal::Input<T> input(stage, in);
  internal::Output<T> output(stage, out);
  while (std::optional<T> value = input.Next()) {
    skipping = skipping && std::invoke(unwanted, std::as_const(*value));
    if (!skipping && !output.Send(*std::move(value))) break;
  }
  return stage.status();
}

// Drops the first `n` values. Dies if `n` is negative.
template <class T>
absl::Status SkipN(const Context& context, Channel<T>& in, int64_t n,
                   Channel<T>& out) {
  ABSL_CHECK_GE(n, 0) << "channel::SkipN: n";
  return SkipWhile(context, in, out, [&n](const T&) { return n-- > 0; });
}

// Forwards the values of all inputs as they come, until all inputs have ended.
// The cost of a value does not depend on the number of inputs: only inputs
// whose state has changed are looked at.
template <class T>
absl::Status FanIn(const Context& context, Channels<T> ins, Channel<T>& out) {
  internal::Stage stage("FanIn", context);
  internal::Inputs<T> input(stage, ins);
  internal::Output<T> output(stage, out);
  while (std::optional<T> value = input.Next()) {
    if (!output.Send(*std::move(value))) break;
  }
  return stage.status();
}

// Sends a copy of each value to every output, in the order in which the outputs
// are ready; the next value is sent when every output has received this one.
template <class T>
  requires std::is_copy_constructible_v<T>
absl::Status FanOut(const Context& context, Channel<T>& in, Channels<T> outs) {
  internal::Stage stage("FanOut", context);
  internal::Input<T> input(stage, in);
  internal::Outputs<T> output(stage, outs);
  while (std::optional<T> value = input.Next()) {
    if (!output.SendToAll(*std::move(value))) break;
  }
  return stage.status();
}

// FanOut to two outputs.
template <class T>
  requires std::is_copy_constructible_v<T>
absl::Status Tee(const Context& context, Channel<T>& in, Channel<T>& first,
                 Channel<T>& second) {
  return FanOut<T>(context, in, {&first, &second});
}

// Sends each value to one of the outputs that is ready for it.
template <class T>
absl::Status Distribute(const Context& context, Channel<T>& in,
                        Channels<T> outs) {
  internal::Stage stage("Distribute", context);
  internal::Input<T> input(stage, in);
  internal::Outputs<T> output(stage, outs);
  while (std::optional<T> value = input.Next()) {
    if (!output.Send(*std::move(value))) break;
  }
  return stage.status();
}

// Reduces all values, one after the other: `reduce` is called with its previous
// result, at first `initial`, and the result of `map` for the value. Only `map`
// is called by several workers at once. The result is an absl::StatusOr<R>, for
// most R.
template <class T, class R, std::invocable<T> M, class F>
Result<R> MapReduce(const Context& context, Channel<T>& in, M map, R initial,
                    F reduce, StageOptions options = {}) {
  using Mapped =
      internal::Mapped<F, R, std::decay_t<std::invoke_result_t<M&, T>>>;
  internal::Stage stage("MapReduce", context, options);
  internal::Input<T> input(stage, in);
  std::optional<R> result(std::in_place, std::move(initial));
  internal::Process<Mapped>(
      stage, input,
      [&](T value) {
        return stage.ValueOf<Mapped>(std::invoke(map, std::move(value)));
      },
      [&](Mapped mapped) {
        std::optional<R> next = stage.ValueOf<R>(
            std::invoke(reduce, *std::move(result), std::move(mapped)));
        if (!next.has_value()) return false;
        result.emplace(*std::move(next));
        return true;
      });
  absl::Status status = stage.status();
  if (!status.ok()) return internal::NoValue<R>(std::move(status));
  return internal::Value<R>(*std::move(result));
}

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_PIPELINE_H_
