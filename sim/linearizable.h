// A linearizability checker: whether the calls of several threads returned what
// they could have returned if executed one after the other, in some order that
// respects happens-before. A call that returned earlier may still be ordered
// later if nothing made its return visible to the later caller: that is what
// C++ promises of loads, so an object whose reads are single loads is
// linearizable.
//
// The user describes the object as a plain value, the model, and with each call
// says what the same call does to the model:
//
//   sim::History<std::deque<int>> history;
//   … in one thread:
//   history.Call("push", [&] { queue.Push(1); },
//                [](std::deque<int>& model) { model.push_back(1); });
//   … in another:
//   history.Call("front", [&] { return queue.Front(); },
//                [](std::deque<int>& model) { return model.front(); });
//   … in the end:
//   history.CheckLinearizable();

#ifndef COHORT_SIM_LINEARIZABLE_H_
#define COHORT_SIM_LINEARIZABLE_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <ios>
#include <map>
#include <ostream>
#include <source_location>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/dynamic_annotations.h"
#include "absl/log/absl_check.h"
#include "absl/strings/str_cat.h"
#include "cohort/sim/check.h"

namespace cohort::sim {

namespace linearizable_internal {

// For each thread of the run, how many of its steps happened before now.
struct Moment {
  int thread = 0;  // the thread whose "now" it is
  std::vector<uint32_t> known;

  static Moment Now();
};

}  // namespace linearizable_internal

// Records the calls of one run, at most kMaxCalls of them; about ten are
// checked quickly. Create it in the body.
//
// Blocks?         No. Nothing here is a scheduling step, or orders anything.
// Thread safety   All methods, from any thread of the run.
template <class Model>
  requires std::copyable<Model> && std::equality_comparable<Model>
class History {
 public:
  static constexpr size_t kMaxCalls = 64;

  explicit History(Model initial = Model()) : initial_(std::move(initial)) {}
  ~History() {
    Unseen unseen;
    calls_.clear();
  }
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // Returns what `call` returns. `apply` is one of
  //   R (Model&)               does the same to the model; its result must
  //                            equal that of `call`;
  //   bool (Model&, const R&)  says whether that result is possible now, and if
  //                            so, does the same to the model: for a call that
  //                            has several possible results, or blocks;
  //   void or bool (Model&)    for a call that returns nothing; false: it
  //                            cannot return now.
  // `apply` must not use //sync, and may be called any number of times.
  template <class F, class G>
  std::invoke_result_t<F&> Call(std::string name, F call, G apply) {
    using R = std::invoke_result_t<F&>;
    const size_t index =
        Begin(std::move(name), [&] { return Unjudged<R>(apply); });
    if constexpr (std::is_void_v<R>) {
      call();
      End(index, [](Recorded&) {});
    } else {
      R result = call();
      End(index, [&](Recorded& recorded) {
        recorded.text = Text(result);
        recorded.apply = Judged<R>(apply, result);
      });
      return result;
    }
  }

  // Whether there is such an order. A call that has not returned may or may not
  // have taken effect.
  bool IsLinearizable() const {
    Attempt attempt;
    bool ok = false;
    {
      Unseen unseen;
      ok = Explains(0, initial_, attempt);
    }
    ABSL_CHECK(ok || !attempt.unjudged)
        << "sim::History: a call has not returned, and what it would have "
           "done depends on its result";
    return ok;
  }

  // Ends the run as failed unless there is such an order.
  void CheckLinearizable(
      std::source_location site = std::source_location::current()) const {
    const bool ok = IsLinearizable();
    std::string text;
    if (!ok) {
      Unseen unseen;
      text = "not linearizable: no order explains";
      for (const Recorded& call : calls_) {
        absl::StrAppend(&text, "\n  T", call.begin.thread, " ", call.name,
                        " from ", call.begun_as, " to ",
                        call.returned ? absl::StrCat(call.ended_as) : "?",
                        call.text.empty() ? "" : ", which returned ",
                        call.text);
      }
    }
    Check(ok, text, site);
  }

 private:
  using Apply = std::function<bool(Model&)>;
  struct Attempt {
    // For each set of calls already ordered, the models from which no order of
    // the remaining calls explains the results.
    std::map<uint64_t, std::vector<Model>> refuted;
    // At some point it could not be known what a call would have done.
    bool unjudged = false;
  };

