// Verdicts: the ways in which a simulated run can fail.

#ifndef COHORT_KERNEL_VERDICT_H_
#define COHORT_KERNEL_VERDICT_H_

#include <cstdint>

namespace cohort::sim {

enum class Verdict : uint8_t {
  kNone,                 // nothing wrong
  kDeadlock,             // nothing can run, and no timer will change that
  kLostWakeUp,           // a deadlock in which a signal came before the wait
                         // that needed it
  kLivelock,             // more steps than allowed
  kLeak,                 // a thread has not ended, although the body has
  kRace,                 // unsynchronised accesses to a RaceChecked
  kUseAfterDestruction,  // use of a //sync object after its destruction
  kMisuse,               // e.g. unlocking a mutex that another thread holds
  kException,            // an exception left the body of a thread
  kAssertion,            // sim::Check, or an expectation of GoogleTest
  kCrash,                // abort(), also by ABSL_CHECK
  kNondeterminism,       // the body behaved differently the second time
  kUnfit,                // the body does not follow a replay or script
};

// "deadlock", "lost wake-up", …
const char* VerdictName(Verdict verdict);

}  // namespace cohort::sim

#endif  // COHORT_KERNEL_VERDICT_H_
