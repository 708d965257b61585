// An arena: memory that lasts for one run.

#ifndef COHORT_KERNEL_ARENA_H_
#define COHORT_KERNEL_ARENA_H_

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace cohort::kernel {

class Arena {
 public:
  template <class T>
  T* New() {
    static_assert(std::is_trivially_destructible_v<T>);
    static_assert(sizeof(T) <= kChunk);
    constexpr size_t kSize = (sizeof(T) + alignof(std::max_align_t) - 1) /
                             alignof(std::max_align_t) *
                             alignof(std::max_align_t);
    if (kChunk - used_ < kSize) NextChunk();
    void* const place = chunks_[chunk_].get() + used_;
    used_ += kSize;
    return new (place) T;
  }

  // Frees everything that has been made so far.
  void Reset() {
    chunk_ = 0;
    used_ = chunks_.empty() ? kChunk : 0;
  }

 private:
  static constexpr size_t kChunk = 64 << 10;

  void NextChunk() {
    if (!chunks_.empty()) ++chunk_;
    if (chunk_ == chunks_.size()) {
      chunks_.push_back(std::make_unique<char[]>(kChunk));
    }
    used_ = 0;
  }

  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t chunk_ = 0;
  size_t used_ = kChunk;
};

}  // namespace cohort::kernel

#endif  // COHORT_KERNEL_ARENA_H_
