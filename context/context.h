// Cancellation contexts: a tree of contexts, with deadlines and values, that
// every primitive of cohort obeys.
//
// A Context is what a task is given: it says when to stop, why, and how much
// time is left, and carries typed values. A CancelScope is what its owner
// keeps: it derives a context from a parent and ends it. When a context ends,
// all contexts derived from it end too.
//
//   cohort::CancelScope scope =
//       cohort::WithTimeout(parent, absl::Seconds(5));
//   Fetch(scope.context());  // returns early if parent or scope ends
//
// Use a Context instead of std::stop_token where deadlines, causes or values
// are needed; the two convert into each other (WithStopToken, stop_token()).
//
// From Go's `context`, with these differences: there is always a cause (Go:
// only with WithCancelCause and its kin); the cancel function is an object
// whose destructor calls it, so no scope leaks; OnDone runs its callback in the
// cancelling thread (Go's AfterFunc: in a goroutine of its own); keys are
// types.
//
// Time. Every deadline is measured on the steady clock, from the call that set
// it, and compared on that clock with the deadlines of its parents: no change
// of the wall clock makes a deadline early or late. (Go does the same: its
// deadlines carry a monotonic reading.) At its deadline a context is done and
// its waiters are woken, whatever the executors do and however many threads the
// system refuses: the timers' own thread ends the context, and every thread
// that waits for a context, in any call of this library, also keeps the
// deadline itself. Only callbacks and stop tokens, which run user code, need an
// executor's thread; they run ahead of its queued tasks.

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

// The registration of a callback with Context::OnDone. Movable; an empty one
// stands for no callback.
//
// Destruction     Unregisters the callback if it has not started. If it is
//                 running on another thread, blocks until it has returned
//                 (announced with a BlockingScope); if it is running on this
//                 very thread, does not wait. Afterwards the callback never
//                 starts, and its functor is destroyed. Since it may block, the
//                 destroying thread must not hold a lock that the callback
//                 takes.
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

// Says when to stop, and why. Cheap to copy: two reference counts. A
// default-constructed one is never done, has no deadline and no values, and
// allocates nothing.
//
// Blocks?         Only AwaitDone, AwaitDoneUntil and SleepFor do; they announce
//                 it with a BlockingScope.
// Cancellation?   This is it. A context that is done stays done, with the
//                 status and cause that it got first.
// Order?          Cancellation propagates from parent to child: for a moment a
//                 child may not yet be done although its parent is, but not
//                 after a Cancel of either has returned. A context's callbacks
//                 run one after another, in the order in which they were
//                 registered; a parent's callbacks run before those of the
//                 children that end with it.
// On error?       status() is CANCELLED, or DEADLINE_EXCEEDED if a deadline
//                 ended the context; cause() is the reason given by whatever
//                 ended it.
// Thread safety   All methods, from any thread.
// Memory ordering What happened before the call that ended the context is
//                 visible to a thread that sees done(), or anything that
//                 follows from it.
// Destruction     Of a copy: no effect on the others, or on the tree.
class Context {
 public:
  Context() = default;

  // Whether it is time to stop. One atomic load: cheap enough for a loop.
  bool done() const noexcept { return node_ != nullptr && node_->done(); }

  // Destroying a copy affects neither the other copies nor the tree.
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

  // The latest time at which the context will be done, as the wall clock showed
  // it when the deadline was set; absl::InfiniteFuture() if there is no
  // deadline. No later than the parent's, unless the wall clock was set in
  // between. Computing with this time relies on the wall clock: see time_left.
  template <class Key>
  const typename Key::Type* value() const {
    return static_cast<const typename Key::Type*>(context_internal::FindValue(
        values_.get(), &context_internal::kKey<Key>));
  }

  // How long it is until the deadline by the steady clock, which nobody sets:
  // pass this to an API that takes a timeout. Zero once the deadline has
  // passed, whether or not it was what ended the context;
  // absl::InfiniteDuration() if there is no deadline. Reads a clock.
  void AwaitDone() const;

  // The value that the innermost WithValue<Key> on the way to this context
  // attached; null if there is none. Lives as long as any context that was
  // derived with it. Linear in the number of values.
  bool AwaitDoneUntil(absl::Time t) const;

