// Small programs over a singleflight::Group, on any schedule. The input's end
// is the program: who calls for which key, with work that calls for others,
// waits, leaves, forgets, fails; its front is the schedule.
//
// No program can hang by what it says: at its end work needs nobody, and calls
// that would wait for each other are told. So whatever hangs is the library's.
// In some programs, work waits only for greater keys, or for newer calls of its
// own: there are no circles in these, and none may be found.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/fuzz/program.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/singleflight/group.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/race_checked.h"

namespace cohort::singleflight {
namespace {

using fuzz::kMoment;
using fuzz::MakeExecutor;
using fuzz::Note;
using fuzz::RunThreads;
using sim::Check;

constexpr int kKeys = 3;
constexpr int kMaxRequests = 10;
constexpr size_t kMaxOps = 5;  // of a thread or of work
constexpr int kScopes = 2;

// The program.

enum class OpKind : uint8_t {
  kEnd,  // no more of them; what an input that is used up says
  kDo,
  kStart,      // kept until the end of the thread or work
  kStartDrop,  // left at once
  kWait,       // for the newest that is kept
  kPoll,
  kAbandon,
  kForget,
  kCancel,
  kSleep,
  kContextSleep,
  kCount,
};

enum class End : uint8_t { kOk, kFail, kThrow, kStatus, kCount };

struct Request;

struct Op {
  OpKind kind = OpKind::kEnd;
  Request* request = nullptr;
  int number = 0;  // of a key or of a scope
};

// A Do or Start, with what it brings for work. It is made once at most, so what
// became of it stands here too.
struct Request {
  int id = 0;
  int key = 0;
  int scope = -1;  // whose context it comes with; its maker's if negative
  bool takes_context = true;
  std::vector<Op> ops;
  End end = End::kOk;

  Note<bool> started;  // its own work
  Note<bool> ended;
  Note<bool> destroyed;
  Note<bool> delivered;  // somebody has the result
  Note<bool> alone;      // and was told to be the only one
  Note<int> ended_at;    // its own work, by the clock of the model
  // Written by the caller, then by the work, read by all who are given it.
  sync::RaceChecked<int> data;
};

struct Program {
  int executor = 0;
  bool deadline = false;
  bool circles = false;  // there may be some
  std::deque<Request> requests;
  std::vector<std::vector<Op>> threads;
};

class Parser {
 public:
  Parser(sim::ByteStream& stream, Program& program)
      : stream_(stream), program_(program) {}

  void Parse() {
    program_.executor = stream_.Below(3);
    const int flags = stream_.Below(4);
    program_.deadline = (flags & 1) != 0;
    program_.circles = (flags & 2) != 0;
    const int threads = 1 + stream_.Below(3);
    for (int i = 0; i < threads; ++i) {
      program_.threads.push_back(Ops(/*least_key=*/0, /*inside=*/false));
    }
  }

 private:
  Request* NewRequest(int least_key) {
    if (program_.requests.size() == kMaxRequests) return nullptr;
    Request& request = program_.requests.emplace_back();
    request.id = static_cast<int>(program_.requests.size());
    request.key = least_key + stream_.Below(kKeys - least_key);
    const uint8_t flags = stream_.Next();
    request.scope = (flags & 3) < kScopes ? flags & 3 : -1;
    request.takes_context = (flags & 4) == 0;
    request.end =
        static_cast<End>(stream_.Below(static_cast<int>(End::kCount)));
    request.ops = Ops(program_.circles ? 0 : request.key, /*inside=*/true);
    return &request;
  }

