// vardius/gollback.

#include <optional>

#include "absl/base/thread_annotations.h"
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

// Two runners find that nobody has responded yet, and both do.
template <bool kBad>
void TwoWinners() {
  sync::Atomic<bool> responded{false};
  sync::Atomic<int> delivered{0};
  auto respond = [&] {
    if constexpr (kBad) {
      if (responded.load()) return;
      responded.store(true);
    } else {
      if (responded.exchange(true)) return;
    }
    sim::Check(delivered.fetch_add(1) == 0, "one result is delivered");
  };
  JoiningThread a(respond);
  JoiningThread b(respond);
  respond();
}

// B-44: Race waits for a winner, and no runner can be one any more.
template <bool kBad>
void RaceOfFailures() {
  struct Call {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool won ABSL_GUARDED_BY(mutex) = false;
    int failures ABSL_GUARDED_BY(mutex) = 0;

    void Fail() {
      sync::MutexLock lock(&mutex);
      ++failures;
      if constexpr (!kBad) changed.Signal();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (!won && (kBad || failures < 2)) changed.Wait(&mutex);
    }
  } call;
  JoiningThread a([&] { call.Fail(); });
  JoiningThread b([&] { call.Fail(); });
  call.Wait();
}

// B-45: a result and the end of the context are both there when Race looks, and
// it looks for the end first.
template <bool kBad>
void SuccessDropped() {
  struct Call {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool succeeded ABSL_GUARDED_BY(mutex) = false;
    bool cancelled ABSL_GUARDED_BY(mutex) = false;

    void Succeed() {
      sync::MutexLock lock(&mutex);
      succeeded = true;
      changed.Signal();
    }

    void Cancel() {
      sync::MutexLock lock(&mutex);
      cancelled = true;
      changed.Signal();
    }

    bool Wait() {
      sync::MutexLock lock(&mutex);
      while (!succeeded && !cancelled) changed.Wait(&mutex);
      return kBad ? !cancelled : succeeded;
    }
  } call;
  // What it has done, it has done before the context ends.
  JoiningThread runner([&] {
    call.Succeed();
    call.Cancel();
  });
  sim::Check(call.Wait(), "a success is returned");
}

// B-46: Race returns with the first result; the loser delivers into a call that
// is no more.
template <bool kBad>
void LoserOutlivesCall() {
  struct Call {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool won ABSL_GUARDED_BY(mutex) = false;

    void Deliver() {
      sync::MutexLock lock(&mutex);
      won = true;
      changed.Signal();
    }

    void Wait() {
      sync::MutexLock lock(&mutex);
      while (!won) changed.Wait(&mutex);
    }
  };
  // The storage outlives the call, so that the loser finds a dead object there.
  std::optional<Call> storage(std::in_place);
  Call* const call = &*storage;
  JoiningThread a([call] { call->Deliver(); });
  JoiningThread b([call] { call->Deliver(); });
  call->Wait();
  if constexpr (!kBad) {
    a.Join();
    b.Join();
  }
  storage.reset();
}

// B-47: a count of retries that is not positive means for ever, without a pause
// in between.
template <bool kBad>
void NegativeRetries() {
  sync::Atomic<int> calls{0};
  auto attempt = [&] {
    calls.fetch_add(1);
    return false;
  };
  const int retries = -1;
  for (int left = retries; kBad ? left != 0 : left > 0;) {
    if (attempt()) break;
    if (left > 0) --left;
  }
}

constexpr Specimen kSpecimens[] = {
    {.name = "gollback_two_winners",
     .source = "gollback Race",
     .bug = "Two runners are first.",
     .verdict = sim::Verdict::kAssertion,
     .bad = TwoWinners<true>,
     .mended = TwoWinners<false>},
    {.name = "gollback_race_of_failures",
     .source = "gollback#3; B-44",
     .bug = "Race waits for a winner when every runner has failed.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = RaceOfFailures<true>,
     .mended = RaceOfFailures<false>},
    {.name = "gollback_success_dropped",
     .source = "gollback, Hunch; B-45",
     .bug = "A success is dropped because the context ends after it.",
     .verdict = sim::Verdict::kAssertion,
     .bad = SuccessDropped<true>,
     .mended = SuccessDropped<false>},
    {.name = "gollback_loser_outlives_call",
     .source = "gollback, Hunch, schedgroup; B-46",
     .bug = "The loser of a race writes into a call that has returned.",
     .verdict = sim::Verdict::kUseAfterDestruction,
     .bad = LoserOutlivesCall<true>,
     .mended = LoserOutlivesCall<false>},
    {.name = "gollback_negative_retries",
     .source = "gollback Retry; B-47",
     .bug = "A negative count of retries means for ever.",
     .verdict = sim::Verdict::kLivelock,
     .bad = NegativeRetries<true>,
     .mended = NegativeRetries<false>},
};

}  // namespace

absl::Span<const Specimen> Gollback() { return kSpecimens; }

}  // namespace cohort::specimens
