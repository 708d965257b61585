// An intrusive linked list: its elements cost no allocation, and are removed in
// O(1).

#ifndef COHORT_SYNC_LINKED_LIST_H_
#define COHORT_SYNC_LINKED_LIST_H_

namespace cohort::sync {

// The base class of an element T: ListHook<T>. An element is in one list at a
// time.
template <class T>
class ListHook {
 private:
  template <class>
  friend class LinkedList;

  T* previous_ = nullptr;
  T* next_ = nullptr;
};

// The list does not own its elements.
template <class T>
class LinkedList {
 public:
  bool empty() const { return first_ == nullptr; }
  T* front() const { return first_; }
  static T* Next(const T* element) { return Hook(element)->next_; }

  void PushBack(T* element) {
    Hook(element)->previous_ = last_;
    Hook(element)->next_ = nullptr;
    (last_ == nullptr ? first_ : Hook(last_)->next_) = element;
    last_ = element;
  }

  void Remove(T* element) {
    T* const previous = Hook(element)->previous_;
    T* const next = Hook(element)->next_;
    (previous == nullptr ? first_ : Hook(previous)->next_) = next;
    (next == nullptr ? last_ : Hook(next)->previous_) = previous;
  }

  T* PopFront() {
    T* const element = first_;
    Remove(element);
    return element;
  }

 private:
  static ListHook<T>* Hook(T* element) { return element; }
  static const ListHook<T>* Hook(const T* element) { return element; }

  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace cohort::sync

#endif  // COHORT_SYNC_LINKED_LIST_H_