  std::vector<Op> Ops(int least_key, bool inside) {
    std::vector<Op> ops;
    while (ops.size() < kMaxOps) {
      Op op;
      op.kind =
          static_cast<OpKind>(stream_.Below(static_cast<int>(OpKind::kCount)));
      switch (op.kind) {
        case OpKind::kEnd:
        case OpKind::kCount:
          return ops;
        case OpKind::kDo:
        case OpKind::kStart:
        case OpKind::kStartDrop:
          // A pool of one thread makes no promise to work that waits for other
          // work.
          if (inside && program_.executor == 2) return ops;
          op.request = NewRequest(least_key);
          if (op.request == nullptr) return ops;
          break;
        case OpKind::kForget:
          op.number = stream_.Below(kKeys);
          break;
        case OpKind::kCancel:
          op.number = stream_.Below(kScopes);
          break;
        default:
          break;
      }
      ops.push_back(op);
    }
    return ops;
  }

  sim::ByteStream& stream_;
  Program& program_;
};

// The run.

absl::Status CauseOf(int scope) {
  return absl::AbortedError(scope == 0 ? "scope 0" : "scope 1");
}

// What calls return: counts how many there are.
class Value {
 public:
  Value(Request* request, Note<int>* alive) : request_(request), alive_(alive) {
    alive_->Add(1);
  }
  Value(Value&& other) noexcept
      : request_(other.request_), alive_(other.alive_) {
    alive_->Add(1);
  }
  Value& operator=(Value&&) = delete;
  ~Value() { alive_->Add(-1); }
  Request& request() const { return *request_; }

 private:
  Request* request_;
  Note<int>* alive_;
};

class Model {
 public:
  using Flights = Group<int, Value>;

  Model(Program& program, Executor* executor)
      : program_(program), kept_(program.threads.size()) {
    if (program.deadline) leaves_.Set(kMaxRequests);
    for (int i = 0; i < kScopes; ++i) {
      scopes_.push_back(i == 0 && program.deadline
                            ? WithTimeout(Context(), 2 * kMoment, CauseOf(i))
                            : WithCancel(Context()));
    }
    owner_ = std::make_unique<Flights>(Options{.executor = executor});
    group_ = owner_.get();
  }

  // What a thread keeps is still there when the group goes.
  void RunThread(size_t number) {
    RunOps(program_.threads[number], nullptr, Context(), kept_[number]);
  }

  ~Model() {
    closing_.Set(true);
    owner_.reset();
    gone_.Set(true);
    for (const std::vector<Kept>& of_thread : kept_) {
      for (const Kept& kept : of_thread) {
        const std::optional<Result<Value>> result = kept.call.Poll();
        Check(result.has_value(), "no call outlives its group");
        CheckKept(kept, *result, nullptr);
      }
    }
    kept_.clear();
    for (const Request& request : program_.requests) {
      Check(!request.started.Get() || request.ended.Get(),
            "work that has started has ended");
    }
    Check(running_.Get() == 0, "no work is left");
    Check(values_.Get() == 0, "no value is left");
    Check(functors_.Get() == 0, "no functor is left");
  }

 private:
  struct Kept {
    Request* request;
    Call<Value> call;
    std::set<int> before;
  };

  // The work of a request: tells when it is gone.
  class Token {
   public:
    Token(Model* model, Request* request) : model_(model), request_(request) {
      model_->functors_.Add(1);
    }
    Token(Token&& other) noexcept
        : model_(other.model_),
          request_(std::exchange(other.request_, nullptr)) {}
    Token& operator=(Token&&) = delete;
    ~Token() {
      if (request_ == nullptr) return;
      model_->functors_.Add(-1);
      request_->destroyed.Set(true);
    }
    absl::StatusOr<Value> operator()(const Context* context) {
      return model_->RunWork(*request_, context);
    }

   private:
    Model* model_;
    Request* request_;
  };

  // The requests whose result somebody has.
  std::set<int> Delivered() const {
    std::set<int> ids;
    for (const Request& request : program_.requests) {
      if (request.delivered.Get()) ids.insert(request.id);
    }
    return ids;
  }

  Context ContextOf(const Request& request, const Context& makers) const {
    if (request.scope < 0) return makers;
    return scopes_[static_cast<size_t>(request.scope)].context();
  }

