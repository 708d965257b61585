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
// that can be moved: all callers of a call are given one and the same.
//
// Blocks?        Do, until the call has ended: the caller's own work, on its
//                thread, or that of another. A caller who waits announces it
//                with a BlockingScope. The destructor. Nothing else.
// Cancellation?  A caller belongs to a call until its context ends. One who
//                waits then leaves at once, with the cause. The work has a
//                context of its own, with the values of the one who started it
//                and no deadline, which ends when the last of its callers has
//                left: no caller can take the result from the others. Who comes
//                after that starts a new call, also while the old one still
//                runs. A context that is done on entry starts nothing.
// Order?         None between keys. For a key, who comes first starts the call.
// On error?      It goes to all callers, as a value does, and the next one
//                starts a new call. (CANCELLED is the cause to a caller whose
//                own context has ended: it may be that echo.) An exception is
//                kInternal, with its type and what(); see Result::exception().
//                So is work that ends its thread (pthread_exit), except without
//                exceptions: that terminates the process. Do and Start inside
//                the work of the same key, which would wait for themselves,
//                return FAILED_PRECONDITION: on its thread, and wherever its
//                context went. (Two calls that wait for each other's keys wait
//                for ever, as any two things do that wait for each other.)
// Thread safety  All methods, from any thread, and inside calls. Unrelated keys
//                seldom meet in a lock. A V is read by all who share it.
// Memory order   What happened before the Do or Start that started a call is
//                visible to its work; what that did, to all who see its result.
//                What happened before a Do or Start that joined it is ordered
//                with neither.
// Destruction    Cancels all calls, then waits until their work has ended; what
//                has not started does not. Those who wait are given what came
//                of it. Dies inside a call of the group; but where that calls
//                exit() and the group is static, waits for nobody.
//
// Bad input dies before anything changes: null work.
//
// From golang.org/x/sync/singleflight.Group. What differs, and why: callers
// have a context, and can leave (there: all wait for the slowest, and each
// program has its own way out); the value has a type; a panic is an error
// (there: it takes all callers with it, or the process); a call that ends its
// thread, or enters itself, is an error (there: callers wait for ever).
template <class K, class V>
class Group {
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
    auto flight = MakeFlight(key, internal::Flight::Runner::kCaller);
    const internal::Role role = Join(flight, context, key);
    if (role == internal::Role::kReenters) {
      return Result<V>(flights_.ReentryError("Do"));
    }
    internal::Waiter waiter(std::move(flight), context);
    if (role == internal::Role::kLeads) {
      flights_.Run(*waiter.flight(), ContextFor<F>(context),
                   internal::IntoFlight<V>(*waiter.flight(), work));
    }
    if (!waiter.Await()) return Result<V>(context.cause());
    return Result<V>(waiter.flight());
  }

  // The same without waiting: `work` runs on the executor, and what is returned
  // is a caller that can be waited for, and that leaves when `context` ends.
  // Go's DoChan.
  template <WorkFor<V> F, class Q = K>
  Call<V> Start(const Context& context, const KeyArg<Q>& key, F work) {
    internal::CheckNotNull(work, "singleflight::Group::Start");
    if (context.done()) return Call<V>(context.cause());
    auto flight = MakeFlight(key, internal::Flight::Runner::kExecutor);
    const internal::Role role = Join(flight, context, key);
    if (role == internal::Role::kReenters) {
      return Call<V>(flights_.ReentryError("Start"));
    }
    auto waiter =
        std::make_unique<internal::Waiter>(std::move(flight), context);
    if (role == internal::Role::kLeads) {
      flights_.Start(waiter->flight(), ContextFor<F>(context),
                     [&flight = *waiter->flight(),
                      work = std::move(work)](const Context& own) mutable {
                       return internal::IntoFlight<V>(flight, work)(own);
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
  static sync::RefPtr<internal::Flight> MakeFlight(
      const Q& key, internal::Flight::Runner runner) {
    return sync::RefPtr<internal::Flight>::Adopt(
        new internal::KeyedFlight<V, K>(key, Keys::Hash(key), runner));
  }

  template <class Q>
  internal::Role Join(sync::RefPtr<internal::Flight>& flight,
                      const Context& context, const Q& key) {
    return flights_.Join(flight, context, Keys::template Same<V>(key));
  }

  internal::Flights flights_;
};

}  // namespace cohort::singleflight

#endif  // COHORT_SINGLEFLIGHT_GROUP_H_
