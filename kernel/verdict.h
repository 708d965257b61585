// What can be said of a schedule.

#ifndef COHORT_KERNEL_VERDICT_H_
#define COHORT_KERNEL_VERDICT_H_

#include <cstdint>

namespace cohort::sim {

enum class Verdict : uint8_t {
  kNone,                 // nothing wrong
  kDeadlock,             // nothing can run, and no timer will change that
  kLostWakeUp,           // a deadlock of one whose signal came before its wait
  kLivelock,             // more steps than allowed
  kLeak,                 // a thread that never ends, although the body has
  kRace,                 // unsynchronised accesses to a RaceChecked
  kUseAfterDestruction,  // of an object of the seam
  kMisuse,               // unlocking what another thread holds, and the like
  kException,            // one that left the body of a thread
  kAssertion,            // sim::Check, or an expectation of GoogleTest
  kCrash,                // abort(), also by ABSL_CHECK
  kNondeterminism,       // the body did something else the second time
  kUnfit,                // a replay or script that the body does not follow
};

// "deadlock", "lost wake-up", …
const char* VerdictName(Verdict verdict);

}  // namespace cohort::sim

#endif  // COHORT_KERNEL_VERDICT_H_