  absl::StatusOr<Value> RunWork(Request& request, const Context* context) {
    Check(!gone_.Get(), "nothing runs after the group");
    Check(!request.started.Get(), "work runs once");
    request.started.Set(true);
    running_.Add(1);
    Check(at_once_[request.key].Add(1) <= 1 + leaves_.Get() + forgets_.Get(),
          "one call at a time, but for those that were left or forgotten");
    Check(request.data.Read() == request.id, "what was before is visible");
    request.data.Write() = -request.id;
    std::vector<Kept> kept;
    RunOps(request.ops, &request, context == nullptr ? Context() : *context,
           kept);
    leaves_.Add(static_cast<int>(kept.size()));
    kept.clear();
    at_once_[request.key].Add(-1);
    running_.Add(-1);
    request.ended.Set(true);
    request.ended_at.Set(now_.Add(1));
    switch (request.end) {
      case End::kFail:
        return absl::DataLossError("boom");
      case End::kThrow:
#ifdef ABSL_HAVE_EXCEPTIONS
        throw std::runtime_error("boom");
#else
        return absl::InternalError("boom");
#endif
      case End::kStatus:
        if (context != nullptr && context->done()) {
          Check(leaves_.Get() > 0 || closing_.Get(),
                "nobody is told to stop while somebody waits");
          return context->status();
        }
        break;
      default:
        break;
    }
    return Value(&request, &values_);
  }

  void RunOps(const std::vector<Op>& ops, Request* self, const Context& context,
              std::vector<Kept>& kept) {
    for (const Op& op : ops) {
      switch (op.kind) {
        case OpKind::kEnd:
        case OpKind::kCount:
          break;
        case OpKind::kDo: {
          Request& request = *op.request;
          const Context own = ContextOf(request, context);
          const std::set<int> before = Delivered();
          const bool was_done = own.done();
          request.data.Write() = request.id;
          const Result<Value> result = Do(request, own);
          Check(request.destroyed.Get(), "the work of a Do is gone with it");
          Check(!was_done || !request.started.Get(),
                "a context that is done starts nothing");
          Check(!was_done || result.status() == own.cause(),
                "and is the cause");
          CheckResult(request, result, before, self);
          if (!request.started.Get()) CheckNotCancelled(request, result);
          break;
        }
        case OpKind::kStart:
        case OpKind::kStartDrop: {
          Request& request = *op.request;
          const Context own = ContextOf(request, context);
          std::set<int> before = Delivered();
          request.data.Write() = request.id;
          if (op.kind == OpKind::kStartDrop) leaves_.Add(1);
          Call<Value> call = Start(request, own);
          if (op.kind == OpKind::kStartDrop) break;
          kept.push_back({&request, std::move(call), std::move(before)});
          break;
        }
        case OpKind::kWait:
          if (kept.empty()) break;
          CheckKept(kept.back(), kept.back().call.Wait(), self);
          break;
        case OpKind::kPoll:
          if (kept.empty()) break;
          if (const auto result = kept.back().call.Poll(); result.has_value()) {
            CheckKept(kept.back(), *result, self);
          }
          break;
        case OpKind::kAbandon:
          if (kept.empty()) break;
          leaves_.Add(1);
          kept.pop_back();
          break;
        case OpKind::kForget:
          forgets_.Add(1);
          group_->Forget(op.number);
          break;
        case OpKind::kCancel:
          leaves_.Add(kMaxRequests);
          if (scopes_[static_cast<size_t>(op.number)].Cancel(
                  CauseOf(op.number))) {
            cancelled_at_[op.number].Set(now_.Add(1));
          }
          break;
        case OpKind::kSleep:
          sync::SleepFor(kMoment);
          break;
        case OpKind::kContextSleep:
          context.SleepFor(kMoment).IgnoreError();
          break;
      }
    }
  }

  Result<Value> Do(Request& request, const Context& context) {
    Token token(this, &request);
    if (request.takes_context) {
      return group_->Do(context, request.key,
                        [token = std::move(token)](const Context& own) mutable {
                          return token(&own);
                        });
    }
    return group_->Do(
        context, request.key,
        [token = std::move(token)]() mutable { return token(nullptr); });
  }

