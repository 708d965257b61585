#include "tests/stress/value_functions.h"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/sync/thread.h"

namespace cohort::stress {

absl::Status Cause() { return absl::AbortedError("cancelled by the test"); }

std::vector<Function> Functions(Random& random,
                                const std::shared_ptr<Book>& book, int count,
                                bool may_wait) {
  std::vector<Function> functions;
  for (int i = 0; i < count; ++i) {
    const bool waits = may_wait && random.OneIn(4);
    const bool fails = random.OneIn(3);
    const int turns = static_cast<int>(random.Below(4));
    functions.push_back([=](const Context& context) -> absl::StatusOr<int> {
      ++book->running;
      for (int turn = 0; turn < turns; ++turn) sync::Yield();
      if (waits) context.AwaitDone();
      --book->running;
      if (waits) return absl::CancelledError("told to stop");
      if (fails) {
        ++book->failures;
        return absl::NotFoundError("own error");
      }
      ++book->successes;
      return i;
    });
  }
  return functions;
}

void ValueFunctionsTest::Search(
    int rounds, std::function<void(Random&, const Context&, bool cancelled,
                                   std::vector<Function>, Book&)>
                    call) {
  Repeat(rounds, [&](Random& round) {
    const bool cancelled = round.OneIn(2);
    const auto book = std::make_shared<Book>();
    const int count = static_cast<int>(round.Below(6));
    std::vector<Function> functions =
        Functions(round, book, count, /*may_wait=*/cancelled);
    CancelScope scope = WithCancel(Context());
    InParallel(round, 2, [&](int thread, Random& random) {
      if (thread == 1) {
        if (cancelled) scope.Cancel(Cause());
        return;
      }
      call(random, scope.context(), cancelled, std::move(functions), *book);
    });
  });
}

}  // namespace cohort::stress
