// The operations of threads on mutexes, condition variables, atomics and shared
// data, and the happens-before edges that these create.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/kernel_internal.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"
#include "cohort/kernel/uninstrumented.h"
#include "cohort/kernel/verdict.h"

namespace cohort::kernel {
namespace {

// How many stores of an atomic a load may choose from.
constexpr int kHistory = 4;

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire ||
         order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

bool Releases(std::memory_order order) {
  return order == std::memory_order_release ||
         order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

}  // namespace

struct AtomicCore::History {
  struct Entry {
    uint64_t value;
    bool releases;
    bool seq_cst;
    VectorClock clock;  // if the store releases
    // By thread: the epoch of that thread in which it stored this value, or
    // first read it or a newer one; 0 if never. A thread that is ordered after
    // that epoch reads no older value.
    uint32_t seen[kMaxThreads];

    bool SeenBy(const VectorClock& now, int threads) const {
      for (int i = 0; i < threads; ++i) {
        if (seen[i] != 0 && seen[i] <= now.at[i]) return true;
      }
      return false;
    }
  };

  uint32_t count;  // number of stores so far
  Entry ring[kHistory];

  Entry& at(uint32_t index) { return ring[index % kHistory]; }

  void MarkSeen(uint32_t index, int thread, uint32_t epoch) {
    for (uint32_t i = index; count - i <= kHistory; --i) {
      if (at(i).seen[thread] != 0) return;
      at(i).seen[thread] = epoch;
      if (i == 0) return;
    }
  }
};

MutexCore::~MutexCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}
CondVarCore::~CondVarCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}
AtomicCore::~AtomicCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}
RaceCheckedCore::~RaceCheckedCore() {
  if (Kernel* kernel = Kernel::Active()) kernel->Destroyed(*this);
}

COHORT_BEGIN_UNINSTRUMENTED

uint32_t Kernel::Use(MutexCore& mutex, Site site) {
  if (Register(mutex, site)) {
    mutex.owner_ = -1;
    mutex.contenders_ = 0;
    mutex.released_ = nullptr;
  }
  return mutex.id_;
}

uint32_t Kernel::Use(CondVarCore& condition, Site site) {
  if (Register(condition, site)) {
    condition.waiters_ = 0;
    condition.vain_step_ = -1;
  }
  return condition.id_;
}

uint32_t Kernel::Use(AtomicCore& atomic, Site site) {
  if (Register(atomic, site)) atomic.history_ = nullptr;
  return atomic.id_;
}

uint32_t Kernel::Use(RaceCheckedCore& shared, Site site) {
  if (Register(shared, site)) {
    shared.writer_ = -1;
    shared.reads_ = nullptr;
  }
  return shared.id_;
}

void Kernel::AcquireFrom(const VectorClock* clock) {
  if (clock == nullptr) return;
  VectorClock& mine = current().clock;
  for (int i = 0; i < thread_count_; ++i) {
    mine.at[i] = std::max(mine.at[i], clock->at[i]);
  }
}

// Ends the thread's epoch; what follows belongs to a new one.
void Kernel::ReleaseTo(VectorClock* clock) {
  VectorClock& mine = current().clock;
  *clock = mine;
  ++mine.at[current_];
}

void Kernel::Acquire(MutexCore& mutex, Site site) {
  mutex.owner_ = current_;
  mutex.locked_at_ = site;
  mutex.contenders_ &= ~Bit(current_);
  enabled_ &= ~mutex.contenders_;
  AcquireFrom(mutex.released_);
  TsanAcquire(&mutex);
}

void Kernel::Release(MutexCore& mutex) {
  TsanRelease(&mutex);
  if (mutex.released_ == nullptr) mutex.released_ = NewInArena<VectorClock>();
  ReleaseTo(mutex.released_);
  mutex.owner_ = -1;
  enabled_ |= mutex.contenders_;
}

void Kernel::Lock(MutexCore& mutex, Site site) {
  Inside kernel(*this);
  const uint32_t id = Use(mutex, site);
  mutex.contenders_ |= Bit(current_);
  if (mutex.owner_ >= 0) enabled_ &= ~Bit(current_);
  current().mutex = &mutex;
  Step(OpKind::kLock, site, id);
  Acquire(mutex, site);
  Record();
}

