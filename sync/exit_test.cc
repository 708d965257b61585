#include "cohort/sync/exit.h"

#include <cstdlib>
#include <thread>

#include "gtest/gtest.h"

namespace cohort::sync {
namespace {

TEST(InExit, IsFalseInAProcessThatGoesOn) { EXPECT_FALSE(InExit()); }

#if defined(__linux__)

// Ends the process with 0 where that is so, in a process that has exited with
// something else.
void EndWell() {
  if (InExit()) std::_Exit(0);
}

TEST(InExitDeathTest, IsTrueInAHandler) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::atexit(&EndWell);
        std::exit(1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(InExitDeathTest, IsTrueInADestructorOfWhatIsStatic) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        struct Static {
          ~Static() { EndWell(); }
        };
        static Static destroyed_by_exit;
        std::thread([] { std::exit(1); }).join();
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(InExitDeathTest, IsTrueInADestructorOfWhatIsThreadLocal) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        struct Local {
          ~Local() { EndWell(); }
        };
        static thread_local Local destroyed_by_exit;
        static_cast<void>(&destroyed_by_exit);
        std::exit(1);
      },
      ::testing::ExitedWithCode(0), "");
}

// A thread that ends by itself is none of that, nor is another thread than the
// one that exits.
TEST(InExitDeathTest, IsFalseOnOtherThreads) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::atexit([] {
          bool in_exit = true;
          std::thread([&in_exit] { in_exit = InExit(); }).join();
          std::_Exit(in_exit ? 1 : 0);
        });
        std::exit(1);
      },
      ::testing::ExitedWithCode(0), "");
}

#endif

}  // namespace
}  // namespace cohort::sync
