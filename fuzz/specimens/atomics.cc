// Atomics: what is not atomic although its parts are, and memory order.

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "cohort/fuzz/specimens/families.h"
#include "cohort/fuzz/specimens/parts.h"
#include "cohort/fuzz/specimens/specimen.h"
#include "cohort/sim/check.h"
#include "cohort/sim/verdict.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"

namespace cohort::specimens {
namespace {

// A stack of free nodes, by number.
template <bool kBad>
class FreeList {
 public:
  static constexpr int kNodes = 3;  // also stands for none

  FreeList() {
    for (int i = 0; i < kNodes; ++i) next_[i].store(i + 1);
  }

  int Pop() {
    unsigned head = head_.load();
    for (;;) {
      const int node = Node(head);
      if (node == kNodes) return kNodes;
      const int successor = next_[node].load();
      if (head_.compare_exchange_strong(head, Replacement(head, successor))) {
        sim::Check(!taken_[node].exchange(true), "a node has one owner");
        return node;
      }
    }
  }

  void Push(int node) {
    if (node == kNodes) return;
    taken_[node].store(false);
    unsigned head = head_.load();
    do {
      next_[node].store(Node(head));
    } while (!head_.compare_exchange_strong(head, Replacement(head, node)));
  }

 private:
  static int Node(unsigned head) { return static_cast<int>(head & 0xff); }

  static unsigned Replacement(unsigned head, int node) {
    const unsigned tag = kBad ? 0 : (head >> 8) + 1;
    return tag << 8 | static_cast<unsigned>(node);
  }

