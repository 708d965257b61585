#include "cohort/singleflight/internal/waits.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "cohort/singleflight/internal/flight.h"
#include "cohort/sync/mutex.h"
#include "cohort/sync/thread.h"

namespace cohort::singleflight::internal {
namespace {

struct Graph {
  sync::Mutex mutex;
  uint64_t searches ABSL_GUARDED_BY(mutex) = 0;
};

Graph* MakeGraph() { return new Graph; }
Graph& TheGraph() { return sync::ProcessWide<MakeGraph>(); }

}  // namespace

NestedWait::NestedWait(const Waiter& waiter, std::vector<CallNode*> inside)
    : waiter_(waiter), inside_(std::move(inside)), edges_(inside_.size()) {}

NestedWait::~NestedWait() {
  if (!begun_) return;
  sync::MutexLock lock(&TheGraph().mutex);
  for (size_t i = 0; i < inside_.size(); ++i) {
    inside_[i]->waits_.Remove(&edges_[i]);
  }
}

// Follows the waits from the wanted call, breadth first. Links the calls that
// it finds into a list, so that it needs neither memory nor a deep stack.
const CallNode* NestedWait::Begin() {
  Graph& graph = TheGraph();
  sync::MutexLock lock(&graph.mutex);
  if (!waiter_.Waits()) return nullptr;
  const uint64_t search = ++graph.searches;
  for (CallNode* call : inside_) {
    // A call that is over is in the list because a context of it was kept.
    if (!call->ended()) call->goal_of_ = search;
  }
  CallNode* last = nullptr;
  const auto find = [&last, search](CallNode* call) {
    if (call->found_by_ == search) return;
    call->found_by_ = search;
    call->next_found_ = nullptr;
    if (last != nullptr) last->next_found_ = call;
    last = call;
  };
  find(waiter_.flight().get());
  for (const CallNode* call = last; call != nullptr; call = call->next_found_) {
    if (call->goal_of_ == search) return call;
    for (const Edge* edge = call->waits_.front(); edge != nullptr;
         edge = call->waits_.Next(edge)) {
      // A wait that is about to return delays nobody.
      const Waiter& waiter = edge->wait->waiter_;
      if (waiter.Waits()) find(waiter.flight().get());
    }
  }
  for (size_t i = 0; i < inside_.size(); ++i) {
    edges_[i].wait = this;
    inside_[i]->waits_.PushBack(&edges_[i]);
  }
  begun_ = true;
  return nullptr;
}

}  // namespace cohort::singleflight::internal
