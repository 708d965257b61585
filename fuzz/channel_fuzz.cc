// Small programs over two channels, on any schedule. The input's end is the
// program: who sends, receives, selects, closes, gives up, who is a stage from
// one channel to the other; its front is the schedule.
//
// No program can hang by what it says: the first thread closes both channels
// when it has done its own part, in which it blocks under a deadline alone. So
// whatever hangs is the library's.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cohort/channel/channel.h"
#include "cohort/channel/pipeline.h"
#include "cohort/channel/select.h"
#include "cohort/context/context.h"
#include "cohort/fuzz/program.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"

namespace cohort::channel {
namespace {

using fuzz::kMoment;
using fuzz::RunThreads;
using sim::Check;

constexpr size_t kMaxOps = 6;  // of a thread
constexpr size_t kChannels = 2;

// The program.

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kSend,
  kTrySend,
  kReceive,
  kTryReceive,
  kReceiveOrReceive,
  kSendOrReceive,
  kSendOrSend,
  kSendReceiveOrNothing,
  kClose,
  kCancel,
  kSleep,
  kMap,  // the first of a program
  kReceiveOrAfter,
  kCount,
};

enum class ContextKind : uint8_t { kNone, kScope, kDeadline, kCount };

struct Op {
  OpKind kind = OpKind::kEnd;
  ContextKind context = ContextKind::kNone;
  size_t n = 0;  // which channel, or which thread
};

struct Program {
  std::array<int, kChannels> capacities = {};
  std::vector<std::vector<Op>> threads;
};

Program Parse(sim::ByteStream& stream) {
  Program program;
  for (int& capacity : program.capacities) capacity = stream.Below(3);
  program.threads.resize(static_cast<size_t>(1 + stream.Below(4)));
  for (std::vector<Op>& ops : program.threads) {
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream.Below(static_cast<int>(OpKind::kCount)));
      if (op.kind == OpKind::kEnd) break;
      const uint8_t byte = stream.Next();
      op.context = static_cast<ContextKind>(
          byte % static_cast<int>(ContextKind::kCount));
      op.n = byte / 8;
      ops.push_back(op);
    }
  }
  return program;
}

// The run.

const absl::Status kCancelled = absl::AbortedError("cancelled");
const absl::Status kLate = absl::AbortedError("late");
const absl::Status kEnough = absl::AbortedError("enough");

struct Value {
  size_t sender = 0;
  int number = 0;
  auto operator<=>(const Value&) const = default;
};

// Move-only, and empty once moved from.
using Message = std::unique_ptr<Value>;

class Model {
 public:
  explicit Model(const Program& program) : program_(program) {
    for (const int capacity : program.capacities) {
      channels_.emplace_back(capacity);
    }
    for (size_t i = 0; i < program.threads.size(); ++i) {
      scopes_.push_back(WithCancel(Context()));
      threads_.push_back({.index = i});
    }
  }

  void RunThread(size_t index) {
    for (const Op& op : program_.threads[index]) {
      RunOp(op, threads_[index]);
    }
    if (index != 0) return;
    for (size_t i = 0; i < kChannels; ++i) Close(i);
  }

  // Nobody uses them any more.
  void CheckAtEnd() {
    for (size_t channel = 0; channel < kChannels; ++channel) {
      std::vector<Value> sent;
      std::vector<Value> received;
      for (const Thread& thread : threads_) {
        const Books& books = thread.books[channel];
        sent.insert(sent.end(), books.sent.begin(), books.sent.end());
        received.insert(received.end(), books.received.begin(),
                        books.received.end());
      }
      const int left = channels_[channel].size();
      Check(left <= channels_[channel].capacity(),
            "no more than there is room");
      for (int i = 0; i < left; ++i) {
        received.push_back(**channels_[channel].Receive(Context()));
      }
      Check(absl::IsOutOfRange(channels_[channel].TryReceive().status()),
            "that was all");
      std::sort(sent.begin(), sent.end());
      std::sort(received.begin(), received.end());
      if (in_doubt_.has_value() && in_doubt_->channel == channel &&
          !std::binary_search(received.begin(), received.end(),
                              in_doubt_->value)) {
        std::erase(sent, in_doubt_->value);
      }
      Check(sent == received, "what is sent is received, once");
    }
  }

