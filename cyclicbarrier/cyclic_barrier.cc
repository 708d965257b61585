#include "cohort/cyclicbarrier/cyclic_barrier.h"

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/context/context.h"
#include "cohort/context/wake_on_done.h"
#include "cohort/executor/capture.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::cyclicbarrier {
namespace {

absl::Status Broken(absl::string_view what, const absl::Status& why) {
  return absl::AbortedError(
      absl::StrCat("the barrier is broken: ", what, ": ", why.message()));
}

}  // namespace

CyclicBarrier::CyclicBarrier(Action action, int parties)
    : parties_(parties),
      action_(std::move(action)),
      round_(std::make_shared<Round>()) {
  ABSL_CHECK_GE(parties, 1) << "cyclicbarrier::CyclicBarrier";
  ABSL_CHECK(action_ != nullptr) << "cyclicbarrier::CyclicBarrier: null action";
}

CyclicBarrier::~CyclicBarrier() {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(round_->outcome.has_value() || round_->arrived == 0 ||
             sync::InExit())
      << "cyclicbarrier::CyclicBarrier is destroyed with " << round_->arrived
      << " waiting";
}

absl::StatusOr<int> CyclicBarrier::Await(const Context& context) {
  std::shared_ptr<Round> round;
  int index = 0;
  {
    const DoneCallback wake = WakeOnDone(context, mutex_, changed_);
    BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK(actor_ != sync::CurrentThreadId())
        << "cyclicbarrier::CyclicBarrier::Await inside the action";
    while (actor_.has_value() && !round_->outcome.has_value() &&
           !context.done()) {
      changed_.Wait(&mutex_);
    }
    if (context.done()) return context.cause();
    if (round_->outcome.has_value()) return *round_->outcome;
    round = round_;
    index = round->arrived++;
    if (index + 1 == parties_) {
      actor_ = sync::CurrentThreadId();
    } else {
      while (!round->outcome.has_value() && !context.done()) {
        changed_.Wait(&mutex_);
      }
      if (!round->outcome.has_value()) {
        End(Broken("a party has left", context.cause()));
      }
    }
  }
  if (index + 1 == parties_) {
    absl::Status status = RunAction(*round);
    if (!status.ok()) return status;
  }
  // It does not change any more.
  if (round->outcome->ok()) return index;
  return context.done() ? context.cause() : *round->outcome;
}

absl::Status CyclicBarrier::RunAction(Round& round) {
  // Unless it says otherwise.
  absl::Status status = absl::InternalError("it has ended its thread");
  {
    const absl::Cleanup end = [&] {
      sync::MutexLock lock(&mutex_);
      actor_.reset();
      if (round.outcome.has_value()) {  // broken meanwhile
        changed_.SignalAll();
      } else {
        End(status.ok() ? status : Broken("its action failed", status));
      }
    };
    status = executor_internal::InvokeCapturing(
        [this] { return action_(); },
        [] { return "cyclicbarrier::CyclicBarrier: the action"; });
  }
  return status;
}

void CyclicBarrier::Reset() {
  sync::MutexLock lock(&mutex_);
  if (!round_->outcome.has_value()) {
    End(absl::AbortedError("the barrier is broken: it was reset"));
  }
  round_ = std::make_shared<Round>();
}

int CyclicBarrier::waiting() const {
  sync::MutexLock lock(&mutex_);
  return round_->outcome.has_value() ? 0 : round_->arrived;
}

bool CyclicBarrier::broken() const {
  sync::MutexLock lock(&mutex_);
  return round_->outcome.has_value();
}

void CyclicBarrier::End(const absl::Status& outcome) {
  round_->outcome = outcome;
  if (outcome.ok()) round_ = std::make_shared<Round>();
  changed_.SignalAll();
}

}  // namespace cohort::cyclicbarrier
