#include "cohort/sim/search.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/log/absl_check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/sim/picture.h"
#include "cohort/sim/schedule.h"
#include "cohort/sim/search_internal.h"
#include "cohort/sim/strategies.h"

namespace cohort::sim {
namespace {

using kernel::DefaultPick;
using kernel::Kernel;
using kernel::KernelOptions;
using kernel::OpKind;
using kernel::RunReport;

// One schedule in kRunTwice is run twice, to see whether the body is determined
// by the schedule; which one is derived from the run, so it is the same one in
// every search.
constexpr uint64_t kRunTwice = 128;

// The maximum number of steps spent on shortening a failing schedule: a
// livelock takes thousands for each attempt.
constexpr int64_t kShrinkingSteps = 2'000'000;

// Counters through which libFuzzer learns of interleavings: it finds them by
// the name of their section.
constexpr size_t kCounters = 8192;
__attribute__((
    section("__libfuzzer_extra_counters"))) uint8_t counters[kCounters];

// Runs one schedule, given as text.
class ReplaySearcher final : public Searcher {
 public:
  explicit ReplaySearcher(Schedule schedule) : replay_(std::move(schedule)) {}

  std::string Name() const override { return "replay"; }
  bool Next() override { return !std::exchange(began_, true); }
  void Begin() override { replay_.Begin(); }
  int PickThread(const View& view) override { return replay_.PickThread(view); }
  int Choose(ChoiceKind kind, int n, int thread, const PendingOp& op) override {
    return replay_.Choose(kind, n, thread, op);
  }
  std::string Unfit() const override {
    return replay_.fits() ? "" : "the schedule has choices that never came up";
  }

 private:
  Replay replay_;
  bool began_ = false;
};

class ScriptSearcher final : public Searcher {
 public:
  explicit ScriptSearcher(std::vector<ScriptStep> steps)
      : steps_(std::move(steps)) {}

  std::string Name() const override { return "script"; }
  bool Next() override { return !std::exchange(began_, true); }
  void Begin() override {
    at_ = 0;
    started_ = 0;
    unfit_.clear();
  }
  void Started(int, int) override { ++started_; }

  int PickThread(const View& view) override {
    while (unfit_.empty() && at_ < steps_.size()) {
      const ScriptStep& step = steps_[at_];
      if (step.thread >= started_) {
        unfit_ = absl::StrCat("step ", at_, " of the script: there is no T",
                              step.thread, " yet");
      } else if (view.is_enabled(step.thread)) {
        const PendingOp& op = view.pending[step.thread];
        if (op.kind != OpKind::kPoint || op.label != step.point) {
          return step.thread;
        }
        ++at_;
      } else if (step.point.empty()) {
        ++at_;
      } else {
        unfit_ = absl::StrCat("step ", at_, " of the script: T", step.thread,
                              " does not come to ", step.point);
      }
    }
    return DefaultPick(view);
  }
  int Choose(ChoiceKind, int, int, const PendingOp&) override { return 0; }

  std::string Unfit() const override {
    if (!unfit_.empty() || at_ == steps_.size()) return unfit_;
    // The last steps may extend to the end of the run.
    for (size_t i = at_; i < steps_.size(); ++i) {
      if (!steps_[i].point.empty()) {
        return absl::StrCat("step ", i, " of the script was never reached");
      }
    }
    return "";
  }

 private:
  const std::vector<ScriptStep> steps_;
  bool began_ = false;
  size_t at_ = 0;
  int started_ = 0;
  std::string unfit_;
};

KernelOptions ForKernel(const Options& options) {
  return {.stack_size = options.stack_size,
          .max_steps = options.max_steps,
          .racing_time = options.time == Time::kRacing,
          .stale_loads = options.stale_loads,
          .spurious_wake_ups = options.spurious_wake_ups,
          .refused_starts = options.refused_starts,
          .processors = options.processors};
}

// A kernel, a body and an oracle: the common part of all runs of a search.
class Runner {
 public:
  Runner(const KernelOptions& options, absl::FunctionRef<void()> body,
         absl::FunctionRef<std::string()> complaint)
      : kernel_(options), body_(body), complaint_(complaint) {}

  RunReport Run(kernel::Scheduler& strategy, bool traced = false) {
    RunReport report = kernel_.Run(strategy, body_, traced);
    std::string complaint = complaint_();
    if (!complaint.empty()) {
      report.verdict = Verdict::kAssertion;
      report.message = std::move(complaint);
    }
    return report;
  }

