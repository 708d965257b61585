// Deadlock detection: which call waits for which other, if work of one waits
// for another. A wait that would close a circle is found here before it begins.
// Internal.

#ifndef COHORT_SINGLEFLIGHT_INTERNAL_WAITS_H_
#define COHORT_SINGLEFLIGHT_INTERNAL_WAITS_H_

#include <cstdint>
#include <vector>

#include "cohort/sync/atomic.h"
#include "cohort/sync/linked_list.h"
#include "cohort/sync/ref_ptr.h"

namespace cohort::singleflight::internal {

class CallNode;
class Waiter;

// A wait inside the work of calls, on the stack of the waiting thread. Until it
// is destroyed, it is one edge of the graph for each of these calls.
//
// One process-wide lock guards the graph. Only waits inside work take it.
class NestedWait {
 public:
  // `inside`: the calls that cannot end before the wait does. Only this
  // constructor allocates.
  NestedWait(const Waiter& waiter, std::vector<CallNode*> inside);
  ~NestedWait();
  NestedWait(const NestedWait&) = delete;
  NestedWait& operator=(const NestedWait&) = delete;

  // Null if the wait may begin, and it then has begun or is already over. Else
  // the call among `inside` that the wait would indirectly wait for. Call it
  // once.
  const CallNode* Begin();

 private:
  friend class CallNode;
  struct Edge : sync::ListHook<Edge> {
    const NestedWait* wait = nullptr;
  };

  const Waiter& waiter_;
  const std::vector<CallNode*> inside_;
  std::vector<Edge> edges_;  // one for each of inside_
  bool begun_ = false;
};

// A call in that graph. A context of its work may keep it for long; by then it
// serves only for comparison.
class CallNode {
 public:
  CallNode() = default;
  CallNode(const CallNode&) = delete;
  CallNode& operator=(const CallNode&) = delete;

  void Ref() const { references_.Ref(); }
  void Unref() const {
    if (references_.Unref()) delete this;
  }

  // Whether the call is over.
  bool ended() const { return ended_.load(sync::kAcquire); }

 protected:
  virtual ~CallNode() = default;
  void SetEnded() { ended_.store(true, sync::kRelease); }

 private:
  friend class NestedWait;

  const sync::RefCount references_;
  sync::Atomic<bool> ended_{false};

  // Guarded by the lock of the graph.
  sync::LinkedList<NestedWait::Edge> waits_;
  // The last search that has reached this call, and the next call that it
  // found.
  uint64_t goal_of_ = 0;
  uint64_t found_by_ = 0;
  CallNode* next_found_ = nullptr;
};

}  // namespace cohort::singleflight::internal

#endif  // COHORT_SINGLEFLIGHT_INTERNAL_WAITS_H_