 private:
  // Of one thread and one channel.
  struct Books {
    std::vector<Value> sent;
    std::vector<Value> received;
  };
  struct Thread {
    size_t index = 0;
    int last_number = 0;
    std::array<Books, kChannels> books = {};
  };

  void RunOp(const Op& op, Thread& thread) {
    const size_t here = op.n % kChannels;
    const size_t there = 1 - here;
    std::optional<CancelScope> deadline;
    Context context = scopes_[thread.index].context();
    if (op.context == ContextKind::kDeadline || thread.index == 0) {
      deadline = WithTimeout(context, kMoment, kLate);
      context = deadline->context();
    } else if (op.context == ContextKind::kNone) {
      context = Context();
    }
    // Before the call, for what may not happen in it.
    const std::array<bool, kChannels> closed = {closed_[0], closed_[1]};
    const bool was_done = context.done();
    Message one = Next(thread);
    Message two = Next(thread);
    const Value first = *one;
    const Value second = *two;
    const auto sent = [&](size_t channel, const Value& value,
                          const Message& message, const absl::Status& status) {
      Check((message == nullptr) == status.ok(), "sent, or where it was");
      if (status.ok()) {
        Check(!closed[channel], "nothing is sent to what is closed");
        Check(!was_done, "a context that is done sends nothing");
        thread.books[channel].sent.push_back(value);
      } else if (absl::IsFailedPrecondition(status)) {
        Check(closing_[channel], "it is closed");
      } else if (!absl::IsUnavailable(status)) {
        Check(context.done() && status == context.cause(), "says why");
      }
    };
    const auto received = [&](size_t channel,
                              const absl::StatusOr<Message>& value) {
      if (value.ok()) {
        Check(!was_done, "a context that is done receives nothing");
        Received(channel, **value, thread);
      } else if (absl::IsOutOfRange(value.status())) {
        Check(closing_[channel], "it is closed");
      } else if (!absl::IsUnavailable(value.status())) {
        Check(context.done() && value.status() == context.cause(), "says why");
      }
    };
    // For cases of a Select; each is chosen once at most.
    int chosen = 0;
    const auto take = [&](size_t channel) {
      return [&, channel](absl::StatusOr<Message> value) {
        ++chosen;
        received(channel, value);
      };
    };
    const auto give = [&](size_t channel, const Value& value,
                          const Message& message) {
      return [&, channel](absl::Status status) {
        ++chosen;
        sent(channel, value, message, status);
      };
    };
    const auto selected = [&](const absl::StatusOr<size_t>& index) {
      Check(chosen == (index.ok() ? 1 : 0), "one case, or none");
      if (index.ok()) return;
      Check(context.done() && index.status() == context.cause(), "says why");
      Check(one != nullptr && two != nullptr, "nothing was sent");
    };
    switch (op.kind) {
      case OpKind::kEnd:
      case OpKind::kCount:
        break;
      case OpKind::kSend: {
        const absl::Status status =
            channels_[here].Send(context, std::move(one));
        sent(here, first, one, status);
        break;
      }
      case OpKind::kTrySend: {
        if (was_done) break;
        const absl::Status status = channels_[here].TrySend(std::move(one));
        sent(here, first, one, status);
        break;
      }
      case OpKind::kReceive:
        received(here, channels_[here].Receive(context));
        break;
      case OpKind::kTryReceive:
        if (!was_done) received(here, channels_[here].TryReceive());
        break;
      case OpKind::kReceiveOrReceive:
        selected(Select(context, ReceiveFrom(channels_[here], take(here)),
                        ReceiveFrom(channels_[there], take(there))));
        break;
      case OpKind::kSendOrReceive:
        selected(Select(
            context,
            SendTo(channels_[here], std::move(one), give(here, first, one)),
            ReceiveFrom(channels_[there], take(there))));
        break;
      case OpKind::kSendOrSend:
        selected(Select(
            context,
            SendTo(channels_[here], std::move(one), give(here, first, one)),
            SendTo(channels_[there], std::move(two),
                   give(there, second, two))));
        break;
      case OpKind::kSendReceiveOrNothing:
        selected(Select(
            context,
            SendTo(channels_[here], std::move(one), give(here, first, one)),
            ReceiveFrom(channels_[here], take(here)),
            Otherwise([&chosen] { ++chosen; })));
        break;
      case OpKind::kReceiveOrAfter:
        selected(Select(context, ReceiveFrom(channels_[here], take(here)),
                        After(kMoment, [&chosen] { ++chosen; }),
                        ReceiveFrom(channels_[there], take(there))));
        break;
      case OpKind::kClose:
        Close(here);
        break;
      case OpKind::kCancel:
        scopes_[op.n % scopes_.size()].Cancel(kCancelled);
        break;
      case OpKind::kSleep:
        sync::SleepFor(kMoment);
        break;
      case OpKind::kMap:
        if (!mapped_.exchange(true)) {
          RunMap(context, here, there, op.n / kChannels % 4, thread);
        }
        break;
    }
  }

