#include "cohort/channel/channel.h"

void Use() {
  cohort::channel::Channel<int> channel(1);
  cohort::channel::Channel<int> copy = channel;
}
