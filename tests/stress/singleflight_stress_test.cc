// singleflight::Group with callers who come, leave and forget: a call's result
// is whole and no older than its caller, nobody is cancelled by another, and
// there is one call for a key at a time where nobody leaves.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cohort/context/context.h"
#include "cohort/singleflight/group.h"
#include "cohort/singleflight/result.h"
#include "cohort/sync/atomic.h"
#include "cohort/sync/thread.h"
#include "gtest/gtest.h"
#include "tests/stress/stress.h"

namespace cohort::singleflight {
namespace {

using stress::InParallel;
using stress::Random;

// What a call returns: not atomic, so that ThreadSanitizer sees who may not.
struct Page {
  int64_t number = 0;
  std::string text;
};
using Pages = Group<std::string, std::unique_ptr<Page>>;

class SingleflightStressTest : public stress::StressTest {};

TEST_F(SingleflightStressTest, OneCallAtATimeAndNoOldResults) {
  Repeat(200, [](Random& round) {
    constexpr int kKeys = 3;
    struct Key {
      sync::Atomic<int> running = 0;
      sync::Atomic<int64_t> calls = 0;
      sync::Atomic<int64_t> returned = 0;
    };
    std::vector<Key> keys(kKeys);
    Pages group;
    InParallel(round, 4, [&](int, Random& random) {
      for (int i = 0; i < 8; ++i) {
        const auto index = static_cast<size_t>(random.Below(kKeys));
        Key& key = keys[index];
        const std::string name = absl::StrCat("key ", index);
        const int64_t before = key.returned;
        const auto work = [&key, name] {
          EXPECT_EQ(++key.running, 1);
          auto page = std::make_unique<Page>();
          page->number = ++key.calls;
          sync::Yield();
          page->text = name;
          --key.running;
          return page;
        };
        const Result<std::unique_ptr<Page>> result =
            random.OneIn(2) ? group.Do(Context(), name, work)
                            : group.Start(Context(), name, work).Wait();
        ASSERT_TRUE(result.ok()) << result.status();
        EXPECT_EQ((*result)->text, name);
        EXPECT_GT((*result)->number, before);
        int64_t returned = key.returned;
        while (
            returned < (*result)->number &&
            !key.returned.compare_exchange_weak(returned, (*result)->number)) {
        }
      }
    });
  });
}

TEST_F(SingleflightStressTest, CallersComeLeaveAndForget) {
  Repeat(200, [](Random& round) {
    sync::Atomic<int> begun = 0;
    sync::Atomic<int> ended = 0;
    std::vector<Call<std::unique_ptr<Page>>> left_over[4];
    {
      Pages group;
      InParallel(round, 4, [&](int thread, Random& random) {
        for (int i = 0; i < 8; ++i) {
          CancelScope scope = WithCancel(Context());
          const bool patient = random.OneIn(2);
          const Context context = patient ? Context() : scope.context();
          const auto work =
              [&](const Context& own) -> absl::StatusOr<std::unique_ptr<Page>> {
            ++begun;
            for (int step = 0; step < 4 && !own.done(); ++step) sync::Yield();
            auto page = std::make_unique<Page>();
            page->text = "a page";
            ++ended;
            if (own.done()) return own.status();
            return page;
          };
          if (random.OneIn(4)) group.Forget("key");
          if (random.OneIn(2)) {
            std::optional<Call<std::unique_ptr<Page>>> call =
                group.Start(context, "key", work);
            if (random.OneIn(3)) {
              call.reset();
            } else if (random.OneIn(3)) {
              left_over[thread].push_back(*std::move(call));
            } else if (patient) {
              const auto result = call->Wait();
              ASSERT_TRUE(result.ok()) << result.status();
              EXPECT_EQ((*result)->text, "a page");
            } else {
              scope.Cancel(absl::AbortedError("left"));
              const auto result = call->Wait();
              EXPECT_TRUE(result.ok() || absl::IsAborted(result.status()) ||
                          absl::IsCancelled(result.status()));
            }
          } else {
            const auto result = group.Do(context, "key", work);
            if (patient) {
              ASSERT_TRUE(result.ok()) << result.status();
            }
          }
        }
      });
    }
    // All that has begun has ended, and left a result for who still wants it.
    EXPECT_EQ(begun, ended);
    for (const auto& calls : left_over) {
      for (const auto& call : calls) EXPECT_TRUE(call.Poll().has_value());
    }
  });
}

}  // namespace
}  // namespace cohort::singleflight
