// The stages: what each makes of its input, and how it ends.

#include "cohort/channel/pipeline.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/result.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "cohort/executor/executor.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"

namespace cohort::channel {
namespace {

using ::cohort::testing::JoiningThread;

const absl::Status kStop = absl::AbortedError("stop");
constexpr int kPlenty = 100;

using Ints = std::vector<int>;

// A channel that has these and is closed.
std::unique_ptr<Channel<int>> Of(const Ints& values) {
  auto channel = std::make_unique<Channel<int>>(kPlenty);
  EXPECT_EQ(Feed(Context(), values, *channel), absl::OkStatus());
  return channel;
}

// Everything that comes until it is closed.
template <class T>
std::vector<T> Rest(Channel<T>& channel) {
  std::vector<T> values;
  for (T& value : channel) values.push_back(std::move(value));
  return values;
}

bool IsOdd(int value) { return value % 2 != 0; }

TEST(PipelineTest, FeedSendsARange) {
  EXPECT_EQ(Rest(*Of({1, 2, 3})), (Ints{1, 2, 3}));
  EXPECT_EQ(Rest(*Of({})), Ints());
  Channel<std::string> strings(2);
  const char* const array[] = {"a", "b"};
  EXPECT_EQ(Feed(Context(), array, strings), absl::OkStatus());
  EXPECT_EQ(Rest(strings), (std::vector<std::string>{"a", "b"}));
}

TEST(PipelineTest, MapMakesOneOfEach) {
  Channel<std::string> out(kPlenty);
  EXPECT_EQ(Map(Context(), *Of({1, 2}), out,
                [](int value) { return absl::StrCat(value); }),
            absl::OkStatus());
  EXPECT_EQ(Rest(out), (std::vector<std::string>{"1", "2"}));
}

TEST(PipelineTest, FilterAndTakeAndSkip) {
  const auto run = [](auto stage) {
    Channel<int> out(kPlenty);
    EXPECT_EQ(stage(*Of({1, 3, 4, 5, 6}), out), absl::OkStatus());
    return Rest(out);
  };
  const Context context;
  using In = Channel<int>;
  EXPECT_EQ(
      run([&](In& in, In& out) { return Filter(context, in, out, IsOdd); }),
      (Ints{1, 3, 5}));
  EXPECT_EQ(run([&](In& in, In& out) { return TakeN(context, in, 2, out); }),
            (Ints{1, 3}));
  EXPECT_EQ(run([&](In& in, In& out) { return TakeN(context, in, 9, out); }),
            (Ints{1, 3, 4, 5, 6}));
  EXPECT_EQ(run([&](In& in, In& out) { return TakeN(context, in, 0, out); }),
            Ints());
  EXPECT_EQ(
      run([&](In& in, In& out) { return TakeWhile(context, in, out, IsOdd); }),
      (Ints{1, 3}));
  EXPECT_EQ(run([&](In& in, In& out) { return SkipN(context, in, 3, out); }),
            (Ints{5, 6}));
  EXPECT_EQ(run([&](In& in, In& out) { return SkipN(context, in, 9, out); }),
            Ints());
  EXPECT_EQ(
      run([&](In& in, In& out) { return SkipWhile(context, in, out, IsOdd); }),
      (Ints{4, 5, 6}));
}

TEST(PipelineTest, FanInTakesFromAll) {
  const auto a = Of({1, 2});
  const auto b = Of({});
  const auto c = Of({10, 20});
  Channel<int> out(kPlenty);
  EXPECT_EQ(FanIn(Context(), {a.get(), b.get(), c.get()}, out),
            absl::OkStatus());
  Ints values = Rest(out);
  EXPECT_LT(std::find(values.begin(), values.end(), 1),
            std::find(values.begin(), values.end(), 2));
  EXPECT_LT(std::find(values.begin(), values.end(), 10),
            std::find(values.begin(), values.end(), 20));
  std::sort(values.begin(), values.end());
  EXPECT_EQ(values, (Ints{1, 2, 10, 20}));
}

TEST(PipelineTest, FanInOfNothingIsAtItsEnd) {
  Channel<int> out;
  EXPECT_EQ(FanIn(Context(), {}, out), absl::OkStatus());
  EXPECT_TRUE(out.closed());
}

TEST(PipelineTest, FanOutCopies) {
  Channel<int> a(kPlenty);
  Channel<int> b;
  JoiningThread stage([&] {
    EXPECT_EQ(FanOut(Context(), *Of({1, 2, 3}), {&a, &b}), absl::OkStatus());
  });
  EXPECT_EQ(Rest(b), (Ints{1, 2, 3}));
  EXPECT_EQ(Rest(a), (Ints{1, 2, 3}));
}

TEST(PipelineTest, TeeCopiesToTwo) {
  using Strings = std::vector<std::string>;
  Channel<std::string> in(kPlenty);
  EXPECT_EQ(Feed(Context(), Strings{"1", "2"}, in), absl::OkStatus());
  Channel<std::string> a(kPlenty);
  Channel<std::string> b(kPlenty);
  EXPECT_EQ(Tee(Context(), in, a, b), absl::OkStatus());
  EXPECT_EQ(Rest(a), (Strings{"1", "2"}));
  EXPECT_EQ(Rest(b), (Strings{"1", "2"}));
}

TEST(PipelineTest, FanOutGoesOnWithoutAnOutputThatIsClosed) {
  Channel<int> a(kPlenty);
  Channel<int> b(kPlenty);
  a.Close();
  EXPECT_EQ(FanOut(Context(), *Of({1, 2}), {&a, &b}), absl::OkStatus());
  EXPECT_EQ(Rest(a), Ints());
  EXPECT_EQ(Rest(b), (Ints{1, 2}));
}

TEST(PipelineTest, DistributeGivesEachValueToOne) {
  Channel<std::unique_ptr<int>> in(3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(in.TrySend(std::make_unique<int>(i)), absl::OkStatus());
  }
  in.Close();
  Channel<std::unique_ptr<int>> full;  // nobody receives there
  Channel<std::unique_ptr<int>> out(kPlenty);
  Channel<std::unique_ptr<int>> closed(kPlenty);
  closed.Close();
  EXPECT_EQ(Distribute(Context(), in, {&full, &out, &closed}),
            absl::OkStatus());
  EXPECT_EQ(Rest(out).size(), 3u);
}

TEST(PipelineTest, MapReduceFolds) {
  const auto word = [](int value) { return absl::StrCat("<", value, ">"); };
  const auto join = [](std::string all, const std::string& one) {
    return all + one;
  };
  EXPECT_EQ(
      MapReduce(Context(), *Of({1, 2}), word, std::string("x"), join).value(),
      "x<1><2>");
  EXPECT_EQ(MapReduce(Context(), *Of({}), word, std::string("x"), join).value(),
            "x");
}

TEST(PipelineTest, AnErrorOfAFunctionEndsTheStage) {
  const auto fail_at_2 = [](int value) -> absl::StatusOr<int> {
    if (value == 2) return kStop;
    return value;
  };
  const auto in = Of({1, 2, 3});
  Channel<int> out(kPlenty);
  EXPECT_EQ(Map(Context(), *in, out, fail_at_2), kStop);
  EXPECT_EQ(Rest(out), (Ints{1}));
  EXPECT_TRUE(in->closed());
  EXPECT_EQ(MapReduce(Context(), *Of({1, 2, 3}), fail_at_2, 0, std::plus<>())
                .status(),
            kStop);
  EXPECT_EQ(MapReduce(
                Context(), *Of({1, 2, 3}), [](int value) { return value; }, 0,
                [&](int, int value) { return fail_at_2(value); })
                .status(),
            kStop);
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(PipelineTest, AnExceptionOfAFunctionLeavesTheStageAndClosesItsChannels) {
  Channel<int> in(1);
  EXPECT_EQ(in.TrySend(1), absl::OkStatus());
  Channel<int> out(1);
  EXPECT_THROW(Map(Context(), in, out,
                   [](int) -> int { throw std::runtime_error("map"); })
                   .IgnoreError(),
               std::runtime_error);
  EXPECT_TRUE(in.closed());
  EXPECT_TRUE(out.closed());
}

#endif  // ABSL_HAVE_EXCEPTIONS

// An executor of which tasks begin when the test says so.
class Later final : public Executor {
 public:
  void Submit(Task task) override { tasks_.push_back(std::move(task)); }
  size_t size() const { return tasks_.size(); }
  void RunAll() {
    for (Task& task : std::exchange(tasks_, {})) std::move(task)();
  }

 private:
  std::vector<Task> tasks_;
};

Ints OneTo(int n) {
  Ints values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 1);
  return values;
}

TEST(PipelineTest, SeveralWorkersKeepTheOrder) {
  Channel<int> in(3);
  Channel<int> out(3);
  JoiningThread feed(
      [&] { EXPECT_EQ(Feed(Context(), OneTo(500), in), absl::OkStatus()); });
  JoiningThread map([&] {
    EXPECT_EQ(Map(Context(), in, out,
                  [](int value) {
                    if (value % 7 == 0) sync::SleepFor(absl::Microseconds(50));
                    return value;
                  },
                  {.workers = 3}),
              absl::OkStatus());
  });
  EXPECT_EQ(Rest(out), OneTo(500));
}

TEST(PipelineTest, SeveralWorkersWorkAtTheSameTime) {
  constexpr int kWorkers = 3;
  for (const bool ordered : {true, false}) {
    std::atomic<int> here = 0;
    Channel<int> out(kPlenty);
    // Each waits for the others.
    EXPECT_EQ(Map(Context(), *Of(OneTo(kWorkers)), out,
                  [&](int value) {
                    ++here;
                    testing::Await([&] { return here == kWorkers; });
                    return value;
                  },
                  {.workers = kWorkers, .ordered = ordered}),
              absl::OkStatus());
    Ints values = Rest(out);
    if (!ordered) std::sort(values.begin(), values.end());
    EXPECT_EQ(values, OneTo(kWorkers));
  }
}

TEST(PipelineTest, WorkersThatAreNotOrderedPassOnWhatIsReady) {
  Channel<int> out(kPlenty);
  std::atomic<bool> received = false;
  JoiningThread map([&] {
    EXPECT_EQ(Map(Context(), *Of({1, 2}), out,
                  [&](int value) {
                    if (value == 1) {
                      testing::Await([&] { return received.load(); });
                    }
                    return value;
                  },
                  {.workers = 2, .ordered = false}),
              absl::OkStatus());
  });
  EXPECT_EQ(out.Receive(Context()).value(), 2);
  received = true;
  EXPECT_EQ(out.Receive(Context()).value(), 1);
}

// The first one is slow: the others do not run away.
TEST(PipelineTest, WorkersAreNotFarAhead) {
  Channel<int> in(kPlenty);
  EXPECT_EQ(Feed(Context(), OneTo(kPlenty), in), absl::OkStatus());
  Channel<int> out(kPlenty);
  std::atomic<int> most = 0;
  std::atomic<bool> go = false;
  JoiningThread map([&] {
    EXPECT_EQ(Map(Context(), in, out,
                  [&](int value) {
                    if (value == 1) testing::Await([&] { return go.load(); });
                    int seen = most;
                    while (!go && seen < value &&
                           !most.compare_exchange_weak(seen, value)) {
                    }
                    return value;
                  },
                  {.workers = 2}),
              absl::OkStatus());
  });
  testing::Await([&] { return most >= 4; });
  EXPECT_EQ(in.size(), kPlenty - 4);
  EXPECT_EQ(out.size(), 0);
  go = true;
  EXPECT_EQ(Rest(out), OneTo(kPlenty));
}

TEST(PipelineTest, FilterWithWorkersKeepsTheOrder) {
  Channel<int> out(kPlenty);
  EXPECT_EQ(Filter(Context(), *Of(OneTo(9)), out, IsOdd, {.workers = 3}),
            absl::OkStatus());
  EXPECT_EQ(Rest(out), (Ints{1, 3, 5, 7, 9}));
}

TEST(PipelineTest, MapReduceWithWorkersReducesInOrder) {
  const auto word = [](int value) { return absl::StrCat("<", value, ">"); };
  const auto join = [](std::string all, const std::string& one) {
    return all + one;
  };
  EXPECT_EQ(MapReduce(Context(), *Of({1, 2, 3}), word, std::string("x"), join,
                      {.workers = 2})
                .value(),
            "x<1><2><3>");
}

// The calling thread does it all where the executor does nothing, and what the
// executor begins later does nothing.
TEST(PipelineTest, AStageNeedsNoExecutor) {
  Later executor;
  Channel<int> out(kPlenty);
  EXPECT_EQ(Map(Context(), *Of({1, 2}), out, std::negate<>(),
                {.workers = 3, .executor = &executor}),
            absl::OkStatus());
  EXPECT_EQ(Rest(out), (Ints{-1, -2}));
  EXPECT_EQ(executor.size(), 2u);
  executor.RunAll();
}

TEST(PipelineTest, AnErrorOfAWorkerEndsAllOfThem) {
  for (const bool ordered : {true, false}) {
    Channel<int> in;
    Channel<int> out;
    JoiningThread feed([&] { Feed(Context(), OneTo(100), in).IgnoreError(); });
    JoiningThread map([&] {
      EXPECT_EQ(Map(Context(), in, out,
                    [](int value) -> absl::StatusOr<int> {
                      if (value == 5) return kStop;
                      return value;
                    },
                    {.workers = 3, .ordered = ordered}),
                kStop);
    });
    EXPECT_LT(Rest(out).size(), 100u);
    map.Join();
    EXPECT_TRUE(in.closed());
  }
  EXPECT_EQ(MapReduce(Context(), *Of({1, 2, 3}), std::negate<>(), 0,
                      [](int, int) -> absl::StatusOr<int> { return kStop; },
                      {.workers = 2})
                .status(),
            kStop);
}

TEST(PipelineTest, AReaderWhoLeavesEndsAllWorkers) {
  Channel<int> in;
  Channel<int> out;
  JoiningThread feed([&] {
    EXPECT_EQ(Feed(Context(), Ints(1'000'000, 1), in), absl::OkStatus());
  });
  JoiningThread map([&] {
    EXPECT_EQ(Map(Context(), in, out, std::negate<>(), {.workers = 3}),
              absl::OkStatus());
  });
  EXPECT_EQ(out.Receive(Context()).value(), -1);
  out.Close();
}

TEST(PipelineTest, TheContextEndsAllWorkers) {
  for (const bool out_is_full : {false, true}) {
    CancelScope scope = WithCancel(Context());
    Channel<int> in(1);
    Channel<int> out(out_is_full ? 0 : kPlenty);
    JoiningThread map([&] {
      EXPECT_EQ(Map(scope.context(), in, out, std::negate<>(), {.workers = 3}),
                kStop);
    });
    EXPECT_EQ(in.Send(Context(), 1), absl::OkStatus());
    EXPECT_EQ(in.Send(Context(), 2), absl::OkStatus());
    scope.Cancel(kStop);
    map.Join();
    EXPECT_TRUE(in.closed());
    EXPECT_TRUE(out.closed());
  }
}

#ifdef ABSL_HAVE_EXCEPTIONS

TEST(PipelineTest, AnExceptionOfAWorkerLeavesTheStage) {
  for (const bool ordered : {true, false}) {
    Channel<int> in(kPlenty);
    for (int i = 1; i <= 10; ++i) EXPECT_EQ(in.TrySend(i), absl::OkStatus());
    Channel<int> out(kPlenty);
    EXPECT_THROW(Map(Context(), in, out,
                     [](int value) {
                       if (value == 3) throw std::runtime_error("map");
                       return value;
                     },
                     {.workers = 3, .ordered = ordered})
                     .IgnoreError(),
                 std::runtime_error);
    EXPECT_TRUE(in.closed());
    EXPECT_TRUE(out.closed());
  }
}

// Unless it is the caller's.
TEST(PipelineTest, AWorkerWhoseThreadEndsIsAnError) {
  Channel<int> in(1);
  Channel<int> out(kPlenty);
  const sync::ThreadId caller = sync::CurrentThreadId();
  JoiningThread feed([&] {
    while (in.Send(Context(), 1).ok()) {
    }
  });
  EXPECT_TRUE(absl::IsInternal(Map(Context(), in, out,
                                   [&](int value) {
                                     if (sync::CurrentThreadId() != caller)
                                       pthread_exit(nullptr);
                                     return value;
                                   },
                                   {.workers = 2})));
}

#endif  // ABSL_HAVE_EXCEPTIONS

// A status is a value where the channel is one of statuses.
TEST(PipelineTest, StagesOfStatuses) {
  Channel<absl::Status> errors(kPlenty);
  EXPECT_EQ(
      Map(Context(), *Of({1, 2}), errors,
          [](int value) { return value == 1 ? kStop : absl::OkStatus(); }),
      absl::OkStatus());
  Channel<absl::StatusOr<int>> results(kPlenty);
  EXPECT_EQ(Map(Context(), errors, results,
                [](absl::Status error) -> absl::StatusOr<int> {
                  if (!error.ok()) return error;
                  return 7;
                },
                {.workers = 2}),
            absl::OkStatus());
  EXPECT_EQ(results.Receive(Context()).value().status(), kStop);
  EXPECT_EQ(results.Receive(Context()).value().value(), 7);
  EXPECT_FALSE(results.Receive(Context()).ok());
  // What is reduced may be one too.
  const auto last = [](absl::Status, int value) {
    return value == 2 ? kStop : absl::OkStatus();
  };
  const Result<absl::Status> reduced = MapReduce(
      Context(), *Of({1, 2}), [](int value) { return value; }, absl::OkStatus(),
      last);
  ASSERT_TRUE(reduced.ok());
  EXPECT_EQ(*reduced, kStop);
  CancelScope scope = WithCancel(Context());
  scope.Cancel(kStop);
  EXPECT_EQ(MapReduce(
                scope.context(), *Of({1}), [](int value) { return value; },
                absl::OkStatus(), last)
                .status(),
            kStop);
}

TEST(PipelineTest, TwoThousandChannels) {
  constexpr size_t kChannels = 2000;
  std::deque<Channel<int>> channels;
  std::vector<Channel<int>*> all;
  for (size_t i = 0; i < kChannels; ++i) {
    all.push_back(&channels.emplace_back(1));
  }
  JoiningThread fan_out([&] {
    EXPECT_EQ(FanOut<int>(Context(), *Of({7}), all), absl::OkStatus());
  });
  Channel<int> out(kPlenty);
  JoiningThread fan_in(
      [&] { EXPECT_EQ(FanIn<int>(Context(), all, out), absl::OkStatus()); });
  EXPECT_EQ(
      MapReduce(Context(), out, std::negate<>(), 0, std::plus<>()).value(),
      -7 * static_cast<int>(kChannels));
  std::deque<Channel<int>> others;
  all.clear();
  for (size_t i = 0; i < kChannels; ++i) all.push_back(&others.emplace_back());
  JoiningThread receiver([&] {
    EXPECT_EQ(others[kChannels / 2].Receive(Context()).value(), 8);
    EXPECT_EQ(others[0].Receive(Context()).value(), 9);
  });
  EXPECT_EQ(Distribute<int>(Context(), *Of({8, 9}), all), absl::OkStatus());
}

// Every stage that there is, set up to send on all that it receives.
using Ins = Channels<int>;
using Outs = Channels<int>;
struct AnyStage {
  const char* name;
  size_t ins;
  size_t outs;
  absl::Status (*run)(const Context& context, Ins ins, Outs outs);
};

bool Always(int) { return true; }
bool Never(int) { return false; }

const AnyStage kAllStages[] = {
    {"Map with workers", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return Map(context, *ins[0], *outs[0], std::negate<>(), {.workers = 2});
     }},
    {"Feed", 0, 1,
     [](const Context& context, Ins, Outs outs) {
       return Feed(context, Ints(kPlenty), *outs[0]);
     }},
    {"Map", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return Map(context, *ins[0], *outs[0], std::negate<>());
     }},
    {"Filter", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return Filter(context, *ins[0], *outs[0], Always);
     }},
    {"TakeN", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return TakeN(context, *ins[0], kPlenty, *outs[0]);
     }},
    {"TakeWhile", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return TakeWhile(context, *ins[0], *outs[0], Always);
     }},
    {"SkipN", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return SkipN(context, *ins[0], 0, *outs[0]);
     }},
    {"SkipWhile", 1, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return SkipWhile(context, *ins[0], *outs[0], Never);
     }},
    {"FanIn", 2, 1,
     [](const Context& context, Ins ins, Outs outs) {
       return FanIn(context, ins, *outs[0]);
     }},
    {"FanOut", 1, 2,
     [](const Context& context, Ins ins, Outs outs) {
       return FanOut(context, *ins[0], outs);
     }},
    {"Distribute", 1, 2,
     [](const Context& context, Ins ins, Outs outs) {
       return Distribute(context, *ins[0], outs);
     }},
    {"Tee", 1, 2,
     [](const Context& context, Ins ins, Outs outs) {
       return Tee(context, *ins[0], *outs[0], *outs[1]);
     }},
    {"MapReduce", 1, 0,
     [](const Context& context, Ins ins, Outs) {
       return MapReduce(context, *ins[0], std::negate<>(), 0, std::plus<>())
           .status();
     }},
};

