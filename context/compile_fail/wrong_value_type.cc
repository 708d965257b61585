#include <string>

#include "cohort/context/context.h"

struct Key {
  using Type = int;
};

const std::string* Use(const cohort::Context& context) {
  return context.value<Key>();
}
