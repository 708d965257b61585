// Cancellation: one tree of contexts that every primitive of cohort listens to.
//
// A Context is what a task is given: it tells when to stop, why, and until when
// there is time, and carries typed values. A CancelScope is what its owner
// keeps: it derives a context from a parent and ends it. Whatever ends a
// context ends all that were derived from it.
//
//   cohort::CancelScope scope =
//       cohort::WithTimeout(parent, absl::Seconds(5));
//   Fetch(scope.context());  // returns early if parent or scope ends
//
// Use a Context instead of std::stop_token where there are deadlines, reasons
// or values; the two convert into each other (WithStopToken, stop_token()).
//
// From Go's `context`, with these differences: the cause is always there
// (Go: WithCancelCause and its kin); the cancel function is an object whose
// destructor calls it, so no scope leaks; OnDone runs its callback in the
// cancelling thread (Go's AfterFunc: in a goroutine of its own); keys are
// types.
//
// Time. Each end that is brought about by time is measured on the steady clock,
// from the call that set it, and compared there with those above: no change of
// the wall clock makes one early or late. As Go's, whose deadlines carry a
// monotonic reading. At its time a context is done, and those who wait for it
// are woken, whatever the executors do and however many threads the system
// refuses: the timers' own thread sees to it, and each of those who wait for a
// context, in any call of this library, keeps its deadline itself. Only
// callbacks and stop tokens, which are code of users, need an executor's
// thread; they come ahead of its queued tasks.

#ifndef COHORT_CONTEXT_CONTEXT_H_
#define COHORT_CONTEXT_CONTEXT_H_

#include <memory>
#include <type_traits>
#include <utility>
#include <version>

#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/context/internal/node.h"
#include "cohort/context/internal/value.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort {

namespace context_internal {
class Attachment;
}  // namespace context_internal

class CancelScope;

// The registration of a callback with Context::OnDone. Movable; the empty one
// stands for nothing.
//
// Destruction     Takes the callback back if it has not started. If it runs on
//                 another thread, blocks until it has returned (announced with
//                 a BlockingScope); if it runs on this very thread, does not
//                 wait. After that the callback never runs, and its functor is
//                 gone. So a lock that the callback takes must not be held
//                 here.
class [[nodiscard]] DoneCallback {
 public:
  DoneCallback() = default;
  DoneCallback(DoneCallback&& other) noexcept = default;
  DoneCallback& operator=(DoneCallback&& other) noexcept;
  ~DoneCallback();

 private:
  friend class Context;
  explicit DoneCallback(
      sync::RefPtr<context_internal::Registration> registration)
      : registration_(std::move(registration)) {}

  sync::RefPtr<context_internal::Registration> registration_;
};

// Tells when to stop, and why. Cheap to copy: two reference counts. The default
// one is never done, has no deadline and no values, and allocates nothing.
//
// Blocks?         Only AwaitDone, AwaitDoneUntil and SleepFor; they announce it
//                 with a BlockingScope.
// Cancellation?   This is it. A context that is done stays done, with the
//                 status and cause it got first.
// Order?          An end goes downwards: a child may be seen not done for a
//                 moment after its parent, but not after a Cancel of either has
//                 returned. A context's callbacks run one after another, in the
//                 order in which they were registered; those of a parent run
//                 before those of the children that end with it.
// On error?       status() is CANCELLED, or DEADLINE_EXCEEDED where a deadline
//                 ended it; cause() is what the one who ended it said.
// Thread safety   Everything, from any thread.
// Memory ordering What happened before the call that ended the context is
//                 visible to whoever sees done() or anything that follows from
//                 it.
// Destruction     Of a copy: no effect on the others, or on the tree.
class Context {
 public:
  Context() = default;

  // Whether it is time to stop. One atomic load: cheap enough for a loop.
  bool done() const noexcept { return node_ != nullptr && node_->done(); }

  // OK while not done, then CANCELLED or DEADLINE_EXCEEDED.
  absl::Status status() const;

  // OK while not done, then the reason given to Cancel, WithDeadline or
  // WithTimeout; status() if there was none.
  absl::Status cause() const;

  // When the context will be done at the latest, as the wall clock showed it
  // when that was set; absl::InfiniteFuture() if it has no deadline. No later
  // than its parent's, unless the wall clock was set in between. To compute
  // with it is to trust the wall clock: see time_left.
  absl::Time deadline() const;

  // How long it is until then by the steady clock, which nobody sets: what to
  // give to an API that takes a timeout. Zero once that has passed, whether or
  // not it was what ended the context; absl::InfiniteDuration() if there is no
  // deadline. Reads a clock.
  absl::Duration time_left() const;

  // The value that WithValue<Key> attached last on the way here, else null.
  // Lives as long as any context that was derived with it. Linear in the number
  // of values.
  template <class Key>
  const typename Key::Type* value() const {
    return static_cast<const typename Key::Type*>(context_internal::FindValue(
        values_.get(), &context_internal::kKey<Key>));
  }

  // Blocks until done: for ever on a default context.
  void AwaitDone() const;

  // Blocks until done, or until `t` by wall clock, as it stands now: to set it
  // meanwhile has no effect. Returns done().
  bool AwaitDoneUntil(absl::Time t) const;

  // Blocks for `d`, and returns OK; or returns status() as soon as the context
  // is done, at once if it is already. A `d` that is not positive does not
  // block.
  absl::Status SleepFor(absl::Duration d) const;

  // Lets `f` run once when the context is done. If it is done already, `f` runs
  // here and now, and the registration is empty; else in the thread that ends
  // the context, before that call returns; or, if it was a deadline, on
  // DefaultExecutor(), ahead of its queued tasks: a thread of it that is free
  // takes it at once, and otherwise it waits for one task to end or block, or
  // for the pool to add a thread. A slow `f` delays no other deadline. No lock
  // of the library is held. `f` should be brief, since this context's others
  // wait for it, and must not throw. A null `f` dies.
  [[nodiscard]] DoneCallback OnDone(absl::AnyInvocable<void() &&> f) const;

#ifdef __cpp_lib_jthread
  // A token that is stopped when this context is done, before the callbacks of
  // this context run, and where they do. For APIs that speak std::stop_token.
  std::stop_token stop_token() const;
#endif

 private:
  friend class CancelScope;
  friend class ContextWatch;
  template <class Key>
  friend Context WithValue(const Context& parent, typename Key::Type value);
  friend Context WithoutCancel(const Context& parent);
  friend CancelScope WithAnyOf(absl::Span<const Context> contexts);
#ifdef __cpp_lib_jthread
  friend CancelScope WithStopToken(const Context& parent,
                                   std::stop_token token);
#endif

  Context(sync::RefPtr<context_internal::Node> node,
          sync::RefPtr<context_internal::Value> values)
      : node_(std::move(node)), values_(std::move(values)) {}

  sync::RefPtr<context_internal::Node> node_;
  sync::RefPtr<context_internal::Value> values_;
};

// Owns a context that was derived from a parent, and ends it. Movable; one that
// was moved from may only be destroyed or assigned to.
//
// Blocks?         Cancel and the destructor run the callbacks of all contexts
//                 that they end. They wait for nothing else, with one
//                 exception: where a stop token is ending the context on
//                 another thread, the destructor waits for that (announced with
//                 a BlockingScope).
// Order?          All contexts that end with this one are done before the first
//                 callback runs, and when Cancel returns, whatever it returns:
//                 nothing that waits for one of them is granted after that. If
//                 another thread is ending a part of the tree at that moment,
//                 the callbacks of that part are left to it. Where callbacks
//                 cancel scopes whose callbacks cancel others, more than 16
//                 deep, the rest run when those around them have come to their
//                 end: no chain of them uses the stack up.
// On error?       Cancel with an OK status dies: a cause says why.
// Thread safety   Cancel and context, from any thread.
// Memory ordering See Context.
// Destruction     Cancels. The context leaves its parent, so that a long-lived
//                 parent does not grow; copies of it live on, done.
class [[nodiscard]] CancelScope {
 public:
  CancelScope(CancelScope&& other) noexcept;
  CancelScope& operator=(CancelScope&& other) noexcept;
  ~CancelScope();