  // A node, and above it a tag that is new after every change.
  sync::Atomic<unsigned> head_{0};
  sync::Atomic<int> next_[kNodes];
  sync::Atomic<bool> taken_[kNodes];
};

// T0 has read the head A and its successor B. T1 pops A and B and pushes A
// again. T0 finds A at the head, as before, and makes B the head, which T1 has.
template <bool kBad>
void FreeListAba() {
  FreeList<kBad> list;
  JoiningThread t1([&] {
    const int a = list.Pop();
    list.Pop();
    list.Push(a);
  });
  list.Pop();
  list.Pop();
}

// A relaxed store says that the result is there, and publishes nothing.
template <bool kBad>
void RelaxedPublication() {
  sync::RaceChecked<int> result(0);
  sync::Atomic<bool> ready{false};
  JoiningThread producer([&] {
    result.Write() = 1;
    ready.store(true, kBad ? sync::kRelaxed : sync::kRelease);
  });
  if (ready.load(sync::kAcquire)) {
    sim::Check(result.Read() == 1, "the result is there");
  }
}

// The same with a result that is atomic as well: the new flag, and the old
// result.
template <bool kBad>
void RelaxedFlag() {
  sync::Atomic<int> result{0};
  sync::Atomic<bool> ready{false};
  JoiningThread producer([&] {
    result.store(1, sync::kRelaxed);
    ready.store(true, kBad ? sync::kRelaxed : sync::kRelease);
  });
  if (ready.load(sync::kAcquire)) {
    sim::Check(result.load(sync::kRelaxed) == 1, "the result is there");
  }
}

// The waiter announces itself and looks for the event, the other side does
// the reverse. Without a single order of all four both may see what was before.
template <bool kBad>
void EventCount() {
  constexpr auto kStoring = kBad ? sync::kRelease : sync::kSeqCst;
  constexpr auto kLoading = kBad ? sync::kAcquire : sync::kSeqCst;
  sync::Atomic<bool> waiting{false};
  sync::Atomic<bool> happened{false};
  Event wake_up;
  JoiningThread waiter([&] {
    waiting.store(true, kStoring);
    if (!happened.load(kLoading)) wake_up.Wait();
  });
  happened.store(true, kStoring);
  if (waiting.load(kLoading)) wake_up.Set();
}

// The loser of a race stores its result after the winner has, which it has
// to be held back for: the winner takes twenty steps.
template <bool kBad>
void LateLoser() {
  static constexpr int kWinner = 1;
  static constexpr int kLoser = 2;
  sync::Atomic<int> result{0};
  bool won = false;
  {
    JoiningThread loser([&] {
      if constexpr (kBad) {
        result.store(kLoser);
      } else {
        int none = 0;
        result.compare_exchange_strong(none, kLoser);
      }
    });
    sync::Atomic<int> steps{0};
    while (steps.fetch_add(1) < 20) continue;
    int none = 0;
    won = result.compare_exchange_strong(none, kWinner);
  }
  sim::Check(result.load() == (won ? kWinner : kLoser),
             "the first result wins");
}

// Two owners load the same count and both store one less.
template <bool kBad>
void ReferenceCount() {
  sync::Atomic<int> references{2};
  sync::Atomic<int> freed{0};
  auto drop = [&] {
    int before;
    if constexpr (kBad) {
      before = references.load();
      references.store(before - 1);
    } else {
      before = references.fetch_sub(1);
    }
    if (before == 1) freed.fetch_add(1);
  };
  {
    JoiningThread other(drop);
    drop();
  }
  sim::Check(freed.load() == 1, "the object is freed once");
}

// One that enters has found that nobody stops, and is not counted yet when
// the stop finds nobody inside.
template <bool kBad>
void EntersAfterStop() {
  sync::Atomic<bool> stopping{false};
  sync::Atomic<bool> stopped{false};
  sync::Atomic<int> inside{1};  // one for whoever stops
  Event empty;
  auto leave = [&] {
    if (inside.fetch_sub(1) == 1) empty.Set();
  };
  JoiningThread visitor([&] {
    if constexpr (kBad) {
      if (stopping.load()) return;
      inside.fetch_add(1);
    } else {
      inside.fetch_add(1);
      if (stopping.load()) {
        leave();
        return;
      }
    }
    sim::Check(!stopped.load(), "nobody is inside after the stop");
    leave();
  });
  stopping.store(true);
  leave();
  empty.Wait();
  stopped.store(true);
}

constexpr Specimen kSpecimens[] = {
    {.name = "free_list_aba",
     .source = "a known pattern",
     .bug = "The head of a lock-free list is the same node again, and the list "
            "another.",
     .verdict = sim::Verdict::kAssertion,
     .bad = FreeListAba<true>,
     .mended = FreeListAba<false>},
    {.name = "relaxed_publication",
     .source = "a known pattern",
     .bug = "A relaxed store publishes plain data.",
     .verdict = sim::Verdict::kRace,
     .bad = RelaxedPublication<true>,
     .mended = RelaxedPublication<false>},
    {.name = "relaxed_flag",
     .source = "a known pattern",
     .bug = "A relaxed store is seen before the one in front of it.",
     .verdict = sim::Verdict::kAssertion,
     .bad = RelaxedFlag<true>,
     .mended = RelaxedFlag<false>,
     .needs = Feature::kStaleLoads},
    {.name = "event_count",
     .source = "a known pattern",
     .bug = "Waiter and notifier both miss the other one's store.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = EventCount<true>,
     .mended = EventCount<false>,
     .needs = Feature::kStaleLoads},
    {.name = "late_loser",
     .source = "a known pattern",
     .bug = "A loser that is late overwrites the winner's result.",
     .verdict = sim::Verdict::kAssertion,
     .bad = LateLoser<true>,
     .mended = LateLoser<false>,
     .needs = Feature::kMix},
    {.name = "reference_count",
     .source = "a known pattern",
     .bug = "A reference is dropped by a load and a store.",
     .verdict = sim::Verdict::kAssertion,
     .bad = ReferenceCount<true>,
     .mended = ReferenceCount<false>},
    {.name = "enters_after_stop",
     .source = "SCTBench bluetooth_driver; B-12, B-15",
     .bug = "Looking for a stop and entering are two steps.",
     .verdict = sim::Verdict::kAssertion,
     .bad = EntersAfterStop<true>,
     .mended = EntersAfterStop<false>},
};

}  // namespace

absl::Span<const Specimen> Atomics() { return kSpecimens; }

}  // namespace cohort::specimens