// Runs it in a group, which is cancelled when `meanwhile` has returned.
template <class F>
void ExpectTheContextEnds(const AnyStage& stage, int in_capacity,
                          int out_capacity, F meanwhile) {
  SCOPED_TRACE(stage.name);
  std::deque<Channel<int>> channels;
  std::vector<Channel<int>*> ins;
  std::vector<Channel<int>*> outs;
  while (ins.size() < stage.ins) {
    ins.push_back(&channels.emplace_back(in_capacity));
  }
  while (outs.size() < stage.outs) {
    outs.push_back(&channels.emplace_back(out_capacity));
  }
  CancelScope scope = WithCancel(Context());
  errgroup::Group group(scope.context());
  group.Go([&](const Context& context) {
    return stage.run(context, Ins(ins), Outs(outs));
  });
  meanwhile(Ins(ins), Outs(outs));
  scope.Cancel(kStop);
  EXPECT_EQ(group.Wait(), kStop);
  for (const Channel<int>& channel : channels) EXPECT_TRUE(channel.closed());
}

TEST(PipelineTest, TheContextEndsAStageThatReceives) {
  for (const AnyStage& stage : kAllStages) {
    if (stage.ins == 0) continue;
    ExpectTheContextEnds(stage, 0, kPlenty, [](Ins ins, Outs) {
      for (Channel<int>* in : ins) {
        EXPECT_EQ(in->Send(Context(), 1), absl::OkStatus());
      }
    });
  }
}

