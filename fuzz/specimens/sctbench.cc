// SCTBench (Thomson, Donaldson and Betts): what tools like this one are
// compared on.

#include <list>

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

// reorder: the checker has to come after the first store of one setter and
// before the second store of all of them.
template <bool kBad, int kSetters>
void Reorder() {
  sync::Mutex mutex;
  sync::Atomic<int> a{0};
  sync::Atomic<int> b{0};
  auto set = [&] {
    a.store(1);
    b.store(-1);
  };
  auto check = [&] {
    sim::Check(
        (a.load() == 0 && b.load() == 0) || (a.load() == 1 && b.load() == -1),
        "both are set or none is");
  };
  std::list<JoiningThread> setters;
  for (int i = 0; i < kSetters; ++i) {
    setters.emplace_back([&] {
      if constexpr (kBad) {
        set();
      } else {
        sync::MutexLock lock(&mutex);
        set();
      }
    });
  }
  JoiningThread checker([&] {
    if constexpr (kBad) {
      check();
    } else {
      sync::MutexLock lock(&mutex);
      check();
    }
  });
}

// twostage: the reader comes between the two stages of the writer.
template <bool kBad>
void TwoStage() {
  struct Data {
    sync::Mutex first_mutex;
    sync::Mutex second_mutex;
    int first ABSL_GUARDED_BY(first_mutex) = 0;
    int second ABSL_GUARDED_BY(second_mutex) = 0;

    void SetSecond(int value) {
      sync::MutexLock lock(&second_mutex);
      second = value;
    }

    void Write() {
      if constexpr (kBad) {
        {
          sync::MutexLock lock(&first_mutex);
          first = 1;
        }
        SetSecond(2);
      } else {
        sync::MutexLock lock(&first_mutex);
        first = 1;
        SetSecond(2);
      }
    }

    void Read() {
      int seen;
      {
        sync::MutexLock lock(&first_mutex);
        seen = first;
      }
      if (seen == 0) return;
      sync::MutexLock lock(&second_mutex);
      sim::Check(second == seen + 1, "the second stage follows the first");
    }
  } data;
  JoiningThread writer([&] { data.Write(); });
  JoiningThread reader([&] { data.Read(); });
}

// din_phil: each philosopher has a left fork.
template <bool kBad, int kPhilosophers>
void DiningPhilosophers() {
  sync::Mutex forks[kPhilosophers];
  auto dine = [&](int first, int second) {
    sync::MutexLock lock(&forks[first]);
    sync::MutexLock second_lock(&forks[second]);
  };
  std::list<JoiningThread> philosophers;
  for (int i = 0; i < kPhilosophers; ++i) {
    const int left = i;
    const int right = (i + 1) % kPhilosophers;
    // In the mended twin the last one begins with the right one.
    const bool swaps = !kBad && right < left;
    const int first = swaps ? right : left;
    const int second = swaps ? left : right;
    philosophers.emplace_back([&dine, first, second] { dine(first, second); });
  }
}

// A stack of nodes, by number, of which the last one stays.
template <bool kBad>
class Stack {
 public:
  static constexpr int kNodes = 3;

  Stack() {
    for (int i = 0; i < kNodes - 1; ++i) next_[i].store(i + 1);
    next_[kNodes - 1].store(-1);
  }

  // -1 if there is none, or after some attempts: every schedule has to end.
  int Pop() {
    for (int attempt = 0; attempt < 3 && count_.load() > 1; ++attempt) {
      unsigned head = head_.load();
      const int node = Node(head);
      // The original marks the node as being popped, and takes that back.
      const int successor =
          kBad ? next_[node].exchange(-1) : next_[node].load();
      if (successor < 0) continue;
      if (head_.compare_exchange_strong(head, Replacement(head, successor))) {
        count_.fetch_sub(1);
        return node;
      }
      if constexpr (kBad) next_[node].exchange(successor);
    }
    return -1;
  }

  void Push(int node) {
    unsigned head = head_.load();
    do {
      next_[node].store(Node(head));
    } while (!head_.compare_exchange_strong(head, Replacement(head, node)));
    count_.fetch_add(1);
  }

 private:
  static int Node(unsigned head) { return static_cast<int>(head & 0xff); }

  static unsigned Replacement(unsigned head, int node) {
    const unsigned tag = kBad ? 0 : (head >> 8) + 1;
    return tag << 8 | static_cast<unsigned>(node);
  }

  // A node, and above it a tag that is new after every change.
  sync::Atomic<unsigned> head_{0};
  sync::Atomic<int> count_{kNodes};
  sync::Atomic<int> next_[kNodes];
};

// safestack, by Vyukov: takes three threads, and five switches at the right
// places, until one node has two owners. With `kPlain` they need not even meet:
// nothing orders what they do with the node.
template <bool kBad, bool kPlain>
void SafeStack() {
  Stack<kBad> stack;
  sync::RaceChecked<int> plain_owner[Stack<kBad>::kNodes];
  sync::Atomic<int> owner[Stack<kBad>::kNodes];
  auto work = [&](int self) {
    constexpr int kRounds = kPlain ? 2 : 3;
    for (int i = 0; i < kRounds; ++i) {
      const int node = stack.Pop();
      if (node < 0) return;
      if constexpr (kPlain) {
        plain_owner[node].Write() = self;
      } else {
        owner[node].store(self);
        sim::Check(owner[node].load() == self, "a node has one owner");
      }
      stack.Push(node);
    }
  };
  JoiningThread t1([&] { work(1); });
  JoiningThread t2([&] { work(2); });
  JoiningThread t3([&] { work(3); });
}

constexpr Specimen kSpecimens[] = {
    {.name = "reorder_5",
     .source = "SCTBench reorder, 4 setters and a checker",
     .bug = "Two stores that belong together are seen apart.",
     .verdict = sim::Verdict::kAssertion,
     .bad = Reorder<true, 4>,
     .mended = Reorder<false, 4>},
    {.name = "reorder_10",
     .source = "SCTBench reorder, 9 setters and a checker",
     .bug = "Two stores that belong together are seen apart.",
     .verdict = sim::Verdict::kAssertion,
     .bad = Reorder<true, 9>,
     .mended = Reorder<false, 9>,
     .enumerable = false},
    {.name = "twostage",
     .source = "SCTBench twostage",
     .bug = "A lock is released between two stages that belong together.",
     .verdict = sim::Verdict::kAssertion,
     .bad = TwoStage<true>,
     .mended = TwoStage<false>},
    {.name = "din_phil5",
     .source = "SCTBench din_phil5",
     .bug = "Five philosophers have their left forks.",
     .verdict = sim::Verdict::kDeadlock,
     .bad = DiningPhilosophers<true, 5>,
     .mended = DiningPhilosophers<false, 5>},
    {.name = "safestack",
     .source = "SCTBench safestack",
     .bug = "A lock-free stack gives a node to two owners.",
     .verdict = sim::Verdict::kAssertion,
     .bad = SafeStack<true, false>,
     .mended = SafeStack<false, false>,
     .hard = true,
     .enumerable = false},
    {.name = "safestack_plain",
     .source = "SCTBench safestack, with plain data in the nodes",
     .bug = "A lock-free stack gives a node to two owners.",
     .verdict = sim::Verdict::kRace,
     .bad = SafeStack<true, true>,
     .mended = SafeStack<false, true>,
     .hard = true,
     .enumerable = false},
};

}  // namespace

absl::Span<const Specimen> Sctbench() { return kSpecimens; }

}  // namespace cohort::specimens
