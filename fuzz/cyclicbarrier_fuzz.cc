// Small programs over a CyclicBarrier, on any schedule. The input's end is the
// program: who awaits, gives up, resets, and what the action does; its front is
// the schedule.
//
// Nobody waits for more than an hour, which passes only when nobody can do
// anything else. Where as many wait by then as make a round, they were
// forgotten.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/cyclicbarrier/cyclic_barrier.h"
#include "cohort/fuzz/program.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"

namespace cohort::cyclicbarrier {
namespace {

using fuzz::kMoment;
using fuzz::RunThreads;
using sim::Check;

constexpr absl::Duration kFar = absl::Hours(1);
constexpr size_t kMaxThreads = 4;
constexpr size_t kMaxOps = 6;  // of a thread
constexpr size_t kMaxRounds = kMaxThreads * kMaxOps;

// The program.

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kAwait,
  kAwaitBriefly,
  kAwaitCancellable,
  kCancel,
  kReset,
  kSleep,
  kLook,
  kCount,
};

enum class Act : uint8_t { kOk, kFail, kThrow, kSleep, kReset, kCount };

struct Op {
  OpKind kind = OpKind::kEnd;
  size_t number = 0;
};

struct Program {
  int parties = 1;
  std::vector<Act> acts;  // of the first rounds
  std::vector<std::vector<Op>> threads;
};

Program Parse(sim::ByteStream& stream) {
  Program program;
  program.parties = 1 + stream.Below(3);
  program.threads.resize(
      1 + static_cast<size_t>(stream.Below(static_cast<int>(kMaxThreads))));
  program.acts.resize(static_cast<size_t>(stream.Below(4)));
  for (Act& act : program.acts) {
    act = static_cast<Act>(stream.Below(static_cast<int>(Act::kCount)));
  }
  for (std::vector<Op>& ops : program.threads) {
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream.Below(static_cast<int>(OpKind::kCount)));
      if (op.kind == OpKind::kEnd) break;
      if (op.kind == OpKind::kCancel) op.number = stream.Next();
      ops.push_back(op);
    }
  }
  return program;
}

// The run.

const absl::Status kFailure = absl::DataLossError("the action failed");
const absl::Status kCancelled = absl::UnknownError("cancelled");
const absl::Status kLate = absl::UnknownError("late");
const absl::Status kForgotten = absl::UnknownError("an hour has passed");

class Model {
 public:
  explicit Model(const Program& program)
      : program_(program),
        barrier_(program.parties, [this] { return RunAction(); }),
        left_(static_cast<size_t>(program.parties)) {
    for (size_t i = 0; i < program.threads.size(); ++i) {
      scopes_.push_back(WithCancel(Context()));
    }
  }

  void RunThread(size_t index) {
    for (const Op& op : program_.threads[index]) {
      RunOp(op, index);
    }
  }

  // Nobody uses it any more.
  void CheckAtEnd() {
    for (const Note& left : left_) {
      Check(Get(left) == Get(left_[0]), "all of a round leave, or none");
    }
    Check(Get(left_[0]) <= Get(succeeded_), "not before the action");
    barrier_.Reset();
    Check(!barrier_.broken(), "a reset mends");
    Check(barrier_.waiting() == 0, "nobody waits");
  }

 private:
  // No business of the simulator's: it adds no steps, and orders nothing.
  using Note = std::atomic<int>;
  static int Get(const Note& note) {
    return note.load(std::memory_order_relaxed);
  }
  static int Add(Note& note, int n) {
    return note.fetch_add(n, std::memory_order_relaxed) + n;
  }

  absl::Status RunAction() {
    Check(Add(acting_, 1) == 1, "one action runs at a time");
    const size_t round = rounds_.Write()++;
    began_[round] = Add(now_, 1);
    const Act act =
        round < program_.acts.size() ? program_.acts[round] : Act::kOk;
    if (act == Act::kSleep) sync::SleepFor(kMoment);
    if (act == Act::kReset) barrier_.Reset();
    Add(acting_, -1);
#ifdef ABSL_HAVE_EXCEPTIONS
    if (act == Act::kThrow) throw std::runtime_error("boom");
#endif
    if (act == Act::kFail || act == Act::kThrow) return kFailure;
    ended_[round] = Add(now_, 1);
    Add(succeeded_, 1);
    return absl::OkStatus();
  }