bool Kernel::TryLock(MutexCore& mutex, Site site) {
  Inside kernel(*this);
  Step(OpKind::kTryLock, site, Use(mutex, site));
  const bool free = mutex.owner_ < 0;
  if (free) Acquire(mutex, site);
  Record(0, free ? "" : "held by another");
  return free;
}

void Kernel::Unlock(MutexCore& mutex, Site site) {
  Inside kernel(*this);
  Step(OpKind::kUnlock, site, Use(mutex, site));
  if (mutex.life_ != Object::kAlive) Use(mutex, site);
  if (mutex.owner_ != current_) {
    FailWith(Verdict::kMisuse, [&] {
      return absl::StrCat(DescribeThread(current_), " unlocks ",
                          Describe(mutex.id_), ", which it does not hold");
    });
  }
  Release(mutex);
  Record();
}

bool Kernel::IsOwner(const MutexCore& mutex) const {
  return mutex.run_ == run_ && mutex.owner_ == current_;
}

bool Kernel::Wait(CondVarCore& condition, MutexCore& mutex, int64_t deadline,
                  bool daemon, Site site) {
  Inside kernel(*this);
  const uint32_t condition_id = Use(condition, site);
  const uint32_t mutex_id = Use(mutex, site);
  const uint32_t clock = deadline == kNever ? 0 : kClockObject;
  Step(OpKind::kWait, site, condition_id, mutex_id, clock);
  Use(condition, site);
  Use(mutex, site);
  if (mutex.owner_ != current_) {
    FailWith(Verdict::kMisuse, [&] {
      return absl::StrCat(DescribeThread(current_), " waits with ",
                          Describe(mutex_id), ", which it does not hold");
    });
  }
  const bool spurious =
      spurious_left_ > 0 && ChooseBelow(ChoiceKind::kSpuriousWakeUp, 2) == 1;
  Release(mutex);
  Thread& self = current();
  self.mutex = &mutex;
  self.condition = &condition;
  self.deadline = deadline;
  self.timed_out = false;
  self.daemon = daemon;
  self.daemon_step = false;
  self.waits_since = step_;
  enabled_ &= ~Bit(current_);
  condition.waiters_ |= Bit(current_);
  if (daemon) daemons_ |= Bit(current_);
  if (spurious) {
    --spurious_left_;
    MakeReady(current_);
  } else if (deadline <= now_) {
    self.timed_out = true;
    MakeReady(current_);
  } else if (deadline != kNever) {
    timed_ |= Bit(current_);
    tick_stale_ = true;
  }
  Record(0, spurious ? "will wake for no reason" : "");
  Step(OpKind::kWake, site, condition_id, mutex_id, clock);
  Acquire(mutex, site);
  Record(0, current().timed_out ? "at its deadline" : "");
  return current().timed_out;
}

void Kernel::Signal(CondVarCore& condition, bool all, Site site) {
  Inside kernel(*this);
  Step(all ? OpKind::kSignalAll : OpKind::kSignal, site, Use(condition, site));
  Use(condition, site);
  const char* note = "";
  if (condition.waiters_ == 0) {
    condition.vain_step_ = step_;
    condition.vain_thread_ = current_;
    condition.vain_site_ = site;
    note = "nobody waits";
  } else if (all) {
    for (uint64_t left = condition.waiters_; left != 0; left &= left - 1) {
      MakeReady(std::countr_zero(left));
    }
  } else {
    int nth =
        ChooseBelow(ChoiceKind::kWaiter, std::popcount(condition.waiters_));
    uint64_t left = condition.waiters_;
    for (; nth > 0; --nth) left &= left - 1;
    MakeReady(std::countr_zero(left));
  }
  Record(0, note);
}

