// A schedule as text: the choices in it that differ from the default ones.

#ifndef COHORT_SIM_SCHEDULE_H_
#define COHORT_SIM_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cohort/kernel/scheduler.h"

namespace cohort::sim {

// A choice, identified by properties that survive edits elsewhere in the
// source: the thread that made the last step, the place in the source of the
// operation, and how many choices have been made there before.
struct Deviation {
  int thread = 0;
  std::string place;  // "file.cc:31:7"
  int visit = 0;
  bool of_threads = true;
  int choice = 0;  // a thread, or a value

  friend bool operator==(const Deviation&, const Deviation&) = default;
};

using Schedule = std::vector<Deviation>;

// "v1:T0@stop.cc:31:7#1>T2,…". Formatting and parsing are exact inverses.
std::string FormatSchedule(const Schedule& schedule);
absl::StatusOr<Schedule> ParseSchedule(absl::string_view text);

// Follows a list of all choices, made by an earlier run of the same body.
class RawReplay : public kernel::Scheduler {
 public:
  explicit RawReplay(const std::vector<uint8_t>& choices) : choices_(choices) {}

  int PickThread(const kernel::View& view) override;
  int Choose(kernel::ChoiceKind kind, int n, int thread,
             const kernel::PendingOp& op) override;

  // Whether there was a choice for each question, and a question for each
  // choice.
  bool fits() const { return fits_ && next_ == choices_.size(); }

 private:
  const std::vector<uint8_t>& choices_;
  size_t next_ = 0;
  bool fits_ = true;
};

// Records all choices of another strategy.
class RawRecorder : public kernel::Scheduler {
 public:
  explicit RawRecorder(kernel::Scheduler& scheduler) : scheduler_(scheduler) {}

  void Begin() override {
    choices_.clear();
    scheduler_.Begin();
  }
  void Started(int thread, int parent) override {
    scheduler_.Started(thread, parent);
  }
  int PickThread(const kernel::View& view) override;
  int Choose(kernel::ChoiceKind kind, int n, int thread,
             const kernel::PendingOp& op) override;

  const std::vector<uint8_t>& choices() const { return choices_; }

 private:
  kernel::Scheduler& scheduler_;
  std::vector<uint8_t> choices_;
};

// Counts the choices that a thread makes at a place.
class Places {
 public:
  // The place of a choice that `thread` meets, and its number among those
  // there.
  std::pair<std::string, int> Visit(int thread, const kernel::PendingOp& op);
  void Clear() { visits_.clear(); }

 private:
  absl::flat_hash_map<std::pair<int, std::string>, int> visits_;
};

// Follows the deviations, and makes the default choice everywhere else. Records
// the deviations that were made.
class Replay : public kernel::Scheduler {
 public:
  explicit Replay(Schedule schedule) : schedule_(std::move(schedule)) {}

  void Begin() override;
  int PickThread(const kernel::View& view) override;
  int Choose(kernel::ChoiceKind kind, int n, int thread,
             const kernel::PendingOp& op) override;

  // Whether the whole schedule has been followed.
  bool fits() const { return followed_ == schedule_.size(); }
  // The deviations that were made.
  const Schedule& recorded() const { return recorded_; }

 private:
  // The choice to make; -1 for the default.
  int Find(int thread, const kernel::PendingOp& op, bool of_threads);

  const Schedule schedule_;
  size_t followed_ = 0;
  Schedule recorded_;
  Places places_;
};

// Follows raw choices and records them as deviations.
class Translator : public RawReplay {
 public:
  using RawReplay::RawReplay;

  int PickThread(const kernel::View& view) override;
  int Choose(kernel::ChoiceKind kind, int n, int thread,
             const kernel::PendingOp& op) override;

  const Schedule& schedule() const { return schedule_; }

 private:
  Schedule schedule_;
  Places places_;
};

}  // namespace cohort::sim

#endif  // COHORT_SIM_SCHEDULE_H_
