#include "cohort/sync/failing_new.h"

#include <unistd.h>

#include <csignal>
#include <memory>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

namespace cohort::testing {
namespace {

// Two allocations, which the compiler may not leave out.
struct Two {
  std::vector<std::unique_ptr<int>> kept;
  void Make() {
    kept.reserve(1);
    kept.push_back(std::make_unique<int>(1));
  }
};

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(AllocationFault, StrikesTheNthAllocation) {
  for (int n = 0; n < 4; ++n) {
    Two two;
    AllocationFault fault(n);
    EXPECT_EQ(fault.Strikes([&] { two.Make(); }), n < 2) << n;
    EXPECT_EQ(fault.struck(), n < 2) << n;
    EXPECT_EQ(two.kept.size(), n < 2 ? 0u : 1u) << n;
    fault.Disarm();
    EXPECT_EQ(fault.struck(), n < 2) << n;
  }
}

TEST(AllocationFault, StrikesOnce) {
  Two first;
  Two second;
  AllocationFault fault(0);
  EXPECT_FALSE(fault.Strikes([&] {
    try {
      first.Make();
    } catch (const std::bad_alloc&) {
    }
    second.Make();
  }));
  EXPECT_TRUE(fault.struck());
  EXPECT_TRUE(first.kept.empty());
  EXPECT_EQ(second.kept.size(), 1u);
}

TEST(WithEachAllocationFailing, RunsAScenarioForEach) {
  WithEachAllocationFailing([](AllocationFault& fault) {
    Two two;
    const bool threw = fault.Strikes([&] { two.Make(); });
    EXPECT_EQ(two.kept.size(), threw ? 0u : 1u);
  });
}

TEST(WithEachAllocationFailing, TellsWhatFails) {
  EXPECT_NONFATAL_FAILURE(WithEachAllocationFailing([](AllocationFault& fault) {
                            Two two;
                            // Within a failure that is expected, none reaches
                            // the child's list.
                            if (fault.Strikes([&] { two.kept.reserve(1); }))
                              _exit(1);
                          }),
                          "allocation 0 fails");
  EXPECT_NONFATAL_FAILURE(WithEachAllocationFailing([](AllocationFault& fault) {
                            Two two;
                            if (fault.Strikes([&] { two.kept.reserve(1); }))
                              raise(SIGALRM);
                          }),
                          "it hangs");
}

#endif

}  // namespace
}  // namespace cohort::testing
