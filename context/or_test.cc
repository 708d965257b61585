// Or: which end it has, and that it leaves nothing behind.

#include "cohort/context/or.h"

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

const absl::Status kStop = absl::AbortedError("stop");

struct Name {
  using Type = int;
};

TEST(OrTest, IsDoneWithTheFirst) {
  for (int which = 0; which < 3; ++which) {
    CancelScope scopes[] = {WithCancel(Context()), WithCancel(Context()),
                            WithCancel(Context())};
    const Or any(
        {scopes[0].context(), scopes[1].context(), scopes[2].context()});
    EXPECT_FALSE(any.context().done());
    scopes[which].Cancel(kStop);
    EXPECT_TRUE(any.context().done());
    EXPECT_EQ(any.context().cause(), kStop);
    for (int other = 0; other < 3; ++other) {
      EXPECT_EQ(scopes[other].context().done(), other == which);
    }
  }
}

TEST(OrTest, IsDoneIfOneIsAlready) {
  CancelScope done = WithCancel(Context());
  done.Cancel(kStop);
  const CancelScope other = WithCancel(Context());
  const Or second({other.context(), done.context()});
  EXPECT_EQ(second.context().cause(), kStop);
  const Or first({done.context(), other.context()});
  EXPECT_EQ(first.context().cause(), kStop);
}

TEST(OrTest, OfNoneIsNeverDone) {
  const Or none({});
  EXPECT_FALSE(none.context().done());
  const Or never({Context(), Context()});
  EXPECT_FALSE(never.context().done());
}

TEST(OrTest, HasTheValuesOfTheFirst) {
  const Context first = WithValue<Name>(Context(), 1);
  const Context second = WithValue<Name>(Context(), 2);
  const Or any({first, second});
  ASSERT_NE(any.context().value<Name>(), nullptr);
  EXPECT_EQ(*any.context().value<Name>(), 1);
}

TEST(OrTest, ACallbackMayDestroyIt) {
  CancelScope first = WithCancel(Context());
  CancelScope second = WithCancel(Context());
  auto any = std::make_unique<Or>(
      std::initializer_list<Context>{first.context(), second.context()});
  const Context context = any->context();
  const DoneCallback destroy = context.OnDone([&any] { any.reset(); });
  second.Cancel(kStop);
  EXPECT_EQ(any, nullptr);
  EXPECT_EQ(context.cause(), kStop);
}

}  // namespace
}  // namespace cohort
