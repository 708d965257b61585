// Small programs over a semaphore::Weighted, on any schedule. The input's end
// is the program: who takes how many, gives them back, gives up, resizes; its
// front is the schedule.
//
// No program can hang by what it says: who holds permits does not wait for
// more, who has made the semaphore smaller makes it large again before it waits
// or ends, and who asks for too many has a deadline. So whatever hangs is the
// library's.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/fuzz/program.h"
#include "cohort/semaphore/weighted.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"

namespace cohort::semaphore {
namespace {

using fuzz::kMoment;
using fuzz::Note;
using fuzz::RunThreads;
using sim::Check;

constexpr size_t kMaxThreads = 4;
constexpr size_t kMaxOps = 6;  // of a thread

// The program.

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kAcquire,
  kAcquirePermit,
  kTryAcquire,
  kTryAcquirePermit,
  kRelease,
  kResize,
  kCancel,
  kSleep,
  kLook,
  kCount,
};

enum class ContextKind : uint8_t { kNone, kScope, kDeadline, kCount };

struct Op {
  OpKind kind = OpKind::kEnd;
  ContextKind context = ContextKind::kNone;
  int64_t n = 0;
};

struct Program {
  int64_t size = 1;
  std::vector<std::vector<Op>> threads;
};

Program Parse(sim::ByteStream& stream) {
  Program program;
  program.size = 1 + stream.Below(4);
  program.threads.resize(
      1 + static_cast<size_t>(stream.Below(static_cast<int>(kMaxThreads))));
  for (std::vector<Op>& ops : program.threads) {
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream.Below(static_cast<int>(OpKind::kCount)));
      if (op.kind == OpKind::kEnd) break;
      const uint8_t byte = stream.Next();
      op.context = static_cast<ContextKind>(
          byte % static_cast<int>(ContextKind::kCount));
      op.n = byte / 8 % (program.size + 2);
      ops.push_back(op);
    }
  }
  return program;
}

// The run.

const absl::Status kCancelled = absl::AbortedError("cancelled");
const absl::Status kLate = absl::AbortedError("late");

class Model {
 public:
  explicit Model(const Program& program)
      : program_(program), semaphore_(program.size) {
    for (size_t i = 0; i < program.threads.size(); ++i) {
      scopes_.push_back(WithCancel(Context()));
    }
  }

  void RunThread(size_t index) {
    Thread thread{.index = index, .context = scopes_[index].context()};
    for (const Op& op : program_.threads[index]) RunOp(op, thread);
    GiveBack(thread);
    MakeLarge(thread);
  }

  // Nobody uses it any more.
  void CheckAtEnd() {
    Check(semaphore_.waiters() == 0, "nobody waits");
    Check(semaphore_.in_use() == 0, "all permits are back");
    Check(semaphore_.size() == program_.size, "the size is the last one");
    Check(semaphore_.TryAcquire(program_.size), "all permits can be had");
    semaphore_.Release(program_.size);
  }

 private:
  struct Thread {
    size_t index;
    Context context;
    int64_t held = 0;
    std::optional<Permit> permit = std::nullopt;  // or by number
    bool made_small = false;
  };

  void RunOp(const Op& op, Thread& thread) {
    switch (op.kind) {
      case OpKind::kEnd:
      case OpKind::kCount:
        break;
      case OpKind::kAcquire:
      case OpKind::kAcquirePermit:
        Acquire(op, thread);
        break;
      case OpKind::kTryAcquire:
        GiveBack(thread);
        if (semaphore_.TryAcquire(op.n)) Took(op.n, thread);
        break;
      case OpKind::kTryAcquirePermit:
        GiveBack(thread);
        thread.permit = semaphore_.TryAcquirePermit(op.n);
        if (thread.permit.has_value()) Took(op.n, thread);
        break;
      case OpKind::kRelease:
        GiveBack(thread);
        break;
      case OpKind::kResize:
        thread.made_small = true;
        semaphore_.Resize(op.n % program_.size);
        break;
      case OpKind::kCancel:
        Cancel(static_cast<size_t>(op.n) % scopes_.size());
        break;
      case OpKind::kSleep:
        sync::SleepFor(kMoment);
        break;
      case OpKind::kLook:
        Look(thread);
        break;
    }
  }

