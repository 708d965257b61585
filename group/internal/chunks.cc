#include "cohort/group/internal/chunks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/group/internal/batch.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/thread.h"
#include "cohort/task/capture.h"
#include "cohort/task/task.h"

namespace cohort::group_internal {
namespace {

// A chunk that takes less time is cheap; one that takes more is expensive.
// Taking a chunk costs a tenth of a microsecond.
constexpr absl::Duration kCheap = absl::Microseconds(10);
constexpr absl::Duration kDear = absl::Microseconds(40);

// The most elements that a runner can be stuck with when elements suddenly
// become expensive.
constexpr size_t kMostElements = 1024;

// The state that the runners of a call share.
class Work {
 public:
  Work(const ChunkOptions& options, ChunkBody body)
      : options_(options),
        body_(body),
        left_(std::min(static_cast<size_t>(options.limit), options.count)) {}

  const ChunkOptions& options() const { return options_; }
  size_t runners() const { return left_.size(); }

  absl::Status Call(const Context& context, Chunk& chunk) const {
    return body_(context, chunk);
  }

  std::string NameOf(size_t element) const {
    return absl::StrCat(options_.caller, ": element ", element);
  }

  // The next elements: at most `most`; none if all are taken. Needs no memory
  // ordering: the batch orders what an element sees.
  Chunk Take(size_t most) {
    const size_t seen = next_.load(sync::kRelaxed);
    if (seen >= options_.count) return {};
    const size_t share = (options_.count - seen) / (2 * runners());
    const size_t size = std::clamp<size_t>(share, 1, most);
    const size_t begin = next_.fetch_add(size, sync::kRelaxed);
    if (begin >= options_.count) return {};
    return {.next = begin, .end = std::min(begin + size, options_.count)};
  }

  // The elements that a runner has taken and not reached, while it is not
  // running.
  Chunk& LeftBy(size_t runner) { return left_[runner]; }

  // Everything below is for when no runner runs.

  bool AllDone() const {
    return next_.load(sync::kRelaxed) >= options_.count &&
           std::all_of(left_.begin(), left_.end(),
                       [](const Chunk& chunk) { return chunk.empty(); });
  }

  void FailTheRest(const absl::Status& cause) {
    left_.push_back(
        {.next = std::min(next_.load(sync::kRelaxed), options_.count),
         .end = options_.count});
    for (const Chunk& chunk : left_) {
      for (size_t i = chunk.next; i < chunk.end; ++i) {
        options_.on_failure(i, cause);
      }
    }
  }

 private:
  const ChunkOptions& options_;
  const ChunkBody body_;
  std::vector<Chunk> left_;
  sync::Atomic<size_t> next_ = 0;  // the first element that no runner has taken
};

// Once per process, or per simulated run: counting takes the system a while.
int* CountCpus() { return new int(sync::HardwareConcurrency()); }

class Runner {
 public:
  Runner(Work& work, size_t number)
      : work_(work),
        number_(number),
        chunk_(std::exchange(work.LeftBy(number), {})) {}
  // Also if an element has ended the thread.
  ~Runner() {
    if (inside_ && work_.options().on_failure != nullptr) {
      Fail(absl::InternalError(
          absl::StrCat(work_.NameOf(chunk_.next), " ended its thread")));
    }
    work_.LeftBy(number_) = chunk_;
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Not OK if an element has failed and so ends the call.
  absl::Status Run(const Context& context) {
    if (chunk_.empty()) chunk_ = work_.Take(size_);
    sync::SteadyTime begin = sync::SteadyTime::Now();
    while (!chunk_.empty()) {
      absl::Status status = RunChunk(context);
      // Otherwise the context is done.
      if (!status.ok() || !chunk_.empty()) return status;
      const sync::SteadyTime end = sync::SteadyTime::Now();
      Adapt(end - begin);
      begin = end;
      chunk_ = work_.Take(size_);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status RunChunk(const Context& context) {
    for (;;) {
      absl::Status status = Call(context);
      if (status.ok()) return status;
      if (work_.options().on_failure == nullptr) return status;
      Fail(std::move(status));
      if (chunk_.empty()) return absl::OkStatus();
    }
  }

  absl::Status Call(const Context& context) {
    inside_ = true;
    absl::Status status = task_internal::InvokeCapturing(
        [&] { return work_.Call(context, chunk_); },
        [&] { return work_.NameOf(chunk_.next); });
    inside_ = false;
    return status;
  }

  void Fail(absl::Status status) {
    work_.options().on_failure(chunk_.next++, std::move(status));
  }

  void Adapt(absl::Duration last) {
    if (last < kCheap) {
      size_ = std::min(2 * size_, kMostElements);
    } else if (last > kDear) {
      size_ = std::max<size_t>(size_ / 2, 1);
    }
  }

  Work& work_;
  const size_t number_;
  Chunk chunk_;
  size_t size_ = 1;      // maximum size of the next chunk
  bool inside_ = false;  // during a call of the body
};

}  // namespace

int DefaultLimit() { return sync::ProcessWide<&CountCpus>(); }

absl::Status RunChunks(const Context& parent, const ChunkOptions& options,
                       ChunkBody body) {
  ABSL_CHECK_GE(options.limit, 1) << options.caller << ": limit";
  if (options.count == 0) return absl::OkStatus();
  Work work(options, body);
  // More than once only if runners have ended their threads.
  for (;;) {
    std::vector<Task> runners;
    runners.reserve(work.runners());
    for (size_t i = 0; i < work.runners(); ++i) {
      runners.push_back([&work, i](const Context& context) {
        return Runner(work, i).Run(context);
      });
    }
    const BatchResult result = RunBatch(
        parent,
        {.caller = options.caller,
         .quorum = {.failures = options.on_failure == nullptr ? 1 : kUnlimited},
         .name =
             [&work](int64_t runner) {
               return work.NameOf(
                   work.LeftBy(static_cast<size_t>(runner)).next);
             }},
        std::move(runners));
    if (result.decision == Decision::kFailure) {
      return result.ended.back().status;
    }
    if (work.AllDone()) return absl::OkStatus();
    if (!parent.done()) continue;
    const absl::Status cause = parent.cause();
    if (options.on_failure != nullptr) work.FailTheRest(cause);
    return cause;
  }
}

}  // namespace cohort::group_internal
