#include "cohort/sync/thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cohort/sync/jitter.h"
#include "cohort/sync/mode.h"

namespace cohort::sync {
inline namespace COHORT_SYNC_MODE {
namespace {

struct StartBlock {
  std::string name;
  absl::AnyInvocable<void() &&> body;
};

extern "C" void* RunStartBlock(void* arg) {
  std::unique_ptr<StartBlock> block(static_cast<StartBlock*>(arg));
#ifdef __linux__
  if (!block->name.empty()) {
    pthread_setname_np(pthread_self(), block->name.substr(0, 15).c_str());
  }
#endif
  Jitter();
  std::move(block->body)();
  Jitter();
  return nullptr;
}

}  // namespace

Thread::Thread(Thread&& other) noexcept
    : handle_(std::exchange(other.handle_, std::nullopt)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  ABSL_CHECK(!joinable()) << "sync::Thread: a joinable thread was overwritten";
  handle_ = std::exchange(other.handle_, std::nullopt);
  return *this;
}

Thread::~Thread() {
  ABSL_CHECK(!joinable()) << "sync::Thread: destroyed without Join or Detach";
}

absl::StatusOr<Thread> Thread::Start(ThreadOptions options,
                                     absl::AnyInvocable<void() &&> body) {
  std::unique_ptr<StartBlock> block(
      new (std::nothrow) StartBlock{std::move(options.name), std::move(body)});
  // Without a text, since there would be no memory for that either.
  if (block == nullptr) return absl::ResourceExhaustedError("");
  pthread_t handle;
  const int error =
      pthread_create(&handle, nullptr, &RunStartBlock, block.get());
  if (error != 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot start thread '", block->name, "': ", std::strerror(error)));
  }
  block.release();
  Jitter();
  return Thread(handle);
}

void Thread::Join() {
  ABSL_CHECK(joinable()) << "sync::Thread::Join: no thread";
  const pthread_t handle = *std::exchange(handle_, std::nullopt);
  Jitter();
  const int error = pthread_join(handle, nullptr);
  ABSL_CHECK_EQ(error, 0) << "sync::Thread::Join: " << std::strerror(error);
}

void Thread::Detach() {
  ABSL_CHECK(joinable()) << "sync::Thread::Detach: no thread";
  pthread_detach(*std::exchange(handle_, std::nullopt));
}

#ifdef __linux__

ThreadProbe ThreadProbe::OfCurrentThread() {
  return ThreadProbe(syscall(SYS_gettid));
}

bool ThreadProbe::LooksBlocked() const {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/self/task/%lld/stat",
                static_cast<long long>(tid_));
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char stat[128];
  const ssize_t size = read(fd, stat, sizeof(stat) - 1);
  close(fd);
  if (size <= 0) return false;
  stat[static_cast<size_t>(size)] = '\0';
  // The line is "tid (name) state …", and the name may contain anything, even
  // ") R".
  const char* end_of_name = std::strrchr(stat, ')');
  if (end_of_name == nullptr || end_of_name[1] != ' ') return false;
  const char state = end_of_name[2];
  return state == 'S' || state == 'D';
}

#else

ThreadProbe ThreadProbe::OfCurrentThread() { return ThreadProbe(0); }

bool ThreadProbe::LooksBlocked() const { return false; }

#endif

}  // namespace COHORT_SYNC_MODE
}  // namespace cohort::sync
