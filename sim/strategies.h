// The implementations of sim::Strategy.

#ifndef COHORT_SIM_STRATEGIES_H_
#define COHORT_SIM_STRATEGIES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/sim/random_numbers.h"

namespace cohort::sim {

using kernel::ChoiceKind;
using kernel::kClockThread;
using kernel::kMaxThreads;
using kernel::PendingOp;
using kernel::View;

// A strategy, used for many schedules.
class Searcher : public kernel::Scheduler {
 public:
  // Prepares for the next schedule. False if there is none.
  virtual bool Next() = 0;

  // The strategy of the current schedule.
  virtual std::string Name() const = 0;

  // Whether the schedule that has just run repeats what earlier ones have
  // shown.
  virtual bool redundant() const { return false; }

  // Why the body could not follow the schedule; empty if it did.
  virtual std::string Unfit() const { return ""; }
};

// The threads that a strategy with an order of its own, rather than dice, picks
// from: a thread that has just yielded comes after all others, since a loop
// that waits for them would never end otherwise.
inline uint64_t Candidates(const View& view) {
  const uint64_t self = uint64_t{1} << view.current;
  const uint64_t others = view.enabled & ~self & ~(uint64_t{1} << kClockThread);
  return view.current_yields && others != 0 ? view.enabled & ~self
                                            : view.enabled;
}

// The common part of all random strategies: choices that are not between
// threads.
class RandomSearcher : public Searcher {
 public:
  explicit RandomSearcher(uint64_t seed) : seed_(seed) {}

  bool Next() override {
    random_ = Random(seed_ ^ Random(schedule_++).Next());
    return true;
  }
  int Choose(ChoiceKind kind, int n, int thread, const PendingOp& op) override;

 protected:
  Random random_;

 private:
  const uint64_t seed_;
  uint64_t schedule_ = 0;
};

// Picks any of the threads at each step.
class RandomWalk final : public RandomSearcher {
 public:
  using RandomSearcher::RandomSearcher;

  std::string Name() const override { return "random walk"; }
  int PickThread(const View& view) override;
};

// Priorities, and depth - 1 steps at which the first thread becomes the last
// (Burckhardt et al. 2010). Finds an error of that depth with a probability of
// at least 1 / (threads * steps^(depth - 1)).
class Pct final : public RandomSearcher {
 public:
  Pct(uint64_t seed, int depth) : RandomSearcher(seed), depth_(depth) {}

  std::string Name() const override;
  bool Next() override;
  void Started(int thread, int parent) override;
  int PickThread(const View& view) override;

 private:
  const int depth_;
  int64_t longest_ = 20;  // longest schedule so far
  int64_t steps_ = 0;
  int64_t lowest_ = 0;
  std::vector<int64_t> changes_;
  int64_t priorities_[kMaxThreads + 1] = {};
};

// A priority for each operation, drawn anew after an operation that it depends
// on has been executed (Yuan et al. 2018).
class Pos final : public RandomSearcher {
 public:
  using RandomSearcher::RandomSearcher;

  std::string Name() const override { return "POS"; }
  bool Next() override;
  void Started(int thread, int parent) override;
  int PickThread(const View& view) override;

 private:
  uint64_t priorities_[kMaxThreads + 1] = {};
};

// Weighs each thread by the steps that it, and the threads that it will start,
// have yet to make; this makes all interleavings about equally likely (Zhao et
// al. 2025).
class UniformRandomWalk final : public RandomSearcher {
 public:
  using RandomSearcher::RandomSearcher;

  std::string Name() const override { return "uniform random walk"; }
  bool Next() override;
  void Started(int thread, int parent) override;
  int PickThread(const View& view) override;

 private:
  struct Thread {
    uint64_t path = 0;  // identifies the thread; the same in every schedule
    int children = 0;
    int64_t steps = 0;
    int64_t left = 0;  // expected steps, including those of children still to
                       // come
  };

  static uint64_t PathOfChild(uint64_t path, int child);
  // The steps of a thread and of all threads that it starts.
  int64_t Expected(uint64_t path) const;

  absl::flat_hash_map<uint64_t, int64_t> own_;  // steps of a thread, by path
  Thread threads_[kMaxThreads + 1];
  int count_ = 0;
};

// Uses several strategies in turn.
class Mix final : public Searcher {
 public:
  explicit Mix(std::vector<std::unique_ptr<Searcher>> parts)
      : parts_(std::move(parts)), turn_(parts_.size() - 1) {}

  std::string Name() const override { return parts_[turn_]->Name(); }
  bool Next() override {
    turn_ = (turn_ + 1) % parts_.size();
    return parts_[turn_]->Next();
  }
  void Begin() override { parts_[turn_]->Begin(); }
  void Started(int thread, int parent) override {
    parts_[turn_]->Started(thread, parent);
  }
  int PickThread(const View& view) override {
    return parts_[turn_]->PickThread(view);
  }
  int Choose(ChoiceKind kind, int n, int thread, const PendingOp& op) override {
    return parts_[turn_]->Choose(kind, n, thread, op);
  }

 private:
  const std::vector<std::unique_ptr<Searcher>> parts_;
  size_t turn_;
};

// Every schedule, one after the other. With sleep sets, only schedules that are
// not known to equal another up to the order of independent steps.
class DepthFirst final : public Searcher {
 public:
  static constexpr int kUnbounded = -1;

  DepthFirst(bool sleep_sets, int preemptions)
      : sleep_sets_(sleep_sets), bound_(preemptions) {}

  std::string Name() const override { return "depth first"; }
  bool Next() override;
  void Begin() override;
  int PickThread(const View& view) override;
  int Choose(ChoiceKind kind, int n, int thread, const PendingOp& op) override;
  bool redundant() const override { return redundant_; }

 private:
  struct Node {
    bool of_threads;
    int chosen;
    int n = 0;           // for a choice between values
    uint64_t left = 0;   // for a choice between threads: not yet tried
    uint64_t sleep = 0;  // tried elsewhere, to the same effect
    uint64_t tried = 0;
  };

  const bool sleep_sets_;
  const int bound_;
  bool began_ = false;
  bool redundant_ = false;
  size_t depth_ = 0;
  uint64_t sleep_ = 0;
  int preemptions_ = 0;
  std::vector<Node> nodes_;
};

// Schedules encoded by a fuzzer: the first byte says how threads are chosen,
// the second seeds the choices after the input has ended, and then there is one
// byte for each choice.
class Bytes : public Searcher {
 public:
  // Takes bytes from the front; the program may take them from the back.
  class Source {
   public:
    explicit Source(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    uint8_t Front();  // 0 if empty
    uint8_t Back();

   private:
    absl::Span<const uint8_t> bytes_;
  };

  explicit Bytes(Source& source) : source_(source) {}

  std::string Name() const override { return "bytes"; }
  bool Next() override { return !std::exchange(began_, true); }
  void Begin() override;
  void Started(int thread, int parent) override;
  int PickThread(const View& view) override;
  int Choose(ChoiceKind kind, int n, int thread, const PendingOp& op) override;

 private:
  int Byte();  // -1: take the default

  Source& source_;
  bool began_ = false;
  bool priorities_chosen_ = false;
  bool tail_ = false;
  Random random_;
  uint64_t priorities_[kMaxThreads + 1] = {};
};

}  // namespace cohort::sim

#endif  // COHORT_SIM_STRATEGIES_H_
