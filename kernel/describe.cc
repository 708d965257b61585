// The kernel's names for things, and its report of a run that is stuck.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/kernel_internal.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/kernel/verdict.h"

namespace cohort::sim {

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return "nothing wrong";
    case Verdict::kDeadlock:
      return "deadlock";
    case Verdict::kLostWakeUp:
      return "lost wake-up";
    case Verdict::kLivelock:
      return "livelock";
    case Verdict::kLeak:
      return "leak";
    case Verdict::kRace:
      return "data race";
    case Verdict::kUseAfterDestruction:
      return "use after destruction";
    case Verdict::kMisuse:
      return "misuse";
    case Verdict::kException:
      return "escaped exception";
    case Verdict::kAssertion:
      return "failed assertion";
    case Verdict::kCrash:
      return "crash";
    case Verdict::kNondeterminism:
      return "nondeterminism";
    case Verdict::kUnfit:
      return "schedule that does not fit";
  }
  return "?";
}

}  // namespace cohort::sim

namespace cohort::kernel {
const char* KindName(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kNone:
      return "";
    case ObjectKind::kClock:
      return "clock";
    case ObjectKind::kThread:
      return "thread";
    case ObjectKind::kMutex:
      return "mutex";
    case ObjectKind::kCondVar:
      return "condvar";
    case ObjectKind::kAtomic:
      return "atomic";
    case ObjectKind::kShared:
      return "shared";
  }
  return "?";
}

absl::string_view BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

const char* OpName(OpKind kind) {
  switch (kind) {
    case OpKind::kStart:
      return "start";
    case OpKind::kEnd:
      return "end";
    case OpKind::kSpawn:
      return "spawn";
    case OpKind::kJoin:
      return "join";
    case OpKind::kLock:
      return "lock";
    case OpKind::kTryLock:
      return "try-lock";
    case OpKind::kUnlock:
      return "unlock";
    case OpKind::kWait:
      return "wait";
    case OpKind::kWake:
      return "wake";
    case OpKind::kSignal:
      return "signal";
    case OpKind::kSignalAll:
      return "signal-all";
    case OpKind::kLoad:
      return "load";
    case OpKind::kStore:
      return "store";
    case OpKind::kReadModifyWrite:
      return "update";
    case OpKind::kSleep:
      return "sleep";
    case OpKind::kSlept:
      return "slept";
    case OpKind::kReadClock:
      return "now";
    case OpKind::kSetClock:
      return "set clock";
    case OpKind::kYield:
      return "yield";
    case OpKind::kPoint:
      return "point";
    case OpKind::kDestroy:
      return "destroy";
    case OpKind::kTick:
      return "tick";
    case OpKind::kQuiesce:
      return "quiesce";
  }
  return "?";
}

uint32_t SiteHash(Site site) {
  uint32_t hash = site.line() * 0x9e3779b1u ^ site.column() * 0x85ebca6bu;
  for (const char c : BaseName(site.file_name())) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193u;
  }
  return hash;
}

std::string Kernel::Describe(uint32_t id) const {
  const ObjectInfo& info = objects_[id].info;
  if (info.site.line() == 0) {
    return absl::StrCat(KindName(info.kind), "#", info.ordinal);
  }
  return absl::StrCat(KindName(info.kind), "#", info.ordinal, " (",
                      BaseName(info.site.file_name()), ":", info.site.line(),
                      ")");
}

std::string Kernel::DescribeThread(int thread) const {
  const std::string& name = threads_[thread].name;
  return name.empty() ? absl::StrCat("T", thread)
                      : absl::StrCat("T", thread, " '", name, "'");
}

std::vector<uint32_t> Kernel::Known() const {
  const VectorClock& clock = threads_[current_].clock;
  return std::vector<uint32_t>(clock.at, clock.at + thread_count_);
}

std::string Kernel::StuckReport(bool* lost_wake_up) const {
  std::string report = quiescing_ != Quiescing::kNot
                           ? "The body has returned, and threads remain:\n"
                           : "";
  for (int i = quiescing_ != Quiescing::kNot ? 1 : 0; i < thread_count_; ++i) {
    const Thread& thread = threads_[i];
    if (thread.ended) continue;
    const PendingOp& op = pending_[i];
    absl::StrAppend(&report, "  ", DescribeThread(i), " ");
    switch (op.kind) {
      case OpKind::kLock:
        absl::StrAppend(
            &report, "waits for ", Describe(op.objects[0]), ", held by ",
            thread.mutex->owner_ == i ? "itself"
                                      : DescribeThread(thread.mutex->owner_),
            " since ", BaseName(thread.mutex->locked_at_.file_name()), ":",
            thread.mutex->locked_at_.line());
        break;
      case OpKind::kWake:
        if (thread.condition == nullptr) {
          absl::StrAppend(&report, "waits for ", Describe(op.objects[1]),
                          ", held by ", DescribeThread(thread.mutex->owner_));
          break;
        }
        absl::StrAppend(&report, thread.daemon ? "is a daemon and " : "",
                        "waits for ", Describe(op.objects[0]));
        if (thread.condition->vain_step_ >= 0 && !thread.daemon &&
            thread.condition->vain_step_ < thread.waits_since) {
          *lost_wake_up = true;
          absl::StrAppend(&report, ", last signalled before it waited, by ",
                          DescribeThread(thread.condition->vain_thread_),
                          " at ",
                          BaseName(thread.condition->vain_site_.file_name()),
                          ":", thread.condition->vain_site_.line());
        }
        break;
      case OpKind::kJoin:
        absl::StrAppend(&report, "waits for the end of ",
                        DescribeThread(thread.joins));
        break;
      case OpKind::kSlept:
        absl::StrAppend(&report, "sleeps for ever");
        break;
      default:
        absl::StrAppend(&report, "is at ", OpName(op.kind));
    }
    absl::StrAppend(&report, ", at ", BaseName(op.site.file_name()), ":",
                    op.site.line(), "\n");
  }
  return report;
}

}  // namespace cohort::kernel
