// Small programs over callbacks, on any schedule; value_program.h says what
// they are.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cohort/callbacks/callbacks.h"
#include "cohort/context/context.h"
#include "cohort/fuzz/value_program.h"
#include "cohort/group/types.h"
#include "cohort/sim/check.h"
#include "cohort/sim/search.h"

namespace cohort::callbacks {
namespace {

using fuzz::Call;
using fuzz::FunctionSpec;
using fuzz::kMoment;
using fuzz::Program;
using fuzz::Value;
using sim::Check;

void CallAll(Program& program, const Call& call, const Context& context,
             bool was_done, bool mapped) {
  std::vector<absl::StatusOr<Value>> results;
  if (mapped) {
    // A function for each, which runners call.
    results = Map(context, {.limit = 1 + call.flags % 3}, program.MakeAll(call),
                  [](const Context& c, Program::Function function) {
                    return function(c);
                  });
  } else if (call.flags % 2 == 0) {
    results = All(context, program.MakeAll(call));
  } else {
    results =
        All(context, {.limit = 1 + call.flags / 2 % 3}, program.MakeAll(call));
  }
  Program::CheckJoined(call);
  Check(results.size() == call.functions.size(), "each has a result");
  for (size_t i = 0; i < results.size(); ++i) {
    const FunctionSpec& function = *call.functions[i];
    if (!function.started.Get()) {
      Check(context.done(), "nothing is skipped without a reason");
      Check(results[i].status() == context.cause(), "that is the cause");
      continue;
    }
    Check(!was_done, "a context that is done starts nothing");
    Check(results[i].ok() == function.succeeded.Get(),
          "a result is that of its function");
    Check(results[i].ok() ? results[i]->id() == function.id
                          : function.Said(results[i].status()),
          "a result is what its function said");
  }
}

// That `status` tells the failures of all functions.
bool TellsAll(const absl::Status& status, const Call& call) {
  std::string start = absl::StrCat(call.size(), " error(s) occurred: [");
  if (!absl::StrContains(status.message(), start)) return false;
  for (size_t i = 0; i < call.functions.size(); ++i) {
    if (!absl::StrContains(status.message(), absl::StrCat("[", i, "] {"))) {
      return false;
    }
    if (!absl::StrContains(status.message(),
                           call.functions[i]->status.message())) {
      return false;
    }
  }
  return true;
}

void CallRace(Program& program, const Call& call, const Context& context,
              bool was_done, bool detached) {
  const RunOptions options = {
      .limit = call.flags % 2 == 0 ? kUnlimited : 1 + call.flags / 2 % 3};
  absl::StatusOr<Value> result =
      detached ? RaceDetached(context, options, program.MakeAll(call))
               : Race(context, options, program.MakeAll(call));
  if (!detached) Program::CheckJoined(call);
  if (call.functions.empty()) {
    Check(absl::IsInvalidArgument(result.status()), "there must be one");
    return;
  }
  if (was_done) {
    Check(call.started() == 0, "a context that is done starts nothing");
    Check(result.status() == context.cause(), "that is the cause");
    return;
  }
  if (result.ok()) {
    Check(call.Of(*result)->succeeded.Get(), "the winner has succeeded");
    return;
  }
  if (detached) {
    // More may have ended since.
    Check(context.done() || call.failed() == call.size(),
          "it ends with a reason");
    return;
  }
  Check(call.succeeded() == 0, "a success is not given up");
  if (call.echoed() > 0) {
    // Nothing but the end of the context has told it to stop.
    Check(context.done() && result.status() == context.cause(),
          "an echo is no failure");
  } else if (call.failed_by_themselves() == call.size() || !context.done()) {
    Check(call.failed() == call.size(), "it ends when nobody can succeed");
    Check(TellsAll(result.status(), call), "all errors are told");
  } else {
    Check(result.status() == context.cause() || TellsAll(result.status(), call),
          "an error is those of all, or the cause");
  }
}

void CallRetry(Program& program, const Call& call, const Context& context,
               bool was_done) {
  RetryOptions options = {
      .attempts = call.number,
      .backoff = (call.flags & 1) != 0 ? kMoment : absl::ZeroDuration(),
      .jitter = (call.flags & 2) != 0 ? 1.0 : 0.0,
      .attempt_timeout =
          (call.flags & 4) != 0 ? kMoment : absl::InfiniteDuration()};
  if ((call.flags & 8) != 0) {
    options.retry_if = [](const absl::Status& error) {
      return !absl::IsInvalidArgument(error);
    };
  }
  int64_t failures = 0;
  absl::Status last_error;
  options.on_failure = [&](const FailedAttempt& failure) {
    Check(failure.attempt == ++failures, "each failed attempt is told, once");
    last_error = failure.error;
  };
  // Attempts are the functions of the call, and a success.
  int64_t calls = 0;
  const Retried<Value> retried =
      Retry(context, options,
            [&, shared = program.shared_from_this()](
                const Context& attempt) -> absl::StatusOr<Value> {
              const size_t index = static_cast<size_t>(calls++);
              if (index >= call.functions.size()) return Value(0);
              return shared->Execute(*call.functions[index], attempt);
            });
  Check(retried.attempts == calls, "attempts are counted");
  Check(retried.last_error == last_error, "the last error is kept");
  Check(!was_done || calls == 0, "a context that is done starts nothing");
  Check(call.number == 0 || calls <= call.number, "no more than the limit");
  switch (retried.end) {
    case RetryEnd::kSucceeded:
      Check(retried.result.ok() && failures == calls - 1, "the last succeeds");
      return;
    case RetryEnd::kExhausted:
      Check(calls == call.number && failures == calls, "all have failed");
      Check(retried.result.status() == last_error, "that is the last error");
      return;
    case RetryEnd::kRefused:
      Check((call.flags & 8) != 0 && absl::IsInvalidArgument(last_error),
            "only what is refused is");
      Check(retried.result.status() == last_error, "that is the last error");
      return;
    case RetryEnd::kCancelled:
      Check(context.done(), "it was cancelled");
      Check(retried.result.status() == context.cause(), "that is the cause");
      Check(calls - failures <= 1, "one attempt at most was told to stop");
      return;
  }
}

void RunCall(Program& program, Call& call, const Context& context) {
  const bool was_done = context.done();
  switch (call.kind % 5) {
    case 0:
      return CallAll(program, call, context, was_done, /*mapped=*/false);
    case 4:
      return CallAll(program, call, context, was_done, /*mapped=*/true);
    case 1:
      return CallRace(program, call, context, was_done, /*detached=*/false);
    case 2:
      return CallRace(program, call, context, was_done, /*detached=*/true);
    case 3:
      return CallRetry(program, call, context, was_done);
  }
}

}  // namespace
}  // namespace cohort::callbacks

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cohort::sim::FuzzOne({.max_steps = 50'000}, absl::MakeConstSpan(data, size),
                       [](cohort::sim::ByteStream& stream) {
                         std::make_shared<cohort::fuzz::Program>(
                             stream, cohort::callbacks::RunCall)
                             ->Run();
                       });
  return 0;
}
