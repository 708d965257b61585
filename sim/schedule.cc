#include "cohort/sim/schedule.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "cohort/kernel/scheduler.h"

namespace cohort::sim {
namespace {

using kernel::ChoiceKind;
using kernel::DefaultPick;
using kernel::kClockThread;
using kernel::PendingOp;
using kernel::View;

constexpr absl::string_view kVersion = "v1:";

std::string Place(const PendingOp& op) {
  absl::string_view file = op.site.file_name();
  const size_t slash = file.rfind('/');
  if (slash != absl::string_view::npos) file.remove_prefix(slash + 1);
  if (op.site.line() == 0) return kernel::OpName(op.kind);
  return absl::StrCat(file, ":", op.site.line(), ":", op.site.column());
}

std::string ThreadName(int thread) {
  return thread == kClockThread ? "clock" : absl::StrCat("T", thread);
}

bool ParseThread(absl::string_view text, int* thread) {
  if (text == "clock") {
    *thread = kClockThread;
    return true;
  }
  return absl::ConsumePrefix(&text, "T") && absl::SimpleAtoi(text, thread) &&
         *thread >= 0 && *thread < kClockThread;
}

}  // namespace

std::string FormatSchedule(const Schedule& schedule) {
  std::string text(kVersion);
  const char* separator = "";
  for (const Deviation& deviation : schedule) {
    absl::StrAppend(&text, separator, ThreadName(deviation.thread), "@",
                    deviation.place, "#", deviation.visit,
                    deviation.of_threads ? ">" : "=",
                    deviation.of_threads ? ThreadName(deviation.choice)
                                         : absl::StrCat(deviation.choice));
    separator = ",";
  }
  return text;
}

absl::StatusOr<Schedule> ParseSchedule(absl::string_view text) {
  const auto error = [](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a schedule of sim: ", what));
  };
  if (!absl::ConsumePrefix(&text, kVersion)) {
    return error(absl::StrCat("it does not begin with ", kVersion));
  }
  Schedule schedule;
  for (const absl::string_view entry :
       absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const size_t at = entry.find('@');
    const size_t hash = entry.rfind('#');
    const size_t end = entry.find_first_of(">=", hash);
    if (at == absl::string_view::npos || hash == absl::string_view::npos ||
        end == absl::string_view::npos || hash < at) {
      return error(entry);
    }
    Deviation deviation;
    deviation.place = std::string(entry.substr(at + 1, hash - at - 1));
    deviation.of_threads = entry[end] == '>';
    const absl::string_view choice = entry.substr(end + 1);
    if (!ParseThread(entry.substr(0, at), &deviation.thread) ||
        !absl::SimpleAtoi(entry.substr(hash + 1, end - hash - 1),
                          &deviation.visit) ||
        !(deviation.of_threads ? ParseThread(choice, &deviation.choice)
                               : absl::SimpleAtoi(choice, &deviation.choice))) {
      return error(entry);
    }
    schedule.push_back(std::move(deviation));
  }
  return schedule;
}

int RawReplay::PickThread(const View& view) {
  if (view.count() == 1) return view.at(0);
  if (next_ < choices_.size() && view.is_enabled(choices_[next_])) {
    return choices_[next_++];
  }
  fits_ = false;
  return DefaultPick(view);
}

int RawReplay::Choose(ChoiceKind, int n, int, const PendingOp&) {
  if (next_ < choices_.size() && choices_[next_] < n) return choices_[next_++];
  fits_ = false;
  return 0;
}

int RawRecorder::PickThread(const View& view) {
  const int thread = scheduler_.PickThread(view);
  if (view.count() > 1) choices_.push_back(static_cast<uint8_t>(thread));
  return thread;
}

int RawRecorder::Choose(ChoiceKind kind, int n, int thread,
                        const PendingOp& op) {
  const int choice = scheduler_.Choose(kind, n, thread, op);
  choices_.push_back(static_cast<uint8_t>(choice));
  return choice;
}

std::pair<std::string, int> Places::Visit(int thread, const PendingOp& op) {
  std::string place = Place(op);
  const int visit = ++visits_[{thread, place}];
  return {std::move(place), visit};
}

void Replay::Begin() {
  followed_ = 0;
  recorded_.clear();
  places_.Clear();
}

int Replay::Find(int thread, const PendingOp& op, bool of_threads) {
  auto [place, visit] = places_.Visit(thread, op);
  for (const Deviation& deviation : schedule_) {
    if (deviation.thread == thread && deviation.visit == visit &&
        deviation.of_threads == of_threads && deviation.place == place) {
      ++followed_;
      recorded_.push_back(deviation);
      return deviation.choice;
    }
  }
  return -1;
}

int Replay::PickThread(const View& view) {
  if (view.count() == 1) return view.at(0);
  const int choice =
      Find(view.current, view.pending[view.current], /*of_threads=*/true);
  if (choice >= 0 && view.is_enabled(choice)) return choice;
  if (choice >= 0) {  // it does not fit after all
    --followed_;
    recorded_.pop_back();
  }
  return DefaultPick(view);
}

int Replay::Choose(ChoiceKind, int n, int thread, const PendingOp& op) {
  const int choice = Find(thread, op, /*of_threads=*/false);
  if (0 <= choice && choice < n) return choice;
  if (choice >= 0) {
    --followed_;
    recorded_.pop_back();
  }
  return 0;
}

int Translator::PickThread(const View& view) {
  const int thread = RawReplay::PickThread(view);
  if (view.count() == 1) return thread;
  auto [place, visit] = places_.Visit(view.current, view.pending[view.current]);
  if (thread != DefaultPick(view)) {
    schedule_.push_back({.thread = view.current,
                         .place = std::move(place),
                         .visit = visit,
                         .of_threads = true,
                         .choice = thread});
  }
  return thread;
}

int Translator::Choose(ChoiceKind kind, int n, int thread,
                       const PendingOp& op) {
  const int choice = RawReplay::Choose(kind, n, thread, op);
  auto [place, visit] = places_.Visit(thread, op);
  if (choice != 0) {
    schedule_.push_back({.thread = thread,
                         .place = std::move(place),
                         .visit = visit,
                         .of_threads = false,
                         .choice = choice});
  }
  return choice;
}

}  // namespace cohort::sim