uint64_t Kernel::Load(AtomicCore& atomic, std::memory_order order, Site site) {
  Inside kernel(*this);
  Step(OpKind::kLoad, site, Use(atomic, site), 0, 0, /*read=*/true);
  Use(atomic, site);
  if (Acquires(order)) TsanAcquire(&atomic);
  AtomicCore::History* const history = atomic.history_;
  if (history == nullptr) {
    Record(atomic.value_);
    return atomic.value_;
  }
  const uint32_t newest = history->count - 1;
  uint32_t oldest = newest;
  if (options_.stale_loads) {
    const bool seq_cst = order == std::memory_order_seq_cst;
    while (oldest > 0 && newest - oldest < kHistory - 1) {
      const AtomicCore::History::Entry& entry = history->at(oldest);
      if ((seq_cst && entry.seq_cst) ||
          entry.SeenBy(current().clock, thread_count_)) {
        break;
      }
      --oldest;
    }
  }
  const int ago = ChooseBelow(ChoiceKind::kStaleLoad,
                              static_cast<int>(newest - oldest) + 1);
  const uint32_t index = newest - static_cast<uint32_t>(ago);
  history->MarkSeen(index, current_, current().clock.at[current_]);
  const AtomicCore::History::Entry& entry = history->at(index);
  if (Acquires(order) && entry.releases) AcquireFrom(&entry.clock);
  Record(entry.value, ago == 0 ? "" : "stale");
  return entry.value;
}

void Kernel::AddStore(AtomicCore& atomic, uint64_t value,
                      std::memory_order order, bool update) {
  if (Releases(order)) TsanRelease(&atomic);
  AtomicCore::History* history = atomic.history_;
  if (history == nullptr) {
    if (thread_count_ == 1) {  // everything later comes after this
      atomic.value_ = value;
      return;
    }
    history = NewInArena<AtomicCore::History>();
    history->count = 1;
    history->ring[0].value = atomic.value_;
    history->ring[0].releases = false;
    history->ring[0].seq_cst = false;
    std::memset(history->ring[0].seen, 0, sizeof(history->ring[0].seen));
    atomic.history_ = history;
  }
  const AtomicCore::History::Entry& before = history->at(history->count - 1);
  AtomicCore::History::Entry& entry = history->at(history->count);
  Thread& self = current();
  entry.value = value;
  entry.seq_cst = order == std::memory_order_seq_cst;
  entry.releases = Releases(order);
  // An update passes on what was released to the value that it replaces.
  const bool carries = update && before.releases;
  if (entry.releases) {
    entry.clock = self.clock;
    if (carries) {
      for (int i = 0; i < thread_count_; ++i) {
        entry.clock.at[i] = std::max(entry.clock.at[i], before.clock.at[i]);
      }
    }
  } else if (carries) {
    entry.clock = before.clock;
    entry.releases = true;
  }
  std::memset(entry.seen, 0, sizeof(entry.seen));
  ++history->count;
  history->MarkSeen(history->count - 1, current_, self.clock.at[current_]);
  ++self.clock.at[current_];
  atomic.value_ = value;
}

void Kernel::Store(AtomicCore& atomic, uint64_t value, std::memory_order order,
                   Site site) {
  Inside kernel(*this);
  Step(OpKind::kStore, site, Use(atomic, site));
  Use(atomic, site);
  AddStore(atomic, value, order, /*update=*/false);
  Record(value);
}

uint64_t Kernel::BeginUpdate(AtomicCore& atomic, Site site) {
  Inside kernel(*this);
  Step(OpKind::kReadModifyWrite, site, Use(atomic, site));
  Use(atomic, site);
  return atomic.value_;
}

void Kernel::EndUpdate(AtomicCore& atomic, uint64_t value,
                       std::memory_order order) {
  Inside kernel(*this);
  SeeNewest(atomic, order);
  AddStore(atomic, value, order, /*update=*/true);
  Record(value);
}

void Kernel::FailUpdate(AtomicCore& atomic, std::memory_order order) {
  Inside kernel(*this);
  SeeNewest(atomic, order);
  Record(atomic.value_, "fails");
}

void Kernel::SeeNewest(AtomicCore& atomic, std::memory_order order) {
  if (AtomicCore::History* history = atomic.history_) {
    const AtomicCore::History::Entry& newest = history->at(history->count - 1);
    history->MarkSeen(history->count - 1, current_,
                      current().clock.at[current_]);
    if (Acquires(order) && newest.releases) AcquireFrom(&newest.clock);
  }
  if (Acquires(order)) TsanAcquire(&atomic);
}

bool Kernel::FailsSpuriously() {
  Inside kernel(*this);
  if (spurious_left_ == 0) return false;
  const bool fails = ChooseBelow(ChoiceKind::kWeakFailure, 2) == 1;
  if (fails) --spurious_left_;
  return fails;
}