  void RunOp(const Op& op, size_t index) {
    const Context& own = scopes_[index].context();
    switch (op.kind) {
      case OpKind::kEnd:
      case OpKind::kCount:
        break;
      case OpKind::kAwait:
        Await(Context());
        break;
      case OpKind::kAwaitBriefly:
        Await(WithTimeout(Context(), kMoment, kLate));
        break;
      case OpKind::kAwaitCancellable:
        Await(own, &cancelled_[index]);
        break;
      case OpKind::kCancel: {
        const size_t whose = op.number % scopes_.size();
        if (scopes_[whose].Cancel(kCancelled)) cancelled_[whose] = Add(now_, 1);
        break;
      }
      case OpKind::kReset:
        barrier_.Reset();
        break;
      case OpKind::kSleep:
        sync::SleepFor(kMoment);
        break;
      case OpKind::kLook: {
        const int waiting = barrier_.waiting();
        Check(waiting >= 0 && waiting <= program_.parties,
              "no more wait than make a round");
        (void)barrier_.broken();
        break;
      }
    }
  }

  void Await(const CancelScope& scope) { Await(scope.context()); }
  // `cancelled`: when a cancel of `parent` has returned, if it has.
  void Await(const Context& parent, const Note* cancelled = nullptr) {
    CancelScope hour = WithTimeout(parent, kFar, kForgotten);
    const Context& context = hour.context();
    const bool was_done = context.done();
    const int came = Add(now_, 1);
    Add(inside_, 1);
    const absl::StatusOr<int> index = barrier_.Await(context);
    const int inside = Add(inside_, -1) + 1;
    if (index.ok()) {
      Check(!was_done, "a context that is done is no arrival");
      Check(*index >= 0 && *index < program_.parties, "an index is one");
      Add(left_[static_cast<size_t>(*index)], 1);
      Check(Get(succeeded_) > 0, "the action has succeeded");
      // Whoever acts has arrived, and is not parked.
      if (cancelled != nullptr && Get(*cancelled) != 0 &&
          *index + 1 < program_.parties) {
        Check(SucceededBetween(came, Get(*cancelled)),
              "nobody is let through after a cancel that has returned");
      }
      return;
    }
    if (index.status() == kForgotten) {
      Check(inside < program_.parties, "nobody is forgotten");
    }
    Check(absl::IsAborted(index.status()) || absl::IsInternal(index.status()) ||
              index.status() == kFailure ||
              (context.done() && index.status() == context.cause()),
          "an error says why");
  }

  // Whether an action has, of a round to which somebody came after `from`.
  bool SucceededBetween(int from, int to) const {
    for (size_t round = 0; round < kMaxRounds; ++round) {
      if (Get(began_[round]) > from && Get(ended_[round]) != 0 &&
          Get(ended_[round]) < to) {
        return true;
      }
    }
    return false;
  }

  const Program& program_;
  CyclicBarrier barrier_;
  std::vector<CancelScope> scopes_;  // one for each thread
  std::deque<Note> left_;            // by index
  Note inside_{0};
  Note acting_{0};
  Note succeeded_{0};
  Note now_{0};  // counts what happens
  std::array<Note, kMaxThreads> cancelled_{};
  std::array<Note, kMaxRounds> began_{};
  std::array<Note, kMaxRounds> ended_{};  // where it has succeeded
  sync::RaceChecked<size_t> rounds_;      // of the action, one after the other
};

void Run(sim::ByteStream& stream) {
  const Program program = Parse(stream);
  Model model(program);
  RunThreads(program.threads.size(),
             [&model](size_t index) { model.RunThread(index); });
  model.CheckAtEnd();
}

}  // namespace
}  // namespace cohort::cyclicbarrier

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.time = cohort::sim::Time::kQuiescent},
                       absl::MakeConstSpan(data, size),
                       cohort::cyclicbarrier::Run);
  return 0;
}
