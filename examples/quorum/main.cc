// Writes to and reads from made-up replicas: one of five is down, one hangs,
// and one is behind.

#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "quorum/register.h"

namespace {

using cohort::Context;
using quorum::Replica;
using quorum::Version;

Replica Down() {
  return {
      .read = [](const Context&) -> absl::StatusOr<Version> {
        return absl::UnavailableError("down");
      },
      .write = [](const Context&,
                  const Version&) { return absl::UnavailableError("down"); }};
}

Replica Hanging() {
  return {.read = [](const Context& context) -> absl::StatusOr<Version> {
            context.AwaitDone();
            return context.status();
          },
          .write =
              [](const Context& context, const Version&) {
                context.AwaitDone();
                return context.status();
              }};
}

Replica With(int64_t number, std::string value) {
  return {
      .read = [version = Version{number, std::move(value)}](
                  const Context&) { return version; },
      .write = [](const Context&, const Version&) { return absl::OkStatus(); }};
}

}  // namespace

int main() {
  const cohort::CancelScope scope =
      cohort::WithTimeout(Context(), absl::Seconds(10));
  const quorum::Register value(
      {Down(), Hanging(), With(1, "old"), With(2, "new"), With(2, "new")});
  const absl::StatusOr<Version> version = value.Read(scope.context());
  if (!version.ok()) {
    std::cerr << version.status() << '\n';
    return 1;
  }
  std::cout << "version " << version->number << ": " << version->value << '\n';
  return 0;
}
