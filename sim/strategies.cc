#include "cohort/sim/strategies.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cohort/kernel/scheduler.h"

namespace cohort::sim {
namespace {

using kernel::DefaultPick;
using kernel::Dependent;

constexpr uint64_t Bit(int thread) { return uint64_t{1} << thread; }
constexpr uint64_t kClock = Bit(kClockThread);

int Nth(uint64_t mask, int n) {
  for (; n > 0; --n) mask &= mask - 1;
  return std::countr_zero(mask);
}

}  // namespace

int RandomSearcher::Choose(ChoiceKind kind, int n, int, const PendingOp&) {
  switch (kind) {
    case ChoiceKind::kWaiter:
    case ChoiceKind::kRefusedStart:
    case ChoiceKind::kUser:
      return random_.Below(n);
    case ChoiceKind::kSpuriousWakeUp:
    case ChoiceKind::kWeakFailure:
      // A run has few of them, and the first wait is not always the one that
      // reacts badly.
      return random_.OneIn(8) ? 1 : 0;
    case ChoiceKind::kStaleLoad:
      return random_.OneIn(3) ? random_.Below(n) : 0;
  }
  return 0;
}

int RandomWalk::PickThread(const View& view) {
  const uint64_t candidates = view.enabled;
  const uint64_t threads = candidates & ~kClock;
  const int count = std::popcount(threads);
  // If the clock were as likely as a thread, the run would consist mostly of
  // timers.
  if (count == 0 || (candidates != threads && random_.OneIn(4 * count))) {
    return kClockThread;
  }
  return Nth(threads, count == 1 ? 0 : random_.Below(count));
}

std::string Pct::Name() const { return absl::StrCat("PCT-", depth_); }

bool Pct::Next() {
  longest_ = std::max(longest_, steps_);
  RandomSearcher::Next();
  steps_ = 0;
  lowest_ = 0;
  changes_.clear();
  for (int i = 1; i < depth_; ++i) {
    changes_.push_back(1 + random_.Below(static_cast<int>(longest_)));
  }
  Started(kClockThread, -1);
  return true;
}

void Pct::Started(int thread, int) {
  priorities_[thread] = static_cast<int64_t>(random_.Next() >> 2) + 1;
}

int Pct::PickThread(const View& view) {
  ++steps_;
  if (view.current_yields) priorities_[view.current] = --lowest_;
  const uint64_t candidates = Candidates(view);
  const auto highest = [&] {
    int best = std::countr_zero(candidates);
    for (uint64_t left = candidates; left != 0; left &= left - 1) {
      const int thread = std::countr_zero(left);
      if (priorities_[thread] > priorities_[best]) best = thread;
    }
    return best;
  };
  int best = highest();
  for (const int64_t change : changes_) {
    if (change != steps_) continue;
    priorities_[best] = --lowest_;
    best = highest();
  }
  // Sometimes the clock comes after all threads that have been lowered: they
  // must make progress between the ticks of a daemon.
  if (best == kClockThread) {
    Started(kClockThread, -1);
    if (random_.OneIn(2)) priorities_[kClockThread] = --lowest_;
  }
  return best;
}

bool Pos::Next() {
  RandomSearcher::Next();
  Started(kClockThread, -1);
  return true;
}

void Pos::Started(int thread, int) { priorities_[thread] = random_.Next(); }

int Pos::PickThread(const View& view) {
  const uint64_t candidates = view.enabled;
  // The thread has asked to come after the others.
  if (view.current_yields) priorities_[view.current] = 0;
  int best = std::countr_zero(candidates);
  for (uint64_t left = candidates; left != 0; left &= left - 1) {
    const int thread = std::countr_zero(left);
    if (priorities_[thread] > priorities_[best]) best = thread;
  }
  const PendingOp& op = view.pending[best];
  // Time affects every operation. Otherwise a thread that polls would forever
  // keep out a thread that has drawn a low priority.
  const bool everybody = best == kClockThread;
  for (uint64_t left = view.enabled; left != 0; left &= left - 1) {
    const int thread = std::countr_zero(left);
    if (everybody || thread == best || Dependent(view.pending[thread], op)) {
      priorities_[thread] = random_.Next();
    }
  }
  return best;
}

bool UniformRandomWalk::Next() {
  // Learns from the last schedule.
  for (int i = 0; i < count_; ++i) {
    int64_t& own = own_[threads_[i].path];
    own = std::max(own, threads_[i].steps);
  }
  count_ = 0;
  threads_[kClockThread] = {.left = 1};
  return RandomSearcher::Next();
}

uint64_t UniformRandomWalk::PathOfChild(uint64_t path, int child) {
  return Random(path * 31 + static_cast<uint64_t>(child)).Next();
}

int64_t UniformRandomWalk::Expected(uint64_t path) const {
  const auto own = own_.find(path);
  if (own == own_.end()) return 0;
  int64_t sum = own->second;
  for (int child = 1;; ++child) {
    const uint64_t path_of_child = PathOfChild(path, child);
    if (!own_.contains(path_of_child)) return sum;
    sum += Expected(path_of_child);
  }
}

void UniformRandomWalk::Started(int thread, int parent) {
  Thread& self = threads_[thread];
  self = {};
  count_ = std::max(count_, thread + 1);
  if (parent >= 0) {
    self.path = PathOfChild(threads_[parent].path, ++threads_[parent].children);
  }
  self.left = Expected(self.path);
  // These steps are no longer to come.
  if (parent >= 0) threads_[parent].left -= self.left;
}

int UniformRandomWalk::PickThread(const View& view) {
  const uint64_t candidates = view.enabled;
  const auto weight = [this](int thread) {
    return std::max<int64_t>(1, threads_[thread].left);
  };
  int64_t sum = 0;
  for (uint64_t left = candidates; left != 0; left &= left - 1) {
    sum += weight(std::countr_zero(left));
  }
  int64_t at =
      static_cast<int64_t>(random_.Next() % static_cast<uint64_t>(sum));
  uint64_t left = candidates;
  while ((at -= weight(std::countr_zero(left))) >= 0) left &= left - 1;
  const int thread = std::countr_zero(left);
  // What a thread does alone is part of no interleaving: the end of a thread
  // that waits for all others would only make it seem long.
  if (view.count() > 1) {
    ++threads_[thread].steps;
    --threads_[thread].left;
  }
  return thread;
}

bool DepthFirst::Next() {
  if (!began_) {
    began_ = true;
    return true;
  }
  while (!nodes_.empty()) {
    Node& node = nodes_.back();
    if (node.of_threads) {
      node.tried |= Bit(node.chosen);
      if (node.left != 0) {
        node.chosen = std::countr_zero(node.left);
        node.left &= node.left - 1;
        return true;
      }
    } else if (++node.chosen < node.n) {
      return true;
    }
    nodes_.pop_back();
  }
  return false;
}

void DepthFirst::Begin() {
  depth_ = 0;
  sleep_ = 0;
  preemptions_ = 0;
  redundant_ = false;
}

int DepthFirst::PickThread(const View& view) {
  // The rest of a run that shows nothing new has to end somehow.
  if (redundant_) return DefaultPick(view);
  const bool may_go_on = view.is_enabled(view.current) && !view.current_yields;
  if (depth_ == nodes_.size()) {
    uint64_t candidates = Candidates(view) & ~sleep_;
    if (bound_ != kUnbounded && preemptions_ >= bound_ && may_go_on) {
      candidates &= Bit(view.current);
    }
    if (candidates == 0) {
      redundant_ = true;
      return DefaultPick(view);
    }
    const int usual = DefaultPick(view);
    const int first =
        (candidates & Bit(usual)) != 0 ? usual : std::countr_zero(candidates);
    nodes_.push_back({.of_threads = true,
                      .chosen = first,
                      .left = candidates & ~Bit(first),
                      .sleep = sleep_});
  }
  const Node& node = nodes_[depth_++];
  if (sleep_sets_) {
    sleep_ = 0;
    for (uint64_t left = (node.sleep | node.tried) & ~Bit(node.chosen);
         left != 0; left &= left - 1) {
      const int thread = std::countr_zero(left);
      if (!Dependent(view.pending[thread], view.pending[node.chosen])) {
        sleep_ |= Bit(thread);
      }
    }
  }
  if (may_go_on && node.chosen != view.current) ++preemptions_;
  return node.chosen;
}

int DepthFirst::Choose(ChoiceKind, int n, int, const PendingOp&) {
  if (redundant_) return 0;
  if (depth_ == nodes_.size()) {
    nodes_.push_back({.of_threads = false, .chosen = 0, .n = n});
  }
  return nodes_[depth_++].chosen;
}

uint8_t Bytes::Source::Front() {
  if (bytes_.empty()) return 0;
  const uint8_t byte = bytes_.front();
  bytes_.remove_prefix(1);
  return byte;
}

uint8_t Bytes::Source::Back() {
  if (bytes_.empty()) return 0;
  const uint8_t byte = bytes_.back();
  bytes_.remove_suffix(1);
  return byte;
}

void Bytes::Begin() {
  priorities_chosen_ = source_.Front() % 2 == 1;
  const uint8_t seed = source_.Front();
  tail_ = seed != 0;
  random_ = Random(seed);
  priorities_[kClockThread] = 0;
}

int Bytes::Byte() {
  if (!source_.empty()) return source_.Front();
  return tail_ ? static_cast<int>(random_.Next() >> 56) : -1;
}

void Bytes::Started(int thread, int) {
  if (!priorities_chosen_) return;
  priorities_[thread] = static_cast<uint64_t>(Byte() + 1);
}

int Bytes::PickThread(const View& view) {
  const uint64_t candidates = Candidates(view);
  const int count = std::popcount(candidates);
  if (count == 1) return std::countr_zero(candidates);
  if (priorities_chosen_) {
    int best = std::countr_zero(candidates);
    for (uint64_t left = candidates; left != 0; left &= left - 1) {
      const int thread = std::countr_zero(left);
      if (priorities_[thread] > priorities_[best]) best = thread;
    }
    priorities_[best] = static_cast<uint64_t>(Byte() + 1);
    return best;
  }
  const int byte = Byte();
  if (byte < 0) return DefaultPick(view);
  // Most byte values mean to continue: switching all the time never fills a
  // queue.
  const uint64_t self = Bit(view.current);
  if ((candidates & self) != 0) {
    if (byte < 128) return view.current;
    return Nth(candidates & ~self, (byte - 128) % (count - 1));
  }
  return Nth(candidates, byte % count);
}

int Bytes::Choose(ChoiceKind, int n, int, const PendingOp&) {
  const int byte = Byte();
  // As with threads: most byte values mean the ordinary outcome.
  return byte < 192 ? 0 : (byte - 192) % n;
}

}  // namespace cohort::sim
