#include "cohort/cyclicbarrier/cyclic_barrier.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/context/context_wait.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/exit.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"
#include "cohort/task/capture.h"

namespace cohort::cyclicbarrier {
namespace {

constexpr const char* kLeft = "a party has left";

}  // namespace

CyclicBarrier::CyclicBarrier(Action action, int parties)
    : parties_(parties), action_(std::move(action)) {
  ABSL_CHECK_GE(parties, 1) << "cyclicbarrier::CyclicBarrier";
  ABSL_CHECK(action_ != nullptr) << "cyclicbarrier::CyclicBarrier: null action";
}

CyclicBarrier::~CyclicBarrier() {
  sync::MutexLock lock(&mutex_);
  ABSL_CHECK(arrived_ == 0 || sync::InExit())
      << "cyclicbarrier::CyclicBarrier is destroyed with " << arrived_
      << " waiting";
}

absl::Status CyclicBarrier::Outcome::ToStatus() const {
  if (broken_by == nullptr) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the barrier is broken: ", broken_by,
                                         why.ok() ? "" : ": ", why.message()));
}

absl::StatusOr<int> CyclicBarrier::Await(const Context& context) {
  Party party(context);
  int index = 0;
  bool acts = false;
  {
    ContextWait wait(context, mutex_, changed_);
    BlockingScope blocking;
    sync::MutexLock lock(&mutex_);
    ABSL_CHECK(actor_ != sync::CurrentThreadId())
        << "cyclicbarrier::CyclicBarrier::Await inside the action";
    while (actor_.has_value() && !broken_.has_value() && !context.done()) {
      wait.Block();
    }
    if (context.done()) return context.cause();
    if (broken_.has_value()) return broken_->ToStatus();
    parties_here_.PushBack(&party);
    index = arrived_++;
    if (index + 1 == parties_) {
      const Outcome outcome = Judge();
      acts = outcome.broken_by == nullptr;
      if (acts) {
        actor_ = sync::CurrentThreadId();
        party.context = nullptr;
      } else {
        End(outcome);
      }
    } else {
      while (!party.outcome.has_value() && !context.done()) {
        wait.Block();
      }
      if (!party.outcome.has_value()) {
        End({.broken_by = kLeft, .why = context.cause()});
      }
    }
  }
  if (acts) {
    absl::Status status = RunAction(party);
    if (!status.ok()) return status;
  }
  // The outcome does not change any more.
  if (party.outcome->broken_by == nullptr) return index;
  return context.done() ? context.cause() : party.outcome->ToStatus();
}

absl::Status CyclicBarrier::RunAction(const Party& actor) {
  absl::Status status;
  bool returned = false;
  {
    const absl::Cleanup end = [&] {
      sync::MutexLock lock(&mutex_);
      actor_.reset();
      if (actor.outcome.has_value()) {  // the round was broken meanwhile
        changed_.SignalAll();
      } else if (!returned) {
        End({.broken_by = "its action did not return"});
      } else if (!status.ok()) {
        End({.broken_by = "its action failed", .why = status});
      } else {
        End(Judge());
      }
    };
    status = task_internal::InvokeCapturing(
        [this] { return action_(); },
        [] { return "cyclicbarrier::CyclicBarrier: the action"; });
    returned = true;
  }
  return status;
}

void CyclicBarrier::Reset() {
  sync::MutexLock lock(&mutex_);
  if (!broken_.has_value()) End({.broken_by = "it was reset"});
  broken_.reset();
}

int CyclicBarrier::waiting() const {
  sync::MutexLock lock(&mutex_);
  return arrived_;
}

bool CyclicBarrier::broken() const {
  sync::MutexLock lock(&mutex_);
  return broken_.has_value();
}

CyclicBarrier::Outcome CyclicBarrier::Judge() const {
  for (const Party* party = parties_here_.front(); party != nullptr;
       party = parties_here_.Next(party)) {
    if (party->context != nullptr && party->context->done()) {
      return {.broken_by = kLeft, .why = party->context->cause()};
    }
  }
  return {};
}

void CyclicBarrier::End(const Outcome& outcome) {
  while (!parties_here_.empty()) parties_here_.PopFront()->outcome = outcome;
  arrived_ = 0;
  if (outcome.broken_by != nullptr) broken_ = outcome;
  changed_.SignalAll();
}

}  // namespace cohort::cyclicbarrier
