// What holds when memory runs out: the call throws, what has started has ended
// or has been told to, and the next call works. Where the allocation that
// failed was one of a function that ran, it is an error of that function.

#include <atomic>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "cohort/context/context.h"
#include "cohort/hunch/hunch.h"
#include "cohort/sync/failing_new.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort::hunch {
namespace {

using ::cohort::testing::AllocationFault;
using ::cohort::testing::Await;
using ::cohort::testing::WithEachAllocationFailing;

// A function that is counted while it is there, and while it runs.
class Function {
 public:
  Function() = default;
  Function(const Function&) { ++there; }
  Function& operator=(const Function&) = delete;
  ~Function() { --there; }

  int operator()() const {
    ++inside;
    --inside;
    return 7;
  }

  static std::atomic<int> there;  // copies
  static std::atomic<int> inside;
};
std::atomic<int> Function::there{0};
std::atomic<int> Function::inside{0};

bool HadNoMemory(const absl::Status& status) {
  return absl::IsInternal(status) &&
         absl::StrContains(status.message(), "std::bad_alloc");
}

// `call` says whether it went well. It throws, or says that a function had no
// memory, or is well; and then is well.
void CheckEach(absl::FunctionRef<absl::Status(const Function&)> call) {
  WithEachAllocationFailing([call](AllocationFault& fault) {
    const Function function;
    absl::Status status;
    fault.Strikes([&] { status = call(function); });
    EXPECT_EQ(Function::inside, 0);
    Await([] { return Function::there == 0; });
    EXPECT_TRUE(status.ok() || HadNoMemory(status)) << status;
    EXPECT_EQ(call(function), absl::OkStatus());
    Await([] { return Function::there == 0; });
  });
}

TEST(AllocationFailureTest, All) {
  CheckEach([](const Function& f) {
    const auto all = All(Context(), f, f, f);
    EXPECT_EQ(Function::there, 0);
    return all.status();
  });
}

TEST(AllocationFailureTest, AllOfARangeWithALimit) {
  CheckEach([](const Function& f) {
    return All(Context(), {.limit = 2}, std::vector<Function>(4, f)).status();
  });
}

TEST(AllocationFailureTest, Take) {
  CheckEach([](const Function& f) {
    const auto taken = Take(Context(), 2, f, f, f);
    EXPECT_EQ(Function::there, 0);
    return taken.status();
  });
}

TEST(AllocationFailureTest, TakeDetached) {
  CheckEach([](const Function& f) {
    return TakeDetached(
               Context(), 1,
               [f](const Context& context) {
                 context.AwaitDone();
                 return 0;
               },
               f)
        .status();
  });
}

TEST(AllocationFailureTest, Last) {
  CheckEach(
      [](const Function& f) { return Last(Context(), 2, f, f, f).status(); });
}

TEST(AllocationFailureTest, ForEach) {
  CheckEach([](const Function& f) {
    std::list<int> numbers(20);
    return ForEach(Context(), {.limit = 3}, numbers,
                   [f](int& n) { n = *std::make_unique<int>(f()); });
  });
}

TEST(AllocationFailureTest, Map) {
  CheckEach([](const Function& f) {
    return Map(Context(), {.limit = 3}, std::vector<int>(20),
               [f](int) { return std::make_unique<int>(f()); })
        .status();
  });
}

TEST(AllocationFailureTest, Retry) {
  CheckEach([](const Function& f) {
    return Retry(Context(), 1, [f] { return std::make_unique<int>(f()); })
        .status();
  });
}

TEST(AllocationFailureTest, Waterfall) {
  CheckEach([](const Function& f) {
    return Waterfall(
               Context(), [f] { return std::make_unique<int>(f()); },
               [f](std::unique_ptr<int> n) { return n; })
        .status();
  });
}

}  // namespace
}  // namespace cohort::hunch
