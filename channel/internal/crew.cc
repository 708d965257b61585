#include "cohort/channel/internal/crew.h"

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/mutex.h"

namespace cohort::channel::internal {
namespace {

// Shared with the tasks, some of which may begin after the call has returned.
class Crew {
 public:
  explicit Crew(absl::FunctionRef<void()> work) : work_(work) {}

  void Help() {
    if (!Begin()) return;
    const End end(*this);
    work_();
  }

  // Lets no further call begin, and waits for those that have begun.
  void Disband() {
    BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    disbanded_ = true;
    while (working_ > 0) changed_.Wait(&mutex_);
  }

 private:
  // Also counts a call as ended if its thread ends.
  class End {
   public:
    explicit End(Crew& crew) : crew_(crew) {}
    ~End() {
      sync::MutexLock lock(&crew_.mutex_);
      --crew_.working_;
      crew_.changed_.Signal();
    }

   private:
    Crew& crew_;
  };

  bool Begin() {
    sync::MutexLock lock(&mutex_);
    if (disbanded_) return false;
    ++working_;
    return true;
  }

  const absl::FunctionRef<void()> work_;
  sync::Mutex mutex_;
  sync::CondVar changed_;
  int working_ ABSL_GUARDED_BY(mutex_) = 0;
  bool disbanded_ ABSL_GUARDED_BY(mutex_) = false;
};

class Disbander {
 public:
  Disbander(Crew& crew, absl::FunctionRef<void()> stop)
      : crew_(crew), stop_(stop) {}
  ~Disbander() {
    if (!worked_) stop_();
    crew_.Disband();
  }
  void Worked() { worked_ = true; }

 private:
  Crew& crew_;
  const absl::FunctionRef<void()> stop_;
  bool worked_ = false;
};

}  // namespace

void WorkTogether(Executor& executor, int helpers,
                  absl::FunctionRef<void()> work,
                  absl::FunctionRef<void()> stop) {
  const auto crew = std::make_shared<Crew>(work);
  Disbander disbander(*crew, stop);
  for (int i = 0; i < helpers; ++i) {
    executor.Submit([crew] { crew->Help(); });
  }
  work();
  disbander.Worked();
}

}  // namespace cohort::channel::internal
