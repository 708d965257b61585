// What the tests of all packages share.

#ifndef COHORT_SYNC_TEST_UTIL_H_
#define COHORT_SYNC_TEST_UTIL_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/log/absl_check.h"
#include "absl/status/statusor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/thread.h"

namespace cohort::testing {

// Waits for a state that other threads are on their way to, and leaves them the
// processors meanwhile.
template <class Condition>
void Await(Condition condition) {
  while (!condition()) sync::SleepFor(absl::Microseconds(200));
}

// Runs its function when the last copy of what holds it is destroyed.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> f)
      : guard_(nullptr, [f = std::move(f)](void*) { f(); }) {}

 private:
  std::shared_ptr<void> guard_;
};

// A thread that is joined when it goes out of scope.
class Caller {
 public:
  template <class F>
  explicit Caller(F body) {
    absl::StatusOr<sync::Thread> thread =
        sync::Thread::Start({}, std::move(body));
    ABSL_CHECK_OK(thread);
    thread_ = *std::move(thread);
  }
  ~Caller() {
    if (thread_.joinable()) thread_.Join();
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void Join() { thread_.Join(); }

 private:
  sync::Thread thread_;
};

}  // namespace cohort::testing

#endif  // COHORT_SYNC_TEST_UTIL_H_
