// A group comes to an end, however many tasks there are to come.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cohort/schedgroup/group.h"
#include "gtest/gtest.h"

namespace cohort::schedgroup {
namespace {

#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr int kTasks = 100'000;
#else
constexpr int kTasks = 1'000'000;
#endif

constexpr absl::Duration kNever = absl::Hours(1);

class Counted {
 public:
  explicit Counted(std::atomic<int>& alive) : alive_(&alive) { ++alive; }
  Counted(Counted&& other) noexcept
      : alive_(std::exchange(other.alive_, nullptr)) {}
  ~Counted() {
    if (alive_ != nullptr) --*alive_;
  }
  void operator()() const { ADD_FAILURE() << "must not run"; }

 private:
  std::atomic<int>* alive_;
};

TEST(ManyTest, AGroupIsDestroyedWithAMillionTasksToCome) {
  // Abseil's check of lock orders, on in debug builds, would be most of the
  // time that so many tasks take.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::atomic<int> alive = 0;
  {
    Group group;
    for (int i = 0; i < kTasks; ++i) {
      group.Delay(kNever + absl::Microseconds(i * 7919LL % kTasks),
                  Counted(alive));
    }
    EXPECT_EQ(alive, kTasks);
    EXPECT_EQ(group.stats().queued, kTasks);
  }
  EXPECT_EQ(alive, 0);
}

TEST(ManyTest, ManyTasksThatWaitForASlotAreTakenBack) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  constexpr int kDue = kTasks / 5;
  std::atomic<int> alive = 0;
  Group group({}, {.limit = 0});
  std::vector<TaskId> ids;
  ids.reserve(kDue);
  for (int i = 0; i < kDue; ++i) {
    ids.push_back(group.Delay(absl::ZeroDuration(), Counted(alive)));
  }
  absl::Notification delivered;
  Group other;
  other.Delay(absl::ZeroDuration(), [&] { delivered.Notify(); });
  delivered.WaitForNotification();
  // Wherever in the queue they are.
  for (int i = 0; i < kDue; ++i) {
    const int64_t which = i * 7919LL % kDue;
    ASSERT_EQ(group.Cancel(ids[static_cast<size_t>(which)]),
              CancelResult::kCancelled);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(group.stats().skipped, kDue);
  EXPECT_EQ(group.Wait(), absl::OkStatus());
}

}  // namespace
}  // namespace cohort::schedgroup
