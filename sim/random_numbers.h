// A random number generator with the same output on every machine.

#ifndef COHORT_SIM_RANDOM_NUMBERS_H_
#define COHORT_SIM_RANDOM_NUMBERS_H_

#include <cstdint>

namespace cohort::sim {

// SplitMix64: any seed will do, and after hashing, neighbouring seeds are
// unrelated. Cheap to seed, which a search does for each schedule.
class Random {
 public:
  explicit Random(uint64_t seed = 0) : state_(Hash(seed + kGamma)) {}

  // Uniform over all 64 bits.
  uint64_t Next() { return Hash(state_ += kGamma); }

  // Uniform below n, which is at least 1. (The bias of a multiplication is
  // below n / 2^32.)
  int Below(int n) {
    return static_cast<int>((Next() >> 32) * static_cast<uint64_t>(n) >> 32);
  }

  bool OneIn(int n) { return Below(n) == 0; }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15u;

  static uint64_t Hash(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
  }

  uint64_t state_;
};

}  // namespace cohort::sim

#endif  // COHORT_SIM_RANDOM_NUMBERS_H_