  const Context& context() const& { return context_; }
  // A scope that nobody keeps has ended its context before anyone can use it.
  const Context& context() && = delete;
  const Context& context() const&& = delete;

  // Ends the context with CANCELLED and the given cause. True for the one call
  // that did it; false if it was done already.
  bool Cancel(absl::Status cause = absl::CancelledError("context cancelled"));

 private:
  friend CancelScope WithCancel(const Context& parent);
  friend CancelScope WithDeadline(const Context& parent, absl::Time t,
                                  absl::Status cause);
  friend CancelScope WithTimeout(const Context& parent, absl::Duration d,
                                 absl::Status cause);
  friend CancelScope WithAnyOf(absl::Span<const Context> contexts);
#ifdef __cpp_lib_jthread
  friend CancelScope WithStopToken(const Context& parent,
                                   std::stop_token token);
#endif

  CancelScope(const Context& parent, context_internal::Deadline deadline,
              absl::Status cause);

  Context context_;
  // What WithStopToken and WithAnyOf have registered elsewhere; else null.
  // Opaque, since a class must not change with what the including file's
  // standard library has.
  std::unique_ptr<context_internal::Attachment> attachment_;
};

// A context that ends when the scope says so, or when its parent ends. If the
// parent is done, the new one is from the start, with the same cause.
CancelScope WithCancel(const Context& parent);

// The same, and ends by itself at `t` by wall clock, with DEADLINE_EXCEEDED and
// the given cause; before this returns if `t` has passed. The distance to `t`
// is measured once, here: when the wall clock is set later, the context ends
// when the clock would have shown `t` without that. Never fires early. A
// parent's deadline wins where it comes earlier by the steady clock, and its
// cause.
CancelScope WithDeadline(const Context& parent, absl::Time t,
                         absl::Status cause = absl::DeadlineExceededError(
                             "context deadline exceeded"));

// The same, `d` from now, whatever the wall clock shows then or now.
CancelScope WithTimeout(const Context& parent, absl::Duration d,
                        absl::Status cause = absl::DeadlineExceededError(
                            "context deadline exceeded"));

#ifdef __cpp_lib_jthread
// The same as WithCancel, and ends when `token` is stopped, with a CANCELLED
// cause that says so, in the thread that stops it.
CancelScope WithStopToken(const Context& parent, std::stop_token token);
#endif

// A context that is done as soon as one of several is, with its status and
// cause; of none, never. It derives from the first: it has its values, and the
// earliest deadline of all. Ends with them in one step, as a child would, and
// costs no thread.
//
//   const CancelScope either =
//       WithAnyOf({request.context(), shutdown.context()});
//   Serve(either.context());
CancelScope WithAnyOf(absl::Span<const Context> contexts);

// A context with a value on top of its parent's, found by its key: a type that
// names the type of the value.
//
//   struct RequestId { using Type = std::string; };
//   Context c = WithValue<RequestId>(parent, "r-17");
//   if (const std::string* id = c.value<RequestId>()) …
//
// The value must be safe to read from several threads. For what belongs to a
// request and crosses APIs, not as a way to pass optional arguments.
template <class Key>
Context WithValue(const Context& parent, typename Key::Type value) {
  return Context(parent.node_, context_internal::MakeValue<typename Key::Type>(
                                   parent.values_, &context_internal::kKey<Key>,
                                   std::move(value)));
}

// The parent's values, without its cancellation and deadline: for clean-up that
// must go on when everything else stops.
Context WithoutCancel(const Context& parent);

}  // namespace cohort

#endif  // COHORT_CONTEXT_CONTEXT_H_