void Kernel::Read(RaceCheckedCore& shared, Site site) {
  Inside kernel(*this);
  Use(shared, site);
  const VectorClock& mine = current().clock;
  if (shared.writer_ >= 0 && shared.writer_ != current_ &&
      mine.at[shared.writer_] < shared.written_) {
    FailWith(Verdict::kRace, [&] {
      return absl::StrCat(DescribeThread(current_), " reads ",
                          Describe(shared.id_), " at ",
                          BaseName(site.file_name()), ":", site.line(),
                          ", and nothing orders that after the write by ",
                          DescribeThread(shared.writer_), " at ",
                          BaseName(shared.written_at_.file_name()), ":",
                          shared.written_at_.line());
    });
  }
  if (shared.reads_ == nullptr) {
    shared.reads_ = NewInArena<VectorClock>();
    *shared.reads_ = VectorClock{};
  }
  shared.reads_->at[current_] = mine.at[current_];
  shared.read_at_ = site;
  objects_[shared.id_].users |= Bit(current_);
}

void Kernel::Write(RaceCheckedCore& shared, Site site) {
  Inside kernel(*this);
  Use(shared, site);
  const VectorClock& mine = current().clock;
  int other = -1;
  if (shared.writer_ >= 0 && mine.at[shared.writer_] < shared.written_) {
    other = shared.writer_;
  } else if (shared.reads_ != nullptr) {
    for (int i = 0; i < thread_count_; ++i) {
      if (mine.at[i] < shared.reads_->at[i]) other = i;
    }
  }
  if (other >= 0 && other != current_) {
    FailWith(Verdict::kRace, [&] {
      return absl::StrCat(DescribeThread(current_), " writes ",
                          Describe(shared.id_), " at ",
                          BaseName(site.file_name()), ":", site.line(),
                          ", and nothing orders that after what ",
                          DescribeThread(other), " did with it");
    });
  }
  shared.writer_ = current_;
  shared.written_ = mine.at[current_];
  shared.written_at_ = site;
  objects_[shared.id_].users |= Bit(current_);
}

// Also true if another thread is about to use it.
bool Kernel::IsUsedByOthers(uint32_t object) const {
  if ((objects_[object].users & ~Bit(current_)) != 0) return true;
  for (int i = 0; i < thread_count_; ++i) {
    if (i == current_ || threads_[i].ended) continue;
    for (const uint32_t used : pending_[i].objects) {
      if (used == object) return true;
    }
  }
  return false;
}

void Kernel::Destroyed(MutexCore& mutex) {
  Inside kernel(*this);
  if (mutex.run_ != run_) return;
  if (IsUsedByOthers(mutex.id_)) {
    Step(OpKind::kDestroy, mutex.site_, mutex.id_);
    Record();
  }
  if (mutex.owner_ >= 0 || mutex.contenders_ != 0) {
    FailWith(Verdict::kUseAfterDestruction, [&] {
      return absl::StrCat(
          Describe(mutex.id_), " is destroyed while ",
          DescribeThread(mutex.owner_ >= 0
                             ? mutex.owner_
                             : std::countr_zero(mutex.contenders_)),
          mutex.owner_ >= 0 ? " holds it" : " waits for it");
    });
  }
}

void Kernel::Destroyed(CondVarCore& condition) {
  Inside kernel(*this);
  if (condition.run_ != run_) return;
  if (IsUsedByOthers(condition.id_)) {
    Step(OpKind::kDestroy, condition.site_, condition.id_);
    Record();
  }
  if (condition.waiters_ != 0) {
    FailWith(Verdict::kUseAfterDestruction, [&] {
      return absl::StrCat(Describe(condition.id_), " is destroyed while ",
                          DescribeThread(std::countr_zero(condition.waiters_)),
                          " waits for it");
    });
  }
}

void Kernel::Destroyed(AtomicCore& atomic) {
  Inside kernel(*this);
  if (atomic.run_ != run_) return;
  if (!IsUsedByOthers(atomic.id_)) return;
  Step(OpKind::kDestroy, atomic.site_, atomic.id_);
  Record();
}

void Kernel::Destroyed(RaceCheckedCore& shared) {
  if (shared.run_ != run_) return;
  Write(shared, shared.site_);  // no other thread may still be using it
}

COHORT_END_UNINSTRUMENTED

}  // namespace cohort::kernel
