// The stages that pipelines are made of: each reads channels and writes others
// until there is nothing left to do.
//
//   Channel<int> numbers, squares, firsts;
//   errgroup::Group group(context);
//   group.Go([&](const Context& c) { return Feed(c, Range(), numbers); });
//   group.Go([&](const Context& c) { return Map(c, numbers, squares, Sqr); });
//   group.Go([&](const Context& c) { return TakeN(c, squares, 3, firsts); });
//   for (int square : firsts.Values(group.context())) ...
//   absl::Status status = group.Wait();
//
// All of them have this in common:
//
// Blocks?         Until the stage has ended; so that it is a task of a group as
//                 it stands, and leaves nothing behind.
// Cancellation?   The cause, once the context is done.
// Order?          Values keep their order, also through several stages; those
//                 of several inputs mix. A stage with several workers restores
//                 it, unless it is told not to.
// On error?       A function may return absl::StatusOr<U> rather than U; its
//                 error ends the stage, which returns it: of several workers,
//                 the first error by completion. An exception leaves the stage.
//                 (Where U is itself an absl::Status or an absl::StatusOr<V>,
//                 and the function returns just that, it is a value like
//                 others.)
// Thread safety   A channel has one stage that reads it and one that writes it,
//                 over its whole life: another one dies. Others than stages may
//                 do with it what they like. Several threads for one stage are
//                 its StageOptions: Map(context, in, out, f, {.workers = 3}),
//                 and f must then be safe to call from several at once.
// Workers         The calling thread is one of them, so that a stage goes on
//                 where the executor has no thread to give; the stage returns
//                 when all have ended, and leaves nothing in the executor that
//                 would touch it. Each has one value in hand, and of results
//                 that wait for their turn there are at most twice as many as
//                 workers. What the function does when it ends its thread is an
//                 error of the stage, INTERNAL, where that thread is not the
//                 caller's own.
// The end         However a stage ends, it closes its inputs and its outputs.
//                 An input that is closed and empty is its end, and so is an
//                 output that whoever reads it has closed, or each of several:
//                 it then returns OK. So whoever needs no more closes what he
//                 reads, and the stages before end one after another; what they
//                 have sent and nobody has received is dropped. After an error,
//                 too, the stages behind it see an end: what has come is all
//                 there is only if the group's Wait says OK. A stage that the
//                 group has skipped closes nothing, so whoever reads the last
//                 channel does it with the group's context.
// Memory ordering Of the channels.
//
// After the streams of "Concurrency in Go". There, each stage starts a
// goroutine, which stays for ever where a done channel is forgotten.

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

// What channels a stage reads or writes: a vector or an array of pointers to
// them, or a list in braces.
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

// Sends what `function` makes of each value.
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

// Sends on those values for which `wanted` is true.
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

// Sends on the first `n` values, and ends. Dies on a negative number.
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

// Sends on values for as long as `wanted` is true, and ends.
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

// Drops values for as long as `unwanted` is true, and sends on all others.
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

// Drops the first `n` values. Dies on a negative number.
template <class T>
absl::Status SkipN(const Context& context, Channel<T>& in, int64_t n,
                   Channel<T>& out) {
  ABSL_CHECK_GE(n, 0) << "channel::SkipN: n";
  return SkipWhile(context, in, out, [&n](const T&) { return n-- > 0; });
}

// Sends on the values of all inputs as they come, until all are at their end.
// What a value costs does not depend on the number of inputs: only those are
// looked at that something has happened to.
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

// Sends a copy of each value to every output, in the order in which they are
// ready; the next value is for when all have the last one.
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

// The same, for two.
template <class T>
  requires std::is_copy_constructible_v<T>
absl::Status Tee(const Context& context, Channel<T>& in, Channel<T>& first,
                 Channel<T>& second) {
  return FanOut<T>(context, in, {&first, &second});
}

// Sends each value to one of the outputs: one that is ready for it.
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

// What `reduce` makes of all values, one after the other: it is given what it
// has returned last, at first `initial`, and what `map` makes of the value. Of
// these, `map` alone is what several workers do at once. The result is an
// absl::StatusOr<R>, for most R.
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
