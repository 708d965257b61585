#include "quorum/register.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"
#include "cohort/hunch/hunch.h"

namespace quorum {

using cohort::Context;
using cohort::hunch::IndexedValue;
using cohort::hunch::Take;

Register::Register(std::vector<Replica> replicas)
    : replicas_(std::move(replicas)) {}

int Register::Majority() const {
  return static_cast<int>(replicas_.size() / 2 + 1);
}

absl::StatusOr<Version> Register::Read(const Context& context) const {
  std::vector<std::function<absl::StatusOr<Version>(const Context&)>> reads;
  for (const Replica& replica : replicas_) reads.push_back(replica.read);
  absl::StatusOr<std::vector<IndexedValue<Version>>> versions =
      Take(context, Majority(), {.tolerate_errors = true}, reads);
  if (!versions.ok()) return versions.status();
  return std::max_element(versions->begin(), versions->end(),
                          [](const auto& a, const auto& b) {
                            return a.value.number < b.value.number;
                          })
      ->value;
}

absl::Status Register::Write(const Context& context,
                             const Version& version) const {
  // Take is for functions that yield a value: here, that they have written.
  struct Done {};
  std::vector<std::function<absl::StatusOr<Done>(const Context&)>> writes;
  for (const Replica& replica : replicas_) {
    writes.push_back([&](const Context& own) -> absl::StatusOr<Done> {
      const absl::Status status = replica.write(own, version);
      if (!status.ok()) return status;
      return Done();
    });
  }
  return Take(context, Majority(), {.tolerate_errors = true}, writes).status();
}

}  // namespace quorum
