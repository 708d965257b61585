// Programs of up to three threads on a tree of contexts. The input says what
// they do and, from its other end, on which schedule. Each thread checks what
// can be told on the spot, and writes down the rest; that is judged at the end,
// so that keeping the books orders nothing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/race_checked.h"
#include "cohort/sync/test_util.h"
#include "cohort/sync/thread.h"

namespace cohort {
namespace {

using sim::Check;
using testing::Gate;

constexpr absl::Duration kTick = absl::Milliseconds(1);
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct Node;

// Why a context may end. Its number is the message of the status.
struct Cause {
  int number = 0;
  const Node* giver = nullptr;  // null until it is known
  bool of_deadline = false;
  sync::RaceChecked<int> before;  // written before it is given
  int64_t begin = kNever;         // of the call that gives it, and its end
  int64_t end = kNever;
  bool won = false;
};

// What the model knows of a CancelScope's context. Written by its maker alone,
// before anybody else gets the context.
struct Node {
  const Node* parent = nullptr;
  bool below_root = false;
  absl::Time deadline = absl::InfiniteFuture();
  Cause* deadline_cause = nullptr;  // null unless the deadline is its own
  int64_t dropped = kNever;         // when its scope began to go
  // Made too late for its deadline: an ancestor whose deadline is the earlier
  // one may still wait for its timer.
  bool too_late = false;
};

struct CallKey {
  using Type = int;
};

// What a thread can get at.
struct Handle {
  const Node* node = nullptr;  // null below a shield: never done
  Context context = Context();
  int value = -1;
  absl::Status seen = absl::OkStatus();
};

struct Seen {
  int64_t at;
  const Node* node;
  absl::Status cause;
};

enum class CallbackKind { kPlain, kLooks, kCancelsRoot, kEndsItself, kNests };

struct Callback {
  // Of the thread that registers it.
  const Node* node = nullptr;
  CallbackKind kind = CallbackKind::kPlain;
  sync::ThreadId registrar;
  bool registering = false;
  int64_t registered = kNever;
  int64_t withdrawing = kNever;
  int64_t withdrawn = kNever;
  DoneCallback handle;
  Gate made;

  // Of the one that runs it.
  bool at_once = false;
  int64_t begin = kNever;
  int64_t end = kNever;
  std::optional<Seen> saw;
  Gate over;  // with its functor

  sync::RaceChecked<int> runs;
  sync::RaceChecked<int> ends;  // of functors
};

struct Op {
  enum Kind {
    kLook,
    kMakeCancel,
    kMakeDeadline,
    kMakeValue,
    kMakeShield,
    kCancel,
    kCancelRoot,
    kDropScope,
    kDropHandle,
    kRegister,
    kWithdraw,
    kSleepFor,
    kAwaitDone,
    kAwaitDoneUntil,
    kPass,
    kKinds,
  };

  Kind kind = kLook;
  int a = 0;
  int b = 0;

  // What it may need.
  Node node;
  Cause cause;
  Callback callback;
};

using Program = std::vector<std::unique_ptr<Op>>;

// Lives as long as its functor.
class Token {
 public:
  explicit Token(Callback* callback) : callback_(callback) {}
  Token(Token&& other) noexcept
      : callback_(std::exchange(other.callback_, nullptr)) {}
  ~Token() {
    if (callback_ == nullptr) return;
    ++callback_->ends.Write();
    callback_->over.Open();
  }

 private:
  Callback* callback_;
};

class World {
 public:
  explicit World(sim::ByteStream& bytes) {
    NewCause(&no_cause_);
    NewCause(&root_cause_);
    const int threads = 2 + bytes.Below(2);
    drops_root_ = bytes.Below(2) == 1;
    root_deadline_ = bytes.Below(3);
    Decode(bytes, 4, &setup_);
    programs_.resize(static_cast<size_t>(threads));
    for (Program& program : programs_) Decode(bytes, 7, &program);
  }

  void Run();

 private:
  class Agent;

  void NewCause(Cause* cause) {
    cause->number = static_cast<int>(causes_.size());
    causes_.push_back(cause);
  }
  void Decode(sim::ByteStream& bytes, int most, Program* program);
  void Judge(const std::vector<std::unique_ptr<Agent>>& agents);

  // Orders what is written down, and nothing else.
  int64_t Stamp() { return stamps_.fetch_add(1, sync::kRelaxed); }

  Cause& CauseOf(const absl::Status& status) {
    int number = -1;
    Check(absl::SimpleAtoi(status.message(), &number) && 0 <= number &&
              static_cast<size_t>(number) < causes_.size(),
          "a cause is one that was given");
    return *causes_[static_cast<size_t>(number)];
  }
  static absl::Status StatusOf(const Cause& cause) {
    return absl::AbortedError(absl::StrCat(cause.number));
  }
  static bool IsDropped(const absl::Status& cause) {
    return absl::IsCancelled(cause);
  }
  static bool IsAtOrAbove(const Node* above, const Node* node) {
    while (node != nullptr && node != above) node = node->parent;
    return node != nullptr;
  }

  // With what is visible here.
  std::optional<Seen> Look(const Node* node, const Context& context);
  bool Give(CancelScope& scope, const Node* node, Cause& cause);
  void CallBack(Callback& callback, const Context* context, Cause& cause);

  Program setup_;
  std::vector<Program> programs_;
  bool drops_root_ = false;
  int root_deadline_ = 0;

  std::vector<Cause*> causes_;
  Cause no_cause_;
  Cause root_cause_;
  Cause root_deadline_cause_;
  Node root_node_;
  std::optional<CancelScope> root_;
  sync::Atomic<int64_t> stamps_ = 0;
};

void World::Decode(sim::ByteStream& bytes, int most, Program* program) {
  const int count = bytes.Below(most + 1);
  for (int i = 0; i < count && !bytes.empty(); ++i) {
    auto op = std::make_unique<Op>();
    op->kind = static_cast<Op::Kind>(bytes.Below(Op::kKinds));
    op->a = bytes.Next();
    op->b = bytes.Next();
    NewCause(&op->cause);
    program->push_back(std::move(op));
  }
}

std::optional<Seen> World::Look(const Node* node, const Context& context) {
  const bool done = context.done();
  const absl::Status cause = context.cause();
  const absl::Status status = context.status();
  Check(!done || !cause.ok(), "what is done has a cause");
  Check(cause.ok() || !status.ok(), "what has a cause has a status");
  if (cause.ok()) return std::nullopt;
  Check(node != nullptr, "a shield is never done");
  if (IsDropped(cause)) {
    Check(absl::IsCancelled(status), "a scope that goes cancels");
  } else {
    const Cause& given = CauseOf(cause);
    Check(absl::IsDeadlineExceeded(status) == given.of_deadline,
          "the status says whether it was a deadline");
    Check(given.before.Read() == 1,
          "what was before the end is visible after it");
    Check(IsAtOrAbove(given.giver, node), "an end goes downwards");
    if (given.of_deadline) {
      Check(sync::Now() >= given.giver->deadline, "no deadline is early");
    }
  }
  return Seen{.at = Stamp(), .node = node, .cause = cause};
}

bool World::Give(CancelScope& scope, const Node* node, Cause& cause) {
  cause.giver = node;
  cause.before.Write() = 1;
  cause.begin = Stamp();
  cause.won = scope.Cancel(StatusOf(cause));
  cause.end = Stamp();
  Check(scope.context().done(), "what is cancelled is done");
  if (cause.won) {
    Check(scope.context().cause() == StatusOf(cause),
          "whoever ends a context says why");
  }
  return cause.won;
}

void World::CallBack(Callback& callback, const Context* context, Cause& cause) {
  callback.begin = Stamp();
  callback.at_once =
      sync::CurrentThreadId() == callback.registrar && callback.registering;
  ++callback.runs.Write();
  if (context != nullptr) {
    callback.saw = Look(callback.node, *context);
    Check(callback.saw.has_value(), "a callback sees its context done");
  }
  switch (callback.kind) {
    case CallbackKind::kPlain:
    case CallbackKind::kLooks:
      sync::Yield();
      break;
    case CallbackKind::kCancelsRoot:
      if (!drops_root_) Give(*root_, &root_node_, cause);
      break;
    case CallbackKind::kEndsItself:
      // Elsewhere nobody could tell when it is over.
      if (callback.at_once || !callback.node->below_root) break;
      callback.made.Pass();
      callback.handle = DoneCallback();
      break;
    case CallbackKind::kNests: {
      if (context == nullptr) break;
      bool ran = false;
      DoneCallback nested = context->OnDone([&ran] { ran = true; });
      Check(ran, "on what is done it runs at once");
      break;
    }
  }
  ++callback.runs.Write();
  callback.end = Stamp();
}

// One of the threads, and what it has.
class World::Agent {
 public:
  // One that is alone ends nothing that it waits for.
  Agent(World* world, bool alone) : world_(*world), alone_(alone) {}

