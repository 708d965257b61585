// What runs on the stack of a thread that it switches away from, or that is
// abandoned: neither frames nor accesses of it are any business of a sanitizer.

#ifndef COHORT_KERNEL_UNINSTRUMENTED_H_
#define COHORT_KERNEL_UNINSTRUMENTED_H_

// COHORT_UNINSTRUMENTED is for one function; between BEGIN and END, all that a
// file itself defines are meant.
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
