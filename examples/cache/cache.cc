#include "cache/cache.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/clock.h"
#include "cohort/sync/mutex.h"

namespace cache {

using cohort::Context;
using cohort::sync::MutexLock;
using cohort::sync::SteadyTime;

Cache::Cache(Load load, absl::Duration max_age)
    : load_(std::move(load)), max_age_(max_age) {}

absl::StatusOr<std::string> Cache::Get(const Context& context,
                                       absl::string_view key) {
  if (std::optional<std::string> value = Find(key)) return *std::move(value);
  // Start rather than Do: whoever is first may also be the one in a hurry.
  const cohort::singleflight::Result<std::string> result =
      loads_
          .Start(context, key,
                 [this, own_key = std::string(key)](const Context& work) {
                   return LoadAndKeep(work, own_key);
                 })
          .Wait();
  if (!result.ok()) return result.status();
  return *result;
}

void Cache::Invalidate(absl::string_view key) {
  {
    MutexLock lock(&mutex_);
    entries_.erase(key);
    ++invalidations_;
  }
  loads_.Forget(key);
}

std::optional<std::string> Cache::Find(absl::string_view key) {
  MutexLock lock(&mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  if (found->second.expires <= SteadyTime::Now()) {
    entries_.erase(found);
    return std::nullopt;
  }
  return found->second.value;
}

absl::StatusOr<std::string> Cache::LoadAndKeep(const Context& context,
                                               const std::string& key) {
  // Another load may have ended between the look at the entries and this one.
  if (std::optional<std::string> value = Find(key)) return *std::move(value);
  int64_t invalidations = 0;
  {
    MutexLock lock(&mutex_);
    invalidations = invalidations_;
  }
  const SteadyTime begun = SteadyTime::Now();
  absl::StatusOr<std::string> value = load_(context, key);
  if (!value.ok()) return value;
  MutexLock lock(&mutex_);
  // What may be older than an invalidation is for those who asked before it.
  if (invalidations_ == invalidations) {
    entries_[key] = {.value = *value, .expires = begun + max_age_};
  }
  return value;
}

}  // namespace cache
