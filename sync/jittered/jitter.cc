#include "cohort/sync/jitter.h"

#include <atomic>
#include <cstdint>
#include <ctime>
#include <thread>

#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {
namespace {

constexpr uint64_t kGamma = 0x9e3779b97f4a7c15u;

// SplitMix64's.
uint64_t Hash(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

// Everything here is relaxed: a delay that ordered anything would hide races.

// 0 while nothing is delayed.
std::atomic<uint64_t> current_seed = 0;
std::atomic<uint64_t> threads = 0;

// What a thread keeps for itself.
class Dice {
 public:
  void Seed(uint64_t seed) {
    if (seed == seed_) return;
    seed_ = seed;
    state_ = Hash(seed + kGamma * number_);
    left_ = 0;
  }

  // Uniform below n.
  uint32_t Below(uint32_t n) {
    state_ += kGamma;
    return static_cast<uint32_t>((Hash(state_) >> 32) * n >> 32);
  }

  // Whether to delay. For a while a thread is hardly ever delayed, then again
  // and again: it takes both to be overtaken by a whole operation of another.
  bool Delays() {
    if (left_ == 0) {
      left_ = 1 + Below(256);
      one_in_ = Below(4) == 0 ? 4 : 64;
    }
    --left_;
    return Below(one_in_) == 0;
  }

 private:
  const uint64_t number_ = threads.fetch_add(1, std::memory_order_relaxed);
  uint64_t seed_ = 0;
  uint64_t state_ = 0;
  uint32_t left_ = 0;
  uint32_t one_in_ = 1;
};

}  // namespace

void StartJitter(uint64_t seed) {
  current_seed.store(Hash(seed) | 1, std::memory_order_relaxed);
}

void StopJitter() { current_seed.store(0, std::memory_order_relaxed); }

void Jitter() {
  const uint64_t seed = current_seed.load(std::memory_order_relaxed);
  if (seed == 0) return;
  static thread_local Dice dice;
  dice.Seed(seed);
  if (!dice.Delays()) return;
  const uint32_t kind = dice.Below(16);
  if (kind < 8) {
    for (uint32_t turns = dice.Below(1024); turns > 0; --turns) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  } else if (kind < 15) {
    std::this_thread::yield();
  } else {
    const timespec time = {.tv_sec = 0, .tv_nsec = 1 + dice.Below(20'000)};
    nanosleep(&time, nullptr);
  }
}

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync
