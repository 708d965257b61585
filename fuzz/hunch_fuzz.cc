// Small programs over hunch, on any schedule; value_program.h says what they
// are.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cohort/context/context.h"
#include "cohort/fuzz/value_program.h"
#include "cohort/group/types.h"
#include "cohort/hunch/hunch.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"

namespace cohort::hunch {
namespace {

using fuzz::Call;
using fuzz::FunctionSpec;
using fuzz::Program;
using fuzz::Value;
using sim::Check;

// What holds of the error of a call for which all functions have to succeed.
void CheckFirstError(const absl::Status& status, const Call& call,
                     const Context& context) {
  if (context.done() && status == context.cause() &&
      call.failed_by_themselves() == 0) {
    return;
  }
  Check(call.failed() > call.echoed(), "an echo is no failure");
  Check(std::any_of(call.functions.begin(), call.functions.end(),
                    [&](const FunctionSpec* function) {
                      return function->failed.Get() && function->Said(status);
                    }),
        "an error is that of a function, or the cause");
}

int Limit(const Call& call) {
  return (call.flags & 2) == 0 ? kUnlimited : 1 + call.flags / 4 % 3;
}

void CallAll(Program& program, const Call& call, const Context& context,
             bool mapped) {
  const absl::StatusOr<std::vector<Value>> all =
      mapped
          ? Map(context, {.limit = 1 + call.flags % 3}, program.MakeAll(call),
                [](const Context& c, Program::Function function) {
                  return function(c);
                })
          : All(context, {.limit = Limit(call)}, program.MakeAll(call));
  Program::CheckJoined(call);
  Check(all.ok() == (call.succeeded() == call.size()),
        "it succeeds if all do, and only then");
  if (!all.ok()) return CheckFirstError(all.status(), call, context);
  for (size_t i = 0; i < all->size(); ++i) {
    Check((*all)[i].id() == call.functions[i]->id, "values are in order");
  }
}

void CheckValues(const std::vector<IndexedValue<Value>>& values, int count,
                 const Call& call) {
  Check(static_cast<int>(values.size()) == count, "so many are returned");
  std::vector<int> indices;
  for (const IndexedValue<Value>& value : values) {
    const FunctionSpec* function = call.Of(value.value);
    Check(function == call.functions[static_cast<size_t>(value.index)],
          "an index is that of the function");
    Check(function->succeeded.Get(), "a value is that of a success");
    indices.push_back(value.index);
  }
  std::sort(indices.begin(), indices.end());
  Check(std::unique(indices.begin(), indices.end()) == indices.end(),
        "a function has one value");
}

void CallTake(Program& program, const Call& call, const Context& context,
              bool detached) {
  const TakeOptions options = {.tolerate_errors = (call.flags & 1) != 0,
                               .limit = Limit(call)};
  const int wanted = std::min(call.number, call.size());
  const auto taken =
      detached
          ? TakeDetached(context, call.number, options, program.MakeAll(call))
          : Take(context, call.number, options, program.MakeAll(call));
  if (!detached) Program::CheckJoined(call);
  if (wanted == 0) {
    Check(taken.ok() && taken->empty(), "none is wanted");
    Check(call.started() == 0, "and none is called");
    return;
  }
  if (taken.ok()) return CheckValues(*taken, wanted, call);
  Check(context.done() || call.failed() > 0, "it fails for a reason");
  if (detached) return;
  if (!options.tolerate_errors) {
    return CheckFirstError(taken.status(), call, context);
  }
  Check(call.succeeded() < wanted, "it fails if too few can succeed");
  if (call.failed_by_themselves() > call.size() - wanted) {
    Check(absl::StrContains(taken.status().message(), "error(s) occurred"),
          "errors are told");
  }
}

void CallLast(Program& program, const Call& call, const Context& context) {
  const auto last =
      Last(context, call.number, {.limit = Limit(call)}, program.MakeAll(call));
  Program::CheckJoined(call);
  Check(last.ok() == (call.succeeded() == call.size()),
        "it succeeds if all do, and only then");
  if (!last.ok()) return CheckFirstError(last.status(), call, context);
  CheckValues(*last, std::min(call.number, call.size()), call);
}

void CallRetry(Program& program, const Call& call, const Context& context) {
  // Attempts are the functions of the call, and a success.
  int calls = 0;
  const absl::StatusOr<Value> result =
      Retry(context, call.number,
            [&, shared = program.shared_from_this()](
                const Context& attempt) -> absl::StatusOr<Value> {
              const size_t index = static_cast<size_t>(calls++);
              if (index >= call.functions.size()) return Value(0);
              return shared->Execute(*call.functions[index], attempt);
            });
  Check(call.number == 0 || calls <= call.number, "no more than the limit");
  if (result.ok()) {
    Check(call.failed() == calls - 1, "the last succeeds");
  } else if (context.done() && result.status() == context.cause()) {
    Check(call.succeeded() == 0, "a success is not given up");
  } else {
    Check(calls == call.number && call.failed() == calls, "all have failed");
    Check(absl::StrContains(result.status().message(),
                            absl::StrCat("(", calls, " time")),
          "attempts are counted");
  }
}

void CallWaterfall(Program& program, const Call& call, const Context& context) {
  if (call.size() < 3) return;
  const auto step = [&](size_t i) {
    return [&call, i, function = program.Make(call.functions[i])](
               const Context& c, Value value) mutable {
      Check(value.id() == call.functions[i - 1]->id,
            "a step is given the value of the one before");
      return function(c);
    };
  };
  const absl::StatusOr<Value> result =
      Waterfall(context, program.Make(call.functions[0]), step(1), step(2));
  for (size_t i = 1; i < 3; ++i) {
    Check(!call.functions[i]->started.Get() ||
              call.functions[i - 1]->succeeded.Get(),
          "a step follows a success");
  }
  if (result.ok()) {
    Check(result->id() == call.functions[2]->id, "the value is the last");
  } else {
    Check(!call.functions[2]->succeeded.Get(), "a success is not given up");
    CheckFirstError(result.status(), call, context);
  }
}

void RunCall(Program& program, Call& call, const Context& context) {
  const bool was_done = context.done();
  switch (call.kind % 7) {
    case 0:
      CallAll(program, call, context, /*mapped=*/false);
      break;
    case 6:
      CallAll(program, call, context, /*mapped=*/true);
      break;
    case 1:
      CallTake(program, call, context, /*detached=*/false);
      break;
    case 2:
      CallTake(program, call, context, /*detached=*/true);
      break;
    case 3:
      CallLast(program, call, context);
      break;
    case 4:
      CallRetry(program, call, context);
      break;
    case 5:
      CallWaterfall(program, call, context);
      break;
  }
  if (was_done) {
    Check(call.started() == 0, "a context that is done starts nothing");
  }
}

}  // namespace
}  // namespace cohort::hunch

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.max_steps = 50'000}, absl::MakeConstSpan(data, size),
                       [](cohort::sim::ByteStream& stream) {
                         std::make_shared<cohort::fuzz::Program>(
                             stream, cohort::hunch::RunCall)
                             ->Run();
                       });
  return 0;
}