  // A thread that sleeps below that scope, and cannot have been served when the
  // cancel has returned, is not served by that call any more.
  void Cancel(size_t index) {
    Waiting& waiting = waiting_[index];
    const int call = waiting.call.Get();
    // Then all that are in the middle of a call sleep.
    const bool all_sleep = semaphore_.waiters() == acquiring_.Get();
    if (!scopes_[index].Cancel(kCancelled)) return;
    if (all_sleep && call == waiting.call.Get() &&
        out_.Get() + waiting.for_n.Get() > program_.size) {
      waiting.in_vain.Set(true);
    }
  }

  void Acquire(const Op& op, Thread& thread) {
    GiveBack(thread);
    MakeLarge(thread);
    std::optional<CancelScope> deadline;
    Context context;
    if (op.context == ContextKind::kScope) context = thread.context;
    if (op.context == ContextKind::kDeadline || op.n > program_.size) {
      deadline = WithTimeout(context, kMoment, kLate);
      context = deadline->context();
    }
    const bool was_done = context.done();
    Waiting& waiting = waiting_[thread.index];
    waiting.in_vain.Set(false);
    if (op.context == ContextKind::kScope) {
      waiting.for_n.Set(op.n);
    }
    waiting.call.Add(1);
    acquiring_.Add(1);
    absl::Status status;
    if (op.kind == OpKind::kAcquire) {
      status = semaphore_.Acquire(context, op.n);
    } else {
      absl::StatusOr<Permit> permit = semaphore_.AcquirePermit(context, op.n);
      status = permit.status();
      if (permit.ok()) thread.permit = *std::move(permit);
    }
    acquiring_.Add(-1);
    waiting.call.Add(1);
    waiting.for_n.Set(0);
    if (status.ok()) {
      Check(!was_done, "a context that is done takes nothing");
      Check(!waiting.in_vain.Get(),
            "a cancel that has returned is followed by no grant");
      Took(op.n, thread);
    } else {
      Check(context.done(), "only the context ends it");
      Check(status == context.cause(), "and says why");
    }
  }

  void Took(int64_t n, Thread& thread) {
    Check(n <= program_.size, "nobody has more than there are");
    thread.held = n;
    const int64_t all = out_.Add(n);
    Check(all <= program_.size, "never more than the size");
    if (n == program_.size) {
      ++guarded_.Write();
    } else if (n > 0) {
      (void)guarded_.Read();
    }
  }

  void GiveBack(Thread& thread) {
    const int64_t n = std::exchange(thread.held, 0);
    out_.Add(-n);
    if (thread.permit.has_value()) {
      Check(thread.permit->count() == n, "a permit knows its number");
      thread.permit.reset();
    } else {
      semaphore_.Release(n);
    }
  }

  void MakeLarge(Thread& thread) {
    if (std::exchange(thread.made_small, false)) {
      semaphore_.Resize(program_.size);
    }
  }

  void Look(const Thread& thread) {
    const int64_t in_use = semaphore_.in_use();
    Check(in_use >= thread.held, "what is held is in use");
    Check(in_use <= program_.size, "no more is in use than there are");
    const int64_t waiters = semaphore_.waiters();
    Check(
        waiters >= 0 && waiters < static_cast<int64_t>(program_.threads.size()),
        "only others wait");
  }

  const Program& program_;
  Weighted semaphore_;
  std::vector<CancelScope> scopes_;  // one for each thread
  Note<int64_t> out_;
  struct Waiting {
    Note<int> call;  // changes when one begins or ends
    Note<int64_t> for_n;
    Note<bool> in_vain;
  };
  std::array<Waiting, kMaxThreads> waiting_;  // by thread
  Note<int64_t> acquiring_;
  // Written by who holds all permits, read by who holds some.
  sync::RaceChecked<int> guarded_;
};

void Run(sim::ByteStream& stream) {
  const Program program = Parse(stream);
  Model model(program);
  RunThreads(program.threads.size(),
             [&model](size_t index) { model.RunThread(index); });
  model.CheckAtEnd();
}

}  // namespace
}  // namespace cohort::semaphore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({}, absl::MakeConstSpan(data, size),
                       cohort::semaphore::Run);
  return 0;
}
