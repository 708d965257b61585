// Duplicate call suppression (single flight): concurrent callers that want the
// same key share one call.
//
//   cohort::singleflight::Group<std::string, Page> group;
//
//   absl::StatusOr<Page> Get(const cohort::Context& context,
//                            absl::string_view url) {
//     const auto page = group.Do(
//         context, url, [&](const cohort::Context& work) {
//           return Fetch(work, url);  // once, however many want it
//         });
//     if (!page.ok()) return page.status();
//     return *page;
//   }
//
// A result goes only to the callers that wait for it; to reuse it later, store
// it elsewhere, as docs/singleflight.md does.

#ifndef COHORT_SINGLEFLIGHT_GROUP_H_
#define COHORT_SINGLEFLIGHT_GROUP_H_

#include <concepts>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/singleflight/internal/flight.h"
#include "cohort/singleflight/internal/typed.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::singleflight {

// The work of a call: a movable callable of one of these forms, with a T from
// which a V can be made:
//
//   () -> T
//   () -> absl::StatusOr<T>
//   (const Context&) -> T                  is told when to stop
//   (const Context&) -> absl::StatusOr<T>
//
// Work is called at most once, as an rvalue, and destroyed before the call
// ends. A callable that can be called with and without a context is called
// with it.
template <class F, class V>
concept WorkFor =
    std::move_constructible<F> &&
    (internal::WorkWithContext<F, V> || internal::WorkWithoutContext<F, V>);

struct Options {
  // Where Start runs work; null means DefaultExecutor(). Must outlive the
  // group's last call.
  Executor* executor = nullptr;

  // The group's name in error messages.
  std::string name = "";
};

// A set of calls; a *call* is one run of the work for a key. K is hashed and
// compared as by Abseil's containers, including heterogeneous lookup: if K is a
// std::string, a key may be an absl::string_view. (The hash is seeded, so
// untrusted keys do no harm. Keys are compared under a lock.) V may be any
// movable type: all callers of a call share one object. A V to which
// an absl::Status converts does not compile: an error would be taken for a
// value; if the work has no value, V is std::monostate.
//
// Blocks?         Do does, until the call has ended: it runs the work on its
//                 thread, or waits for another caller's work. A caller that
//                 waits announces it with a BlockingScope. The destructor does.
//                 No other method does.
// Cancellation?   A caller stays with a call until the caller's own context
//                 ends. A waiting caller then leaves at once, with the cause.
//                 Whichever comes first decides what a waiter is given,
//                 whenever it wakes: the end of the call, or the end of the
//                 waiter's own context. So no result follows a Cancel that has
//                 returned, and no later Cancel takes a result back. The work
//                 has a context of its own, with the values of the caller that
//                 started it and no deadline; it ends when the last caller has
//                 left: no caller can take the result from the others. A caller
//                 that arrives after that starts a new call, even while the old
//                 one still runs. Nothing starts for a context that is done on
//                 entry, nor on the executor if the contexts of all callers
//                 have ended.
// Order?          None between keys. For one key, the first caller starts the
//                 call.
// On error?       An error goes to all callers, as a value does, and the next
//                 caller starts a new call. (If the work returns CANCELLED, a
//                 caller whose own context has ended gets that context's cause
//                 instead, since CANCELLED may only echo it.) An exception is
//                 kInternal, with its type and what(); see Result::exception().
//                 Work that ends its thread (pthread_exit) is kInternal too,
//                 except in a build without exceptions: there no work may end
//                 its thread. Do and Start return FAILED_PRECONDITION inside
//                 the work of the same key, since they would wait for
//                 themselves: on the thread of that work, and with any context
//                 derived from that work's. So does a Do or Call::Wait inside
//                 work if it would close a circle of calls that wait for each
//                 other's keys, of any length and across any groups: see below.
//                 If memory runs out, a call throws std::bad_alloc and has
//                 changed nothing; but if memory runs out for the context of
//                 the work, the call ends as if the work had thrown
//                 std::bad_alloc. If an executor's Submit throws, so does
//                 Start; a caller that has joined in the meantime is given
//                 INTERNAL, as are all callers of work that an executor has
//                 taken and then drops.
// Thread safety   All methods, from any thread, and inside calls. Unrelated
//                 keys seldom share a lock. All callers that share a V may read
//                 it concurrently.
// Memory ordering What happened before the Do or Start that started a call is
//                 visible to its work; what the work did is visible to all who
//                 see its result. What happened before a Do or Start that
//                 joined the call is not ordered with either of them.
// Destruction     Cancels all calls, then waits until their work has ended;
//                 work that has not started does not start. Waiting callers are
//                 given the results. Dies inside a call of the group; but if
//                 that call's work calls exit() and the group is static, waits
//                 for nobody.
//
// Null work dies before anything changes.
//
// Circles: before a wait begins inside work (on its thread or with its
// context), the waits in progress are followed from the call that is wanted. If
// they lead back to that work, the wait is refused; what the other calls of the
// circle return then depends on the work whose wait was refused. A wait whose
// context has ended is not part of a circle, nor is a call that was started and
// is not waited for. Only waits inside work pay for this: they share one lock.
// A wait that work makes on a thread of its own, without its context, is not
// detected: there a deadline of its own frees the waiter, but not the thread
// that runs the work.
//
// From golang.org/x/sync/singleflight.Group. What differs, and why: callers
// have a context, and can leave (there: all wait for the slowest, and each
// program has its own workaround); the value has a type; a panic is an error
// (there: it takes down all callers, or the process); a call that ends its
// thread, enters itself, or is part of a circle is an error (there: callers
// wait forever).
template <class K, class V>
class Group {
  static_assert(
      !internal::MadeFromAStatus<V>,
      "singleflight::Group: V must not be absl::Status, absl::StatusOr, or "
      "what "
      "an absl::Status converts to, since an error would be taken for a value. "
      "The work's error is the Result's status(): return absl::StatusOr<V>. "
      "Where it has no value, let V be std::monostate.");

