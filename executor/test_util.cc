#include "cohort/executor/test_util.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/absl_check.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/executor/internal/worker_pool.h"
#include "cohort/executor/pools.h"
#include "cohort/sync/thread.h"

namespace cohort::testing {
namespace {

using executor_internal::WorkerPool;

constexpr int kMany = 8;

// As good as none.
constexpr uid_t kUnprivileged = 65534;

PoolCase Elastic(std::string name, int workers) {
  return {
      .name = std::move(name),
      .make =
          [workers] {
            // Idle threads stay: one that left would look at the queue, and
            // so make up for a wake-up that was lost.
            return std::make_shared<ElasticPool>(ElasticPool::Options{
                .workers = workers, .keep_alive = absl::InfiniteDuration()});
          },
      .workers = workers};
}

PoolCase Fixed(std::string name, int threads) {
  return {.name = std::move(name),
          .make = [threads] { return std::make_shared<FixedPool>(threads); },
          .workers = threads};
}

PoolCase Default() {
  return {.name = "Default",
          .make =
              [] {
                return std::shared_ptr<WorkerPool>(&DefaultExecutor(),
                                                   [](WorkerPool*) {});
              },
          .workers = sync::HardwareConcurrency()};
}

PoolCase PerTask() {
  return {.name = "ThreadPerTask",
          .make = [] { return std::make_shared<ThreadPerTask>(); },
          .workers = kMany};
}

bool CanStartThread() {
  absl::StatusOr<sync::Thread> thread = sync::Thread::Start({}, [] {});
  if (thread.ok()) thread->Join();
  return thread.ok();
}

void SetSoftLimit(int resource, rlim_t soft) {
  rlimit limit;
  ABSL_CHECK_EQ(getrlimit(resource, &limit), 0);
  limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
  ABSL_CHECK_EQ(setrlimit(resource, &limit), 0);
}

#if !defined(ABSL_HAVE_THREAD_SANITIZER) && \
    !defined(ABSL_HAVE_ADDRESS_SANITIZER)
rlim_t AddressSpaceInUse() {
  unsigned long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  ABSL_CHECK(file != nullptr);
  ABSL_CHECK_EQ(std::fscanf(file, "%lu", &pages), 1);
  std::fclose(file);
  return rlim_t{pages} * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

// Of a thread that does not ask for one.
rlim_t StackSize() {
  pthread_attr_t attributes;
  size_t size = 0;
  ABSL_CHECK_EQ(pthread_attr_init(&attributes), 0);
  ABSL_CHECK_EQ(pthread_attr_getstacksize(&attributes, &size), 0);
  pthread_attr_destroy(&attributes);
  return rlim_t{size};
}
#endif

}  // namespace

std::vector<PoolCase> PoolsWithProgress() {
  return {Elastic("Elastic1", 1), Elastic("Elastic2", 2),
          Elastic("ElasticMany", kMany), Default(), PerTask()};
}

std::vector<PoolCase> PoolsOfOnesOwn() {
  return {Elastic("Elastic1", 1),
          Elastic("Elastic2", 2),
          Elastic("ElasticMany", kMany),
          Fixed("Fixed1", 1),
          Fixed("Fixed2", 2),
          Fixed("FixedMany", kMany),
          PerTask()};
}

std::string PoolName(const ::testing::TestParamInfo<PoolCase>& info) {
  return info.param.name;
}

// The number of a user's threads has no limit for root, so this stops being
// root; in a user namespace, as a sandbox makes one, that may fail. Now rather
// than in Refuse: glibc asks every thread to change its user.
ThreadLimit::ThreadLimit() {
  if (geteuid() != 0) return;
  if (setresgid(kUnprivileged, kUnprivileged, kUnprivileged) != 0 ||
      setresuid(kUnprivileged, kUnprivileged, kUnprivileged) != 0) {
    std::perror("cannot stop being root");
  }
  // Without this /proc/self would still be root's, and sanitizers need it.
  prctl(PR_SET_DUMPABLE, 1);
}

void ThreadLimit::Refuse() {
  if (geteuid() != 0) {
    resource_ = RLIMIT_NPROC;
    SetSoftLimit(resource_, 0);
  } else {
#if !defined(ABSL_HAVE_THREAD_SANITIZER) && \
    !defined(ABSL_HAVE_ADDRESS_SANITIZER)
    // Without room for another stack, and no thread has left one behind, but
    // with some for everybody else.
    resource_ = RLIMIT_AS;
    SetSoftLimit(resource_, AddressSpaceInUse() + StackSize() / 2);
#else
    // They reserve terabytes. Perhaps the namespace's root is none outside.
    resource_ = RLIMIT_NPROC;
    SetSoftLimit(resource_, 0);
#endif
  }
  ABSL_CHECK(!CanStartThread())
      << "found no way to make the system refuse threads";
}

void ThreadLimit::Lift() {
  SetSoftLimit(resource_, RLIM_INFINITY);
  ABSL_CHECK(CanStartThread()) << "the limit could not be lifted";
}

}  // namespace cohort::testing
