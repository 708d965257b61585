// A stranger's own code, searched.

#include <optional>

#include "cohort/errgroup/group.h"
#include "cohort/sim/sim.h"
#include "cohort/sync/mutex.h"
#include "gtest/gtest.h"

namespace {

class Cell {
 public:
  void Put(int value) {
    cohort::sync::MutexLock lock(&mutex_);
    while (value_.has_value()) changed_.Wait(&mutex_);
    value_ = value;
    changed_.SignalAll();
  }
  int Take() {
    cohort::sync::MutexLock lock(&mutex_);
    while (!value_.has_value()) changed_.Wait(&mutex_);
    const int value = *value_;
    value_.reset();
    changed_.SignalAll();
    return value;
  }

 private:
  cohort::sync::Mutex mutex_;
  cohort::sync::CondVar changed_;
  std::optional<int> value_;
};

TEST(CellTest, HandsEveryValueOver) {
  cohort::sim::Explore({}, [] {
    Cell cell;
    int sum = 0;
    cohort::errgroup::Group group;
    group.Go([&] { cell.Put(1); });
    group.Go([&] { cell.Put(2); });
    group.Go([&] { sum = cell.Take() + cell.Take(); });
    EXPECT_TRUE(group.Wait().ok());
    EXPECT_EQ(sum, 3);
  });
}

}  // namespace