  void Add(const Handle& handle) { handles_.push_back(handle); }
  void Run(const Program& program) {
    for (const std::unique_ptr<Op>& op : program) Do(*op);
  }
  // The scopes that another one made: one for each agent in turn.
  void HandOver(std::vector<std::unique_ptr<Agent>>& heirs) {
    for (size_t i = 0; i < scopes_.size(); ++i) {
      heirs[i % heirs.size()]->scopes_.push_back(std::move(scopes_[i]));
    }
    scopes_.clear();
    for (const std::unique_ptr<Agent>& heir : heirs) {
      heir->handles_ = handles_;
    }
  }

  // Everything has to end by itself: the root is done.
  void AwaitAll();
  void Withdraw(Callback& callback);

  const std::vector<Seen>& seen() const { return seen_; }
  const std::vector<Node*>& nodes() const { return nodes_; }
  const std::vector<Callback*>& callbacks() const { return callbacks_; }
  const std::vector<Cause*>& given() const { return given_; }

 private:
  struct Scope {
    Node* node;
    std::optional<CancelScope> scope;
  };

  void Do(Op& op);
  bool Look(Handle& handle);
  void Make(Op& op);
  void Register(Op& op);

  template <class T>
  static T* Pick(std::vector<T>& from, int which) {
    return from.empty() ? nullptr
                        : &from[static_cast<size_t>(which) % from.size()];
  }