 private:
  Kernel kernel_;
  const absl::FunctionRef<void()> body_;
  const absl::FunctionRef<std::string()> complaint_;
};

// Removes deviations that the failure does not need: halves first, then single
// ones.
Schedule Shrink(Runner& runner, Schedule schedule, Verdict verdict) {
  int64_t steps = 0;
  const auto still_fails = [&](const Schedule& candidate, Schedule* met) {
    if (steps > kShrinkingSteps) return false;
    Replay replay(candidate);
    const RunReport report = runner.Run(replay);
    steps += report.steps;
    if (report.verdict != verdict) return false;
    *met = replay.recorded();
    return true;
  };
  size_t chunk = schedule.size();
  while (chunk > 0) {
    bool shorter = false;
    for (size_t begin = 0; begin < schedule.size();) {
      const size_t end = std::min(schedule.size(), begin + chunk);
      Schedule candidate(schedule.begin(),
                         schedule.begin() + static_cast<std::ptrdiff_t>(begin));
      candidate.insert(candidate.end(),
                       schedule.begin() + static_cast<std::ptrdiff_t>(end),
                       schedule.end());
      Schedule met;
      if (still_fails(candidate, &met)) {
        schedule = std::move(met);
        shorter = true;
      } else {
        begin = end;
      }
    }
    if (!shorter) chunk /= 2;
  }
  return schedule;
}

Failure Explain(Runner& runner, const Options& options,
                const std::vector<uint8_t>& choices, const RunReport& found) {
  Failure failure = {.verdict = found.verdict, .message = found.message};
  Translator translator(choices);
  if (runner.Run(translator).verdict != found.verdict) {
    failure.verdict = Verdict::kNondeterminism;
    failure.message = absl::StrCat(
        "a run ended as ", VerdictName(found.verdict), " (", found.message,
        "), and another one on the same schedule did not");
    return failure;
  }
  Schedule schedule = translator.schedule();
  failure.found_deviations = static_cast<int>(schedule.size());
  if (options.shrink) {
    schedule = Shrink(runner, std::move(schedule), found.verdict);
  }
  Replay replay(schedule);
  const RunReport report = runner.Run(replay, /*traced=*/true);
  failure.message = report.message;
  failure.deviations = static_cast<int>(schedule.size());
  failure.replay = FormatSchedule(schedule);
  failure.picture = DrawText(report);
  failure.html = DrawHtml(report);
  return failure;
}

Result RunSearch(const Options& options, const KernelOptions& kernel_options,
                 Searcher& searcher, absl::FunctionRef<void()> body,
                 absl::FunctionRef<std::string()> complaint,
                 bool first_twice = true) {
  Runner runner(kernel_options, body, complaint);
  Result result;
  RawRecorder recorder(searcher);
  while (result.schedules < options.schedules) {
    if (!searcher.Next()) {
      result.complete = true;
      break;
    }
    ++result.schedules;
    RunReport report = runner.Run(recorder);
    result.steps += report.steps;
    if (searcher.redundant()) ++result.redundant;
    if (report.verdict == Verdict::kNone) {
      const std::string unfit = searcher.Unfit();
      if (!unfit.empty()) {
        result.failure = {.verdict = Verdict::kUnfit,
                          .message = unfit,
                          .strategy = searcher.Name(),
                          .schedule = result.schedules};
        return result;
      }
      if (report.trace_hash % kRunTwice != 0 &&
          !(first_twice && result.schedules == 1)) {
        continue;
      }
      RawReplay again(recorder.choices());
      const RunReport second = runner.Run(again);
      if (again.fits() && second.trace_hash == report.trace_hash) continue;
      report.verdict = Verdict::kNondeterminism;
      result.failure = {
          .verdict = Verdict::kNondeterminism,
          .message =
              "two runs on the same schedule went different ways: the "
              "body depends on something else"};
    } else {
      result.failure = Explain(runner, options, recorder.choices(), report);
    }
    result.failure->strategy = searcher.Name();
    result.failure->schedule = result.schedules;
    return result;
  }
  return result;
}

// A Bytes searcher with an input of its own.
struct Input {
  explicit Input(const std::string& text)
      : bytes(text.begin(), text.end()), source(bytes) {}
  const std::vector<uint8_t> bytes;
  Bytes::Source source;
};
class OwnBytes final : private Input, public Bytes {
 public:
  explicit OwnBytes(const std::string& text) : Input(text), Bytes(source) {}
};

}  // namespace

class StrategyFactory {
 public:
  static std::unique_ptr<Searcher> Make(const Strategy& strategy,
                                        uint64_t seed) {
    using Kind = Strategy::Kind;
    switch (strategy.kind_) {
      case Kind::kMix: {
        std::vector<std::unique_ptr<Searcher>> parts;
        parts.push_back(std::make_unique<RandomWalk>(seed));
        parts.push_back(std::make_unique<Pct>(seed, 3));
        parts.push_back(std::make_unique<Pos>(seed));
        parts.push_back(std::make_unique<UniformRandomWalk>(seed));
        return std::make_unique<Mix>(std::move(parts));
      }
      case Kind::kRandomWalk:
        return std::make_unique<RandomWalk>(seed);
      case Kind::kPct:
        return std::make_unique<Pct>(seed, strategy.number_);
      case Kind::kPos:
        return std::make_unique<Pos>(seed);
      case Kind::kUniformRandomWalk:
        return std::make_unique<UniformRandomWalk>(seed);
      case Kind::kDepthFirst:
        return std::make_unique<DepthFirst>(true, DepthFirst::kUnbounded);
      case Kind::kExhaustive:
        return std::make_unique<DepthFirst>(false, DepthFirst::kUnbounded);
      case Kind::kPreemptionBounded:
        return std::make_unique<DepthFirst>(false, strategy.number_);
      case Kind::kScript:
        return std::make_unique<ScriptSearcher>(strategy.steps_);
      case Kind::kReplay: {
        absl::StatusOr<Schedule> schedule = ParseSchedule(strategy.schedule_);
        ABSL_CHECK_OK(schedule);
        return std::make_unique<ReplaySearcher>(*std::move(schedule));
      }
      case Kind::kBytes:
        return std::make_unique<OwnBytes>(strategy.schedule_);
    }
    return nullptr;
  }
};

Strategy Strategy::Mix() { return Strategy(Kind::kMix); }
Strategy Strategy::RandomWalk() { return Strategy(Kind::kRandomWalk); }
Strategy Strategy::Pct(int depth) {
  ABSL_CHECK_GE(depth, 1);
  return Strategy(Kind::kPct, depth);
}
Strategy Strategy::Pos() { return Strategy(Kind::kPos); }
Strategy Strategy::UniformRandomWalk() {
  return Strategy(Kind::kUniformRandomWalk);
}
Strategy Strategy::DepthFirst() { return Strategy(Kind::kDepthFirst); }
Strategy Strategy::Exhaustive() { return Strategy(Kind::kExhaustive); }
Strategy Strategy::PreemptionBounded(int preemptions) {
  ABSL_CHECK_GE(preemptions, 0);
  return Strategy(Kind::kPreemptionBounded, preemptions);
}
Strategy Strategy::Script(std::vector<ScriptStep> steps) {
  Strategy strategy(Kind::kScript);
  strategy.steps_ = std::move(steps);
  return strategy;
}
Strategy Strategy::Replay(absl::string_view schedule) {
  Strategy strategy(Kind::kReplay);
  strategy.schedule_ = std::string(schedule);
  return strategy;
}

Strategy Strategy::Bytes(absl::Span<const uint8_t> bytes) {
  Strategy strategy(Kind::kBytes);
  strategy.schedule_.assign(bytes.begin(), bytes.end());
  return strategy;
}

Result SearchWith(const Options& options, absl::FunctionRef<void()> body,
                  absl::FunctionRef<std::string()> complaint) {
  const std::unique_ptr<Searcher> searcher =
      StrategyFactory::Make(options.strategy, options.seed);
  return RunSearch(options, ForKernel(options), *searcher, body, complaint);
}

Result Search(const Options& options, absl::FunctionRef<void()> body) {
  return SearchWith(options, body, [] { return std::string(); });
}

Result SearchBytes(const Options& options, absl::Span<const uint8_t> bytes,
                   absl::FunctionRef<void(ByteStream&)> body) {
  KernelOptions kernel_options = ForKernel(options);
  kernel_options.counters = counters;
  kernel_options.counter_count = kCounters;

  class Stream final : public ByteStream {
   public:
    explicit Stream(Bytes::Source& source) : source_(source) {}
    uint8_t Next() override { return source_.Back(); }
    bool empty() const override { return source_.empty(); }

   private:
    Bytes::Source& source_;
  };
  // The program does not take bytes from a schedule that is replayed: it reads
  // its own copy.
  Bytes::Source schedule(bytes);
  Bytes searcher(schedule);
  return RunSearch(
      options, kernel_options, searcher,
      [&] {
        Bytes::Source program(bytes);
        Stream stream(program);
        body(stream);
      },
      [] { return std::string(); },
      // It is the only schedule.
      /*first_twice=*/false);
}

void FuzzOne(const Options& options, absl::Span<const uint8_t> bytes,
             absl::FunctionRef<void(ByteStream&)> body) {
  const Result result = SearchBytes(options, bytes, body);
  if (!result.failure.has_value()) return;
  std::fputs(Report(*result.failure).c_str(), stderr);
  std::abort();
}

std::string Report(const Failure& failure) {
  return absl::StrCat(
      "sim: ", VerdictName(failure.verdict), ", found by ", failure.strategy,
      " in schedule ", failure.schedule,
      failure.replay.empty()
          ? ""
          : absl::StrCat(", with ", failure.deviations, " of ",
                         failure.found_deviations, " unusual choices"),
      "\n", failure.message, "\n", failure.picture,
      failure.replay.empty()
          ? ""
          : absl::StrCat("replay: --sim_replay='", failure.replay, "'\n"));
}

}  // namespace cohort::sim
