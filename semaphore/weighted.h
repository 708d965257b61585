// A weighted semaphore: a request takes any number of permits at once.
//
//   cohort::semaphore::Weighted memory(64 << 20);
//
//   absl::StatusOr<cohort::semaphore::Permit> permit =
//       memory.AcquirePermit(context, size);
//   if (!permit.ok()) return permit.status();
//
// Use a group with a limit instead to bound the number of tasks: there a task
// that waits for its turn costs no thread.

#ifndef COHORT_SEMAPHORE_WEIGHTED_H_
#define COHORT_SEMAPHORE_WEIGHTED_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/mutex.h"

namespace cohort::semaphore {

class Permit;

// Hands out permits, up to its size, first come, first served.
//
// Blocks?         Acquire and AcquirePermit do, until there are enough permits;
//                 they announce it with a BlockingScope. No other method does.
// Cancellation?   A blocked Acquire ends with its context, and the requests
//                 behind it move up. If the context is done already, Acquire
//                 fails even if there are permits. A Cancel that has returned
//                 is final: permits that are released after it go to the next
//                 request, whether or not the cancelled call has woken. Permits
//                 that were granted before it stay granted. If grant and Cancel
//                 coincide, either may win.
// Order?          Strictly first come, first served: a small request does not
//                 overtake a large one, which might otherwise wait forever. So
//                 TryAcquire fails while a request waits. A request for more
//                 than the size delays no other: only a Resize can satisfy it,
//                 no Release.
// On error?       Acquire fails only with the cause of its context. If memory
//                 for a wait runs out, it throws std::bad_alloc, and nothing
//                 has changed.
// Thread safety   All methods, from any thread; permits belong to no thread.
// Memory ordering What happened before a Release is visible to the callers that
//                 get its permits.
// Destruction     Dies if a request waits, unless the process exits. Permits
//                 taken by Acquire or TryAcquire need not have been released.
//
// A negative number, and the release of more permits than are held, are
// contract violations, and die before anything changes.
//
// From golang.org/x/sync/semaphore.Weighted; Resize is marusama/semaphore's
// SetLimit. What differs: an error is the cause of the
// caller's context; a grant is not revoked because the
// context ends after it; the size can be read and changed; misuse leaves the
// semaphore unchanged.
class Weighted {
 public:
  explicit Weighted(int64_t size);
  ~Weighted();
  Weighted(const Weighted&) = delete;
  Weighted& operator=(const Weighted&) = delete;

  // Takes `n` permits and returns OK; or takes none and returns the cause of
  // `context`.
  absl::Status Acquire(const Context& context, int64_t n = 1);

  // Like Acquire, with permits that are released automatically. The semaphore
  // must outlive them, so this does not compile on a temporary one.
  absl::StatusOr<Permit> AcquirePermit(const Context& context, int64_t n = 1) &;

  // Takes `n` permits if they are free and no request waits.
  [[nodiscard]] bool TryAcquire(int64_t n = 1);
  [[nodiscard]] std::optional<Permit> TryAcquirePermit(int64_t n = 1) &;

  // Gives `n` permits back; they go to waiting requests in order of arrival.
  void Release(int64_t n = 1);

  // Changes the size at any time. Permits that are held stay held: there may be
  // more of them than a smaller size, and none is handed out until enough are
  // back.
  void Resize(int64_t size);

  int64_t size() const;
  int64_t in_use() const;
  int64_t waiters() const;  // calls that are blocked

 private:
  struct Waiter : sync::ListHook<Waiter> {
    Waiter(const Context& its_context, int64_t n)
        : context(its_context), wanted(n) {}
    const Context& context;
    const int64_t wanted;
    bool granted = false;
    sync::CondVar changed;
  };

  // The value of free_ while the lock-free path is closed; the free permits are
  // then counted in spare_.
  static constexpr int64_t kClosed = std::numeric_limits<int64_t>::min();

  // Takes `n` permits if they are free, no request waits, and `context` is not
  // done.
  bool TryTake(int64_t n, const Context& context);

  // Every slow path runs between Close and Settle. Close disables the lock-free
  // path; Settle grants waiting requests, and re-enables that path unless some
  // must still wait.
  void Close() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether a request waits that a Release may satisfy.
  bool HasQueue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The free permits while no request waits for any of them, taken and given
  // back without the lock; else kClosed. Below 0 while more permits are held
  // than the size.
  sync::Atomic<int64_t> free_;
  sync::Atomic<int64_t> size_;  // written under mutex_, between Close and
                                // Settle

  mutable sync::Mutex mutex_;
  int64_t spare_ ABSL_GUARDED_BY(mutex_) = 0;  // the value of free_, while that
                                               // is kClosed
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);  // in order of
                                                              // arrival
};

// Permits of a semaphore, which must outlive them. Movable; an empty Permit
// holds none.
//
// Blocks?         No.
// Thread safety   Like any value; the permits may be released on any thread.
// Destruction     Releases the permits. An assignment releases those of its
//                 target.
class [[nodiscard]] Permit {
 public:
  Permit() = default;
  Permit(Permit&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)),
        count_(std::exchange(other.count_, 0)) {}
  Permit& operator=(Permit&& other) noexcept {
    const Permit old = std::move(*this);
    semaphore_ = std::exchange(other.semaphore_, nullptr);
    count_ = std::exchange(other.count_, 0);
    return *this;
  }
  ~Permit() {
    if (semaphore_ != nullptr) semaphore_->Release(count_);
  }

  int64_t count() const { return count_; }

 private:
  friend class Weighted;
  Permit(Weighted* semaphore, int64_t count)
      : semaphore_(semaphore), count_(count) {}

  Weighted* semaphore_ = nullptr;
  int64_t count_ = 0;
};

}  // namespace cohort::semaphore

#endif  // COHORT_SEMAPHORE_WEIGHTED_H_
