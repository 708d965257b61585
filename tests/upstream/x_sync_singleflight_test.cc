// What golang.org/x/sync/singleflight's own tests say, of ours. Each case has
// the name of the one that it follows. What they do by panics is done by
// exceptions, which are errors here; TestGoexitDo is
// B30_WorkThatEndsItsThreadEndsItsCall in singleflight/group_test.cc, on real
// threads.

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/sim/sim.h"
#include "cohort/singleflight/group.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::singleflight {
namespace {

using ::cohort::testing::JoiningThread;

using Strings = Group<std::string, std::string>;

void Simulate(absl::FunctionRef<void()> body) {
  sim::Explore({.schedules = 500, .processors = 1}, body);
}

absl::StatusOr<std::string> Unused() {
  ADD_FAILURE() << "must not run";
  return "unused";
}

TEST(XSyncSingleflight, TestDo) {
  Simulate([] {
    Strings group;
    const Result<std::string> result =
        group.Do(Context(), "key", [] { return "bar"; });
    EXPECT_EQ(result.status(), absl::OkStatus());
    EXPECT_EQ(*result, "bar");
    EXPECT_FALSE(result.shared());
  });
}

TEST(XSyncSingleflight, TestDoErr) {
  Simulate([] {
    Strings group;
    const absl::Status some_error = absl::UnknownError("Some error");
    const Result<std::string> result =
        group.Do(Context(), "key",
                 [&]() -> absl::StatusOr<std::string> { return some_error; });
    EXPECT_EQ(result.status(), some_error);
  });
}

TEST(XSyncSingleflight, TestDoDupSuppress) {
  Simulate([] {
    constexpr int kCallers = 4;
    CancelScope release = WithCancel(Context());
    sync::Atomic<int> calls = 0;
    Strings group;
    const auto work = [&] {
      ++calls;
      release.context().AwaitDone();
      return std::string("bar");
    };
    std::vector<std::unique_ptr<JoiningThread>> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.push_back(std::make_unique<JoiningThread>(
          [&] { EXPECT_EQ(*group.Do(Context(), "key", work), "bar"); }));
    }
    release.Cancel();
    for (const auto& caller : callers) caller->Join();
    EXPECT_GE(calls, 1);
    EXPECT_LE(calls, kCallers);
  });
}

// There, a sleep is to let the callers come; here they are known to have.
TEST(XSyncSingleflight, TestDoDupSuppressOfThoseWhoHaveCome) {
  Simulate([] {
    CancelScope release = WithCancel(Context());
    sync::Atomic<int> calls = 0;
    Strings group;
    const auto work = [&] {
      ++calls;
      release.context().AwaitDone();
      return std::string("bar");
    };
    std::vector<Call<std::string>> callers;
    for (int i = 0; i < 10; ++i) {
      callers.push_back(group.Start(Context(), "key", work));
    }
    release.Cancel();
    for (const Call<std::string>& caller : callers) {
      EXPECT_EQ(*caller.Wait(), "bar");
      EXPECT_TRUE(caller.Wait().shared());
    }
    EXPECT_EQ(calls, 1);
  });
}

// A forgotten call does not take its successor with it: golang/go#31420.
TEST(XSyncSingleflight, TestForget) {
  Simulate([] {
    CancelScope first_release = WithCancel(Context());
    CancelScope second_release = WithCancel(Context());
    Strings group;
    const Call<std::string> first = group.Start(Context(), "key", [&] {
      first_release.context().AwaitDone();
      return "first";
    });
    group.Forget("key");
    const Call<std::string> second = group.Start(Context(), "key", [&] {
      second_release.context().AwaitDone();
      return "second";
    });
    first_release.Cancel();
    EXPECT_EQ(*first.Wait(), "first");
    const Call<std::string> third = group.Start(Context(), "key", Unused);
    second_release.Cancel();
    EXPECT_EQ(*second.Wait(), "second");
    EXPECT_EQ(*third.Wait(), "second");
    EXPECT_FALSE(first.Wait().shared());
    EXPECT_TRUE(third.Wait().shared());
  });
}

TEST(XSyncSingleflight, TestDoChan) {
  Simulate([] {
    Strings group;
    const Call<std::string> call =
        group.Start(Context(), "key", [] { return "bar"; });
    const Result<std::string> result = call.Wait();
    EXPECT_EQ(result.status(), absl::OkStatus());
    EXPECT_EQ(*result, "bar");
  });
}

#ifdef ABSL_HAVE_EXCEPTIONS

// The callers are released (golang/go#41133); none of them is torn down.
TEST(XSyncSingleflight, TestPanicDo) {
  Simulate([] {
    Strings group;
    const auto work = []() -> std::string {
      throw std::runtime_error("invalid memory address");
    };
    const auto call = [&] {
      EXPECT_EQ(group.Do(Context(), "key", work).status(),
                absl::InternalError("singleflight::Group: a call threw "
                                    "std::runtime_error: invalid memory "
                                    "address"));
    };
    JoiningThread one(call);
    JoiningThread two(call);
    call();
  });
}

// There, these end the process.
TEST(XSyncSingleflight, TestPanicDoChan) {
  Simulate([] {
    Strings group;
    const Call<std::string> call =
        group.Start(Context(), "key", []() -> std::string {
          throw std::runtime_error("Panicking in DoChan");
        });
    EXPECT_TRUE(absl::IsInternal(call.Wait().status()));
  });
}

TEST(XSyncSingleflight, TestPanicDoSharedByDoChan) {
  Simulate([] {
    CancelScope release = WithCancel(Context());
    Strings group;
    std::optional<absl::Status> status;
    JoiningThread leader([&] {
      status = group
                   .Do(Context(), "key",
                       [&]() -> std::string {
                         release.context().AwaitDone();
                         throw std::runtime_error("Panicking in Do");
                       })
                   .status();
    });
    const Call<std::string> joined =
        group.Start(Context(), "key", []() -> std::string {
          throw std::runtime_error("Panicking in DoChan");
        });
    release.Cancel();
    EXPECT_TRUE(absl::IsInternal(joined.Wait().status()));
    leader.Join();
    EXPECT_TRUE(absl::IsInternal(*status));
  });
}

// What was thrown can be had, as it was.
TEST(XSyncSingleflight, TestPanicErrorUnwrap) {
  Simulate([] {
    struct MyError {
      int code;
    };
    Strings group;
    const Result<std::string> result =
        group.Do(Context(), "key", []() -> std::string { throw MyError{7}; });
    const std::exception_ptr exception = result.exception();
    ASSERT_NE(exception, nullptr);
    try {
      std::rethrow_exception(exception);
    } catch (const MyError& error) {
      EXPECT_EQ(error.code, 7);
    }
  });
}

#endif  // ABSL_HAVE_EXCEPTIONS

// Two of which the first blocks the other.
TEST(XSyncSingleflight, ExampleGroup) {
  Simulate([] {
    CancelScope block = WithCancel(Context());
    Strings group;
    const Call<std::string> first = group.Start(Context(), "key", [&] {
      block.context().AwaitDone();
      return "func 1";
    });
    const Call<std::string> second = group.Start(Context(), "key", Unused);
    block.Cancel();
    EXPECT_EQ(*second.Wait(), "func 1");
    EXPECT_EQ(*first.Wait(), "func 1");
    EXPECT_TRUE(first.Wait().shared());
    EXPECT_TRUE(second.Wait().shared());
  });
}

}  // namespace
}  // namespace cohort::singleflight