  // A stage whose function fails after so many values.
  void RunMap(const Context& context, size_t from, size_t to, size_t limit,
              Thread& thread) {
    const bool was_done = context.done();
    // By its end, whenever that is.
    for (std::atomic<bool>& closing : closing_) closing = true;
    std::optional<Value> last;
    const absl::Status status =
        Map(context, channels_[from], channels_[to],
            [&](Message message) -> absl::StatusOr<Message> {
              Check(!was_done, "a context that is done receives nothing");
              Received(from, *message, thread);
              if (limit-- == 0) return kEnough;
              Message next = Next(thread);
              last = *next;
              thread.books[to].sent.push_back(*next);
              return next;
            });
    for (size_t i = 0; i < kChannels; ++i) {
      Check(channels_[i].closed(), "a stage closes both of its ends");
      closed_[i] = true;
    }
    if (status == kEnough) return;
    Check(status == context.cause() || status.ok(), "says why");
    if (last.has_value()) in_doubt_ = InDoubt{.channel = to, .value = *last};
  }

  static Message Next(Thread& thread) {
    return std::make_unique<Value>(
        Value{.sender = thread.index, .number = ++thread.last_number});
  }

  static void Received(size_t channel, const Value& value, Thread& thread) {
    std::vector<Value>& values = thread.books[channel].received;
    for (const Value& earlier : values) {
      Check(earlier.sender != value.sender || earlier.number < value.number,
            "in the order of its sender");
    }
    values.push_back(value);
  }

  void Close(size_t channel) {
    closing_[channel] = true;
    const bool did = channels_[channel].Close();
    Check(!did || !closed_[channel], "closed once");
    closed_[channel] = true;
  }

  const Program& program_;
  std::deque<Channel<Message>> channels_;
  std::vector<CancelScope> scopes_;  // one for each thread
  std::deque<Thread> threads_;
  // No business of the simulator's: they add no steps, and order nothing.
  std::array<std::atomic<bool>, kChannels> closing_ = {};
  std::array<std::atomic<bool>, kChannels> closed_ = {};
  std::atomic<bool> mapped_ = false;
  // What the stage was about to send when it ended, or had just sent.
  struct InDoubt {
    size_t channel;
    Value value;
  };
  std::optional<InDoubt> in_doubt_;
};

void Run(sim::ByteStream& stream) {
  const Program program = Parse(stream);
  Model model(program);
  RunThreads(program.threads.size(),
             [&model](size_t index) { model.RunThread(index); });
  model.CheckAtEnd();
}

}  // namespace
}  // namespace cohort::channel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({}, absl::MakeConstSpan(data, size),
                       cohort::channel::Run);
  return 0;
}
