// golang.org/x/sync/singleflight, with one key.

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"

namespace cohort::specimens {
namespace {

enum class Bug { kNone, kPoisoned, kDeletesAnother, kDoneTooSoon, kReentered };

template <Bug kBug>
class Flight {
 public:
  // What the function returned that this caller ran or joined: -1 where the
  // original would panic. `inside`: from the function of the current call.
  int Do(absl::FunctionRef<int()> function, bool inside = false) {
    std::shared_ptr<Call> call;
    bool joins = true;
    {
      sync::MutexLock lock(&mutex_);
      if (current_ == nullptr) {
        sim::Check(running_ == 0, "one call at a time since the last Forget");
        ++running_;
        current_ = std::make_shared<Call>();
        current_->forgotten_before = forgotten_;
        joins = false;
      }
      call = current_;
    }
    if (joins) {
      if (kBug != Bug::kReentered && inside) return -1;
      call->ended.Wait();
      return call->result;
    }
    call->result = function();
    if constexpr (kBug == Bug::kPoisoned) {
      // As if it had thrown.
      if (call->result == -1) return -1;
    }
    if constexpr (kBug == Bug::kDoneTooSoon) call->ended.Set();
    sync::MutexLock lock(&mutex_);
    if constexpr (kBug != Bug::kDoneTooSoon) call->ended.Set();
    if (kBug == Bug::kDeletesAnother || current_ == call) current_ = nullptr;
    if (call->forgotten_before == forgotten_) --running_;
    return call->result;
  }

  void Forget() {
    sync::MutexLock lock(&mutex_);
    current_ = nullptr;
    ++forgotten_;
    running_ = 0;
  }

 private:
  struct Call {
    Event ended;
    int forgotten_before = 0;
    int result = 0;
  };

  sync::Mutex mutex_;
  std::shared_ptr<Call> current_ ABSL_GUARDED_BY(mutex_);
  int forgotten_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // begun since the last Forget
};

// B-27, B-30: the function leaves by a panic, and with it the leader, which
// releases neither its followers nor the key.
template <bool kBad>
void PoisonedKey() {
  Flight<kBad ? Bug::kPoisoned : Bug::kNone> flight;
  auto fail = [] { return -1; };
  JoiningThread other([&] { flight.Do(fail); });
  flight.Do(fail);
}

// B-28: T1 runs, is forgotten, and T2 begins. T1 ends and deletes the key,
// by now of T2, so that T0 runs beside T2.
template <bool kBad>
void DeletesAnother() {
  Flight<kBad ? Bug::kDeletesAnother : Bug::kNone> flight;
  auto function = [] { return 1; };
  JoiningThread t1([&] { flight.Do(function); });
  flight.Forget();
  JoiningThread t2([&] { flight.Do(function); });
  flight.Do(function);
}

// x/sync 8fcdb60: a call is marked as done before it is taken off the list. A
// follower returns, comes again and joins the call it has the result of.
template <bool kBad>
void StaleJoin() {
  Flight<kBad ? Bug::kDoneTooSoon : Bug::kNone> flight;
  sync::Atomic<int> calls{0};
  auto function = [&] { return calls.fetch_add(1); };
  JoiningThread other([&] { flight.Do(function); });
  const int first = flight.Do(function);
  sim::Check(flight.Do(function) != first, "no call outlives its results");
}

// B-31: the function asks for its own key.
template <bool kBad>
void Reentered() {
  Flight<kBad ? Bug::kReentered : Bug::kNone> flight;
  flight.Do([&] { return flight.Do([] { return 1; }, /*inside=*/true); });
}

// tailscale#18919: a call is cancelled when its last caller leaves, and can be
// joined until its work has noticed. T1 leaves its call; T0, who has cancelled
// nothing, is given what is left of it.
template <bool kBad>
class AbandonedFlight {
 public:
  struct Call {
    int callers = 0;
    bool cancelled = false;
  };

  std::shared_ptr<Call> Join() {
    sync::MutexLock lock(&mutex_);
    if (current_ == nullptr) current_ = std::make_shared<Call>();
    ++current_->callers;
    sim::Check(!current_->cancelled, "nobody joins what others have cancelled");
    return current_;
  }

  void Leave(Call& call) {
    sync::MutexLock lock(&mutex_);
    if (--call.callers != 0) return;
    call.cancelled = true;
    if (!kBad && current_.get() == &call) current_ = nullptr;
  }

  void End(Call& call) {
    sync::MutexLock lock(&mutex_);
    if (current_.get() == &call) current_ = nullptr;
  }

 private:
  sync::Mutex mutex_;
  std::shared_ptr<Call> current_ ABSL_GUARDED_BY(mutex_);
};

template <bool kBad>
void JoinsAbandoned() {
  AbandonedFlight<kBad> flight;
  JoiningThread t1([&] {
    const auto call = flight.Join();
    flight.Leave(*call);
    flight.End(*call);
  });
  const auto call = flight.Join();
  flight.End(*call);
}

constexpr Specimen kSpecimens[] = {
    {.name = "singleflight_poisoned_key",
     .source = "golang/go#41133, golang/go#33519, golang/go#52557; B-27, B-30",
     .bug = "The followers of a call that ends abnormally wait for ever.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = PoisonedKey<true>,
     .mended = PoisonedKey<false>},
    {.name = "singleflight_deletes_another",
     .source = "golang/go#31420; B-28",
     .bug = "A forgotten call deletes the key of the one that came after it.",
     .verdict = sim::Verdict::kAssertion,
     .bad = DeletesAnother<true>,
     .mended = DeletesAnother<false>},
    {.name = "singleflight_stale_join",
     .source = "golang/sync 8fcdb60",
     .bug = "A caller joins a call that has already given its results.",
     .verdict = sim::Verdict::kAssertion,
     .bad = StaleJoin<true>,
     .mended = StaleJoin<false>},
    {.name = "singleflight_reentered",
     .source = "singleflight; B-31",
     .bug = "A call waits for itself.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = Reentered<true>,
     .mended = Reentered<false>},
    {.name = "singleflight_joins_abandoned",
     .source = "tailscale/tailscale#18919",
     .bug = "A caller joins a call that was cancelled when all had left.",
     .verdict = sim::Verdict::kAssertion,
     .bad = JoinsAbandoned<true>,
     .mended = JoinsAbandoned<false>},
};

}  // namespace

absl::Span<const Specimen> Singleflight() { return kSpecimens; }

}  // namespace cohort::specimens
