// AaronJan/Hunch.

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::specimens {
namespace {

// Counts executables that have not ended.
struct Outstanding {
  sync::Mutex mutex;
  sync::CondVar none;
  int count ABSL_GUARDED_BY(mutex);

  explicit Outstanding(int n) : count(n) {}

  void Done() {
    sync::MutexLock lock(&mutex);
    if (--count == 0) none.SignalAll();
  }

  void Wait() {
    sync::MutexLock lock(&mutex);
    while (count > 0) none.Wait(&mutex);
  }
};

// B-48: All looks whether enough results have come each time that one has; of
// no executables none does.
template <bool kBad>
void AllOfNothing() {
  constexpr int kExecutables = 0;
  struct Results {
    sync::Mutex mutex;
    sync::CondVar came;
    int count ABSL_GUARDED_BY(mutex) = 0;

    void Wait() {
      sync::MutexLock lock(&mutex);
      for (int taken = 0; kBad || taken < kExecutables;) {
        while (count == taken) came.Wait(&mutex);
        if (++taken == kExecutables) return;
      }
    }
  } results;
  results.Wait();
}

// B-49: the path of errors returns without counting down; the helper that waits
// for the count outlives the call.
template <bool kBad>
void HelperLeaked() {
  // The helper's too: it outlives the body.
  auto outstanding = std::make_shared<Outstanding>(2);
  sync::Thread helper =
      *sync::Thread::Start({}, [outstanding] { outstanding->Wait(); });
  auto execute = [&](bool fails) {
    if constexpr (kBad) {
      if (fails) return;
    }
    outstanding->Done();
  };
  {
    JoiningThread other([&] { execute(true); });
    execute(false);
  }
  if constexpr (kBad) {
    helper.Detach();
  } else {
    helper.Join();
  }
}

// B-51: an executable that ends abnormally is never counted, and All waits.
template <bool kBad>
void AllAwaitsTheDead() {
  Outstanding outstanding(2);
  JoiningThread a([&] { outstanding.Done(); });
  JoiningThread b([&] {
    if constexpr (!kBad) outstanding.Done();
  });
  outstanding.Wait();
}

constexpr Specimen kSpecimens[] = {
    {.name = "hunch_all_of_nothing",
     .source = "Hunch All, Take and Last; B-48",
     .bug = "All of no executables waits for the first result.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = AllOfNothing<true>,
     .mended = AllOfNothing<false>},
    {.name = "hunch_helper_leaked",
     .source = "Hunch up to v1.1.2; B-49",
     .bug = "A call that fails leaves a helper thread behind.",
     .verdict = sim::Verdict::kLeak,
     .bad = HelperLeaked<true>,
     .mended = HelperLeaked<false>},
    {.name = "hunch_all_awaits_the_dead",
     .source = "Hunch All and Take; B-51",
     .bug = "An executable that ends abnormally is waited for.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = AllAwaitsTheDead<true>,
     .mended = AllAwaitsTheDead<false>},
};

}  // namespace

absl::Span<const Specimen> Hunch() { return kSpecimens; }

}  // namespace cohort::specimens
