// A semaphore whose permits come in any number at once.
//
//   cohort::semaphore::Weighted memory(64 << 20);
//
//   absl::StatusOr<cohort::semaphore::Permit> permit =
//       memory.AcquirePermit(context, size);
//   if (!permit.ok()) return permit.status();
//
// Use a group with a limit instead where what is bounded are tasks: there a
// task that waits for its turn costs no thread.

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

// Hands out permits, up to its size, to whoever asks first.
//
// Blocks?         Acquire and AcquirePermit do until there are enough permits;
//                 they announce it with a BlockingScope. Nothing else does.
// Cancellation?   A blocked Acquire ends with its context, and those behind it
//                 move up. With a context that is done already it fails, even
//                 if there are permits. A Cancel that has returned is final:
//                 permits that come after it go to the next in line, whether or
//                 not the cancelled call has woken. Permits that came before it
//                 stay. Where the two meet, either is the outcome.
// Order?          Strictly first come, first served: a small request does not
//                 overtake a large one, which might wait for ever then. So
//                 TryAcquire fails while anybody waits. Only requests for more
//                 than the size hold nobody up: Resize can serve them, but no
//                 Release.
// On error?       Acquire returns the cause of its context, and nothing else.
//                 If there is no memory for a wait, it throws std::bad_alloc,
//                 and nothing has changed.
// Thread safety   All methods, from any thread; permits belong to no thread.
// Memory ordering What happened before a Release is visible to those whom its
//                 permits go to.
// Destruction     Dies if somebody waits, unless the process exits. Permits
//                 that are taken by number may be out.
//
// A negative number, and the release of more than is held, are contract
// violations, and die before anything changes.
//
// From golang.org/x/sync/semaphore.Weighted; Resize is marusama/semaphore's
// SetLimit. What differs: errors are causes; a grant is not taken back because
// the context ends after it; the size may be asked for, and changed;
// misuse leaves nothing changed.
class Weighted {
 public:
  explicit Weighted(int64_t size);
  ~Weighted();
  Weighted(const Weighted&) = delete;
  Weighted& operator=(const Weighted&) = delete;

  // Takes `n` permits: OK. Or none, and returns the cause of `context`.
  absl::Status Acquire(const Context& context, int64_t n = 1);

  // The same with permits that go back by themselves.
  // The semaphore outlives them, so it is no temporary.
  absl::StatusOr<Permit> AcquirePermit(const Context& context, int64_t n = 1) &;

  // Takes `n` permits if they are there and nobody waits.
  [[nodiscard]] bool TryAcquire(int64_t n = 1);
  [[nodiscard]] std::optional<Permit> TryAcquirePermit(int64_t n = 1) &;

  // Gives `n` permits back, to those who wait in the order in which they came.
  void Release(int64_t n = 1);

  // Changes the size at any time. Permits that are out stay out: there may be
  // more of them than a smaller size, and none is handed out until there are
  // fewer.
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

  // No number of free permits: they are counted in spare_ just now.
  static constexpr int64_t kClosed = std::numeric_limits<int64_t>::min();

  // Takes `n` permits if they are there, nobody waits, and `context` is not
  // done.
  bool TryTake(int64_t n, const Context& context);

  // Whatever needs the lock is between these two: Close takes the free permits
  // away from those who need none, and Settle hands them to who waits, or back.
  void Close() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether somebody waits whom a Release may serve.
  bool HasQueue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The free permits while nobody waits for any of them, taken and given back
  // without the lock; else kClosed. Below 0 while more are out than the size.
  sync::Atomic<int64_t> free_;
  sync::Atomic<int64_t> size_;  // changed under the lock, while closed

  mutable sync::Mutex mutex_;
  int64_t spare_ ABSL_GUARDED_BY(mutex_) = 0;  // free_, while that is closed
  sync::LinkedList<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);  // as they came
};

// Permits of a semaphore, which must outlive them. Movable; an empty one holds
// none.
//
// Blocks?         No.
// Thread safety   As any value; the permits may go back on any thread.
// Destruction     Gives them back. So does an assignment, with those of its
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
