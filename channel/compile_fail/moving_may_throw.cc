#include "cohort/channel/channel.h"

struct Thrower {
  Thrower(Thrower&&) {}
};

void Use() { cohort::channel::Channel<Thrower> channel(1); }
