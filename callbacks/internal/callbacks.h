#ifndef COHORT_CALLBACKS_INTERNAL_CALLBACKS_H_
#define COHORT_CALLBACKS_INTERNAL_CALLBACKS_H_

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/group/elements.h"
#include "cohort/group/internal/batch.h"
#include "cohort/group/internal/run_elements.h"
#include "cohort/group/internal/values.h"
#include "cohort/task/value_task.h"

namespace cohort::callbacks::internal {

using group_internal::BatchResult;
using group_internal::Decision;
using group_internal::MappedTo;
using group_internal::OnDecision;
using group_internal::TupleValues;
using group_internal::Values;
using task_internal::ResultOf;
using task_internal::Task;

// The results of all functions; none of them stops another.
inline std::vector<absl::Status> RunAll(const Context& context,
                                        RunOptions options,
                                        std::vector<Task> tasks) {
  const size_t count = tasks.size();
  return group_internal::StatusesByIndex(
      group_internal::RunBatch(
          context, {.caller = "callbacks::All", .limit = options.limit},
          std::move(tasks)),
      count);
}

template <class... F>
auto All(const Context& context, RunOptions options, TupleValues<F...> values) {
  [[maybe_unused]] const std::vector<absl::Status> statuses =
      RunAll(context, options, std::move(values.tasks));
  return [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    return std::tuple<absl::StatusOr<ValueTaskResult<F>>...>(
        ResultOf(statuses[kIndex], *std::get<kIndex>(values.slots))...);
  }(std::index_sequence_for<F...>());
}

template <class T>
std::vector<absl::StatusOr<T>> All(const Context& context, RunOptions options,
                                   Values<T> values) {
  const std::vector<absl::Status> statuses =
      RunAll(context, options, std::move(values.tasks));
  std::vector<absl::StatusOr<T>> results;
  results.reserve(statuses.size());
  for (size_t i = 0; i < statuses.size(); ++i) {
    results.push_back(ResultOf(statuses[i], *values.slots[i]));
  }
  return results;
}

template <class T>
absl::StatusOr<T> Race(const Context& context, const char* caller,
                       OnDecision on_decision, RunOptions options,
                       Values<T> values) {
  if (values.tasks.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(caller, ": there are no functions"));
  }
  BatchResult result = group_internal::RunBatch(context,
                                                {.caller = caller,
                                                 .quorum = {.successes = 1},
                                                 .on_decision = on_decision,
                                                 .limit = options.limit},
                                                std::move(values.tasks));
  if (result.decision == Decision::kSuccess) {
    return absl::StatusOr<T>(std::in_place,
                             values.Take(result.ended.back().index));
  }
  if (!result.cause.ok()) return absl::StatusOr<T>(result.cause);
  return absl::StatusOr<T>(
      group_internal::AllFailures(caller, std::move(result.ended)));
}

// Each element has a result of its own, whatever the others return.
template <class R, class F>
auto Map(const Context& context, MapOptions options, R& range,
         const F& function) {
  using U = MappedTo<F, R>;
  group_internal::Elements<R> elements(range);
  std::vector<absl::StatusOr<U>> results(elements.size());
  group_internal::RunElements(
      context,
      {.caller = "callbacks::Map",
       .limit = options.limit,
       .count = elements.size(),
       .on_failure =
           [&results](size_t i, absl::Status status) {
             results[i] = std::move(status);  // as a failure, whatever a U is
           }},
      function,
      [&](const Context& c, size_t i) {
        return task_internal::CallInto(results[i], function, c, elements[i]);
      })
      .IgnoreError();
  return results;
}

}  // namespace cohort::callbacks::internal

#endif  // COHORT_CALLBACKS_INTERNAL_CALLBACKS_H_
