// A cache in front of something slow, that a stampede does not run over: when
// an entry is missing, or too old, and everybody wants it at once, it is loaded
// once.

#ifndef CACHE_CACHE_H_
#define CACHE_CACHE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/singleflight/group.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"

namespace cache {

class Cache {
 public:
  // Returns early when `context` is done: nobody waits for it any more.
  using Load = std::function<absl::StatusOr<std::string>(
      const cohort::Context& context, const std::string& key)>;

  Cache(Load load, absl::Duration max_age);

  // The value of `key`, no older than max_age. Who has to wait for it can give
  // up: that takes nothing from the others, and if all of them do, the load is
  // told. An error is not kept.
  absl::StatusOr<std::string> Get(const cohort::Context& context,
                                  absl::string_view key);

  // What Get returns from now on was loaded later than this.
  void Invalidate(absl::string_view key);

 private:
  struct Entry {
    std::string value;
    cohort::sync::SteadyTime expires;
  };

  std::optional<std::string> Find(absl::string_view key);
  absl::StatusOr<std::string> LoadAndKeep(const cohort::Context& context,
                                          const std::string& key);

  const Load load_;
  const absl::Duration max_age_;
  cohort::sync::Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t invalidations_ ABSL_GUARDED_BY(mutex_) = 0;
  // The first to go: it waits for the loads, which use the rest.
  cohort::singleflight::Group<std::string, std::string> loads_;
};

}  // namespace cache

#endif  // CACHE_CACHE_H_
