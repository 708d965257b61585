#include "cohort/sim/linearizable.h"

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/test_util.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cohort::sim {
namespace {

using cohort::testing::Gate;
using cohort::testing::JoiningThread;
using ::testing::HasSubstr;

// A model and what it is a model of: a number.
using Register = History<int>;

void Write(Register& history, int value) {
  history.Call("write", [] {}, [value](int& model) { model = value; });
}

void Read(Register& history, int returned) {
  history.Call(
      "read", [returned] { return returned; },
      [](int& model) { return model; });
}

void ExpectClean(const Options& options, absl::FunctionRef<void()> body) {
  const Result result = Search(options, body);
  EXPECT_FALSE(result.failure.has_value()) << Report(*result.failure);
}

TEST(LinearizableTest, CallsOneAfterTheOther) {
  ExpectClean({.schedules = 1}, [] {
    Register right;
    Read(right, 0);
    Write(right, 1);
    Read(right, 1);
    Check(right.IsLinearizable(), "what was written is read");

    Register stale;
    Write(stale, 1);
    Read(stale, 0);
    Check(!stale.IsLinearizable(), "what was overwritten is not");
  });
}

// A write of 1 that lasts while two reads return `first` and then `second`.
bool ReadsDuringAWrite(int first, int second, bool ends) {
  Register history;
  Gate gate;
  JoiningThread writer([&] {
    history.Call("write", [&] { gate.Pass(); }, [](int& model) { model = 1; });
  });
  gate.Await(1);
  Read(history, first);
  Read(history, second);
  const bool pending = history.IsLinearizable();
  gate.Open();
  writer.Join();
  return ends ? history.IsLinearizable() : pending;
}

TEST(LinearizableTest, CallsAtTheSameTime) {
  for (const bool ends : {false, true}) {
    ExpectClean({.schedules = 100}, [ends] {
      Check(ReadsDuringAWrite(0, 0, ends), "the write comes later");
      Check(ReadsDuringAWrite(0, 1, ends), "it comes between");
      Check(ReadsDuringAWrite(1, 1, ends), "it has come");
      Check(!ReadsDuringAWrite(1, 0, ends), "and does not go again");
      Check(!ReadsDuringAWrite(2, 2, ends), "nobody writes that");
    });
  }
}

TEST(LinearizableTest, AResultThatIsPending) {
  const Result result = Search({.schedules = 1}, [] {
    Register history;
    Gate gate;
    JoiningThread writer([&] {
      history.Call(
          "either",
          [&] {
            gate.Pass();
            return 1;
          },
          [](int&, int either) { return either == 1 || either == 2; });
    });
    gate.Await(1);
    Read(history, 3);
    (void)history.IsLinearizable();
  });
  ASSERT_TRUE(result.failure.has_value());
  EXPECT_EQ(result.failure->verdict, Verdict::kCrash);
}

// A call that waits for another one comes after it.
TEST(LinearizableTest, ACallThatBlocks) {
  ExpectClean({.schedules = 200}, [] {
    Gate gate;
    History<bool> history;
    const auto pass = [&] {
      history.Call(
          "pass", [&] { gate.Pass(); }, [](bool& open) { return open; });
    };
    JoiningThread first(pass);
    JoiningThread second(pass);
    history.Call("open", [&] { gate.Open(); }, [](bool& open) { open = true; });
    first.Join();
    second.Join();
    history.CheckLinearizable();
  });
  ExpectClean({.schedules = 1}, [] {
    History<bool> history;
    history.Call("pass", [] {}, [](bool& open) { return open; });
    history.Call("open", [] {}, [](bool& open) { open = true; });
    Check(!history.IsLinearizable(), "nobody passes before it is open");
  });
}

// A reader that has not been told of a write may see what was there before it,
// as long as that takes.
TEST(LinearizableTest, WhatNobodyOrders) {
  const auto body = [](std::memory_order order) {
    return [order] {
      sync::Atomic<int> number = 0;
      sync::Atomic<bool> written = false;
      Register history;
      JoiningThread writer([&] {
        history.Call(
            "write", [&] { number.store(1, sync::kRelaxed); },
            [](int& model) { model = 1; });
        written.store(true, order);
      });
      if (written.load(sync::kAcquire)) {
        history.Call(
            "read", [&] { return number.load(sync::kRelaxed); },
            [](int& model) { return model; });
      }
      writer.Join();
      history.CheckLinearizable();
    };
  };
  ExpectClean({}, body(sync::kRelaxed));
  ExpectClean({}, body(sync::kRelease));
}

// 12 that overlap have 479,001,600 orders, but lead to 4,096 models.
TEST(LinearizableTest, ManyCallsAtTheSameTime) {
  ExpectClean({.schedules = 2}, [] {
    constexpr int kCallers = 12;
    Register history;
    Gate gate;
    std::vector<std::unique_ptr<JoiningThread>> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.push_back(std::make_unique<JoiningThread>([&] {
        history.Call("add", [&] { gate.Pass(); }, [](int& model) { ++model; });
      }));
    }
    gate.Await(kCallers);
    gate.Open();
    callers.clear();
    Check(history.IsLinearizable(), "they all return");
    Read(history, kCallers - 1);
    Check(!history.IsLinearizable(), "one of them is lost");
  });
}

// Tickets that may be given twice, or not.
template <bool kAtomic>
void Tickets() {
  sync::Atomic<int> next = 0;
  Register history;
  const auto take = [&] {
    history.Call(
        "take",
        [&] {
          if (kAtomic) return next.fetch_add(1);
          const int ticket = next.load();
          next.store(ticket + 1);
          return ticket;
        },
        [](int& model) { return model++; });
  };
  {
    JoiningThread a(take);
    JoiningThread b(take);
    take();
  }
  history.CheckLinearizable();
}

TEST(LinearizableTest, ACounterThatIsNotAtomic) {
  const Result result = Search({}, Tickets</*kAtomic=*/false>);
  ASSERT_TRUE(result.failure.has_value());
  EXPECT_EQ(result.failure->verdict, Verdict::kAssertion);
  EXPECT_THAT(result.failure->message, HasSubstr("not linearizable"));
  EXPECT_THAT(result.failure->message, HasSubstr("take from "));
  EXPECT_THAT(result.failure->message, HasSubstr(", which returned 0"));
  const Result all =
      Search({.strategy = Strategy::DepthFirst(), .spurious_wake_ups = 0},
             Tickets</*kAtomic=*/true>);
  EXPECT_FALSE(all.failure.has_value()) << Report(*all.failure);
  EXPECT_TRUE(all.complete);
}

// One of these looks at its front, and removes it later.
template <bool kAtomic>
class Queue {
 public:
  void Push(int value) {
    sync::MutexLock lock(&mutex_);
    values_.push_back(value);
  }
  std::optional<int> TryPop() {
    std::optional<int> front;
    {
      sync::MutexLock lock(&mutex_);
      if (values_.empty()) return std::nullopt;
      front = values_.front();
      if (kAtomic) values_.pop_front();
    }
    sync::MutexLock lock(&mutex_);
    if (!kAtomic && !values_.empty()) values_.pop_front();
    return front;
  }

 private:
  sync::Mutex mutex_;
  std::deque<int> values_;
};

template <bool kAtomic>
void PushAndPop() {
  using Model = std::deque<int>;
  Queue<kAtomic> queue;
  History<Model> history;
  const auto push = [&](int value) {
    history.Call(
        "push", [&] { queue.Push(value); },
        [value](Model& model) { model.push_back(value); });
  };
  const auto pop = [&] {
    history.Call(
        "pop", [&] { return queue.TryPop(); },
        [](Model& model) -> std::optional<int> {
          if (model.empty()) return std::nullopt;
          const int front = model.front();
          model.pop_front();
          return front;
        });
  };
  {
    JoiningThread a([&] {
      push(1);
      pop();
    });
    push(2);
    pop();
  }
  pop();
  history.CheckLinearizable();
}

TEST(LinearizableTest, AQueueThatGivesAnElementTwice) {
  const Result result = Search({}, PushAndPop</*kAtomic=*/false>);
  ASSERT_TRUE(result.failure.has_value());
  EXPECT_EQ(result.failure->verdict, Verdict::kAssertion);
  EXPECT_THAT(result.failure->message, HasSubstr("not linearizable"));
  ExpectClean({}, PushAndPop</*kAtomic=*/true>);
}

}  // namespace
}  // namespace cohort::sim
