// The laws that hold for every combinator that joins its functions, as test
// suites. Each body runs on real threads in a test, and on many schedules in a
// simulated one.
//
// A package describes each of its combinators by an adapter, a class C with
//
//   // The first error, in any order; OK if there is none.
//   static absl::Status Run(const Context& context, int limit,
//                           std::vector<laws::Call> calls);
//
// and instantiates the suites that are for it. CombinatorLaw is for all of
// them; FirstErrorEndsLaw for those that the first error ends.

#ifndef COHORT_GROUP_COMBINATOR_LAWS_H_
#define COHORT_GROUP_COMBINATOR_LAWS_H_

#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/executor/test_gate.h"
#include "cohort/group/types.h"
#include "cohort/sim/on_schedules.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "cohort/task/test_util.h"
#include "gtest/gtest.h"

namespace cohort::laws {

using Call = std::function<absl::StatusOr<int>(const Context&)>;

template <class C>
class CombinatorLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(CombinatorLaw);

TYPED_TEST_P(CombinatorLaw, AContextDoneOnEntryStartsNothing) {
  testing::OnSchedules([] {
    CancelScope scope = WithCancel(Context());
    scope.Cancel(testing::Fail("before"));
    const Call call = [](const Context&) {
      testing::MustNotRun();
      return 1;
    };
    EXPECT_EQ(TypeParam::Run(scope.context(), kUnlimited, {call, call}),
              testing::Fail("before"));
  });
}

// B-46.
TYPED_TEST_P(CombinatorLaw, EndsAfterItsFunctionsAndTheirCaptures) {
  testing::OnSchedules([] {
    sync::Atomic<int> inside = 0;
    sync::Atomic<int> alive = 0;
    std::vector<Call> calls;
    for (int i = 0; i < 3; ++i) {
      ++alive;
      calls.push_back([&, i, at_end = testing::AtEnd([&alive] { --alive; })](
                          const Context&) -> absl::StatusOr<int> {
        ++inside;
        sync::Yield();
        --inside;
        if (i == 1) return testing::Fail("the second");
        return 1;
      });
    }
    TypeParam::Run(Context(), kUnlimited, std::move(calls)).IgnoreError();
    EXPECT_EQ(inside, 0);
    EXPECT_EQ(alive, 0);
  });
}

TYPED_TEST_P(CombinatorLaw, ALimitIsNeverExceeded) {
  testing::OnSchedules([] {
    testing::AtOnce at_once(2);
    const Call call = [&at_once](const Context&) {
      at_once.Visit();
      return 1;
    };
    EXPECT_EQ(TypeParam::Run(Context(), 2, {call, call, call, call}),
              absl::OkStatus());
  });
}

TYPED_TEST_P(CombinatorLaw, MayBeCalledInsideItsFunctions) {
  testing::OnSchedules([] {
    sync::Atomic<int> ran = 0;
    const Call inner = [&ran](const Context&) { return ++ran; };
    const Call outer = [&inner](const Context& context) {
      EXPECT_EQ(TypeParam::Run(context, kUnlimited, {inner, inner}),
                absl::OkStatus());
      return 1;
    };
    EXPECT_EQ(TypeParam::Run(Context(), kUnlimited, {outer, outer}),
              absl::OkStatus());
    EXPECT_EQ(ran, 4);
  });
}

TYPED_TEST_P(CombinatorLaw, ACancellationReachesWhatRuns) {
  testing::OnSchedules([] {
    CancelScope scope = WithCancel(Context());
    testing::Gate started(2);
    const Call call = [&started](const Context& context) {
      started.Open();
      context.AwaitDone();
      return context.cause();
    };
    testing::JoiningThread canceller([&] {
      started.Pass();
      scope.Cancel(testing::Fail("the cause"));
    });
    EXPECT_EQ(TypeParam::Run(scope.context(), kUnlimited, {call, call}),
              testing::Fail("the cause"));
  });
}

TYPED_TEST_P(CombinatorLaw, AFailureIsAnError) {
  testing::OnSchedules([] {
    const Call call = [](const Context&) -> absl::StatusOr<int> {
#ifdef ABSL_HAVE_EXCEPTIONS
      throw std::runtime_error("boom");
#else
      return absl::InternalError("boom");
#endif
    };
    EXPECT_EQ(TypeParam::Run(Context(), kUnlimited, {call}).code(),
              absl::StatusCode::kInternal);
  });
}

REGISTER_TYPED_TEST_SUITE_P(CombinatorLaw, AContextDoneOnEntryStartsNothing,
                            EndsAfterItsFunctionsAndTheirCaptures,
                            ALimitIsNeverExceeded,
                            MayBeCalledInsideItsFunctions,
                            ACancellationReachesWhatRuns, AFailureIsAnError);

template <class C>
class FirstErrorEndsLaw : public ::testing::Test {};
TYPED_TEST_SUITE_P(FirstErrorEndsLaw);

TYPED_TEST_P(FirstErrorEndsLaw, TheOthersAreToldAndDoNotMaskIt) {
  testing::OnSchedules([] {
    testing::Gate started;
    const Call waits = [&started](const Context& context) {
      started.Open();
      context.AwaitDone();
      return context.status();
    };
    const Call fails = [&started](const Context&) {
      testing::PassAnnounced(started);
      return testing::Fail("first");
    };
    EXPECT_EQ(TypeParam::Run(Context(), kUnlimited, {waits, fails}),
              testing::Fail("first"));
  });
}

TYPED_TEST_P(FirstErrorEndsLaw, NothingStartsAfterIt) {
  testing::OnSchedules([] {
    const Call fails = [](const Context&) { return testing::Fail("first"); };
    const Call must_not_run = [](const Context&) {
      testing::MustNotRun();
      return 1;
    };
    EXPECT_EQ(TypeParam::Run(Context(), 1, {fails, must_not_run}),
              testing::Fail("first"));
  });
}

REGISTER_TYPED_TEST_SUITE_P(FirstErrorEndsLaw, TheOthersAreToldAndDoNotMaskIt,
                            NothingStartsAfterIt);

}  // namespace cohort::laws

#endif  // COHORT_GROUP_COMBINATOR_LAWS_H_
