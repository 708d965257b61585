// Large, deep and busy trees.

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/log/absl_check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/sync/test_util.h"
#include "gtest/gtest.h"

namespace cohort {
namespace {

using ::cohort::testing::Await;
using ::cohort::testing::JoiningThread;

const absl::Status kCause = absl::AbortedError("because");

#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr int kMany = 20'000;
constexpr std::size_t kSmallStack = 256 << 10;
#else
constexpr int kMany = 100'000;
constexpr std::size_t kSmallStack = 128 << 10;
#endif

// Runs `body` on a stack that has less than 13 bytes for each of kMany: what
// recurses once for each of them does not come back.
void OnASmallStack(std::function<void()> body) {
  pthread_attr_t attributes;
  ABSL_CHECK_EQ(pthread_attr_init(&attributes), 0);
  ABSL_CHECK_EQ(pthread_attr_setstacksize(&attributes, kSmallStack), 0);
  pthread_t thread;
  ABSL_CHECK_EQ(pthread_create(
                    &thread, &attributes,
                    [](void* function) -> void* {
                      (*static_cast<std::function<void()>*>(function))();
                      return nullptr;
                    },
                    &body),
                0);
  pthread_attr_destroy(&attributes);
  pthread_join(thread, nullptr);
}

// Each the child of the one before.
std::vector<CancelScope> Chain(const Context& parent) {
  std::vector<CancelScope> chain;
  chain.push_back(WithCancel(parent));
  for (int i = 1; i < kMany; ++i) {
    chain.push_back(WithCancel(chain.back().context()));
  }
  return chain;
}

TEST(TreeTest, AnEndReachesAHundredThousandChildren) {
  OnASmallStack([] {
    CancelScope parent = WithCancel(Context());
    std::vector<CancelScope> children;
    std::vector<DoneCallback> callbacks;
    int ran = 0;
    for (int i = 0; i < kMany; ++i) {
      children.push_back(WithCancel(parent.context()));
      callbacks.push_back(children.back().context().OnDone([&ran, i] {
        // In order, and each once.
        if (ran == i) ++ran;
      }));
    }
    // Were it not linear, this would take hours.
    parent.Cancel(kCause);
    EXPECT_EQ(ran, kMany);
    for (const CancelScope& child : children) {
      ASSERT_EQ(child.context().cause(), kCause);
    }
  });
}

TEST(TreeTest, AnEndReachesTheBottomOfADeepChainWithoutRecursion) {
  OnASmallStack([] {
    CancelScope root = WithCancel(Context());
    const std::vector<CancelScope> chain = Chain(root.context());
    root.Cancel(kCause);
    for (const CancelScope& scope : chain) {
      ASSERT_EQ(scope.context().cause(), kCause);
    }
  });
}

TEST(TreeTest, ADeepChainEndsFromTheBottomUpToo) {
  OnASmallStack([] {
    std::vector<CancelScope> chain = Chain(Context());
    while (chain.size() > 1) {
      const Context last = chain.back().context();
      chain.pop_back();
      ASSERT_TRUE(last.done());
      ASSERT_FALSE(chain.back().context().done());
    }
  });
}

// Contexts that derive from one another do not end by callbacks; these do. The
// second chain ends on the same thread, as the first one did.
TEST(TreeTest, CallbacksThatCancelTheNextEndAChainWithoutRecursion) {
  OnASmallStack([] {
    for (int round = 0; round < 2; ++round) {
      std::vector<CancelScope> chain;
      std::vector<DoneCallback> callbacks;
      int ran = 0;
      for (int i = 0; i < kMany; ++i) chain.push_back(WithCancel(Context()));
      for (int i = 0; i < kMany; ++i) {
        callbacks.push_back(
            chain[static_cast<size_t>(i)].context().OnDone([&, i] {
              if (ran == i) ++ran;  // in order, and each once
              if (i + 1 == kMany) return;
              CancelScope& next = chain[static_cast<size_t>(i) + 1];
              EXPECT_TRUE(next.Cancel(kCause));
              EXPECT_TRUE(next.context().done());
            }));
      }
      chain.front().Cancel(kCause);
      EXPECT_EQ(ran, kMany);
      EXPECT_EQ(chain.back().context().cause(), kCause);
    }
  });
}

// Each a scope that is destroyed by a callback of the one before.
TEST(TreeTest, CallbacksThatDestroyTheNextEndAChainWithoutRecursion) {
  OnASmallStack([] {
    struct Link {
      CancelScope scope = WithCancel(Context());
      DoneCallback callback;
      std::unique_ptr<Link> next;
    };
    auto first = std::make_unique<Link>();
    Link* last = first.get();
    int destroyed = 0;
    for (int i = 1; i < kMany; ++i) {
      last->next = std::make_unique<Link>();
      last->callback = last->scope.context().OnDone([link = last, &destroyed] {
        CancelScope taken = std::move(link->next->scope);
        ++destroyed;
      });
      last = last->next.get();
    }
    first->scope.Cancel();
    EXPECT_EQ(destroyed, kMany - 1);
    while (first != nullptr) first = std::move(first->next);
  });
}

TEST(TreeTest, AnyOfAnyOfEndsAndIsDestroyedWithoutRecursion) {
  OnASmallStack([] {
    CancelScope root = WithCancel(Context());
    const CancelScope other = WithCancel(Context());
    std::vector<CancelScope> chain;
    chain.push_back(WithAnyOf({other.context(), root.context()}));
    for (int i = 1; i < kMany; ++i) {
      chain.push_back(WithAnyOf({other.context(), chain.back().context()}));
    }
    int ran = 0;
    const DoneCallback callback =
        chain.back().context().OnDone([&ran] { ++ran; });
    EXPECT_FALSE(chain.back().context().done());
    root.Cancel(kCause);
    EXPECT_EQ(chain.back().context().cause(), kCause);
    EXPECT_EQ(ran, 1);
    EXPECT_FALSE(other.context().done());
    const Context last = chain.back().context();
    chain.clear();
    EXPECT_EQ(last.cause(), kCause);
  });
}

TEST(TreeTest, ADeepChainIsDestroyedWithoutRecursion) {
  OnASmallStack([] {
    // Its last context keeps all of it.
    Context last = Chain(Context()).back().context();
    EXPECT_TRUE(last.done());
    last = Context();
  });
}

TEST(TreeTest, ALongChainOfValuesIsDestroyedWithoutRecursion) {
  struct Key {
    using Type = int;
  };
  OnASmallStack([] {
    Context context;
    for (int i = 0; i < kMany; ++i) context = WithValue<Key>(context, i);
    EXPECT_EQ(*context.value<Key>(), kMany - 1);
    context = Context();
  });
}

TEST(TreeTest, AllAreDoneBeforeTheFirstCallbackRuns) {
  CancelScope root = WithCancel(Context());
  std::vector<CancelScope> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(WithCancel(root.context()));
    for (int j = 0; j < 10; ++j) {
      all.push_back(WithCancel(all[all.size() - 1].context()));
    }
  }
  int done = 0;
  DoneCallback callback = root.context().OnDone([&] {
    for (const CancelScope& scope : all) done += scope.context().done();
  });
  root.Cancel();
  EXPECT_EQ(done, 110);
}

TEST(TreeTest, CallbacksRunFromTheTopDown) {
  CancelScope root = WithCancel(Context());
  std::vector<int> depths;
  std::vector<CancelScope> scopes;
  std::vector<DoneCallback> callbacks;
  const std::function<void(const Context&, int)> grow =
      [&](const Context& context, int depth) {
        callbacks.push_back(
            context.OnDone([&depths, depth] { depths.push_back(depth); }));
        if (depth == 4) return;
        for (int i = 0; i < 3; ++i) {
          CancelScope child = WithCancel(context);
          const Context child_context = child.context();
          scopes.push_back(std::move(child));
          grow(child_context, depth + 1);
        }
      };
  grow(root.context(), 0);
  root.Cancel();
  ASSERT_EQ(depths.size(), 1 + 3 + 9 + 27 + 81);
  for (std::size_t i = 1; i < depths.size(); ++i) {
    ASSERT_LE(depths[i - 1], depths[i]);
  }
}

TEST(TreeTest, AChildThatHasEndedKeepsItsOwnCause) {
  CancelScope parent = WithCancel(Context());
  std::vector<Context> copies;
  std::vector<CancelScope> scopes;
  for (int i = 0; i < 100; ++i) {
    CancelScope child = WithCancel(parent.context());
    copies.push_back(child.context());
    // Half of them have left with their scope, half have only ended.
    child.Cancel(absl::InternalError("own"));
    if (i % 2 == 0) scopes.push_back(std::move(child));
  }
  parent.Cancel(kCause);
  for (const Context& copy : copies) {
    ASSERT_EQ(copy.cause(), absl::InternalError("own"));
  }
}

TEST(TreeTest, AGrandchildEndsThoughTheScopeBetweenIsGone) {
  CancelScope parent = WithCancel(Context());
  std::optional<CancelScope> between(WithCancel(parent.context()));
  CancelScope below = WithCancel(WithoutCancel(between->context()));
  CancelScope grandchild = WithCancel(between->context());
  between.reset();
  EXPECT_TRUE(grandchild.context().done());
  EXPECT_FALSE(below.context().done());
  EXPECT_FALSE(parent.context().done());
}

TEST(TreeTest, ChildrenComeAndGoWhileTheParentEnds) {
  for (int round = 0; round < 200; ++round) {
    CancelScope parent = WithCancel(Context());
    std::atomic<int> ready{0};
    {
      std::optional<JoiningThread> callers[3];
      for (auto& caller : callers) {
        caller.emplace([&] {
          ++ready;
          Await([&ready] { return ready == 4; });
          for (int i = 0; i < 20; ++i) {
            CancelScope child = WithCancel(parent.context());
            CancelScope grandchild =
                WithTimeout(child.context(), absl::Hours(1));
            if (parent.context().done()) {
              // Marked before anyone can see its parent done and make a
              // child, so a child made after that is done as well.
              CancelScope late = WithCancel(parent.context());
              EXPECT_EQ(late.context().cause(), kCause);
            }
            if (i % 3 == 0) {
              child.Cancel();
              EXPECT_TRUE(child.context().done());
            }
          }
        });
      }
      ++ready;
      Await([&ready] { return ready == 4; });
      parent.Cancel(kCause);
    }
    CancelScope late = WithCancel(parent.context());
    ASSERT_EQ(late.context().cause(), kCause);
  }
}

// Neither the child that dies nor the parent that ends may touch the other too
// late.
TEST(TreeTest, TheLastReferenceGoesWhileTheParentEnds) {
  for (int round = 0; round < 1000; ++round) {
    std::optional<CancelScope> parent(WithCancel(Context()));
    std::optional<CancelScope> child(WithCancel(parent->context()));
    std::optional<CancelScope> grandchild(WithCancel(child->context()));
    std::atomic<int> ready{0};
    const auto start = [&ready] {
      ++ready;
      Await([&ready] { return ready == 3; });
    };
    JoiningThread first([&] {
      start();
      child.reset();
    });
    JoiningThread second([&] {
      start();
      grandchild.reset();
    });
    start();
    parent.reset();
  }
}

}  // namespace
}  // namespace cohort