TEST(PipelineTest, TheContextEndsAStageThatSends) {
  for (const AnyStage& stage : kAllStages) {
    if (stage.outs == 0) continue;
    ExpectTheContextEnds(stage, 2, 0, [](Ins ins, Outs outs) {
      for (Channel<int>* in : ins) {
        EXPECT_EQ(in->TrySend(1), absl::OkStatus());
        EXPECT_EQ(in->TrySend(1), absl::OkStatus());
      }
      EXPECT_TRUE(outs[0]->Receive(Context()).ok());
    });
  }
}

// From its end upwards, without a context.
TEST(PipelineTest, WhoeverNeedsNoMoreEndsTheStagesBefore) {
  Channel<int> numbers;
  Channel<int> odd;
  Channel<int> firsts;
  JoiningThread feed([&] {
    EXPECT_EQ(Feed(Context(), Ints(1'000'000, 1), numbers), absl::OkStatus());
  });
  JoiningThread filter([&] {
    EXPECT_EQ(Filter(Context(), numbers, odd, IsOdd), absl::OkStatus());
  });
  JoiningThread take(
      [&] { EXPECT_EQ(TakeN(Context(), odd, 3, firsts), absl::OkStatus()); });
  EXPECT_EQ(Rest(firsts), (Ints{1, 1, 1}));
}

