#include "cohort/sim/picture.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cohort/kernel/kernel.h"
#include "cohort/kernel/objects.h"
#include "cohort/kernel/scheduler.h"

namespace cohort::sim {
namespace {

using kernel::kClockThread;
using kernel::ObjectInfo;
using kernel::ObjectKind;
using kernel::OpKind;
using kernel::RunReport;
using kernel::StepRecord;

std::string SiteName(kernel::Site site) {
  if (site.line() == 0) return "";
  absl::string_view file = site.file_name();
  const size_t slash = file.rfind('/');
  if (slash != absl::string_view::npos) file.remove_prefix(slash + 1);
  return absl::StrCat(file, ":", site.line());
}

std::string ObjectName(const RunReport& report, uint32_t id) {
  const ObjectInfo& object = report.objects[id];
  const char* kind = "";
  switch (object.kind) {
    case ObjectKind::kNone:
    case ObjectKind::kClock:
      return "";
    case ObjectKind::kThread:
      kind = "T";
      break;
    case ObjectKind::kMutex:
      kind = "mutex";
      break;
    case ObjectKind::kCondVar:
      kind = "condvar";
      break;
    case ObjectKind::kAtomic:
      kind = "atomic";
      break;
    case ObjectKind::kShared:
      kind = "shared";
      break;
  }
  return absl::StrCat(kind, object.ordinal);
}

// What a step did, without its place in the source.
std::string StepText(const RunReport& report, const StepRecord& record) {
  std::string text = kernel::OpName(record.op.kind);
  switch (record.op.kind) {
    case OpKind::kPoint:
      return record.op.label;
    case OpKind::kSpawn:
      return *record.note == '\0' ? absl::StrCat(text, " T", record.value)
                                  : absl::StrCat(text, " (", record.note, ")");
    case OpKind::kStart:
    case OpKind::kEnd:
      return text;
    default:
      break;
  }
  if (record.op.objects[0] != 0) {
    absl::StrAppend(&text, " ", ObjectName(report, record.op.objects[0]));
  }
  const auto value = static_cast<int64_t>(record.value);
  if (record.op.kind == OpKind::kLoad) {
    absl::StrAppend(&text, " -> ", value);
  } else if (record.op.kind == OpKind::kStore ||
             record.op.kind == OpKind::kReadModifyWrite) {
    absl::StrAppend(&text, " = ", value);
  }
  if (*record.note != '\0') absl::StrAppend(&text, " (", record.note, ")");
  return text;
}

std::string ColumnName(const RunReport& report, size_t thread) {
  return absl::StrCat("T", thread, " ", report.thread_names[thread]);
}

std::string TimeText(int64_t nanos) {
  return absl::FormatDuration(absl::Nanoseconds(nanos));
}

// The objects of a run that have a place in the source.
std::string Legend(const RunReport& report) {
  std::string text;
  for (uint32_t id = 0; id < report.objects.size(); ++id) {
    const ObjectInfo& object = report.objects[id];
    bool used = false;
    for (const StepRecord& record : report.trace) {
      used = used || std::find(std::begin(record.op.objects),
                               std::end(record.op.objects),
                               id) != std::end(record.op.objects);
    }
    if (!used || object.site.line() == 0 ||
        object.kind == ObjectKind::kThread) {
      continue;
    }
    absl::StrAppend(&text, "  ", ObjectName(report, id), " is made at ",
                    SiteName(object.site), "\n");
  }
  return text;
}

std::string Html(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

}  // namespace

std::string DrawText(const RunReport& report) {
  const size_t threads = report.thread_names.size();
  // Wide columns for a few threads, an indentation for many.
  const size_t width = threads <= 3 ? 36 : threads <= 6 ? 20 : 8;
  constexpr size_t kTimeWidth = 10;
  const auto pad = [](std::string* line, size_t to) {
    if (line->size() < to) line->resize(to, ' ');
  };
  std::string text;
  std::string line = "time";
  for (size_t i = 0; i < threads; ++i) {
    pad(&line, kTimeWidth + i * width);
    absl::StrAppend(
        &line, width >= 20 ? ColumnName(report, i) : absl::StrCat("T", i), " ");
  }
  absl::StrAppend(&text, line, "\n");
  for (const StepRecord& record : report.trace) {
    line = TimeText(record.now);
    if (record.thread == kClockThread) {
      pad(&line, kTimeWidth);
      absl::StrAppend(&line, record.preempted ? "* " : "  ",
                      "-- time passes --");
    } else {
      pad(&line, kTimeWidth + static_cast<size_t>(record.thread) * width);
      absl::StrAppend(&line, record.preempted ? "* " : "  ",
                      StepText(report, record));
      const std::string site = SiteName(record.op.site);
      if (!site.empty()) absl::StrAppend(&line, "  ", site);
    }
    absl::StrAppend(&text, line, "\n");
  }
  return absl::StrCat(text, Legend(report));
}

std::string DrawHtml(const RunReport& report) {
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>",
      VerdictName(report.verdict),
      "</title>\n<style>\n"
      "body{font:14px system-ui,sans-serif;margin:2em}\n"
      "table{border-collapse:collapse}\n"
      "th,td{padding:2px 10px;border:1px solid #ddd;text-align:left;"
      "font-family:ui-monospace,monospace;font-size:12px}\n"
      "th{position:sticky;top:0;background:#fff}\n"
      ".preempted{border-top:2px solid #c60}\n"
      ".site{color:#777;margin-left:8px}\n"
      ".clock{background:#eef;text-align:center}\n"
      "pre{background:#fee;padding:1em}\n</style></head><body>\n<h1>",
      VerdictName(report.verdict), "</h1>\n<pre>", Html(report.message),
      "</pre>\n<table><tr><th>time</th>");
  const size_t threads = report.thread_names.size();
  for (size_t i = 0; i < threads; ++i) {
    absl::StrAppend(&html, "<th>", Html(ColumnName(report, i)), "</th>");
  }
  absl::StrAppend(&html, "</tr>\n");
  for (const StepRecord& record : report.trace) {
    absl::StrAppend(&html, "<tr><td>", TimeText(record.now), "</td>");
    if (record.thread == kClockThread) {
      absl::StrAppend(&html, "<td class=\"clock\" colspan=\"", threads,
                      "\">time passes</td>");
    } else {
      const auto thread = static_cast<size_t>(record.thread);
      for (size_t i = 0; i < threads; ++i) {
        if (i != thread) {
          absl::StrAppend(&html, "<td></td>");
          continue;
        }
        absl::StrAppend(&html,
                        record.preempted ? "<td class=\"preempted\">" : "<td>",
                        Html(StepText(report, record)), "<span class=\"site\">",
                        Html(SiteName(record.op.site)), "</span></td>");
      }
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  absl::StrAppend(&html, "</table>\n<pre>", Html(Legend(report)),
                  "</pre></body></html>\n");
  return html;
}

}  // namespace cohort::sim
