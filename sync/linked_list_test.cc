#include "cohort/sync/linked_list.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace cohort::sync {
namespace {

struct Letter : ListHook<Letter> {
  explicit Letter(char c) : name(c) {}
  char name;
};

using List = LinkedList<Letter>;

std::string Names(const List& list) {
  std::string names;
  for (const Letter* letter = list.front(); letter != nullptr;
       letter = List::Next(letter)) {
    names += letter->name;
  }
  return names;
}

// Whether the links backwards are those forwards: taken out from the back, each
// element has to leave the ones before it.
void ExpectLinkedBackwards(List& list, const std::vector<Letter*>& letters) {
  std::string names = Names(list);
  for (size_t i = letters.size(); i > 0; --i) {
    list.Remove(letters[i - 1]);
    names.pop_back();
    EXPECT_EQ(Names(list), names);
  }
  EXPECT_TRUE(list.empty());
}

TEST(LinkedListTest, StartsEmpty) {
  const List list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
}

TEST(LinkedListTest, KeepsTheOrder) {
  Letter a('a'), b('b'), c('c');
  List list;
  for (Letter* letter : {&a, &b, &c}) list.PushBack(letter);
  EXPECT_FALSE(list.empty());
  EXPECT_EQ(list.front(), &a);
  EXPECT_EQ(Names(list), "abc");
  ExpectLinkedBackwards(list, {&a, &b, &c});
}

TEST(LinkedListTest, PopsInOrder) {
  Letter a('a'), b('b'), c('c');
  List list;
  for (Letter* letter : {&a, &b, &c}) list.PushBack(letter);
  EXPECT_EQ(list.PopFront(), &a);
  EXPECT_EQ(Names(list), "bc");
  EXPECT_EQ(list.PopFront(), &b);
  EXPECT_EQ(list.PopFront(), &c);
  EXPECT_TRUE(list.empty());
}

TEST(LinkedListTest, AnElementMayComeAgain) {
  Letter a('a'), b('b');
  List list;
  list.PushBack(&a);
  list.PushBack(&b);
  list.Remove(&a);
  list.PushBack(&a);
  EXPECT_EQ(Names(list), "ba");
  ExpectLinkedBackwards(list, {&b, &a});
  // Also into another list.
  List other;
  other.PushBack(&b);
  list.PushBack(&a);
  EXPECT_EQ(Names(other), "b");
  EXPECT_EQ(Names(list), "a");
}

// In every order, which has every element first, last, between two, and alone.
TEST(LinkedListTest, AnyElementLeavesTheOthersInTheirOrder) {
  std::array<size_t, 4> order = {0, 1, 2, 3};
  do {
    Letter letters[] = {Letter('a'), Letter('b'), Letter('c'), Letter('d')};
    Letter last('e');
    List list;
    for (Letter& letter : letters) list.PushBack(&letter);
    std::string names = "abcd";
    for (const size_t i : order) {
      list.Remove(&letters[i]);
      names.erase(names.find(letters[i].name), 1);
      EXPECT_EQ(Names(list), names);
      EXPECT_EQ(list.empty(), names.empty());
      // The end of the list is where it should be.
      list.PushBack(&last);
      EXPECT_EQ(Names(list), names + "e");
      list.Remove(&last);
      EXPECT_EQ(Names(list), names);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace cohort::sync
