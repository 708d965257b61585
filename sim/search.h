// Systematic concurrency testing: searches for a schedule on which a body
// fails. sim/sim.h wraps this in a GoogleTest; a fuzz target uses it directly.

#ifndef COHORT_SIM_SEARCH_H_
#define COHORT_SIM_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cohort/sim/verdict.h"

namespace cohort::sim {

class Searcher;

// One instruction of a script: lets `thread` (by number: 0 is the body's
// thread, the others are numbered in the order in which they are started) run
// alone until it is about to pass the sync::SchedulePoint named `point`; or, if
// `point` is "", until it can run no further because it waits or has ended.
struct ScriptStep {
  int thread = 0;
  std::string point = "";
};

// How schedules are chosen. A value type.
class Strategy {
 public:
  // Random walk, PCT-3, POS and uniform random walk in turn. Each of them has
  // blind spots, but not the same ones. The default.
  static Strategy Mix();

  // Any thread at each step. Good for short symmetric bodies.
  static Strategy RandomWalk();
  // Random priorities with depth - 1 changes: good if one thread has to stay
  // behind for long. Finds an error of depth d among n threads and k steps with
  // a probability of at least 1 / (n * k^(d-1)) per schedule.
  static Strategy Pct(int depth);
  // Random priorities of operations.
  static Strategy Pos();
  // All interleavings about equally likely, once it has learned how long they
  // are.
  static Strategy UniformRandomWalk();

  // All schedules up to reordering of independent steps (one representative of
  // each class). If it ends by itself, Result::complete is a proof for this
  // body. Set Options::spurious_wake_ups = 0 except for very small bodies.
  static Strategy DepthFirst();
  // All schedules, without exception.
  static Strategy Exhaustive();
  // All schedules with at most `preemptions` switches away from a thread that
  // could have continued.
  static Strategy PreemptionBounded(int preemptions);

  // One schedule: the instructions in order, then each thread as far as it can
  // run. Verdict::kUnfit if the body does not follow it.
  static Strategy Script(std::vector<ScriptStep> steps);
  // One schedule, as printed by a failure.
  static Strategy Replay(absl::string_view schedule);
  // One schedule, as made by a fuzzer: see SearchBytes.
  static Strategy Bytes(absl::Span<const uint8_t> bytes);

 private:
  friend class StrategyFactory;
  enum class Kind {
    kMix,
    kRandomWalk,
    kPct,
    kPos,
    kUniformRandomWalk,
    kDepthFirst,
    kExhaustive,
    kPreemptionBounded,
    kScript,
    kReplay,
    kBytes,
  };

  explicit Strategy(Kind kind, int number = 0) : kind_(kind), number_(number) {}

  Kind kind_;
  int number_;
  std::vector<ScriptStep> steps_;
  std::string schedule_;  // or bytes
};

// When virtual time passes.
enum class Time {
  kRacing,     // whenever a thread waits for a time: a timeout may come first
  kQuiescent,  // only when nothing else can run
};

struct Options {
  Strategy strategy = Strategy::Mix();
  int64_t schedules = 10'000;  // maximum number of schedules
  uint64_t seed = 1;           // for random strategies

  Time time = Time::kRacing;
  // Whether loads may read values older than the newest, where C++ allows that.
  bool stale_loads = true;
  // How many waits and weak compare-exchanges per run may end spuriously.
  int spurious_wake_ups = 1;
  // How many times per run the system may refuse to start a thread.
  int refused_starts = 0;
  // The result of sync::HardwareConcurrency().
  int processors = 2;

  int64_t max_steps = 20'000;     // a run with more steps is a livelock
  size_t stack_size = 256 << 10;  // bytes, for each simulated thread
  bool shrink = true;
};

// A failure, on the shortest schedule that was found for it.
struct Failure {
  Verdict verdict = Verdict::kNone;
  std::string message = "";
  std::string replay = "";    // pass it to Strategy::Replay
  int deviations = 0;         // number in `replay`
  int found_deviations = 0;   // number before shortening
  std::string strategy = "";  // the strategy that found it
  int64_t schedule = 0;       // its number, from 1
  std::string picture = "";   // a column for each thread, a row for each step
  std::string html = "";      // the same as an HTML page
};

struct Result {
  std::optional<Failure> failure;
  int64_t schedules = 0;
  int64_t redundant = 0;  // how many of these repeated others
  int64_t steps = 0;
  // Whether a depth-first search ran to its end.
  bool complete = false;
};

// Runs `body` on one schedule after the other, until one fails or the maximum
// number is reached.
//
// Everything that `body` does must follow from the schedule: no state that
// outlives a run, no real clocks, threads, random numbers or addresses, no
// iteration order of a hash table. All synchronisation and time must go through
// cohort/sync.
//
// Blocks the calling thread, which runs everything. Must not be called from
// within a run.
Result Search(const Options& options, absl::FunctionRef<void()> body);

// The rest of a fuzzer's input, taken from its end: the schedule takes bytes
// from the front, which this does not shift.
class ByteStream {
 public:
  // 0 when no bytes are left.
  virtual uint8_t Next() = 0;
  virtual bool empty() const = 0;
  // Below n, which is between 1 and 256.
  int Below(int n) { return Next() % n; }

 protected:
  ~ByteStream() = default;
};

// Runs `body` once, on the schedule encoded in `bytes`. For a fuzz target:
// reports to libFuzzer, if it is linked, which pairs of steps met on which
// object.
Result SearchBytes(const Options& options, absl::Span<const uint8_t> bytes,
                   absl::FunctionRef<void(ByteStream&)> body);

// Like SearchBytes, but prints a failure and aborts.
void FuzzOne(const Options& options, absl::Span<const uint8_t> bytes,
             absl::FunctionRef<void(ByteStream&)> body);

// The text of a failure for a log.
std::string Report(const Failure& failure);

}  // namespace cohort::sim

#endif  // COHORT_SIM_SEARCH_H_
