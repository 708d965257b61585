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
#include "cohort/group/batch.h"
#include "cohort/group/value_task.h"
#include "cohort/group/values.h"

namespace cohort::callbacks::internal {

using group_internal::BatchResult;
using group_internal::Decision;
using group_internal::Losers;
using group_internal::Slot;
using group_internal::Task;
using group_internal::TupleValues;
using group_internal::Values;

// How each of the functions ended, none of them stopped by another.
inline std::vector<absl::Status> RunAll(const Context& context,
                                        std::vector<Task> tasks) {
  const size_t count = tasks.size();
  return group_internal::StatusesByIndex(
      group_internal::RunBatch(context, "callbacks::All", {}, Losers::kJoin,
                               std::move(tasks)),
      count);
}

template <class T>
absl::StatusOr<T> Result(const absl::Status& status, Slot<T>& slot) {
  if (!status.ok()) return status;
  return *std::move(slot);
}

template <class... F>
auto All(const Context& context, TupleValues<F...> values) {
  [[maybe_unused]] const std::vector<absl::Status> statuses =
      RunAll(context, std::move(values.tasks));
  return [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    return std::tuple<absl::StatusOr<ValueTaskResult<F>>...>(
        Result(statuses[kIndex], *std::get<kIndex>(values.slots))...);
  }(std::index_sequence_for<F...>());
}

template <class T>
std::vector<absl::StatusOr<T>> All(const Context& context, Values<T> values) {
  const std::vector<absl::Status> statuses =
      RunAll(context, std::move(values.tasks));
  std::vector<absl::StatusOr<T>> results;
  results.reserve(statuses.size());
  for (size_t i = 0; i < statuses.size(); ++i) {
    results.push_back(Result(statuses[i], *values.slots[i]));
  }
  return results;
}

template <class T>
absl::StatusOr<T> Race(const Context& context, const char* caller,
                       Losers losers, Values<T> values) {
  if (values.tasks.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(caller, ": there are no functions"));
  }
  BatchResult result = group_internal::RunBatch(
      context, caller, {.successes = 1}, losers, std::move(values.tasks));
  if (result.decision == Decision::kSuccess) {
    return values.Take(result.ended.back().index);
  }
  if (!result.cause.ok()) return result.cause;
  return group_internal::AllFailures(caller, std::move(result.ended));
}

}  // namespace cohort::callbacks::internal

#endif  // COHORT_CALLBACKS_INTERNAL_CALLBACKS_H_
