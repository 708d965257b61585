// Excludes code from sanitizer instrumentation: code on the stack of a thread
// that it switches away from, or that is abandoned. Sanitizers must see neither
// its frames nor its accesses.

#ifndef COHORT_KERNEL_UNINSTRUMENTED_H_
#define COHORT_KERNEL_UNINSTRUMENTED_H_

// COHORT_UNINSTRUMENTED applies to one function; BEGIN and END enclose all
// functions that a file itself defines.
#ifdef __clang__
#define COHORT_UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
// clang-format off
#define COHORT_BEGIN_UNINSTRUMENTED \
  _Pragma("clang attribute push(__attribute__((disable_sanitizer_instrumentation)), apply_to = function)")
// clang-format on
#define COHORT_END_UNINSTRUMENTED _Pragma("clang attribute pop")
#else
#define COHORT_UNINSTRUMENTED
#define COHORT_BEGIN_UNINSTRUMENTED
#define COHORT_END_UNINSTRUMENTED
#endif

#endif  // COHORT_KERNEL_UNINSTRUMENTED_H_
