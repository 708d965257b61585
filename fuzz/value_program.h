// Small programs of functions that return values: the common part of
// callbacks_fuzz and hunch_fuzz. The input's end encodes the program: which
// calls are made, with which functions, what these do and return, and who
// cancels when. Its front encodes the schedule.
//
// No program can hang by itself: no function waits for another one, or for a
// context without a bound. So if a run hangs, the library is at fault.

#ifndef COHORT_FUZZ_VALUE_PROGRAM_H_
#define COHORT_FUZZ_VALUE_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/fuzz/program.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/test_util.h"

namespace cohort::fuzz {

// A value that knows its function, and that cannot be copied.
class Value {
 public:
  explicit Value(int id) : id_(std::make_unique<int>(id)) {}
  int id() const {
    sim::Check(id_ != nullptr, "a value is given once");
    return *id_;
  }

 private:
  std::unique_ptr<int> id_;
};

enum class OpKind : uint8_t {
  kEnd,  // no more actions; read from an exhausted input
  kSleep,
  kContextSleep,
  kCancelParent,
  kCall,  // makes a call of its own, under its context
  kCount,
};

enum class End : uint8_t {
  kValue,
  kFail,
  kThrow,
  kStatus,     // returns the context's status; a value if that is OK
  kCause,      // returns the context's cause; a value if that is OK
  kCancelled,  // returns a CANCELLED of its own
  kCount,
};

struct Call;

struct Op {
  OpKind kind = OpKind::kEnd;
  Call* call = nullptr;
};

// A function is called at most once, so its result is recorded here too.
struct FunctionSpec {
  int id = 0;
  std::vector<Op> ops;
  End end = End::kValue;

  Note<bool> started;
  Note<bool> succeeded;
  Note<bool> failed;
  Note<bool> destroyed;
  absl::Status status;  // the result; kInternal stands for an exception

  bool over() const { return succeeded.Get() || failed.Get(); }
  // It failed, and not because it was told to stop.
  bool failed_by_itself() const {
    return failed.Get() && (end == End::kFail || end == End::kThrow);
  }
  // It only repeated its context's status or cause.
  bool echoed() const {
    return failed.Get() && (end == End::kStatus || end == End::kCause);
  }
  // Whether `result` is what a call reports for this function.
  bool Said(const absl::Status& result) const {
    if (end != End::kThrow) return result == status;
    return absl::IsInternal(result) &&
           absl::StrContains(result.message(), status.message());
  }
};

// The call of a combinator.
struct Call {
  int kind = 0;
  int number = 0;
  int flags = 0;
  std::vector<FunctionSpec*> functions;

  template <class Predicate>
  int Count(Predicate predicate) const {
    int count = 0;
    for (const FunctionSpec* function : functions) {
      count += predicate(*function) ? 1 : 0;
    }
    return count;
  }
  int succeeded() const {
    return Count([](const FunctionSpec& f) { return f.succeeded.Get(); });
  }
  int failed() const {
    return Count([](const FunctionSpec& f) { return f.failed.Get(); });
  }
  int started() const {
    return Count([](const FunctionSpec& f) { return f.started.Get(); });
  }
  int failed_by_themselves() const {
    return Count([](const FunctionSpec& f) { return f.failed_by_itself(); });
  }
  int echoed() const {
    return Count([](const FunctionSpec& f) { return f.echoed(); });
  }
  int size() const { return static_cast<int>(functions.size()); }
  // The function that returned `value`.
  const FunctionSpec* Of(const Value& value) const {
    for (const FunctionSpec* function : functions) {
      if (function->id == value.id()) return function;
    }
    sim::Check(false, "a value is that of a function of the call");
    return nullptr;
  }
};

// Everything that functions use: they may outlive the call, and the thread that
// made it.
class Program : public std::enable_shared_from_this<Program> {
 public:
  // Makes the call, and checks its result.
  using Caller = void (*)(Program& program, Call& call, const Context& context);

  Program(sim::ByteStream& stream, Caller caller)
      : stream_(stream),
        caller_(caller),
        parent_(static_cast<ParentKind>(stream.Below(4))) {
    cancel_after_ = stream_.Below(4);
    const int calls = 1 + stream_.Below(2);
    for (int i = 0; i < calls; ++i) top_.push_back(NewCall(/*depth=*/0));
  }

  void Run() {
    const Context context = parent_.context();
    std::optional<testing::JoiningThread> canceller;
    if (cancel_after_ > 0) {
      canceller.emplace([this] {
        if (cancel_after_ > 1) sync::SleepFor((cancel_after_ - 1) * kMoment);
        parent_.Cancel();
      });
    }
    for (Call* call : top_) caller_(*this, *call, context);
  }