  using Moment = linearizable_internal::Moment;

  struct Recorded {
    std::string name;
    Moment begin;
    Apply apply;
    bool returned = false;
    Moment end = {};
    std::string text = "";  // the result as text
    // The order in which calls happened to begin and end.
    int begun_as = 0;
    int ended_as = 0;

    bool HappensBefore(const Recorded& other) const {
      if (!returned) return false;
      if (begin.thread == other.begin.thread) return ended_as < other.begun_as;
      const auto index = static_cast<size_t>(begin.thread);
      return index < other.begin.known.size() &&
             end.known[index] <= other.begin.known[index];
    }
  };

  // Hides accesses from ThreadSanitizer: threads race for the history, and a
  // lock would order their other accesses.
  class Unseen {
   public:
    Unseen() { ABSL_ANNOTATE_IGNORE_READS_AND_WRITES_BEGIN(); }
    ~Unseen() { ABSL_ANNOTATE_IGNORE_READS_AND_WRITES_END(); }
  };

  template <class R>
  static std::string Text(const R& result) {
    if constexpr (requires(std::ostream& out) { out << result; }) {
      std::ostringstream out;
      out << std::boolalpha << result;
      return out.str();
    } else if constexpr (requires {
                           *result;
                           result.has_value();
                         }) {
      return result.has_value() ? Text(*result) : "nothing";
    } else {
      return "something";
    }
  }

  // While a call has not returned, any result is acceptable.
  template <class R, class G>
  static Apply Unjudged(const G& apply) {
    if constexpr (!std::invocable<const G&, Model&>) {
      return nullptr;
    } else if constexpr (std::is_void_v<R> &&
                         std::is_same_v<std::invoke_result_t<const G&, Model&>,
                                        bool>) {
      return apply;
    } else {
      return [apply](Model& model) {
        (void)apply(model);
        return true;
      };
    }
  }

  template <class R, class G>
  static Apply Judged(const G& apply, const R& result) {
    return [apply, result](Model& model) -> bool {
      if constexpr (std::invocable<const G&, Model&>) {
        return apply(model) == result;
      } else {
        return apply(model, result);
      }
    };
  }

  template <class F>
  size_t Begin(std::string name, F apply) {
    Unseen unseen;
    ABSL_CHECK_LT(calls_.size(), kMaxCalls) << "sim::History: too many calls";
    calls_.push_back({.name = std::move(name),
                      .begin = Moment::Now(),
                      .apply = apply(),
                      .begun_as = ++events_});
    return calls_.size() - 1;
  }

  template <class F>
  void End(size_t index, F judge) {
    Unseen unseen;
    Recorded& call = calls_[index];
    judge(call);
    call.returned = true;
    call.end = Moment::Now();
    call.ended_as = ++events_;
  }

  // Wing and Gong's search: tries each remaining call that may come next, then
  // the others. The same set of calls often leads to the same model.
  bool Explains(uint64_t done, const Model& model, Attempt& attempt) const {
    const auto left = [&](size_t i) { return (done >> i & 1) == 0; };
    bool all = true;
    for (size_t i = 0; i < calls_.size(); ++i) {
      all = all && !(left(i) && calls_[i].returned);
    }
    if (all) return true;
    const auto known = attempt.refuted.find(done);
    if (known != attempt.refuted.end() &&
        std::find(known->second.begin(), known->second.end(), model) !=
            known->second.end()) {
      return false;
    }
    for (size_t i = 0; i < calls_.size(); ++i) {
      const Recorded& call = calls_[i];
      bool next_one = left(i);
      for (size_t j = 0; next_one && j < calls_.size(); ++j) {
        next_one = !(left(j) && calls_[j].HappensBefore(call));
      }
      if (!next_one) continue;
      if (call.apply == nullptr) {
        attempt.unjudged = true;
        continue;
      }
      Model next = model;
      if (call.apply(next) &&
          Explains(done | uint64_t{1} << i, next, attempt)) {
        return true;
      }
    }
    attempt.refuted[done].push_back(model);
    return false;
  }

  const Model initial_;
  std::deque<Recorded> calls_;
  int events_ = 0;
};

}  // namespace cohort::sim

#endif  // COHORT_SIM_LINEARIZABLE_H_
