// Threads: starting and joining them, what is local to them, and what the
// scheduler is told about them.

#ifndef COHORT_SYNC_THREAD_H_
#define COHORT_SYNC_THREAD_H_

#include <pthread.h>

#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "cohort/sync/jitter.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

struct ThreadOptions {
  std::string name = "";  // Linux shows its first 15 bytes
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/thread.h"
#else

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// A thread that must be joined or detached before it is destroyed. Unlike
// std::thread it says as a Status that the system has no thread to give, also
// where exceptions are off.
class [[nodiscard]] Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();  // dies if joinable()

  // Starts a thread that runs `body`. RESOURCE_EXHAUSTED if it cannot be
  // created, also for want of memory: `body` is then destroyed unrun. An
  // exception that leaves `body` terminates the process.
  static absl::StatusOr<Thread> Start(ThreadOptions options,
                                      absl::AnyInvocable<void() &&> body);

  bool joinable() const { return handle_.has_value(); }

  // Blocks until the thread has ended. Everything it did is then visible.
  void Join();

  // Gives up the handle: the thread ends by itself.
  void Detach();

 private:
  explicit Thread(pthread_t handle) : handle_(handle) {}

  std::optional<pthread_t> handle_;
};

// Tells threads apart; an id may be used again after its thread has ended.
using ThreadId = std::thread::id;
inline ThreadId CurrentThreadId() { return std::this_thread::get_id(); }

// Names the calling thread for LooksBlocked().
class ThreadProbe {
 public:
  static ThreadProbe OfCurrentThread();

  // A guess, for heuristics only: whether the thread sleeps in the kernel.
  // False where the system does not tell, and for a thread that has ended.
  // Reads a file; takes some microseconds.
  bool LooksBlocked() const;

 private:
  explicit ThreadProbe(int64_t tid) : tid_(tid) {}

  int64_t tid_;
};

// One object of type T for each thread, made on the thread's first use of it
// and told apart from others of the same type by `Tag`.
template <class T, class Tag>
class ThreadLocal {
 public:
  static T& Get() {
    static thread_local T value{};
    return value;
  }
};

// The one object of its kind in the process, made by the first caller and never
// destroyed, so that it can be used while the process exits. (In a simulated
// run, one for each run.) `kMake` returns it from `new`.
template <auto kMake>
auto& ProcessWide() {
  static auto& object = *kMake();
  return object;
}

// Lets another thread run.
inline void Yield() { std::this_thread::yield(); }

// The number of threads that can run at once; at least 1.
inline int HardwareConcurrency() {
  const unsigned int count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

// A named place between two steps at which the simulator may switch threads
// and a scripted schedule may stop one; in jittered mode, a place for a delay.
// Nothing in real mode.
inline void SchedulePoint(const char* /*name*/) { Jitter(); }

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED

#endif  // COHORT_SYNC_THREAD_H_
