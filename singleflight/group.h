// Callers who want the same thing at the same time share one call for it.
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
// A result goes to those who wait for it, and to nobody else: keep it elsewhere
// if it is to be had later too, as docs/singleflight.md does.

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

// What a call runs: a callable, movable, of one of these forms, with a T that a
// V can be made from:
//
//   () -> T
//   () -> absl::StatusOr<T>
//   (const Context&) -> T                  is told when to stop
//   (const Context&) -> absl::StatusOr<T>
//
// It is called once at most, as an rvalue, and destroyed before the call ends.
// One that can be called in both ways is given the context.
template <class F, class V>
concept WorkFor =
    std::move_constructible<F> &&
    (internal::WorkWithContext<F, V> || internal::WorkWithoutContext<F, V>);

struct Options {
  // Where Start runs work; null means DefaultExecutor(). Must outlive the
  // group's last call.
  Executor* executor = nullptr;

  // For error messages.
  std::string name = "";
};

// Calls, each known by its key while it runs. K is hashed and compared as by
// Abseil's containers, with which it shares heterogeneous lookup: where K is a
// std::string, a key may be an absl::string_view. (The hash is seeded, so keys
// from outside do no harm. Comparing runs under a lock.) V may be of any type
// that can be moved: all callers of a call are given one and the same. Only
// what an absl::Status converts to does not compile, since an error would be
// taken for a value there; where the work has no value, V is std::monostate.
//
// Blocks?         Do, until the call has ended: the caller's own work, on its
//                 thread, or that of another. A caller who waits announces it
//                 with a BlockingScope. The destructor. Nothing else.
// Cancellation?   A caller belongs to a call until its context ends. One that
//                 waits then leaves at once, with the cause. Whichever comes
//                 first decides what a waiter is given, whenever it wakes: the
//                 end of the call, or that of its own context. So no result
//                 follows a Cancel that has returned, and none is taken back by
//                 a later one. The work has a context of its own, with the
//                 values of the caller that started it and no deadline, which
//                 ends when the last of its callers has left: no caller can
//                 take the result from the others. A caller that comes later
//                 starts a new call, also while the old one still runs. A
//                 context that is done on entry starts nothing, and nor does
//                 the executor where the contexts of all callers have ended.
// Order?          None between keys. For a key, who comes first starts the
//                 call.
// On error?       It goes to all callers, as a value does, and the next one
//                 starts a new call. (CANCELLED is the cause to a caller whose
//                 own context has ended: it may be that echo.) An exception is
//                 kInternal, with its type and what(); see Result::exception().
//                 So is work that ends its thread (pthread_exit), except
//                 without exceptions: that terminates the process. Do and Start
//                 inside the work of the same key, which would wait for
//                 themselves, return FAILED_PRECONDITION: on its thread, and
//                 wherever its context went. So does a Do or Call::Wait inside
//                 work that would close a circle of calls, of any length and of
//                 whatever groups, that wait for each other's keys: see below.
//                 If there is no memory, a call throws std::bad_alloc and has
//                 changed nothing; only where it is the context of the work
//                 that cannot be made, it is as if the work had thrown that. If
//                 an executor's Submit throws, so does Start, and a caller that
//                 has joined in the meantime is given INTERNAL, as are all
//                 callers of work that an executor has taken and drops.
// Thread safety   All methods, from any thread, and inside calls. Unrelated
//                 keys seldom meet in a lock. A V is read by all who share it.
// Memory ordering What happened before the Do or Start that started a call is
//                 visible to its work; what that did, to all who see its
//                 result. What happened before a Do or Start that joined it is
//                 ordered with neither.
// Destruction     Cancels all calls, then waits until their work has ended;
//                 what has not started does not. Those who wait are given what
//                 came of it. Dies inside a call of the group; but where that
//                 calls exit() and the group is static, waits for nobody.
//
// Bad input dies before anything changes: null work.
//
// Circles: before a wait begins inside work, on its thread or with its context,
// the waits that have begun are followed from the call that is wanted. If they
// lead back to that work, the wait is refused, and what the other calls of the
// circle are given is up to the work that is told. A wait whose context has
// ended is no part of a circle, and nor is a call that was started and is not
// waited for. Only waits inside work pay for this: they share one lock. What is
// not seen is work that waits on a thread of its own, without its context:
// there its own deadline frees the waiter, but not the thread that runs the
// work.
//
// From golang.org/x/sync/singleflight.Group. What differs, and why: callers
// have a context, and can leave (there: all wait for the slowest, and each
// program has its own way out); the value has a type; a panic is an error
// (there: it takes all callers with it, or the process); a call that ends its
// thread, or enters itself, or is one of a circle, is an error (there: callers
// wait for ever).
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

  // A K, or what may stand for one in a lookup.
  template <class Q>
  using KeyArg = typename internal::KeyArgs<K>::template Arg<Q>;

  // The result of the call of `key` that is running, or else of a new one, for
  // which `work` runs here and now. Who starts a call so returns when its work
  // does, also where that goes on for others only: Start does not bind its
  // caller in this way.
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

  // The same without waiting: `work` runs on the executor, and what is returned
  // is a caller that can be waited for, and that leaves when `context` ends.
  // Go's DoChan.
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

  // Lets the next Do or Start of `key` start a new call, as if there were none.
  // One that is running goes on, for those who have joined it.
  template <class Q = K>
  void Forget(const KeyArg<Q>& key) {
    flights_.Forget(Keys::Hash(key), Keys::template Same<V>(key));
  }

 private:
  using Keys = internal::Keys<K>;

  // The context that has the values for that of the work, if it takes one.
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
