// The immutable chain of typed values that contexts carry. Internal.

#ifndef COHORT_CONTEXT_INTERNAL_VALUE_H_
#define COHORT_CONTEXT_INTERNAL_VALUE_H_

#include <utility>

#include "cohort/sync/ref_ptr.h"

namespace cohort::context_internal {

// Its address represents the key type. Not const, so that no linker may merge
// two of them.
template <class Key>
inline char kKey = 0;

class Value {
 public:
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;

  void Ref() const { references_.Ref(); }
  // Does not recurse, however long the chain is.
  void Unref();

  const Value* parent() const { return parent_.get(); }
  const void* key() const { return key_; }
  const void* data() const { return data_; }

 protected:
  Value(sync::RefPtr<Value> parent, const void* key)
      : parent_(std::move(parent)), key_(key) {}
  virtual ~Value() = default;

  const void* data_ = nullptr;

 private:
  sync::RefCount references_;
  sync::RefPtr<Value> parent_;
  const void* const key_;
};

template <class T>
class TypedValue final : public Value {
 public:
  TypedValue(sync::RefPtr<Value> parent, const void* key, T value)
      : Value(std::move(parent), key), value_(std::move(value)) {
    data_ = &value_;
  }

 private:
  const T value_;
};

template <class T>
sync::RefPtr<Value> MakeValue(sync::RefPtr<Value> parent, const void* key,
                              T value) {
  return sync::RefPtr<Value>::Adopt(
      new TypedValue<T>(std::move(parent), key, std::move(value)));
}

// The data of the most recent value with this key, else null.
inline const void* FindValue(const Value* value, const void* key) {
  while (value != nullptr && value->key() != key) value = value->parent();
  return value == nullptr ? nullptr : value->data();
}

}  // namespace cohort::context_internal

#endif  // COHORT_CONTEXT_INTERNAL_VALUE_H_