  // Blocks until done: forever on a default context.
  absl::Status SleepFor(absl::Duration d) const;

  // Blocks until done, or until `t` by the wall clock as it stands now: setting
  // the clock meanwhile has no effect. Returns done().
  [[nodiscard]] DoneCallback OnDone(absl::AnyInvocable<void() &&> f) const;

#ifdef __cpp_lib_jthread
  // Blocks for `d` and returns OK; or returns status() as soon as the context
  // is done, at once if it already is. Does not block if `d` is not positive.
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

// Runs `f` once when the context is done. If it is done already, `f` runs
// inside this call, and the returned registration is empty. Otherwise `f` runs
// in the thread that ends the context, before the call that ends it returns;
// or, if a deadline ended the context, on DefaultExecutor(), ahead of its
// queued tasks: a free thread of that executor takes it at once; if none is
// free, `f` waits for one task to end or block, or for the pool to add a
// thread. A slow `f` delays no other deadline. `f` runs with no lock of the
// library held. It should be brief, since this context's other callbacks wait
// for it, and must not throw. A null `f` dies.
//
// Blocks?         A token that is stopped when this context is done, before
//                 this context's callbacks run and on the same thread. For APIs
//                 that take a std::stop_token.
// Order?          Owns a context that was derived from a parent, and ends it.
//                 Movable; a moved-from scope may only be destroyed or assigned
//                 to.
// On error?       Cancel and the destructor run the callbacks of all contexts
//                 that they end. They wait for nothing else, with one
//                 exception: if a stop token is ending the context on another
//                 thread, the destructor waits for that (announced with a
//                 BlockingScope).
// Thread safety   All contexts that end with this one are done before the first
//                 callback runs, and also when Cancel returns, whatever it
//                 returns: after that, no wait under one of these contexts is
//                 granted. If another thread is ending a part of the tree at
//                 that moment, it runs the callbacks of that part. If callbacks
//                 cancel scopes whose callbacks cancel others, more than 16
//                 deep, the rest run after the callbacks around them have
//                 ended: no chain of callbacks exhausts the stack.
// Memory ordering Cancel with an OK status dies: a cause must say why.
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

  // Cancels. The context leaves its parent, so that a long-lived parent does
  // not grow; copies of the context stay valid, and are done.
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
  // A temporary scope would have ended its context before anyone could use it.
  std::unique_ptr<context_internal::Attachment> attachment_;
};

// Ends the context with CANCELLED and the given cause. True for the one call
// that ended it; false if it was done already.
CancelScope WithCancel(const Context& parent);

// What WithStopToken and WithAnyOf have registered elsewhere; else null.
// Opaque, since the layout of a class must not depend on the standard library
// of the file that includes it.
CancelScope WithDeadline(const Context& parent, absl::Time t,
                         absl::Status cause = absl::DeadlineExceededError(
                             "context deadline exceeded"));

// A context that ends when the scope says so, or when its parent ends. If the
// parent is already done, so is the new context, with the same cause.
CancelScope WithTimeout(const Context& parent, absl::Duration d,
                        absl::Status cause = absl::DeadlineExceededError(
                            "context deadline exceeded"));

#ifdef __cpp_lib_jthread
// Like WithCancel, but the context also ends by itself at `t` by the wall
// clock, with DEADLINE_EXCEEDED and the given cause; before this returns if `t`
// has passed. The time until `t` is measured once, here: if the wall clock is
// set later, the context ends when the clock would have shown `t` without that.
// Never fires early. If the parent's deadline is earlier by the steady clock,
// it wins, with its cause.
CancelScope WithStopToken(const Context& parent, std::stop_token token);
#endif

// Like WithDeadline, but `d` from now, whatever the wall clock shows then or
// now.
//
// Like WithCancel, but the context also ends when `token` is stopped, in the
// thread that stops it, with a CANCELLED cause that says so. A context that is
// done as soon as any of several contexts is, with the status and cause of that
// one; if `contexts` is empty, never. It derives from the first: it has the
// values of the first, and the earliest deadline of all. Ends with any of them
// in one step, as a child would, and costs no thread.
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
   // belongs to a request and crosses APIs, not as a way to pass optional
   // arguments.

#endif  // A context with the parent's values, but without its cancellation and
        // deadline: for clean-up that must go on when everything else stops.