 public:
  Group() : Group(Options()) {}
  explicit Group(Options options)
      : flights_(options.executor, std::move(options.name)) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // A K, or a type that can stand for a K in a lookup.
  template <class Q>
  using KeyArg = typename internal::KeyArgs<K>::template Arg<Q>;

  // Returns the result of the running call of `key`, or else of a new one,
  // whose `work` runs inside this call. The caller that starts the call returns
  // when the work does, even if only other callers still want it; Start does
  // not bind its caller in this way.
  template <WorkFor<V> F, class Q = K>
  Result<V> Do(const Context& context, const KeyArg<Q>& key, F work) {
    internal::CheckNotNull(work, "singleflight::Group::Do");
    if (context.done()) return Result<V>(context.cause());
    internal::Waiter waiter(context);
    const internal::Role role =
        Join(waiter, key, internal::Flight::Runner::kCaller);
    if (role == internal::Role::kReenters) {
      return Result<V>(flights_.ReentryError("Do"));
    }
    absl::Status status =
        role == internal::Role::kLeads
            ? flights_.Lead(waiter, ContextFor<F>(context),
                            internal::IntoFlight<V>(*waiter.flight(), work))
            : waiter.Await();
    if (!status.ok()) return Result<V>(std::move(status));
    return Result<V>(waiter.flight());
  }

  // Like Do, without waiting: `work` runs on the executor, and the returned
  // Call can be waited for, and leaves when `context` ends. Go's DoChan.
  template <WorkFor<V> F, class Q = K>
  Call<V> Start(const Context& context, const KeyArg<Q>& key, F work) {
    internal::CheckNotNull(work, "singleflight::Group::Start");
    if (context.done()) return Call<V>(context.cause());
    auto waiter = std::make_unique<internal::Waiter>(context);
    const internal::Role role =
        Join(*waiter, key, internal::Flight::Runner::kExecutor);
    if (role == internal::Role::kReenters) {
      return Call<V>(flights_.ReentryError("Start"));
    }
    if (role == internal::Role::kLeads) {
      flights_.Start(
          waiter->flight(), ContextFor<F>(context),
          [&]() -> internal::Flights::Work {
            return [&flight = *waiter->flight(),
                    work = std::move(work)](const Context& own) mutable {
              return internal::IntoFlight<V>(flight, work)(own);
            };
          });
    }
    return Call<V>(std::move(waiter));
  }

  // Lets the next Do or Start of `key` start a new call, as if none were
  // running. A running call goes on for the callers that have joined it.
  template <class Q = K>
  void Forget(const KeyArg<Q>& key) {
    flights_.Forget(Keys::Hash(key), Keys::template Same<V>(key));
  }

 private:
  using Keys = internal::Keys<K>;

  // The context whose values the work's context gets; null if the work takes no
  // context.
  template <class F>
  static const Context* ContextFor(const Context& context) {
    return internal::WorkWithContext<F, V> ? &context : nullptr;
  }

  template <class Q>
  internal::Role Join(internal::Waiter& waiter, const Q& key,
                      internal::Flight::Runner runner) {
    return flights_.Join(
        waiter,
        sync::RefPtr<internal::Flight>::Adopt(new internal::KeyedFlight<V, K>(
            key, Keys::Hash(key), runner, flights_.name())),
        Keys::template Same<V>(key));
  }

  internal::Flights flights_;
};

}  // namespace cohort::singleflight

#endif  // COHORT_SINGLEFLIGHT_GROUP_H_
