#include "hedged/fetch.h"

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "gtest/gtest.h"

namespace hedged {
namespace {

using cohort::Context;

const std::vector<std::string> kMirrors = {"a", "b", "c"};
const absl::Duration kNever = absl::InfiniteDuration();

absl::StatusOr<std::string> PageFrom(const Context&,
                                     const std::string& mirror) {
  return "page from " + mirror;
}

TEST(FetchTest, AMirrorThatAnswersIsTheOnlyOneAsked) {
  std::atomic<int> asked{0};
  EXPECT_EQ(*Fetch(Context(), kMirrors,
                   [&](const Context& context, const std::string& mirror) {
                     ++asked;
                     return PageFrom(context, mirror);
                   },
                   {.hedge_delay = kNever}),
            "page from a");
  EXPECT_EQ(asked, 1);
}

TEST(FetchTest, TheNextOneHelpsWhereOneHangs) {
  bool asked = false;
  bool told = false;
  EXPECT_EQ(
      *Fetch(Context(), kMirrors,
             [&](const Context& context,
                 const std::string& mirror) -> absl::StatusOr<std::string> {
               if (mirror != "a") return PageFrom(context, mirror);
               asked = true;
               context.AwaitDone();
               told = true;
               return context.status();
             },
             {.hedge_delay = absl::Milliseconds(1),
              .attempts = 1,
              .attempt_timeout = kNever}),
      "page from b");
  // Unless the other one was so quick that it was not needed.
  EXPECT_EQ(told, asked);
}

TEST(FetchTest, AnOverloadedMirrorIsAskedAgain) {
  int calls = 0;
  int failures = 0;
  EXPECT_EQ(
      *Fetch(Context(), {"a"},
             [&](const Context& context,
                 const std::string& mirror) -> absl::StatusOr<std::string> {
               if (++calls < 3) return absl::UnavailableError("busy");
               return PageFrom(context, mirror);
             },
             {.backoff = absl::ZeroDuration(),
              .on_failure =
                  [&](const std::string&, const absl::Status& error) {
                    EXPECT_EQ(error, absl::UnavailableError("busy"));
                    ++failures;
                  }}),
      "page from a");
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(failures, 2);
}

TEST(FetchTest, IfNoneAnswersAllErrorsAreTold) {
  std::atomic<int> calls{0};
  const absl::Status status =
      Fetch(Context(), kMirrors,
            [&](const Context&,
                const std::string& mirror) -> absl::StatusOr<std::string> {
              ++calls;
              return absl::NotFoundError(mirror + " does not have it");
            },
            {.hedge_delay = absl::ZeroDuration()})
          .status();
  EXPECT_TRUE(absl::IsNotFound(status));
  for (const std::string& mirror : kMirrors) {
    EXPECT_TRUE(
        absl::StrContains(status.message(), mirror + " does not have it"));
  }
  EXPECT_EQ(calls, 3);
}

TEST(FetchTest, EndsWithTheCallersContext) {
  cohort::CancelScope scope = cohort::WithCancel(Context());
  EXPECT_EQ(Fetch(scope.context(), kMirrors,
                  [&](const Context& context,
                      const std::string&) -> absl::StatusOr<std::string> {
                    scope.Cancel(absl::AbortedError("the user has left"));
                    context.AwaitDone();
                    return context.status();
                  },
                  {.attempt_timeout = kNever})
                .status(),
            absl::AbortedError("the user has left"));
}

}  // namespace
}  // namespace hedged
