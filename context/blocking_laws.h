// The laws that every call obeys that blocks with a context, as test suites
// over types of calls. Each body runs on real threads in a test, and on many
// schedules in a simulated one.
//
// A package describes each of its calls by an adapter, a class S with
//
//   absl::Status Block(const Context& context);  // waits for a grant, takes it
//   void Grant();                                // makes one
//
// where Block announces its wait with a BlockingScope, and instantiates the
// suites that are for it:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Weighted, BlockingLaw, MyCalls);
//
// BlockingLaw is for all calls; KeptGrantLaw for those whose grant waits for
// the next caller if no call is there to take it; TakingLaw for those that take
// the grant from others.

#ifndef COHORT_CONTEXT_BLOCKING_LAWS_H_
#define COHORT_CONTEXT_BLOCKING_LAWS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/pools.h"
#include "cohort/sim/on_schedules.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::laws {

using testing::Await;
using testing::JoiningThread;
using testing::OnSchedules;

inline const absl::Status& Cause() {
  static const auto* const kCause =
      new absl::Status(absl::DataLossError("the cause"));
  return *kCause;
}

// A call of Block on a thread of its own.
template <class S>
class Blocked {
 public:
  Blocked(S& subject, Context context) : context_(std::move(context)) {
    pool_.Submit([this, &subject] {
      status_ = subject.Block(context_);
      ended_.Open();
    });
  }

  // Until it waits. It must not have been granted, nor its context have ended.
  void AwaitParked() {
    Await([this] { return pool_.stats().blocked == 1; });
  }

  const absl::Status& Result() {
    ended_.Pass();
    return status_;
  }

 private:
  const Context context_;
  absl::Status status_ = absl::UnknownError("it has not ended");
  testing::Gate ended_;
  ThreadPerTask pool_;
};

template <class S>
class BlockingLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(BlockingLaw);

TYPED_TEST_P(BlockingLaw, AGrantEndsTheWait) {
  OnSchedules([] {
    TypeParam subject;
    Blocked<TypeParam> call(subject, Context());
    call.AwaitParked();
    subject.Grant();
    EXPECT_EQ(call.Result(), absl::OkStatus());
  });
}

TYPED_TEST_P(BlockingLaw, AContextDoneOnEntryReturnsItsCause) {
  OnSchedules([] {
    TypeParam subject;
    CancelScope scope = WithCancel(Context());
    scope.Cancel(Cause());
    EXPECT_EQ(subject.Block(scope.context()), Cause());
  });
}

TYPED_TEST_P(BlockingLaw, ACancelEndsTheWait) {
  OnSchedules([] {
    TypeParam subject;
    CancelScope scope = WithCancel(Context());
    Blocked<TypeParam> call(subject, scope.context());
    scope.Cancel(Cause());
    EXPECT_EQ(call.Result(), Cause());
  });
}

TYPED_TEST_P(BlockingLaw, ADeadlineEndsTheWait) {
  OnSchedules([] {
    TypeParam subject;
    const CancelScope scope =
        WithTimeout(Context(), absl::Milliseconds(1), Cause());
    EXPECT_EQ(subject.Block(scope.context()), Cause());
  });
}

REGISTER_TYPED_TEST_SUITE_P(BlockingLaw, AGrantEndsTheWait,
                            AContextDoneOnEntryReturnsItsCause,
                            ACancelEndsTheWait, ADeadlineEndsTheWait);

template <class S>
class KeptGrantLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(KeptGrantLaw);

// Whichever of the two comes first.
TYPED_TEST_P(KeptGrantLaw, AGrantThatRacesWithACancelIsNotLost) {
  OnSchedules([] {
    TypeParam subject;
    CancelScope scope = WithCancel(Context());
    Blocked<TypeParam> call(subject, scope.context());
    {
      JoiningThread granter([&subject] { subject.Grant(); });
      scope.Cancel(Cause());
    }
    if (!call.Result().ok()) {
      EXPECT_EQ(call.Result(), Cause());
      EXPECT_EQ(subject.Block(Context()), absl::OkStatus());
    }
  });
}

TYPED_TEST_P(KeptGrantLaw, ACancelledWaitLeavesItsGrantToTheNext) {
  OnSchedules([] {
    TypeParam subject;
    CancelScope scope = WithCancel(Context());
    Blocked<TypeParam> first(subject, scope.context());
    first.AwaitParked();
    Blocked<TypeParam> second(subject, Context());
    second.AwaitParked();
    scope.Cancel(Cause());
    subject.Grant();
    EXPECT_EQ(first.Result(), Cause());
    EXPECT_EQ(second.Result(), absl::OkStatus());
  });
}

TYPED_TEST_P(KeptGrantLaw, EveryWaiterWakes) {
  OnSchedules([] {
    TypeParam subject;
    Blocked<TypeParam> first(subject, Context());
    Blocked<TypeParam> second(subject, Context());
    first.AwaitParked();
    second.AwaitParked();
    subject.Grant();
    subject.Grant();
    EXPECT_EQ(first.Result(), absl::OkStatus());
    EXPECT_EQ(second.Result(), absl::OkStatus());
  });
}

REGISTER_TYPED_TEST_SUITE_P(KeptGrantLaw, AGrantThatRacesWithACancelIsNotLost,
                            ACancelledWaitLeavesItsGrantToTheNext,
                            EveryWaiterWakes);

template <class S>
class TakingLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(TakingLaw);

TYPED_TEST_P(TakingLaw, AContextDoneOnEntryTakesNothing) {
  OnSchedules([] {
    TypeParam subject;
    subject.Grant();
    CancelScope scope = WithCancel(Context());
    scope.Cancel(Cause());
    EXPECT_EQ(subject.Block(scope.context()), Cause());
    EXPECT_EQ(subject.Block(Context()), absl::OkStatus());
  });
}

// A cancel that has returned is never followed by a grant.
TYPED_TEST_P(TakingLaw, ACancelThatHasReturnedIsFinal) {
  OnSchedules([] {
    TypeParam subject;
    CancelScope scope = WithCancel(Context());
    Blocked<TypeParam> call(subject, scope.context());
    call.AwaitParked();
    scope.Cancel(Cause());
    subject.Grant();
    EXPECT_EQ(call.Result(), Cause());
  });
}

REGISTER_TYPED_TEST_SUITE_P(TakingLaw, AContextDoneOnEntryTakesNothing,
                            ACancelThatHasReturnedIsFinal);

}  // namespace cohort::laws

#endif  // COHORT_CONTEXT_BLOCKING_LAWS_H_
