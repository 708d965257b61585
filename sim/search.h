// The search for a schedule on which a body goes wrong. This is what
// cohort/sim/sim.h puts into a GoogleTest, and what a fuzz target uses alone.

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

// One instruction of a script: let `thread` (by number: 0 is the body's, and
// the others in the order in which they are started) go on alone until it is
// about to pass the sync::Point called `point`; until it can go no further,
// because it waits or has ended, if that is "".
struct ScriptStep {
  int thread = 0;
  std::string point = "";
};

// How schedules are chosen. A value.
class Strategy {
 public:
  // Random walk, PCT-3, POS and uniform random walk in turn. Each of them has
  // blind spots, and they are not the same ones. The default.
  static Strategy Mix();

  // At each step any thread. Good at short symmetric bodies.
  static Strategy RandomWalk();
  // Random priorities with depth - 1 changes: good where one thread has to stay
  // behind for long. Finds an error of depth d among n threads and k steps with
  // a probability of 1 / (n * k^(d-1)) a schedule at least.
  static Strategy Pct(int depth);
  // Random priorities of operations.
  static Strategy Pos();
  // All interleavings about equally likely, once it has seen how long they are.
  static Strategy UniformRandomWalk();

  // All schedules, but of those that differ only in the order of independent
  // steps one. When it ends by itself, Result::complete is a proof for this
  // body. Wants Options::spurious_wake_ups = 0 but for the smallest bodies.
  static Strategy DepthFirst();
  // Really all of them.
  static Strategy Exhaustive();
  // All schedules with at most so many switches away from a thread that could
  // have gone on.
  static Strategy PreemptionBounded(int preemptions);

  // One schedule: the steps in turn, then each thread as far as it goes.
  // Verdict::kUnfit if the body does not follow it.
  static Strategy Script(std::vector<ScriptStep> steps);
  // One schedule, as a failure has printed it.
  static Strategy Replay(absl::string_view schedule);
  // One schedule, as a fuzzer has made it: see SearchBytes.
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
  kRacing,     // whenever somebody waits for a time: a timeout may come first
  kQuiescent,  // only when nothing else can run
};

struct Options {
  Strategy strategy = Strategy::Mix();
  int64_t schedules = 10'000;  // at most
  uint64_t seed = 1;           // of random strategies

  Time time = Time::kRacing;
  // Loads may read older values than the newest where C++ allows that.
  bool stale_loads = true;
  // How many waits, and weak compare-exchanges, of a run may end for no reason.
  int spurious_wake_ups = 1;
  // How many times a run the system may refuse to start a thread.
  int refused_starts = 0;
  // What sync::HardwareConcurrency() says.
  int processors = 2;

  int64_t max_steps = 20'000;     // more of them are a livelock
  size_t stack_size = 256 << 10;  // bytes, of each simulated thread
  bool shrink = true;
};

// What went wrong, on the shortest schedule that was found for it.
struct Failure {
  Verdict verdict = Verdict::kNone;
  std::string message = "";
  std::string replay = "";    // for Strategy::Replay
  int deviations = 0;         // in `replay`
  int found_deviations = 0;   // before it was shortened
  std::string strategy = "";  // that found it
  int64_t schedule = 0;       // the how many-th, from 1
  std::string picture = "";   // a column for each thread, a row for each step
  std::string html = "";      // the same, as a page of its own
};

struct Result {
  std::optional<Failure> failure;
  int64_t schedules = 0;
  int64_t redundant = 0;  // of these, that repeated others
  int64_t steps = 0;
  // Depth-first search has come to its end.
  bool complete = false;
};

// Runs `body` on one schedule after the other, until one fails or the number is
// reached.
//
// Everything that `body` does has to follow from the schedule: no state that
// outlives a run, no real clocks, threads, random numbers or addresses, no
// order of a hash table. Everything else that it uses has to go through
// cohort/sync.
//
// Blocks the calling thread, which runs everything. Not from within a run.
Result Search(const Options& options, absl::FunctionRef<void()> body);

// The rest of a fuzzer's input, which is taken from its end: what the schedule
// takes from its front does not move.
class ByteStream {
 public:
  // 0 when there is none left.
  virtual uint8_t Next() = 0;
  virtual bool empty() const = 0;
  // Below n, which is between 1 and 256.
  int Below(int n) { return Next() % n; }

 protected:
  ~ByteStream() = default;
};

// Runs `body` once, on the schedule that `bytes` say. For a fuzz target: tells
// libFuzzer, where it is linked, which pairs of steps met on which object.
Result SearchBytes(const Options& options, absl::Span<const uint8_t> bytes,
                   absl::FunctionRef<void(ByteStream&)> body);

// The same, but prints a failure and aborts.
void FuzzOne(const Options& options, absl::Span<const uint8_t> bytes,
             absl::FunctionRef<void(ByteStream&)> body);

// What a failure looks like in a log.
std::string Report(const Failure& failure);

}  // namespace cohort::sim

#endif  // COHORT_SIM_SEARCH_H_