  // A function, as passed to a call. Records its destruction.
  class Function {
   public:
    Function(std::shared_ptr<Program> program, FunctionSpec* spec)
        : program_(std::move(program)), spec_(spec) {}
    Function(Function&& other) noexcept
        : program_(std::move(other.program_)),
          spec_(std::exchange(other.spec_, nullptr)) {}
    Function& operator=(Function&&) = delete;
    ~Function() {
      if (spec_ != nullptr) spec_->destroyed.Set(true);
    }

    absl::StatusOr<Value> operator()(const Context& context) {
      return program_->Execute(*spec_, context);
    }

   private:
    std::shared_ptr<Program> program_;
    FunctionSpec* spec_;
  };

  Function Make(FunctionSpec* spec) {
    return Function(shared_from_this(), spec);
  }
  std::vector<Function> MakeAll(const Call& call) {
    std::vector<Function> functions;
    functions.reserve(call.functions.size());
    for (FunctionSpec* spec : call.functions) functions.push_back(Make(spec));
    return functions;
  }

  absl::StatusOr<Value> Execute(FunctionSpec& spec, const Context& context) {
    sim::Check(!spec.started.Get(), "a function is called once");
    spec.started.Set(true);
    for (const Op& op : spec.ops) {
      switch (op.kind) {
        case OpKind::kSleep:
          sync::SleepFor(kMoment);
          break;
        case OpKind::kContextSleep:
          context.SleepFor(2 * kMoment).IgnoreError();
          break;
        case OpKind::kCancelParent:
          parent_.Cancel();
          break;
        case OpKind::kCall:
          caller_(*this, *op.call, context);
          break;
        case OpKind::kEnd:
        case OpKind::kCount:
          break;
      }
    }
    spec.status = StatusAtEnd(spec, context);
    if (spec.status.ok()) {
      spec.succeeded.Set(true);
      return Value(spec.id);
    }
    spec.failed.Set(true);
#ifdef ABSL_HAVE_EXCEPTIONS
    if (spec.end == End::kThrow) {
      throw std::runtime_error(std::string(spec.status.message()));
    }
#endif
    return spec.status;
  }

  // Must hold after every call that joins.
  static void CheckJoined(const Call& call) {
    for (const FunctionSpec* function : call.functions) {
      sim::Check(function->destroyed.Get(), "functions are gone");
      sim::Check(function->over() || !function->started.Get(),
                 "what has started has ended");
    }
  }

 private:
  static absl::Status StatusAtEnd(const FunctionSpec& spec,
                                  const Context& context) {
    const std::string boom = absl::StrCat("boom ", spec.id, ";");
    switch (spec.end) {
      case End::kValue:
      case End::kCount:
        break;
      case End::kFail:
        return absl::InvalidArgumentError(boom);
      case End::kThrow:
        return absl::InternalError(boom);
      case End::kStatus:
        return context.status();
      case End::kCause:
        return context.cause();
      case End::kCancelled:
        return absl::CancelledError(boom);
    }
    return absl::OkStatus();
  }

  Call* NewCall(int depth) {
    Call& call = calls_.emplace_back();
    call.kind = stream_.Below(16);
    call.flags = stream_.Next();
    call.number = stream_.Below(5);
    const int count = stream_.Below(5);
    for (int i = 0; i < count && functions_.size() < kMaxFunctions; ++i) {
      call.functions.push_back(NewFunction(depth));
    }
    return &call;
  }

  FunctionSpec* NewFunction(int depth) {
    FunctionSpec& function = functions_.emplace_back();
    function.id = static_cast<int>(functions_.size());
    function.end =
        static_cast<End>(stream_.Below(static_cast<int>(End::kCount)));
    while (function.ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream_.Below(static_cast<int>(OpKind::kCount)));
      if (op.kind == OpKind::kEnd) break;
      if (op.kind == OpKind::kCall) {
        if (depth == kMaxDepth) continue;
        op.call = NewCall(depth + 1);
      }
      function.ops.push_back(op);
    }
    return &function;
  }

  static constexpr size_t kMaxFunctions = 10;
  static constexpr size_t kMaxOps = 4;
  static constexpr int kMaxDepth = 2;

  sim::ByteStream& stream_;
  const Caller caller_;
  Parent parent_;
  std::deque<FunctionSpec> functions_;
  std::deque<Call> calls_;
  std::vector<Call*> top_;
  int cancel_after_ = 0;
};

}  // namespace cohort::fuzz

#endif  // COHORT_FUZZ_VALUE_PROGRAM_H_