TEST(PipelineTest, TheNumberOfStagesIsUpToTheUser) {
  constexpr int kStages = 20;
  std::vector<std::unique_ptr<Channel<int>>> channels;
  for (int i = 0; i <= kStages; ++i) {
    channels.push_back(std::make_unique<Channel<int>>());
  }
  std::vector<std::unique_ptr<JoiningThread>> stages;
  for (size_t i = 0; i < kStages; ++i) {
    stages.push_back(std::make_unique<JoiningThread>([&, i] {
      EXPECT_EQ(Map(Context(), *channels[i], *channels[i + 1],
                    [](int value) { return value + 1; }),
                absl::OkStatus());
    }));
  }
  JoiningThread feed([&] {
    EXPECT_EQ(Feed(Context(), Ints{0, 100}, *channels[0]), absl::OkStatus());
  });
  EXPECT_EQ(Rest(*channels[kStages]), (Ints{20, 120}));
}

TEST(PipelineDeathTest, BadInputDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Channel<int> in;
  Channel<int> out;
  EXPECT_DEATH(TakeN(Context(), in, -1, out).IgnoreError(),
               "channel::TakeN: n");
  EXPECT_DEATH(SkipN(Context(), in, -1, out).IgnoreError(),
               "channel::SkipN: n");
  EXPECT_DEATH(Map(Context(), in, out, IsOdd, {.workers = 0}).IgnoreError(),
               "channel::Map: workers");
}

// Whichever of the two comes first would close what the other one writes to.
TEST(PipelineDeathTest, AChannelHasOneStageAtEachEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Channel<int> out(kPlenty);
        Feed(Context(), Ints{1}, out).IgnoreError();
        Map(Context(), *Of({1}), out, IsOdd).IgnoreError();
      },
      "channel::Map writes where channel::Feed writes");
  EXPECT_DEATH(
      {
        Channel<int> in;
        Channel<int> out;
        in.Close();
        Filter(Context(), in, out, IsOdd).IgnoreError();
        TakeN(Context(), in, 1, out).IgnoreError();
      },
      "channel::TakeN reads what channel::Filter reads");
}

}  // namespace
}  // namespace cohort::channel
