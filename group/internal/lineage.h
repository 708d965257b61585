// Which tasks a task runs inside of, across groups and threads. Internal.

#ifndef COHORT_GROUP_INTERNAL_LINEAGE_H_
#define COHORT_GROUP_INTERNAL_LINEAGE_H_

#include "absl/base/thread_annotations.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::group_internal {

class Core;

// A task, as known to the groups that were made inside it: each keeps its
// maker's Lineage, even after the maker has ended. Safe for concurrent use;
// blocks for no more than a short lock.
class Lineage {
 public:
  // The lineage of a task of `core`; `maker` is that of the task that created
  // `core`.
  Lineage(const Core* core, sync::RefPtr<Lineage> maker);

  void Ref() const { references_.Ref(); }
  void Unref();

  // The task has ended. What it has made is now directly below the nearest
  // enclosing task that still runs.
  void End();

  // Whether `task`, or a task around it, is a running task of `core`.
  static bool Includes(sync::RefPtr<Lineage> task, const Core* core);

 private:
  ~Lineage() = default;

  // `task` if it still runs, or else the nearest task around it that does.
  static sync::RefPtr<Lineage> Running(sync::RefPtr<Lineage> task);

  sync::RefCount references_;
  sync::Mutex mutex_;
  const Core* core_ ABSL_GUARDED_BY(mutex_);  // null once the task has ended
  sync::RefPtr<Lineage> maker_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cohort::group_internal

#endif  // COHORT_GROUP_INTERNAL_LINEAGE_H_