  World& world_;
  const bool alone_;
  std::vector<Handle> handles_;
  std::vector<Scope> scopes_;
  std::vector<Callback*> callbacks_;
  std::vector<Cause*> given_;
  std::vector<Node*> nodes_;
  std::vector<Seen> seen_;
};

bool World::Agent::Look(Handle& handle) {
  const std::optional<Seen> seen = world_.Look(handle.node, handle.context);
  if (handle.value >= 0) {
    const int* value = handle.context.value<CallKey>();
    Check(value != nullptr && *value == handle.value, "a value stays");
  }
  if (!seen.has_value()) {
    Check(handle.seen.ok(), "what was done stays done");
    return false;
  }
  Check(handle.seen.ok() || handle.seen == seen->cause,
        "a context keeps its first cause");
  handle.seen = seen->cause;
  seen_.push_back(*seen);
  if (IsDropped(seen->cause)) return true;
  const Node* top = handle.node;
  while (top != world_.CauseOf(seen->cause).giver && !top->too_late) {
    top = top->parent;
  }
  for (const Handle& other : handles_) {
    if (IsAtOrAbove(top, other.node) && IsAtOrAbove(other.node, handle.node)) {
      Check(other.context.cause() == seen->cause,
            "an end comes down all the way");
    }
  }
  return true;
}

void World::Agent::Make(Op& op) {
  Handle& parent = *Pick(handles_, op.a);
  Node& node = op.node;
  node.parent = parent.node;
  if (parent.node != nullptr) {
    node.below_root = parent.node->below_root;
    node.deadline = parent.node->deadline;
  }
  const bool late = Look(parent);
  std::optional<CancelScope> scope;
  if (op.kind == Op::kMakeDeadline) {
    const absl::Time t = sync::Now() + (op.b % 4 - 1) * kTick;
    op.cause.of_deadline = true;
    op.cause.giver = &node;
    op.cause.before.Write() = 1;
    if (t < node.deadline) {
      node.deadline = t;
      node.deadline_cause = &op.cause;
    }
    scope.emplace(WithDeadline(parent.context, t, StatusOf(op.cause)));
    node.too_late = scope->context().done();
    if (op.b % 4 <= 1) {
      Check(scope->context().done(), "a deadline that has passed ends at once");
    }
  } else {
    scope.emplace(WithCancel(parent.context));
  }
  Handle made = {.node = &node, .context = scope->context()};
  made.value = parent.value;
  Check(made.context.deadline() == node.deadline, "the earlier deadline wins");
  if (late) {
    Check(made.context.cause() == parent.seen,
          "a child of what is done is done from the start");
  }
  nodes_.push_back(&node);
  handles_.push_back(std::move(made));
  scopes_.push_back({.node = &node, .scope = std::move(scope)});
  Look(handles_.back());
}

void World::Agent::Register(Op& op) {
  Handle& handle = *Pick(handles_, op.a);
  Callback& callback = op.callback;
  callback.node = handle.node;
  callback.kind = static_cast<CallbackKind>(op.b % 5);
  callback.registrar = sync::CurrentThreadId();
  callback.registering = true;
  const bool late = Look(handle);
  callbacks_.push_back(&callback);
  given_.push_back(&op.cause);
  if (callback.kind == CallbackKind::kPlain) {
    callback.handle =
        handle.context.OnDone([this, &op, token = Token(&callback)] {
          world_.CallBack(op.callback, nullptr, op.cause);
        });
  } else {
    callback.handle = handle.context.OnDone(
        [this, &op, context = handle.context, token = Token(&callback)] {
          world_.CallBack(op.callback, &context, op.cause);
        });
  }
  callback.registering = false;
  callback.registered = world_.Stamp();
  callback.made.Open();
  if (late) {
    Check(callback.runs.Read() == 2 && callback.ends.Read() == 1,
          "on what is done it has run at once");
  }
}

void World::Agent::Withdraw(Callback& callback) {
  callback.withdrawing = world_.Stamp();
  callback.handle = DoneCallback();
  callback.withdrawn = world_.Stamp();
  // Whatever still ran would race with these.
  Check(callback.runs.Read() % 2 == 0, "the end of a handle waits");
  Check(callback.ends.Read() == 1, "a functor ends before its handle does");
}

void World::Agent::Do(Op& op) {
  if (handles_.empty()) return;
  Handle& handle = *Pick(handles_, op.a);
  switch (op.kind) {
    case Op::kLook:
      Look(handle);
      break;
    case Op::kMakeCancel:
    case Op::kMakeDeadline:
      Make(op);
      break;
    case Op::kMakeValue: {
      Handle made = handle;
      made.context = WithValue<CallKey>(handle.context, op.b);
      made.value = op.b;
      handles_.push_back(std::move(made));
      break;
    }
    case Op::kMakeShield: {
      Handle made = {.context = WithoutCancel(handle.context)};
      made.value = handle.value;
      Check(made.context.deadline() == absl::InfiniteFuture(),
            "a shield has no deadline");
      handles_.push_back(std::move(made));
      break;
    }
    case Op::kCancel: {
      Scope* const scope = Pick(scopes_, op.a);
      if (scope == nullptr || !scope->scope.has_value()) break;
      given_.push_back(&op.cause);
      world_.Give(*scope->scope, scope->node, op.cause);
      break;
    }
    case Op::kCancelRoot:
      if (world_.drops_root_) break;
      given_.push_back(&op.cause);
      world_.Give(*world_.root_, &world_.root_node_, op.cause);
      break;
    case Op::kDropScope: {
      Scope* const scope = Pick(scopes_, op.a);
      if (scope == nullptr || !scope->scope.has_value()) break;
      scope->node->dropped = world_.Stamp();
      scope->scope.reset();
      break;
    }
    case Op::kDropHandle:
      handles_.erase(handles_.begin() + (&handle - handles_.data()));
      break;
    case Op::kRegister:
      Register(op);
      break;
    case Op::kWithdraw: {
      Callback** const callback = Pick(callbacks_, op.a);
      if (callback == nullptr || (*callback)->withdrawn != kNever ||
          (*callback)->kind == CallbackKind::kEndsItself) {
        break;
      }
      Withdraw(**callback);
      break;
    }
    case Op::kSleepFor: {
      const absl::Duration d = op.b % 4 * kTick;
      const absl::Time start = sync::Now();
      const absl::Status status = handle.context.SleepFor(d);
      if (status.ok()) {
        Check(sync::Now() - start >= d, "a sleep is not over too early");
      } else {
        Check(Look(handle) && status == handle.context.status(),
              "a sleep ends early where the context is done");
      }
      break;
    }
    case Op::kAwaitDone:
      if (alone_ || handle.node == nullptr || !handle.node->below_root) break;
      handle.context.AwaitDone();
      Check(Look(handle), "a wait lasts until the context is done");
      break;
    case Op::kAwaitDoneUntil: {
      const absl::Time t = sync::Now() + op.b % 4 * kTick;
      if (handle.context.AwaitDoneUntil(t)) {
        Check(Look(handle), "a wait says whether the context is done");
      } else {
        Check(sync::Now() >= t, "a wait does not give up too early");
      }
      break;
    }
    case Op::kPass:
      sync::SleepFor(op.b % 4 * kTick);
      break;
    case Op::kKinds:
      break;
  }
}

void World::Agent::AwaitAll() {
  for (Handle& handle : handles_) {
    if (handle.node == nullptr || !handle.node->below_root) continue;
    handle.context.AwaitDone();
    Look(handle);
  }
  for (Callback* callback : callbacks_) {
    if (callback->withdrawn != kNever) continue;
    if (callback->node != nullptr && callback->node->below_root) {
      callback->over.Pass();
    }
    Withdraw(*callback);
  }
}

void World::Run() {
  NewCause(&root_deadline_cause_);
  root_node_.below_root = true;
  if (root_deadline_ == 0) {
    root_.emplace(WithCancel(Context()));
  } else {
    root_deadline_cause_.of_deadline = true;
    root_deadline_cause_.giver = &root_node_;
    root_deadline_cause_.before.Write() = 1;
    root_node_.deadline = sync::Now() + root_deadline_ * kTick;
    root_node_.deadline_cause = &root_deadline_cause_;
    root_.emplace(WithDeadline(Context(), root_node_.deadline,
                               StatusOf(root_deadline_cause_)));
  }
  std::vector<std::unique_ptr<Agent>> agents;
  for (size_t i = 0; i < programs_.size(); ++i) {
    agents.push_back(std::make_unique<Agent>(this, /*alone=*/false));
  }
  auto main = std::make_unique<Agent>(this, /*alone=*/true);
  main->Add({.node = &root_node_, .context = root_->context()});
  main->Run(setup_);
  main->HandOver(agents);
  {
    std::vector<std::unique_ptr<testing::JoiningThread>> callers;
    for (size_t i = 0; i < programs_.size(); ++i) {
      callers.push_back(std::make_unique<testing::JoiningThread>(
          [&agents, this, i] { agents[i]->Run(programs_[i]); }));
    }
    if (drops_root_) {
      root_node_.dropped = Stamp();
      root_.reset();
    } else {
      Give(*root_, &root_node_, root_cause_);
    }
  }
  agents.push_back(std::move(main));
  for (const std::unique_ptr<Agent>& agent : agents) agent->AwaitAll();
  Judge(agents);
}

void World::Judge(const std::vector<std::unique_ptr<Agent>>& agents) {
  std::vector<Seen> seen;
  std::vector<Callback*> callbacks;
  std::vector<Cause*> given = {&root_cause_};
  for (const std::unique_ptr<Agent>& agent : agents) {
    seen.insert(seen.end(), agent->seen().begin(), agent->seen().end());
    callbacks.insert(callbacks.end(), agent->callbacks().begin(),
                     agent->callbacks().end());
    given.insert(given.end(), agent->given().begin(), agent->given().end());
  }
  for (const Callback* callback : callbacks) {
    if (callback->saw.has_value()) seen.push_back(*callback->saw);
  }

  for (const Seen& one : seen) {
    for (const Seen& other : seen) {
      Check(one.node != other.node || one.cause == other.cause,
            "all see the same cause");
    }
    if (IsDropped(one.cause)) {
      bool dropped = false;
      for (const Node* node = one.node; node != nullptr; node = node->parent) {
        dropped = dropped || node->dropped < one.at;
      }
      Check(dropped, "a scope that stays ends nothing");
      continue;
    }
    const Cause& cause = CauseOf(one.cause);
    if (cause.of_deadline) {
      Check(cause.giver->deadline_cause == &cause,
            "a parent's earlier deadline wins, and its cause");
    } else {
      Check(cause.begin < one.at, "nothing ends before it is ended");
      Check(cause.won, "who was too late ends nothing");
    }
  }
  for (const Cause* one : given) {
    for (const Cause* other : given) {
      Check(one == other || !one->won || !other->won ||
                one->giver != other->giver,
            "one call ends a context");
    }
    if (!one->won) continue;
    for (const Seen& other : seen) {
      Check(other.node != one->giver || other.cause == StatusOf(*one),
            "the call that ended a context gave the cause");
    }
    for (const Callback* callback : callbacks) {
      if (callback->node == one->giver && callback->registered < one->begin &&
          callback->withdrawing > one->end) {
        Check(callback->end < one->end,
              "callbacks have run when the call returns");
      }
    }
  }

  for (const Callback* callback : callbacks) {
    const int runs = callback->runs.Read();
    Check(runs == 0 || runs == 2, "a callback runs once at most");
    Check(callback->ends.Read() == 1, "a functor ends once");
    if (runs == 0) continue;
    if (callback->kind != CallbackKind::kEndsItself) {
      Check(callback->end < callback->withdrawn,
            "nothing runs once its handle is gone");
    }
    if (callback->at_once) continue;
    for (const Callback* other : callbacks) {
      if (other == callback || other->node != callback->node ||
          other->at_once || other->begin == kNever) {
        continue;
      }
      Check(other->end < callback->begin || callback->end < other->begin,
            "a context's callbacks run one after another");
      if (other->registered < callback->registered &&
          other->registrar == callback->registrar) {
        Check(other->end < callback->begin,
              "callbacks run in the order of their registration");
      }
    }
  }
}

}  // namespace
}  // namespace cohort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne(
      {}, absl::MakeConstSpan(data, size),
      [](cohort::sim::ByteStream& bytes) { cohort::World(bytes).Run(); });
  return 0;
}