  Call<Value> Start(Request& request, const Context& context) {
    Token token(this, &request);
    if (request.takes_context) {
      return group_->Start(
          context, request.key,
          [token = std::move(token)](const Context& own) mutable {
            return token(&own);
          });
    }
    return group_->Start(
        context, request.key,
        [token = std::move(token)]() mutable { return token(nullptr); });
  }

  void CheckKept(const Kept& kept, const Result<Value>& result,
                 const Request* self) {
    CheckResult(*kept.request, result, kept.before, self);
    CheckNotCancelled(*kept.request, result);
  }

  // Of a request that has waited.
  void CheckNotCancelled(const Request& request, const Result<Value>& result) {
    if (!result.ok() || request.scope < 0) return;
    const int cancelled_at = cancelled_at_[request.scope].Get();
    Check(cancelled_at == 0 || result->request().ended_at.Get() < cancelled_at,
          "no result comes after a cancel that has returned");
  }

  // `before`: whose results somebody had when the request was made. `self`: the
  // work that made it, if some did.
  void CheckResult(const Request& request, const Result<Value>& result,
                   const std::set<int>& before, const Request* self) {
    if (result.ok()) {
      Request& origin = result->request();
      Check(origin.key == request.key, "a result is that of its key");
      Check(origin.ended.Get() && origin.destroyed.Get(),
            "a result comes after its work");
      Check(!before.contains(origin.id), "no result is older than its caller");
      Check(origin.data.Read() == -origin.id, "what the work did is visible");
      Check(result.shared() || origin.id == request.id,
            "a result of another's is shared");
      Check(!origin.alone.Get() || origin.id == request.id,
            "what is not shared has one caller");
      if (!result.shared()) origin.alone.Set(true);
      origin.delivered.Set(true);
      return;
    }
    switch (result.status().code()) {
      case absl::StatusCode::kFailedPrecondition:
        Check(self != nullptr || program_.circles,
              "only work enters its own call");
        Check(program_.circles ||
                  absl::StrContains(result.status().message(),
                                    "inside the call of the same key"),
              "there is no circle");
        break;
      case absl::StatusCode::kDataLoss:
      case absl::StatusCode::kInternal:
        if (result.exception() != nullptr) {
          Check(result.exception() == nullptr, "an exception is had once");
        }
        break;
      case absl::StatusCode::kAborted:
        Check(request.scope >= 0, "a cause is that of the caller's context");
        break;
      case absl::StatusCode::kCancelled:
        Check(leaves_.Get() > 0 || closing_.Get(), "somebody has left");
        Check(request.scope >= 0 || self != nullptr || closing_.Get(),
              "who stays is not cancelled");
        break;
      default:
        Check(false, "there is no other end");
    }
  }

  Program& program_;
  std::deque<CancelScope> scopes_;
  std::unique_ptr<Flights> owner_;
  Flights* group_ = nullptr;             // also while it is being destroyed
  std::vector<std::vector<Kept>> kept_;  // by the threads

  Note<int> at_once_[kKeys];
  Note<int> running_;
  Note<int> values_;
  Note<int> functors_;
  Note<int> leaves_;  // by then, or just about to
  Note<int> forgets_;
  Note<int> now_;  // counts what happens
  Note<int> cancelled_at_[kScopes];
  Note<bool> closing_;
  Note<bool> gone_;
};

void Run(sim::ByteStream& stream) {
  Program program;
  Parser(stream, program).Parse();
  const std::unique_ptr<Executor> executor = MakeExecutor(program.executor);
  Model model(program, executor.get());
  RunThreads(program.threads.size(),
             [&model](size_t index) { model.RunThread(index); });
}

}  // namespace
}  // namespace cohort::singleflight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.processors = 1, .max_steps = 50'000},
                       absl::MakeConstSpan(data, size),
                       cohort::singleflight::Run);
  return 0;
}
