// marusama/cyclicbarrier, of two parties.

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/mutex.h"

namespace cohort::specimens {
namespace {

// B-59: the action throws; the exception leaves through the last party, and the
// other one waits for ever.
template <bool kBad>
void ActionThrows() {
  struct Barrier {
    sync::Mutex mutex;
    sync::CondVar released;
    int arrived ABSL_GUARDED_BY(mutex) = 0;
    bool broken ABSL_GUARDED_BY(mutex) = false;

    void Await() {
      sync::MutexLock lock(&mutex);
      if (++arrived < 2) {
        while (!broken) released.Wait(&mutex);
        return;
      }
      // The action throws here.
      if constexpr (kBad) return;
      broken = true;
      released.SignalAll();
    }
  } barrier;
  JoiningThread other([&] { barrier.Await(); });
  barrier.Await();
}

// B-61: the last party runs the action without the mutex, and renews the round
// only after it. Who arrives meanwhile is a party too many of the old round.
template <bool kBad>
void ArrivalDuringAction() {
  struct Round {
    sync::CondVar released;
    int arrived = 0;
    bool over = false;
  };
  struct Barrier {
    sync::Mutex mutex;
    std::shared_ptr<Round> current ABSL_GUARDED_BY(mutex) =
        std::make_shared<Round>();

    void Await() {
      std::shared_ptr<Round> round;
      {
        sync::MutexLock lock(&mutex);
        round = current;
        ++round->arrived;
        sim::Check(round->arrived <= 2, "a round has two parties");
        if (round->arrived < 2) {
          while (!round->over) round->released.Wait(&mutex);
          return;
        }
        if constexpr (!kBad) current = std::make_shared<Round>();
      }
      // The action runs here.
      sync::MutexLock lock(&mutex);
      if constexpr (kBad) current = std::make_shared<Round>();
      round->over = true;
      round->released.SignalAll();
    }
  } barrier;
  auto await = [&] { barrier.Await(); };
  JoiningThread a(await);
  JoiningThread b(await);
  JoiningThread c(await);
  await();
}

constexpr Specimen kSpecimens[] = {
    {.name = "barrier_action_throws",
     .source = "marusama/cyclicbarrier; B-59",
     .bug = "A failing action leaves the other parties waiting.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = ActionThrows<true>,
     .mended = ActionThrows<false>},
    {.name = "barrier_arrival_during_action",
     .source = "marusama/cyclicbarrier#3; B-61",
     .bug = "Who arrives during the action is counted into the round that is "
            "over.",
     .verdict = sim::Verdict::kAssertion,
     .bad = ArrivalDuringAction<true>,
     .mended = ArrivalDuringAction<false>},
};

}  // namespace

absl::Span<const Specimen> Barrier() { return kSpecimens; }

}  // namespace cohort::specimens
