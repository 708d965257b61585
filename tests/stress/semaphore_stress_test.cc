// A semaphore with several callers: never over its size, and nobody who waits
// is forgotten, whatever is cancelled, resized and given back meanwhile.

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::semaphore {
namespace {

using stress::InParallel;
using stress::Random;

class SemaphoreStressTest : public stress::StressTest {};

// From 0 on.
int64_t Number(Random& random, int64_t most) {
  return static_cast<int64_t>(random.Below(static_cast<int>(most) + 1));
}

TEST_F(SemaphoreStressTest, NeverOverItsSize) {
  Repeat(300, [](Random& round) {
    const int64_t size = 1 + Number(round, 3);
    Weighted semaphore(size);
    sync::Atomic<int64_t> out = 0;
    int64_t guarded = 0;  // by all permits
    sync::Atomic<int64_t> alone = 0;
    InParallel(round, 4, [&](int, Random& random) {
      for (int i = 0; i < 10; ++i) {
        const int64_t n = Number(random, size);
        std::optional<Permit> permit;
        if (random.OneIn(3)) {
          permit = semaphore.TryAcquirePermit(n);
        } else if (random.OneIn(2)) {
          CancelScope scope =
              WithTimeout(Context(), absl::Microseconds(Number(random, 50)),
                          absl::AbortedError("late"));
          absl::StatusOr<Permit> got =
              semaphore.AcquirePermit(scope.context(), n);
          if (got.ok()) {
            permit = *std::move(got);
          } else {
            EXPECT_EQ(got.status(), absl::AbortedError("late"));
          }
        } else {
          permit = *semaphore.AcquirePermit(Context(), n);
        }
        if (!permit.has_value()) continue;
        EXPECT_LE(out += n, size);
        if (n == size) {
          ++guarded;
          ++alone;
        }
        if (random.OneIn(2)) sync::Yield();
        out -= n;
      }
    });
    EXPECT_EQ(guarded, alone);
    EXPECT_EQ(semaphore.in_use(), 0);
    EXPECT_EQ(semaphore.waiters(), 0);
  });
}

TEST_F(SemaphoreStressTest, SizesComeAndGo) {
  Repeat(300, [](Random& round) {
    constexpr int64_t kSize = 3;
    Weighted semaphore(kSize);
    sync::Atomic<int64_t> out = 0;
    InParallel(round, 4, [&](int thread, Random& random) {
      for (int i = 0; i < 10; ++i) {
        if (thread == 0) {
          semaphore.Resize(Number(random, kSize));
          if (i == 9) semaphore.Resize(kSize);
          continue;
        }
        const int64_t n = Number(random, kSize);
        ASSERT_EQ(semaphore.Acquire(Context(), n), absl::OkStatus());
        EXPECT_LE(out += n, kSize);
        out -= n;
        semaphore.Release(n);
      }
    });
    EXPECT_EQ(semaphore.in_use(), 0);
    EXPECT_TRUE(semaphore.TryAcquire(kSize));
  });
}

// Some give up while permits come back one by one.
TEST_F(SemaphoreStressTest, CancellationsAndGrantsMeet) {
  Repeat(500, [](Random& round) {
    Weighted semaphore(3);
    ASSERT_TRUE(semaphore.TryAcquire(3));
    CancelScope scope = WithCancel(Context());
    InParallel(round, 5, [&](int thread, Random& random) {
      if (thread == 0) {
        scope.Cancel(absl::AbortedError("enough"));
      } else if (thread == 1) {
        for (int i = 0; i < 3; ++i) semaphore.Release();
      } else if (thread == 2) {
        const int64_t n = Number(random, 3);
        ASSERT_EQ(semaphore.Acquire(Context(), n), absl::OkStatus());
        semaphore.Release(n);
      } else {
        const int64_t n = Number(random, 4);
        const absl::Status status = semaphore.Acquire(scope.context(), n);
        if (status.ok()) {
          semaphore.Release(n);
        } else {
          EXPECT_EQ(status, absl::AbortedError("enough"));
        }
      }
    });
    EXPECT_EQ(semaphore.in_use(), 0);
    EXPECT_EQ(semaphore.waiters(), 0);
  });
}

}  // namespace
}  // namespace cohort::semaphore
