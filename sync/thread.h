// Threads: starting and joining them, thread-local objects, and hints for the
// scheduler.

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
  std::string name = "";  // Linux shows only the first 15 bytes
};

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#ifdef COHORT_SYNC_SIMULATED
#include "cohort/sync/simulated/thread.h"
#else

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {

// A thread that must be joined or detached before it is destroyed. Unlike
// std::thread it reports as a Status that the system cannot create a thread,
// even where exceptions are off.
class [[nodiscard]] Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();  // dies if joinable()

  // Starts a thread that runs `body`. RESOURCE_EXHAUSTED if it cannot be
  // created, also if memory runs out: `body` is then destroyed without having
  // run. An exception that leaves `body` terminates the process.
  static absl::StatusOr<Thread> Start(ThreadOptions options,
                                      absl::AnyInvocable<void() &&> body);

  bool joinable() const { return handle_.has_value(); }

  // Blocks until the thread has ended. Everything that the thread did is then
  // visible.
  void Join();

  // Gives up the handle: the thread ends by itself.
  void Detach();

 private:
  explicit Thread(pthread_t handle) : handle_(handle) {}

  std::optional<pthread_t> handle_;
};

// Identifies a thread; an id may be reused after its thread has ended.
using ThreadId = std::thread::id;
inline ThreadId CurrentThreadId() { return std::this_thread::get_id(); }

// Identifies the thread that constructs it, for LooksBlocked().
class ThreadProbe {
 public:
  static ThreadProbe OfCurrentThread();

  // A guess, for heuristics only: whether the thread sleeps in the kernel.
  // False if the system does not tell, or if the thread has ended. Reads a
  // file; takes some microseconds.
  bool LooksBlocked() const;

 private:
  explicit ThreadProbe(int64_t tid) : tid_(tid) {}

  int64_t tid_;
};

// One object of type T for each thread, created on the thread's first use of
// it; `Tag` distinguishes it from others of the same type.
template <class T, class Tag>
class ThreadLocal {
 public:
  static T& Get() {
    static thread_local T value{};
    return value;
  }
};

// The one object of its kind in the process, created by the first caller and
// never destroyed, so that it can be used while the process exits. (In a
// simulated run, one for each run.) `kMake` returns it from `new`.
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

// A named place between two steps. Here the simulator may switch threads, and a
// scripted schedule may stop one; in jittered mode it is a place for a delay.
// Does nothing in real mode.
inline void SchedulePoint(const char* /*name*/) { Jitter(); }

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync

#endif  // COHORT_SYNC_SIMULATED

#endif  // COHORT_SYNC_THREAD_H_
