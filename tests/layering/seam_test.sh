#!/usr/bin/env bash
# Arguments: the files of all library packages, except tests. Searches those
# outside sync/ and kernel/ for names that only these two may use, and every
# BUILD for a library made without the macro that checks layers.
set -euo pipefail

names='std::((recursive_|timed_|shared_|recursive_timed_|shared_timed_)?mutex'
names+='|atomic|jthread|thread|condition_variable|this_thread|lock_guard'
names+='|unique_lock|scoped_lock|shared_lock|call_once|once_flag'
names+='|counting_semaphore|binary_semaphore|latch|barrier|future'
names+='|shared_future|promise|packaged_task|async)'
names+='|absl::(Mutex|ReaderMutexLock|WriterMutexLock|CondVar|Notification'
names+='|BlockingCounter|Barrier|Now|SleepFor|call_once|once_flag'
names+='|GetCurrentTimeNanos)'
names+='|thread_local|__thread|(steady|system|high_resolution)_clock'
names+='|pthread_|__atomic_|__sync_|clock_gettime|gettimeofday|nanosleep'
names+='|usleep|sched_yield|timespec_get|SYS_futex'
includes='#include <(atomic|barrier|chrono|condition_variable|future|latch|mutex'
includes+='|pthread\.h|semaphore|shared_mutex|thread)>'
includes+='|#include "absl/synchronization/|#include "absl/time/clock\.h"'

sources=0
found=0
for file in "$@"; do
  case "$file" in
    */BUILD)
      if grep -nE '(^|[^_])cc_(library|shared_library|import)\(' "$file"; then
        echo "$file: libraries are made by cohort_cc_library"
        found=1
      fi
      ;;
    sync/* | kernel/*) ;;
    *.cc | *.h)
      sources=$((sources + 1))
      # Comments may name them.
      if sed 's,//.*,,' "$file" |
        grep -nE "(^|[^[:alnum:]_])($names)|$includes"; then
        echo "$file: the above belongs in sync/"
        found=1
      fi
      ;;
  esac
done

# Fails if no file was given, since nothing would be checked.
[[ $sources -gt 0 ]] || { echo "no source was given" && exit 1; }
exit "$found"
