// A value that several replicas keep, some of which may be down or behind. What
// a majority has been told, the next majority that is asked knows: they share a
// replica.

#ifndef QUORUM_REGISTER_H_
#define QUORUM_REGISTER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cohort/context/context.h"

namespace quorum {

struct Version {
  int64_t number = 0;
  std::string value;
};

// Both return early when `context` is done: the others were enough.
struct Replica {
  std::function<absl::StatusOr<Version>(const cohort::Context& context)> read;
  // Keeps the newer one of two.
  std::function<absl::Status(const cohort::Context& context, const Version&)>
      write;
};

// For one writer, and any number of readers.
class Register {
 public:
  explicit Register(std::vector<Replica> replicas);

  // The newest version that a majority has. An error if too many fail.
  absl::StatusOr<Version> Read(const cohort::Context& context) const;

  // OK as soon as a majority has it. An error if too many fail; some replicas
  // may have it all the same.
  absl::Status Write(const cohort::Context& context,
                     const Version& version) const;

 private:
  int Majority() const;

  const std::vector<Replica> replicas_;
};

}  // namespace quorum

#endif  // QUORUM_REGISTER_H_
